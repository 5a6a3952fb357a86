"""What audio-to-motion networks hear of a sound: log-mel and speech content, the two 20 ms steps of each frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from d3talker.errors import UserError
from d3talker.people.audio import allphone, features, phonemes
from d3talker.people.audio.mel import log_mel
from d3talker.people.media.video import FPS, SAMPLE_RATE, read_audio
from d3talker.people.subject.layout import FEATURES, Subject

Heard = Mapping[str, np.ndarray]  # name -> float32 [T, 2, C], of a whole sound
STEP = 320  # samples
BANDS = 40
CONTENT = {"phonemes": phonemes, "allphone": allphone}


def hear(audio: np.ndarray, names: Iterable[str], frames: int | None = None) -> dict[str, np.ndarray]:
    """Mono 16 kHz sound [S] -> each of `names` (mel, phonemes, allphone) as [T, 2, C]; T is `frames`, or S in whole frames.

    Raises MissingExtra where speech content is asked for and its extra is not installed.
    """
    total = len(audio) * FPS // SAMPLE_RATE if frames is None else frames
    return {name: _frames(_mel(audio) if name == "mel" else features.steps(name, audio), total) for name in dict.fromkeys(names)}


def hear_subject(subject: Subject, names: Iterable[str]) -> dict[str, np.ndarray]:
    """The same of a subject's whole sound: from its files where it has them, else made anew."""
    audio = read_audio(subject.layout.audio)
    frames = 1 + max(frame.aud_id for split in ("train", "val") for frame in subject.frames(split))
    found = {}
    for name in dict.fromkeys(names):
        if name in CONTENT and any((subject.root / file).exists() for file in FEATURES.get(name, ())):
            found[name] = _frames(subject.steps(name), frames)
        else:
            found |= hear(audio, [name], frames)
    return found


def missing(names: Iterable[str]) -> dict[str, str]:
    """Those of `names` that this machine cannot hear, and why.  Raises UserError for a name that nothing hears."""
    found = {}
    for name in names:
        if name not in ("mel", *CONTENT):
            raise UserError(f"'{name}' is nothing that a motion model hears; choose of mel, {', '.join(CONTENT)}, joined by +")
        try:
            if name in CONTENT:
                CONTENT[name].check()
        except UserError as error:
            found[name] = str(error)
    return found


def _mel(audio: np.ndarray) -> np.ndarray:
    return log_mel(audio, SAMPLE_RATE, STEP, BANDS)


def _frames(steps: np.ndarray, frames: int) -> np.ndarray:
    """50 Hz steps [R, C] -> [frames, 2, C]; the last step stands in beyond the end."""
    rows = np.minimum(np.arange(2 * frames), len(steps) - 1)
    return np.ascontiguousarray(steps[rows], np.float32).reshape(frames, 2, -1)
