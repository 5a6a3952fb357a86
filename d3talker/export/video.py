"""A finished video from rendered frames: H.264 and AAC in mp4, as players open it, marked as synthetic."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from d3talker.people.media.predictions import Predictions
from d3talker.people.media.soundtrack import SAMPLE_RATE, read_audio
from d3talker.people.media.video import VideoWriter
from d3talker.progress import track

Quality = Literal["draft", "good", "best"]
CRF: dict[Quality, int] = {"draft": 28, "good": 18, "best": 10}  # x264's constant rate factor: 18 is near what eyes can tell
SOUND_RATE = 48000


def write_video(made: Predictions, path: Path, quality: Quality = "good", sound: Path | None = None) -> None:
    """Encode a predictions folder.  sound: the file that drove it, heard at 48 kHz; else the folder's own at 16 kHz."""
    audio: np.ndarray | None = made.audio()
    rate = SAMPLE_RATE
    if sound is not None:
        rate = SOUND_RATE
        audio = read_audio(sound, rate)[:round(made.manifest.frames * rate / made.manifest.fps)]
    with VideoWriter(
        path, codec="h264", audio=audio, rate=rate, metadata=made.mark().metadata(), crf=CRF[quality], fps=made.manifest.fps
    ) as writer:
        for frame in track(made.frames(), f"encoding {path.name}", made.manifest.frames):
            writer.write(frame)
