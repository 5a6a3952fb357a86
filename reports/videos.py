"""Clips to look at: H.264 with sound, one a method and one side by side, each marked as synthetic in its metadata."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from d3talker.people.media.mark import joined
from d3talker.people.media.predictions import Predictions
from d3talker.people.media.video import VideoWriter
from reports.keyframes import fit

BAND = 22


def write_clip(path: Path, predictions: Predictions, audio: np.ndarray | None) -> None:
    """One predictions folder as .mp4; `audio` is the sound that is heard with it."""
    fps, mark = predictions.manifest.fps, predictions.mark().metadata()
    with VideoWriter(path, codec="h264", fps=fps, audio=audio, metadata=mark) as writer:
        for frame in predictions.frames():
            writer.write(frame)


def write_side_by_side(
    path: Path, clips: Sequence[Predictions], titles: Sequence[str], audio: np.ndarray | None
) -> int:
    """All clips next to each other under their titles, cut to the shortest; returns the number of frames.

    Frames of another size are brought to the first one's height.
    """
    height = clips[0].manifest.height
    widths = [round(clip.manifest.width * height / clip.manifest.height) for clip in clips]
    heads = [_band(title, width) for title, width in zip(titles, widths)]
    streams: list[Iterator[np.ndarray]] = [clip.frames() for clip in clips]
    mark = joined([clip.mark() for clip in clips]).metadata()
    with VideoWriter(path, codec="h264", fps=clips[0].manifest.fps, audio=audio, metadata=mark) as writer:
        for frames in zip(*streams):
            columns = [np.vstack([head, fit(frame, height, head.shape[1])]) for head, frame in zip(heads, frames)]
            writer.write(np.hstack(columns))
    return writer.frames


def _band(title: str, width: int) -> np.ndarray:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (width, BAND), (24, 24, 27))
    font = ImageFont.load_default(size=13)
    pen = ImageDraw.Draw(image)
    pen.text((width / 2, BAND / 2), title, fill=(244, 244, 245), font=font, anchor="mm")
    return np.asarray(image)
