"""Any file's sound as one channel at one rate, on the picture's clock; and WAV files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np

from d3talker.errors import UserError
from d3talker.files import atomic_path
from d3talker.people.media.opening import first_picture, open_media, readable

SAMPLE_RATE = 16000
TOLERANCE = 0.02  # seconds that time stamps may be off what was heard so far: containers round them
LONGEST_JUMP = 600.0  # seconds; a clock that jumps further is broken
CANCELLED = 0.1  # channels whose mean is 20 dB below the loudest of them cancel
SILENT = 1e-4  # peak
SAME = 0.9  # correlation of two tracks that are copies of one another


@dataclass
class _Piece:
    """Sound without a hole, in one format: its blocks [C, S] at the rate asked for."""

    kind: tuple[str, str, int]
    start: float
    resampler: av.AudioResampler
    blocks: list[np.ndarray] = field(default_factory=list)
    samples: int = 0

    @property
    def end(self) -> float:
        """Seconds on the file's clock at which the next sample is due."""
        return self.start + self.samples / self.kind[2]

    def add(self, frame: av.AudioFrame) -> None:
        """Append a decoded block of sound."""
        self.samples += frame.samples
        frame.pts = None  # its time has been read; the resampler should not look at it
        self.blocks += [block.to_ndarray() for block in self.resampler.resample(frame)]

    def mono(self) -> np.ndarray:
        """The channels' mean, float32 [S]; the loudest channel where they cancel one another."""
        blocks = [*self.blocks, *(block.to_ndarray() for block in self.resampler.resample(None))]
        channels = np.concatenate(blocks, 1) if blocks else np.zeros((1, 0), np.float32)
        mean = channels.mean(0)
        power = (channels.astype(np.float64) ** 2).mean(1) if channels.size else np.zeros(1)
        if channels.size and (mean.astype(np.float64) ** 2).mean() < CANCELLED**2 * power.max():
            return channels[power.argmax()]
        return mean


def read_audio(path: Path | str, rate: int = SAMPLE_RATE, track: int | None = None) -> np.ndarray:
    """Decode a file's sound to mono float32 [S] at `rate`: the mean of the channels, from the picture's first frame on.

    Holes of more than 20 ms in the time stamps are silence, what overlaps is cut; nothing is clipped, so that a lossy
    codec's samples may lie a little outside [-1, 1].  A file without a picture begins with its own first sample.
    track: which sound track, from 1; without it silent ones are passed over.
    Raises UserError when there is no sound, it cannot be decoded, or several different tracks leave a choice.
    """
    with open_media(path) as container:
        tracks = len(container.streams.audio)
    if not tracks:
        raise UserError(f"{path} has no sound; give a file with a sound track")
    if track is not None and not 1 <= track <= tracks:
        raise UserError(f"{path} has {tracks} sound track{'s' * (tracks > 1)}, there is no track {track}")
    origin = first_picture(path)
    if tracks == 1 or track is not None:
        return _read_track(path, (track or 1) - 1, rate, origin)
    return _choose(path, [_try_track(path, index, rate, origin) for index in range(tracks)])


def sound_seconds(path: Path | str) -> float:
    """How long a file's first sound track lasts by its header, or by decoding it where the header does not say.

    Raises UserError as `read_audio` does.
    """
    with open_media(path) as container:
        if not container.streams.audio:
            raise UserError(f"{path} has no sound; give a file with a sound track")
        stream = readable(container.streams.audio[0], "sound", path)
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
    return len(read_audio(path)) / SAMPLE_RATE


def _try_track(path: Path | str, index: int, rate: int, origin: float | None) -> np.ndarray:
    """One of several tracks; one that holds nothing is like a silent one."""
    try:
        return _read_track(path, index, rate, origin)
    except UserError:
        return np.zeros(0, np.float32)


def _choose(path: Path | str, tracks: Sequence[np.ndarray]) -> np.ndarray:
    """The one track that can be heard, or the first of several copies."""
    heard = [(number, sound) for number, sound in enumerate(tracks, 1) if sound.size and np.abs(sound).max() > SILENT]
    if not heard:
        return max(tracks, key=len) if max(map(len, tracks)) else _read_track(path, 0, SAMPLE_RATE, None)
    first = heard[0][1]
    for number, other in heard[1:]:
        length = min(len(first), len(other))
        a, b = first[:length].astype(np.float64), other[:length].astype(np.float64)
        if a @ b < SAME * np.sqrt((a @ a) * (b @ b)):
            raise UserError(
                f"{path} has several sound tracks ({heard[0][0]} and {number} differ); name the one that is spoken: "
                f"prepare --sound-track {number}, or keep it alone (ffmpeg -i VIDEO -map 0:v? -map 0:a:{number - 1} -c copy NEW)"
            )
    return first


def _read_track(path: Path | str, index: int, rate: int, origin: float | None) -> np.ndarray:
    pieces: list[_Piece] = []
    with open_media(path) as container:
        stream = readable(container.streams.audio[index], "sound", path)
        try:
            for frame in container.decode(stream):
                _append(pieces, frame, rate, path)
            sounds = [(piece.start, piece.mono()) for piece in pieces]
        except av.FFmpegError as error:
            raise UserError(f"the sound of {path} cannot be decoded ({error.strerror}); re-encode it") from None
    if not any(piece.samples for piece in pieces):
        raise UserError(f"the sound track of {path} is empty; give a file with sound")
    if origin is not None and pieces[0].start > origin + LONGEST_JUMP:
        raise UserError(f"the sound of {path} begins {pieces[0].start - origin:.0f} s after its picture; re-encode it")
    placed = place(sounds, rate, origin)
    if placed.size == 0:
        raise UserError(f"the sound of {path} ends before its picture begins; give a video whose sound belongs to it")
    return placed


def _append(pieces: list[_Piece], frame: Any, rate: int, path: Path | str) -> None:
    kind = (frame.format.name, frame.layout.name, frame.sample_rate)
    due = pieces[-1].end if pieces else 0.0
    start = due if frame.time is None else frame.time
    if pieces and not -1 <= start - due <= LONGEST_JUMP:
        raise UserError(f"the sound's time stamps in {path} jump from {due:.2f} s to {start:.2f} s; re-encode it")
    if not pieces or kind != pieces[-1].kind or abs(start - due) > TOLERANCE:
        pieces.append(_Piece(kind, start, av.AudioResampler(format="fltp", layout=frame.layout, rate=rate)))
    pieces[-1].add(frame)


def place(pieces: Sequence[tuple[float, np.ndarray]], rate: int, origin: float | None) -> np.ndarray:
    """Put each piece where its time stamp says, seconds from `origin` (None: the first piece's own start)."""
    if not pieces:
        return np.zeros(0, np.float32)
    begin = pieces[0][0] if origin is None else origin
    at = [round((start - begin) * rate) for start, _ in pieces]
    whole = np.zeros(max(0, *(first + len(sound) for first, (_, sound) in zip(at, pieces))), np.float32)
    filled = 0
    for first, (_, sound) in zip(at, pieces):
        cut = max(filled - first, 0)  # before the picture, or under what was heard before
        if cut < len(sound):
            whole[first + cut:first + len(sound)] = sound[cut:]
            filled = first + len(sound)
    return whole


def to_int16(audio: np.ndarray) -> np.ndarray:
    """float32 in [-1, 1] -> int16; what lies outside is clipped."""
    return np.round(np.clip(audio, -1.0, 1.0) * 32767).astype(np.int16)


def write_wav(path: Path | str, audio: np.ndarray, rate: int = SAMPLE_RATE) -> None:
    """Write float32 [S] in [-1, 1] as mono 16-bit PCM, atomically."""
    from scipy.io import wavfile

    with atomic_path(path) as temporary:
        wavfile.write(temporary, rate, to_int16(audio))
