"""Video and sound through PyAV: read anything at 25 fps and 16 kHz, write FFV1 (lossless) or H.264 (to look at)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np

from d3talker.errors import UserError
from d3talker.files import atomic_path

FPS = 25
SAMPLE_RATE = 16000
CODECS = {
    "ffv1": ("ffv1", "bgr0", "pcm_s16le", {}),
    # with x264's macroblock tree, widths that are no multiple of 128 come out differently from run to run
    "h264": ("libx264", "yuv420p", "aac", {"crf": "16", "mbtree": "0"}),
}


@dataclass(frozen=True)
class VideoInfo:
    """What a container says of itself; `rotation` is in degrees, counter-clockwise, as a phone's metadata gives it."""

    width: int
    height: int
    fps: float
    duration: float | None
    codec: str
    has_audio: bool
    metadata: dict[str, str]


def probe(path: Path | str) -> VideoInfo:
    """Read a video's header.  Raises UserError when it cannot be opened or holds no picture."""
    with _open(path) as container:
        stream = _video_stream(container, path)
        rate = stream.average_rate or stream.guessed_rate
        duration = container.duration / 1e6 if container.duration else None
        return VideoInfo(
            stream.width, stream.height, float(rate) if rate else 0.0, duration, stream.codec_context.name,
            bool(container.streams.audio), {k.lower(): v for k, v in container.metadata.items()},
        )


def read_frames(path: Path | str, fps: float | None = None) -> Iterator[np.ndarray]:
    """Yield uint8 RGB frames [H, W, 3], upright; with `fps`, the frame shown at each k/fps, by time stamps.

    Works for variable rates: a frame is repeated or passed over as its time asks.
    Raises UserError when the file cannot be opened, or breaks off while decoding.
    """
    frames = _decode(path)
    if fps is None:
        yield from (image for _, image in frames)
        return
    shown: np.ndarray | None = None
    start, due = None, 0
    for seconds, image in frames:
        start = seconds if start is None else start
        while shown is not None and due / fps < seconds - start - 0.5 / fps:
            yield shown
            due += 1
        shown = image
    if shown is not None:
        yield shown


def _decode(path: Path | str) -> Iterator[tuple[float, np.ndarray]]:
    with _open(path) as container:
        stream = _video_stream(container, path)
        stream.thread_type = "AUTO"
        rate = float(stream.average_rate or FPS)
        count = 0
        try:
            for frame in container.decode(stream):
                seconds = frame.time if frame.time is not None else count / rate
                image = frame.to_ndarray(format="rgb24")
                turns = round(getattr(frame, "rotation", 0) / 90) % 4
                yield seconds, np.ascontiguousarray(np.rot90(image, turns)) if turns else image
                count += 1
        except av.FFmpegError as error:
            raise UserError(f"{path} breaks off after {count} frames ({error.strerror}); re-encode or replace it") from None
        if count == 0:
            raise UserError(f"{path} holds no frame that can be decoded; replace it")


class VideoWriter:
    """Write frames [H, W, 3] uint8 to one file with sound: `with VideoWriter(path, codec="ffv1") as w: w.write(frame)`.

    codec: "ffv1" (lossless RGB, .mkv, 16-bit PCM) or "h264" (.mp4, AAC).  The file appears only when complete.
    """

    def __init__(
        self, path: Path | str, *, codec: str, fps: float = FPS, audio: np.ndarray | None = None,
        rate: int = SAMPLE_RATE, metadata: dict[str, str] | None = None,
    ) -> None:
        self.codec, self.fps, self.audio, self.rate = codec, fps, audio, rate
        self.frames = 0
        self._metadata = metadata or {}
        self._target = atomic_path(path)
        self._stream: av.VideoStream | None = None

    def __enter__(self) -> VideoWriter:
        # bitexact: no random ids in the container, so that equal frames make equal files
        options = {"fflags": "+bitexact", **({"movflags": "use_metadata_tags"} if self.codec == "h264" else {})}
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


def to_int16(audio: np.ndarray) -> np.ndarray:
    """float32 in [-1, 1] -> int16; what lies outside is clipped."""
    return np.round(np.clip(audio, -1.0, 1.0) * 32767).astype(np.int16)


def read_audio(path: Path | str, rate: int = SAMPLE_RATE) -> np.ndarray:
    """Decode a file's first sound track to mono float32 [S] in [-1, 1] at `rate`, starting at the picture's first frame.

    Raises UserError when there is no sound track or it cannot be decoded.
    """
    with _open(path) as container:
        if not container.streams.audio:
            raise UserError(f"{path} has no sound; give a file with a sound track")
        stream = _readable(container.streams.audio[0], "sound", path)
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        blocks: list[np.ndarray] = []
        first: float | None = None
        try:
            for frame in container.decode(stream):
                first = frame.time if first is None else first
                blocks += [block.to_ndarray()[0] for block in resampler.resample(frame)]
            blocks += [block.to_ndarray()[0] for block in resampler.resample(None)]
        except av.FFmpegError as error:
            raise UserError(f"the sound of {path} cannot be decoded ({error.strerror}); re-encode it") from None
        picture = _start_time(container.streams.video[0]) if container.streams.video else 0.0
    audio = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if audio.size == 0:
        raise UserError(f"the sound track of {path} is empty; give a file with sound")
    late = round(((first or 0.0) - picture) * rate)
    return np.pad(audio, (late, 0)) if late > 0 else audio[-late:]


def write_wav(path: Path | str, audio: np.ndarray, rate: int = SAMPLE_RATE) -> None:
    """Write float32 [S] in [-1, 1] as mono 16-bit PCM, atomically."""
    from scipy.io import wavfile

    with atomic_path(path) as temporary:
        wavfile.write(temporary, rate, to_int16(audio))


def _start_time(stream: av.VideoStream) -> float:
    return float(stream.start_time * stream.time_base) if stream.start_time and stream.time_base else 0.0


def _open(path: Path | str) -> av.container.InputContainer:
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist or is not a file")
    try:
        return av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path} cannot be opened as video or sound ({reason}); give a file that ffmpeg reads") from None


def _video_stream(container: av.container.InputContainer, path: Path | str) -> av.VideoStream:
    if not container.streams.video:
        raise UserError(f"{path} has no picture; give a video")
    return _readable(container.streams.video[0], "picture", path)


def _readable(stream: Any, what: str, path: Path | str) -> Any:
    if stream.codec_context is None:
        raise UserError(f"the {what} of {path} is in a codec that cannot be read here; re-encode it to H.264 and AAC")
    return stream
