"""The sound that belongs to a run of a subject's frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from d3talker.errors import UserError
from d3talker.subject.layout import Frame, Subject
from d3talker.video import FPS, SAMPLE_RATE, read_audio


def clip_sound(subject: Subject, frames: Sequence[Frame]) -> np.ndarray:
    """aud.wav from the first to the last of `frames`, float32 [len(frames) * 640] at 16 kHz, padded with silence.

    Frame i of the video sounds from i / 25 s on.  Raises UserError when the sound ends before the first frame.
    """
    step = SAMPLE_RATE // FPS
    start = frames[0].img_id
    audio = read_audio(subject.layout.audio)[start * step:][:len(frames) * step]
    if audio.size == 0:
        raise UserError(f"{subject.layout.audio} ends before frame {start}; give the sound of the whole video")
    return np.pad(audio, (0, len(frames) * step - audio.size))
