"""Video and sound through PyAV: read anything at 25 fps and 16 kHz, write FFV1 (lossless) or H.264 (to look at)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import cast

import av
import numpy as np

from d3talker.errors import UserError
from d3talker.files import atomic_path
from d3talker.people.media.opening import FPS as FPS
from d3talker.people.media.opening import decode_pictures, open_media, picture
from d3talker.people.media.soundtrack import SAMPLE_RATE as SAMPLE_RATE
from d3talker.people.media.soundtrack import read_audio as read_audio
from d3talker.people.media.soundtrack import to_int16
from d3talker.people.media.soundtrack import write_wav as write_wav

HIGH_RANGE = {16: "HDR (PQ)", 18: "HDR (HLG)"}  # transfer characteristics of ITU-T H.273
NOTED_FRAMES = 10  # that are looked at for notes
CRF = 16  # of x264: less is better and larger
CODECS = {
    "ffv1": ("ffv1", "bgr0", "pcm_s16le", {}),
    # with x264's macroblock tree, widths that are no multiple of 128 come out differently from run to run
    "h264": ("libx264", "yuv420p", "aac", {"mbtree": "0"}),
}


@dataclass(frozen=True)
class VideoInfo:
    """What a container says of itself.  width, height: as stored; pixel_aspect: width of a pixel over its height."""

    width: int
    height: int
    pixel_aspect: float
    fps: float
    duration: float | None
    codec: str
    has_audio: bool
    metadata: dict[str, str]


def probe(path: Path | str) -> VideoInfo:
    """Read a video's header.  Raises UserError when it cannot be opened or holds no picture."""
    with open_media(path) as container:
        stream = picture(container, path)
        rate = stream.average_rate or stream.guessed_rate
        duration = container.duration / 1e6 if container.duration else None
        return VideoInfo(
            stream.width, stream.height, float(stream.sample_aspect_ratio or 1), float(rate) if rate else 0.0, duration,
            stream.codec_context.name, bool(container.streams.audio), {k.lower(): v for k, v in container.metadata.items()},
        )


@dataclass(frozen=True)
class Span:
    """A part of a video, in seconds from its first frame; stop: None for its end."""

    start: float = 0.0
    stop: float | None = None

    def frames(self, fps: float = FPS) -> tuple[int, int | None]:
        """Number of its first frame, and of the first one after it."""
        return round(self.start * fps), None if self.stop is None else round(self.stop * fps)

    def times(self, frames: Sequence[int]) -> str:
        """The moments of some of its 25 fps frames, in seconds of the video, for a message."""
        return ", ".join(f"{self.start + at / FPS:.2f}" for at in frames[:5]) + (" and later" if len(frames) > 5 else "")


WHOLE = Span()


def read_frames(path: Path | str, fps: float | None = None, span: Span = WHOLE) -> Iterator[np.ndarray]:
    """Yield uint8 RGB frames [H, W, 3], upright, with square pixels; with `fps`, the frame shown at each k/fps, by time stamps.

    Works for variable rates: a frame is repeated or passed over as its time asks.  span: of `fps`, what part to read.
    Raises UserError when the file cannot be opened or breaks off while decoding, and when the picture's size, rotation or
    pixel format changes within the span.
    """
    upright = _Upright(path, probe(path).pixel_aspect)
    frames = decode_pictures(path)
    start, due = None, 0
    first, stop = span.frames(fps or FPS)
    shown: _Shown | None = None
    for seconds, frame in frames:
        start = seconds if start is None else start
        if fps is None:
            yield upright(seconds - start, frame)
            continue
        while shown is not None and due / fps < seconds - start - 0.5 / fps:
            if due >= first:
                yield shown.image
            due += 1
            if stop is not None and due >= stop:
                return
        shown = _Shown(upright, seconds - start, frame)
    if shown is not None and due >= first:
        yield shown.image


@dataclass
class _Shown:
    """A frame that is turned into a picture only when it is asked for."""

    upright: _Upright
    seconds: float
    frame: av.VideoFrame

    @cached_property
    def image(self) -> np.ndarray:
        return self.upright(self.seconds, self.frame)


@dataclass
class _Upright:
    """Decoded frames as pictures: turned as the file asks, with square pixels, all of one kind."""

    path: Path | str
    pixel_aspect: float
    first: tuple[int, int, int, str] | None = None

    def __call__(self, seconds: float, frame: av.VideoFrame) -> np.ndarray:
        turns = round(frame.rotation / 90) % 4
        kind = (frame.width, frame.height, turns * 90, frame.format.name.replace("yuvj", "yuv"))
        self.first = self.first or kind
        if kind != self.first:
            was, now = ("{}x{} turned {} degrees in {}".format(*k) for k in (self.first, kind))
            raise UserError(
                f"the picture of {self.path} changes at {seconds:.2f} s from {was} to {now}; choose a part before or after that "
                "(prepare --from, --to in seconds), or re-encode it"
            )
        image: np.ndarray = frame.to_ndarray(format="rgb24")
        width = round(frame.width * self.pixel_aspect)
        if width != frame.width:
            import cv2

            method = cv2.INTER_CUBIC if width > frame.width else cv2.INTER_AREA
            image = cv2.resize(image, (width, frame.height), interpolation=method)
        return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def picture_notes(path: Path | str) -> list[str]:
    """What a reader should know of how a video was filmed: a high dynamic range or half frames are read as they are."""
    notes: list[str] = []
    for _, frame in islice(decode_pictures(path), NOTED_FRAMES):
        if frame.color_trc in HIGH_RANGE:
            notes.append(
                f"the picture is {HIGH_RANGE[frame.color_trc]}: its values are taken as they are and look pale; "
                "tone-map it to BT.709 first for natural colours"
            )
        if frame.interlaced_frame:
            notes.append("the picture is interlaced and read as it is: moving edges look like combs; de-interlace it first (yadif)")
    return list(dict.fromkeys(notes))


class VideoWriter:
    """Write frames [H, W, 3] uint8 to one file with sound: `with VideoWriter(path, codec="ffv1") as w: w.write(frame)`.

    codec: "ffv1" (lossless RGB, .mkv, 16-bit PCM) or "h264" (.mp4, AAC).  The file appears only when complete.
    """

    def __init__(
        self, path: Path | str, *, codec: str, fps: float = FPS, audio: np.ndarray | None = None,
        rate: int = SAMPLE_RATE, metadata: dict[str, str] | None = None, crf: int = CRF,
    ) -> None:
        """rate: of `audio` in Hz.  crf: x264's constant rate factor, less is better and larger."""
        self.codec, self.fps, self.audio, self.rate, self.crf = codec, fps, audio, rate, crf
        self.frames = 0
        self._metadata = metadata or {}
        self._target = atomic_path(path)
        self._stream: av.VideoStream | None = None

    def __enter__(self) -> VideoWriter:
        # bitexact: no random ids in the container, so that equal frames make equal files
        options = {"fflags": "+bitexact", **({"movflags": "use_metadata_tags+faststart"} if self.codec == "h264" else {})}
        self._container = av.open(str(self._target.__enter__()), "w", options=options)
        self._container.metadata.update(self._metadata)
        return self

    def write(self, frame: np.ndarray) -> None:
        """Append one frame; all frames share the first one's size."""
        if self._stream is None:
            self._start(frame)
        assert self._stream is not None
        if frame.shape != self._shape or frame.dtype != np.uint8:
            raise UserError(f"frame {self.frames} is {frame.dtype} {frame.shape}, expected uint8 {self._shape}")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(self._even(frame)), format="rgb24")
        picture.pts = self.frames
        self._container.mux(self._stream.encode(picture))
        self.frames += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if kind is None and self._stream is not None:
                self._container.mux(self._stream.encode(None))
                self._write_audio()
        finally:
            with suppress(av.FFmpegError):
                self._container.close()
            self._target.__exit__(kind, error, trace)  # type: ignore[arg-type]

    def _start(self, frame: np.ndarray) -> None:
        name, pixels, sound, options = CODECS[self.codec]
        self._shape = frame.shape
        height, width = self._even(frame).shape[:2]
        rate = Fraction(self.fps).limit_denominator(1001)
        if self.codec == "h264":
            options = {**options, "crf": str(self.crf)}
        stream = cast(av.VideoStream, self._container.add_stream(name, rate=rate, options=options))
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        self._stream = stream
        self._sound: av.AudioStream | None = None
        if self.audio is not None:
            self._sound = cast(av.AudioStream, self._container.add_stream(sound, rate=self.rate, layout="mono"))

    def _even(self, frame: np.ndarray) -> np.ndarray:
        if self.codec == "ffv1":
            return frame
        height, width = frame.shape[:2]  # yuv420p needs even sides: repeat the last row or column
        return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")

    def _write_audio(self) -> None:
        if self._sound is None or self.audio is None:
            return
        samples = to_int16(self.audio)[None]
        for start in range(0, samples.shape[1], 1024):
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, start:start + 1024]), "s16", "mono")
            block.sample_rate, block.pts = self.rate, start
            self._container.mux(self._sound.encode(block))
        self._container.mux(self._sound.encode(None))
