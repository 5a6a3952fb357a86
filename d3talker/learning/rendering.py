"""From a trained method to a predictions folder: what drives its frames, in front of the real torso and background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from d3talker.errors import UserError
from d3talker.graphics.layers import Camera
from d3talker.learning.contract import Trained
from d3talker.learning.views import image
from d3talker.people.audio.features import steps, windows
from d3talker.people.media.predictions import PredictionsWriter
from d3talker.people.media.video import FPS, SAMPLE_RATE, read_audio
from d3talker.people.subject.layout import Frame, Subject
from d3talker.people.subject.sound import clip_sound
from d3talker.progress import track


@dataclass(frozen=True)
class Shot:
    """What a trained method shows, before it is drawn: for each frame its camera and real torso (`frames`), and what drives it.

    signals: what the method's own `drive` gave.  sound: mono, 16 kHz, from the first frame on.
    """

    setting: Literal["self", "cross"]
    frames: Sequence[Frame]
    signals: Any
    sound: np.ndarray


def driven(trained: Trained, subject: Subject, frames: Sequence[Frame], audio_file: Path | None) -> Shot:
    """The frames' own sound, or any other over their poses back and forth for as long as it lasts.

    Raises UserError when the sound cannot be read, is shorter than a frame, or its features cannot be made here.
    """
    if audio_file is None:
        return Shot("self", frames, trained.drive(subject, frames), clip_sound(subject, frames))
    audio = read_audio(audio_file)
    count = len(audio) * FPS // SAMPLE_RATE
    if count == 0:
        raise UserError(f"{audio_file} is shorter than one frame; give a longer sound")
    signals = trained.drive_by(subject, windows(steps(trained.feature_name, audio), count), audio)
    poses = [frames[index] for index in ping_pong(len(frames), count)]
    return Shot("cross", poses, signals, audio[:count * SAMPLE_RATE // FPS])


def render(
    trained: Trained, method: str, subject: Subject, frames: Sequence[Frame], audio_file: Path | None, out: Path,
    notes: Sequence[str] = (),
) -> None:
    """Write the predictions folder of what `driven` gives.  method: its name; notes: of the manifest, before the training's."""
    shot = driven(trained, subject, frames, audio_file)
    writer = PredictionsWriter(
        out, method=method, subject=subject.name, setting=shot.setting, first_img_id=shot.frames[0].img_id,
        torso_mode=trained.torso_mode, source="d3talker", audio=shot.sound, notes=[*notes, *trained.notes],
    )
    with writer:
        for index, frame in enumerate(track(shot.frames, f"rendering {subject.name}")):
            view, behind = camera(subject, frame, trained.device), back(subject, frame, trained.device)
            writer.write((trained.frame(shot.signals, index, view, behind) * 255).round().byte().cpu().numpy())


def camera(subject: Subject, frame: Frame, device: torch.device) -> Camera:
    """The camera of one frame."""
    viewmat = torch.from_numpy(Subject.viewmats([frame])[0]).float().to(device)
    return Camera(viewmat, torch.from_numpy(subject.K).float().to(device), subject.size[1], subject.size[0])


def back(subject: Subject, frame: Frame, device: torch.device) -> Tensor:
    """What stands behind the head, float32 [H, W, 3]."""
    return image(torch.from_numpy(subject.torso_over_background(frame.img_id)).to(device))


def eyes_at_test(
    trained: np.ndarray, filmed: np.ndarray | None, count: int, rule: str, rest: np.ndarray | float = 0.0
) -> np.ndarray:
    """Signals of the eyes [count, E] that drive test frames.

    rule: loop, the training frames' [T, E] there and back; still, `rest` in each frame; video, the filmed ones [count, E].
    Raises UserError where a sound that was not filmed has none.
    """
    if rule == "video":
        if filmed is None:
            raise UserError("a foreign sound has no eyes of its own; use eyes loop or still")
        return filmed
    looped = trained[ping_pong(len(trained), count)]
    return looped if rule == "loop" else np.broadcast_to(np.asarray(rest, looped.dtype), looped.shape)


def ping_pong(length: int, count: int) -> np.ndarray:
    """Indices 0 ... length-1, back, and forth again, `count` of them."""
    if length == 1:
        return np.zeros(count, int)
    steps = np.arange(count) % (2 * length - 2)
    return np.where(steps < length, steps, 2 * length - 2 - steps)
