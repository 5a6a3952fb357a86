"""Check what a method says of itself: its own ground-truth video, its parsing palette, and its sound track."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from baselines.spec import TorsoMode
from d3talker.errors import UserError
from d3talker.people.media.video import SAMPLE_RATE, probe, read_audio, read_frames
from d3talker.people.subject.layout import Frame, Label, Subject
from d3talker.people.subject.sound import clip_sound

SAMPLES = 12
MIN_PSNR = 25.0  # an H.264 copy of gt_imgs has 35 dB and more
MIN_TORSO_PSNR = 30.0  # ER-NeRF: 35.6 dB with the real torso, 26.6 dB with its own (whole frame, its readme)
PALETTE_ERROR = 15.0  # mean absolute error, of 255, in hair and mouth
LATE_S = 0.04


def check_truth(path: Path, subject: Subject, test: Sequence[Frame], start: int) -> str:
    """Compare a method's own ground-truth video with the subject's, at a dozen frames; returns what was found.

    start: index of the first test frame in the video.  Raises UserError when the two differ: by a wrong palette
    (hair and inside-mouth alone), or by a wrong split or subject.
    """
    chosen = {start + int(k): test[int(k)].img_id for k in np.linspace(0, len(test) - 1, SAMPLES)}
    errors: list[float] = []
    regions: list[tuple[float, float]] = []
    for index, image in enumerate(read_frames(path)):
        if index not in chosen:
            continue
        img_id = chosen[index]
        truth = subject.gt(img_id)
        if image.shape != truth.shape:
            sizes = f"{image.shape[1]}x{image.shape[0]}, the subject {truth.shape[1]}x{truth.shape[0]}"
            raise UserError(f"{path} is {sizes}; prepare the subject at the size at which the method rendered")
        difference = np.abs(image.astype(np.float32) - truth)
        errors.append(float((difference**2).mean()))
        regions += _regions(difference, subject, img_id)
    if not errors:
        raise UserError(f"{path} ends before the test does; render the clip again")
    hidden, face = np.mean(regions, axis=0) if regions else (0.0, 0.0)
    if hidden > PALETTE_ERROR and hidden > 3 * face:
        raise UserError(
            f"{path} shows no hair or inside of the mouth where {subject.name} has them: the run read parsing/ in the "
            "wrong palette; give it a copy of the subject in AD-NeRF's colours (d3talker run writes one)"
        )
    psnr = 10 * np.log10(255**2 / max(float(np.mean(errors)), 1e-6))
    if psnr < MIN_PSNR:
        cause = "a wrong split or subject; render this subject's transforms_val.json"
        raise UserError(f"{path} is at {psnr:.1f} dB from the ground truth of {subject.name}: {cause}")
    return f"its own ground truth is at {min(psnr, 99):.1f} dB from gt_imgs"


def _regions(difference: np.ndarray, subject: Subject, img_id: int) -> list[tuple[float, float]]:
    """Mean error in hair and inside-mouth, and in the face; empty where the parsing does not tell them apart."""
    if not subject.layout.image("parsing", img_id, ".png").exists():
        return []
    hidden, face = subject.mask(img_id, Label.HAIR, Label.MOUTH), subject.mask(img_id, Label.FACE)
    if hidden.mean() < 0.002 or face.mean() < 0.002:
        return []
    return [(float(difference[hidden].mean()), float(difference[face].mean()))]


def check_torso(
    frames: Iterable[np.ndarray], subject: Subject, test: Sequence[Frame], declared: TorsoMode
) -> tuple[list[str], bool]:
    """How far the clip's torso is from the real one, and whether that makes its declared torso mode doubtful.

    frames: the clip's test frames, uint8 [H, W, 3].  A torso copied from the test video differs from it by JPEG and codec alone.
    """
    chosen = {int(k) for k in np.linspace(0, len(test) - 1, SAMPLES)}
    errors = []
    for index, image in enumerate(frames):
        img_id = test[index].img_id
        if index not in chosen or not subject.layout.image("parsing", img_id, ".png").exists():
            continue
        torso = subject.mask(img_id, Label.TORSO)
        if torso.mean() > 0.01 and image.shape[:2] == torso.shape:
            errors.append(float(((image.astype(np.float32) - subject.gt(img_id))[torso] ** 2).mean()))
    if not errors:
        return [], False
    psnr = min(10 * np.log10(255**2 / max(float(np.mean(errors)), 1e-6)), 99.0)
    note = f"torso region: {psnr:.1f} dB from the ground truth"
    if declared == "gt" and psnr < MIN_TORSO_PSNR:
        return [f"{note}, too far for the real torso; was it synthesised (d3talker import --torso-mode synthesised)?"], True
    if declared == "synthesised" and psnr > MIN_TORSO_PSNR + 5:
        return [f"{note}, as close as the real torso; is it (d3talker import --torso-mode gt)?"], True
    return [note], False


def check_sound(path: Path, subject: Subject, test: Sequence[Frame]) -> list[str]:
    """How far the clip's own sound track lies off its frames, where it has one (GaussianTalker cuts it by time)."""
    if not probe(path).has_audio:
        return []
    late = lag_seconds(read_audio(path), clip_sound(subject, test))
    if late is None:
        return ["its own sound track is another one; replaced by the subject's"]
    if abs(late) < LATE_S:
        return []
    return [f"its own sound track was {abs(late):.2f} s {'late' if late > 0 else 'early'}; replaced by the subject's"]


def lag_seconds(sound: np.ndarray, expected: np.ndarray) -> float | None:
    """Seconds by which `sound` [S] comes after `expected` [S']; None where they do not correlate.  16 kHz."""
    from scipy.signal import correlate

    scale = float(np.linalg.norm(sound) * np.linalg.norm(expected))
    if scale == 0:
        return None
    curve = correlate(sound, expected, mode="full", method="fft")
    best = int(curve.argmax())
    return (best - len(expected) + 1) / SAMPLE_RATE if curve[best] > 0.3 * scale else None
