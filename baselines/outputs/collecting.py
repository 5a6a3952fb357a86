"""Turn native outputs into a predictions folder: the test frames alone, checked against the ground truth, and sound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from baselines.adapter import Native, Setting
from baselines.outputs import alignment, diagnosis
from baselines.outputs.truth import check_sound, check_torso, check_truth
from baselines.spec import MethodSpec, TorsoMode
from d3talker.errors import UserError
from d3talker.people.media.predictions import PredictionsWriter, Timing, source_is_lossless
from d3talker.people.media.video import FPS, SAMPLE_RATE, probe, read_audio, read_frames
from d3talker.people.subject.layout import Frame, Subject
from d3talker.people.subject.sound import clip_sound


@dataclass(frozen=True)
class Clip:
    """A native clip, read through once: thumbnails [T, 48, 48], size (height, width), frames a second."""

    native: Native
    thumbs: np.ndarray
    size: tuple[int, int]
    rate: float


@dataclass
class Findings:
    """What an import found.  checks: what was verified; notes: what must stand under any table that shows the clip."""

    checks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def images(frames: Path | tuple[Path, ...]) -> Iterator[np.ndarray]:
    """Yield uint8 RGB frames [H, W, 3] of a video or of images in order; raises UserError naming an unreadable file."""
    if isinstance(frames, Path):
        yield from read_frames(frames)
        return
    for path in frames:
        yield rgb(path)


def rgb(path: Path) -> np.ndarray:
    """An image of three colours as uint8 RGB [H, W, 3]; 16 bits a channel are rounded to 8.

    Raises UserError for what is no picture of a face over its background: grey, or with transparent parts.
    """
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise UserError(f"{path} is not a readable image; render the clip again")
    if image.ndim != 3 or image.shape[2] not in (3, 4):
        raise UserError(f"{path} is grey (a depth or a mask?); give the colour frames")
    if image.dtype not in (np.uint8, np.uint16):
        raise UserError(f"{path} has {image.dtype} values; write 8 or 16 bits a channel")
    if image.dtype == np.uint16:
        if image.max() < 4096:
            raise UserError(f"{path} has 16 bits a channel but no value above {image.max()}; write its values over the whole range")
        image = np.round(image / 257).astype(np.uint8)
    if image.shape[2] == 4:
        if image[..., 3].min() < 255:
            raise UserError(f"{path} has transparent parts; lay it over the background and write RGB")
        image = image[..., :3]
    return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2RGB)


def read(native: Native) -> Clip:
    """Read a native clip through.  Raises UserError when its frames differ in size."""
    thumbs, size = [], (0, 0)
    for index, image in enumerate(images(native.frames)):
        size = size if index else image.shape[:2]
        if image.shape[:2] != size:
            sizes = f"{image.shape[1]}x{image.shape[0]}, the first {size[1]}x{size[0]}"
            raise UserError(f"{native.place}: frame {index} is {sizes}; render the clip again")
        thumbs.append(alignment.thumbnail(image))
    if not thumbs:
        raise UserError(f"{native.place} holds no frame; render the clip again")
    rate = probe(native.frames).fps if isinstance(native.frames, Path) else FPS
    return Clip(native, np.stack(thumbs), size, rate)


def collect(
    spec: MethodSpec, candidates: Sequence[Native], subject: Subject, test: Sequence[Frame], out: Path, *,
    name: str | None = None, setting: Setting = "self", audio: Path | None = None, first_frame: int | None = None,
    unverified: bool = False, notes: Sequence[str] = (), timing: Timing | None = None,
) -> Findings:
    """Write the predictions folder of one finished run, and return what was found.

    candidates: native outputs, best first; the first whose number of frames fits is taken.  test: the test frames, a
    run of the val split.  first_frame: index of the native frame that shows the first test frame, instead of the
    layout's rule.  audio: the driving sound of a cross-driven clip.  unverified: accept a clip whose frames cannot be
    found in the video.  notes, timing: go into the manifest.
    Raises UserError that names the likely cause when the clip does not show the test frames.
    """
    if setting == "cross":
        clip, start = read(candidates[0]), 0
        _check_size(clip, subject, test)
        findings = Findings()
        sound = _driving_sound(clip, audio, findings)
        count = len(sound) // (SAMPLE_RATE // FPS)
    else:
        clip, start = _fitting(candidates, subject, test, first_frame)
        _check_size(clip, subject, test)
        findings, count, sound = _verify(clip, subject, test, start, unverified), len(test), clip_sound(subject, test)
    findings.checks.append(f"frames {start} to {start + count - 1} of the {len(clip.thumbs)} rendered")
    findings.notes[:0] = notes
    frames, torso = clip.native.frames, clip.native.torso_mode or spec.torso_mode
    if setting == "self":
        _inspect(clip, subject, test, start, torso, findings)
    lossless = source_is_lossless(frames) if isinstance(frames, Path) else frames[0].suffix.lower() in (".png", ".bmp")
    with PredictionsWriter(
        out, method=name or spec.name, subject=subject.name, setting=setting, first_img_id=test[0].img_id,
        torso_mode=torso, source=_source(clip.native), lossless=lossless, audio=sound,
        notes=findings.notes, checks=findings.checks,
    ) as writer:
        writer.timing = timing
        for image in islice(images(frames), start, start + count):
            writer.write(image)
    return findings


def _fitting(
    candidates: Sequence[Native], subject: Subject, test: Sequence[Frame], first_frame: int | None
) -> tuple[Clip, int]:
    counts = diagnosis.Counts.of(subject, test)
    offset = [row.img_id for row in subject.frames("val")].index(test[0].img_id)
    reasons: list[str] = []
    for native in candidates:
        clip = read(native)
        found = len(clip.thumbs)
        if first_frame is not None and first_frame + counts.test <= found:
            return clip, first_frame
        cause = diagnosis.wrong_count(found, counts, clip.rate)
        if cause is None and first_frame is None:
            return clip, offset if found > counts.test else 0
        cause = cause or f"from frame {first_frame} on it has too few; give a smaller one (d3talker import --first-frame)"
        need = f"{subject.name} needs {counts.test} (val split: {counts.val})"
        reasons.append(f"{native.place} holds {found} frames, {need}: {cause}")
    raise UserError(reasons[0])


def _check_size(clip: Clip, subject: Subject, test: Sequence[Frame]) -> None:
    size = subject.gt(test[0].img_id).shape[:2]
    if clip.size != size and clip.size == tuple(-(-side // 16) * 16 for side in size):
        raise UserError(
            f"{clip.native.place} is {clip.size[1]}x{clip.size[0]}, {subject.root} is {size[1]}x{size[0]}: its "
            "encoder went up to multiples of 16 (imageio's macro_block_size); write it with macro_block_size=1, or as images"
        )
    if clip.size != size:
        raise UserError(
            f"{clip.native.place} is {clip.size[1]}x{clip.size[0]}, {subject.root} is {size[1]}x"
            f"{size[0]}; prepare the subject at the size at which the method rendered"
        )


def verify_in_place(path: Path, subject: Subject, test: Sequence[Frame]) -> None:
    """Raises UserError unless a video shows the test frames and no other: what `import` would find, found in passing."""
    clip = read(Native(path))
    advice = f"bring it in with d3talker import video {path} --subject {subject.root}, which finds the frames to compare"
    _check_size(clip, subject, test)
    if len(clip.thumbs) != len(test):
        raise UserError(f"{path} holds {len(clip.thumbs)} frames, the test of {subject.name} has {len(test)}; {advice}")
    try:
        _verify(clip, subject, test, 0, unverified=False)
    except UserError as error:
        raise UserError(f"{error}; or {advice}") from None


def _verify(clip: Clip, subject: Subject, test: Sequence[Frame], start: int, unverified: bool) -> Findings:
    thumbs = clip.thumbs[start:start + len(test)]
    found = alignment.align(thumbs, subject, [row.img_id for row in test])
    if found.known and not found.shifted and not found.drifts:
        return Findings([f"alignment verified: best shift {found.shift}, correlation of motion {found.score:.3f}"])
    expected = alignment.rows(subject).index(test[0].img_id)
    cause = diagnosis.wrong_frames(found, len(test), *alignment.search(thumbs, subject), expected)
    if cause and not unverified:
        raise UserError(f"{clip.native.place} does not show the test frames of {subject.name}: {cause}")
    return Findings(notes=[f"alignment not verified: {cause or 'the clip hardly moves'}"])


def _inspect(
    clip: Clip, subject: Subject, test: Sequence[Frame], start: int, torso: TorsoMode, findings: Findings
) -> None:
    """Check a self-driven clip's length, rate, own ground truth, torso and sound against what is declared."""
    native, found, val = clip.native, len(clip.thumbs), len(subject.frames("val"))
    if found < val:
        kind = "as its code does" if native.drops == val - found else "which its code does not do by itself"
        findings.checks.append(f"the last {val - found} val frame is missing, {kind}; the protocol does not use it")
    if abs(clip.rate - FPS) > 0.5:
        findings.checks.append(f"the container says {clip.rate:g} fps; its frames fit one for one")
    if native.truth is not None:
        findings.checks.append(check_truth(native.truth, subject, test, start))
    said, doubtful = check_torso(islice(images(native.frames), start, start + len(test)), subject, test, torso)
    (findings.notes if doubtful else findings.checks).extend(said)
    if isinstance(native.frames, Path):
        findings.checks += check_sound(native.frames, subject, test)


def _driving_sound(clip: Clip, audio: Path | None, findings: Findings) -> np.ndarray:
    """The sound of a cross-driven clip, cut or padded to its frames; float32 [T * 640]."""
    if audio is None:
        raise UserError("a cross-driven clip needs its driving sound; give --audio FILE")
    sound, step = read_audio(audio), SAMPLE_RATE // FPS
    found, heard = len(clip.thumbs), len(sound) // step
    if found > heard and clip.native.follows == "poses":
        findings.notes.append(f"the clip has {found} frames, one a pose; those after the sound's {heard} are cut off")
        found = heard
    if found > heard + 2:
        raise UserError(
            f"{clip.native.place} holds {found} frames, {audio} lasts {heard}: it was driven by another sound, "
            "or is not at 25 fps; give the sound that drove it"
        )
    findings.checks.append("cross-driven: there is no ground truth to verify the alignment against")
    if found < heard - 2:
        findings.notes.append(f"the clip has {found} frames for a sound of {heard}; the sound is cut")
    return np.pad(sound[:found * step], (0, max(found * step - len(sound), 0)))


def _source(native: Native) -> str:
    """The last three names of the place: enough to recognise the layout, nothing of the machine."""
    return "/".join(native.place.parts[-3:])
