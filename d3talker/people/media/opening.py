"""Open a file through PyAV, find its picture and its sound, and say in one sentence why it cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from d3talker.errors import UserError

FPS = 25
LONGEST_GAP = 30.0  # seconds between two frames; a clock that jumps further is broken
ENDS_EARLY = 0.5  # seconds before its announced end that the last frame of a whole file may begin


def open_media(path: Path | str) -> av.container.InputContainer:
    """Raises UserError when there is no such file or ffmpeg does not know its kind."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist or is not a file")
    try:
        return av.open(str(path), metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path} cannot be opened as video or sound ({reason}); give a file that ffmpeg reads") from None


def pictures(container: av.container.InputContainer) -> list[av.VideoStream]:
    """The moving pictures of a file; a song's cover is none."""
    return [s for s in container.streams.video if not s.disposition & s.disposition.__class__.attached_pic]


def picture(container: av.container.InputContainer, path: Path | str) -> av.VideoStream:
    """The first moving picture.  Raises UserError where there is none, or none that can be decoded here."""
    found = pictures(container)
    if not found:
        raise UserError(f"{path} has no picture; give a video")
    return readable(found[0], "picture", path)


def readable(stream: Any, what: str, path: Path | str) -> Any:
    """The stream itself, where its codec is known; `what` names it in the error."""
    if stream.codec_context is None:
        raise UserError(f"the {what} of {path} is in a codec that cannot be read here; re-encode it to H.264 and AAC")
    return stream


def decode_pictures(path: Path | str) -> Iterator[tuple[float, av.VideoFrame]]:
    """Every frame that can be decoded, with its time in seconds on the file's own clock, in the order of showing.

    Raises UserError when the file breaks off, holds no frame, or its clock runs backwards.
    """
    with open_media(path) as container:
        stream = picture(container, path)
        stream.thread_type = "AUTO"
        rate, count, last, packets = float(stream.average_rate or FPS), 0, -float("inf"), 0
        try:
            for packet in container.demux(stream):
                packets += packet.size > 0
                for frame in packet.decode():
                    seconds = frame.time if frame.time is not None else count / rate
                    if seconds < last - 1 or (count and seconds > last + LONGEST_GAP):
                        raise UserError(
                            f"the picture's time stamps in {path} jump from {last:.2f} s to {seconds:.2f} s, as where files were "
                            "joined; re-encode it"
                        )
                    last = max(seconds, last)
                    yield seconds, frame
                    count += 1
            _whole(stream, packets, last, path)
        except av.FFmpegError as error:
            raise UserError(f"{path} breaks off after {count} frames ({error.strerror}); re-encode or replace it") from None
        if count == 0:
            raise UserError(f"{path} holds no frame that can be decoded; replace it")


def _whole(stream: av.VideoStream, packets: int, last: float, path: Path | str) -> None:
    """Refuse a file cut off behind its table of contents: it has fewer frames than that lists, and ends before its duration says.

    Either alone is no fault: an edit list leaves frames out, a still picture may stand for seconds.
    """
    if packets >= stream.frames or not stream.duration or not stream.time_base:
        return
    end = float((stream.start_time or 0) * stream.time_base + stream.duration * stream.time_base)
    if last < end - ENDS_EARLY:
        raise UserError(f"{path} breaks off at {max(last, 0):.2f} s of {end:.2f} s; get the whole file")


def first_picture(path: Path | str) -> float | None:
    """Seconds on the file's clock of the first frame that can be decoded: the moment 0 of all that is read from it.

    None for a file without a moving picture.  A stream cut out of a broadcast begins before its first key frame.
    """
    with open_media(path) as container:
        if not pictures(container):
            return None
    frames = decode_pictures(path)
    try:
        return next(frames)[0]
    finally:
        frames.close()  # type: ignore[attr-defined]
