"""The sound that belongs to a run of a subject's frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from d3talker.errors import UserError
from d3talker.people.media.video import FPS, SAMPLE_RATE, read_audio
from d3talker.people.subject.layout import Frame, Subject


def clip_sound(subject: Subject, frames: Sequence[Frame]) -> np.ndarray:
    """What sounds in aud.wav while each of `frames` is shown, float32 [len(frames) * 640] at 16 kHz, padded with silence.

    Row i of the features, a frame's aud_id, sounds from i / 25 s on: where frames of the video are missing (the face was
    lost), their sound is missing too.  Raises UserError when the sound ends before the first frame.
    """
    step = SAMPLE_RATE // FPS
    rows = np.array([frame.aud_id for frame in frames])
    audio = read_audio(subject.layout.audio)
    if audio.size <= rows[0] * step:
        raise UserError(f"{subject.layout.audio} ends before frame {rows[0]}; give the sound of the whole video")
    whole = np.pad(audio, (0, max(0, (int(rows.max()) + 1) * step - audio.size)))
    return whole[: len(whole) // step * step].reshape(-1, step)[rows].reshape(-1)
