"""Speech with exact phoneme times: espeak-ng through the C library that `espeakng-loader` brings."""

from __future__ import annotations

import ctypes
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from d3talker.errors import UserError, require
from d3talker.people.media.video import SAMPLE_RATE

# espeak-ng's speak_lib.h: AUDIO_OUTPUT_SYNCHRONOUS; espeakINITIALIZE_PHONEME_EVENTS | _PHONEME_IPA; parameters; events.
SYNCHRONOUS, PHONEME_EVENTS_IPA, UTF8 = 2, 0x3, 1
PARAMETER_RATE, PARAMETER_PITCH, PARAMETER_RANGE = 1, 3, 4
EVENT_END, EVENT_PHONEME = 0, 7


@dataclass(frozen=True)
class Voice:
    """How one person sounds: language and variant (m1..m8, f1..f5), words a minute, pitch and its range 0..100."""

    language: str
    variant: str
    rate: int
    pitch: int
    pitch_range: int


@dataclass(frozen=True)
class Phoneme:
    """One sound: IPA symbol (empty for a pause) with its start and end in seconds."""

    symbol: str
    start: float
    end: float


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


def speak(sentences: Sequence[str], pauses: Sequence[float], voice: Voice) -> tuple[np.ndarray, list[Phoneme]]:
    """Say sentences, each followed by its pause in seconds -> float32 mono 16 kHz in [-1,1], and the phonemes in order.

    Bytes depend on the arguments alone.  Raises MissingExtra without espeakng-loader, UserError for an unknown voice.
    """
    from scipy.signal import resample_poly

    sound: list[np.ndarray] = []
    phonemes: list[Phoneme] = []
    at = 0.0
    with _library() as (library, rate):
        _choose(library, voice)
        for text, pause in zip(sentences, pauses):
            samples, marks = _say(library, text)
            ends = [start for start, _ in marks[1:]] + [len(samples) / rate]
            phonemes += [
                Phoneme(symbol, at + start, at + end) for (start, symbol), end in zip(marks, ends) if end > start
            ]
            quiet = np.zeros(round(pause * rate), np.float32)
            sound += [samples, quiet]
            at += (len(samples) + len(quiet)) / rate
    audio = resample_poly(np.concatenate(sound), SAMPLE_RATE, rate) if rate != SAMPLE_RATE else np.concatenate(sound)
    peak = np.abs(audio).max()
    return (audio * (0.7 / peak if peak > 0 else 1)).astype(np.float32), phonemes


@contextmanager
def _library() -> Iterator[tuple[ctypes.CDLL, int]]:
    """A private copy of the library: espeak-ng keeps state, and the bytes must not depend on what came before."""
    loader = require("espeakng_loader", "synth", "speech for synthetic subjects")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / Path(loader.get_library_path()).name
        shutil.copyfile(loader.get_library_path(), copy)
        library = ctypes.CDLL(str(copy))
        rate = library.espeak_Initialize(SYNCHRONOUS, 0, loader.get_data_path().encode(), PHONEME_EVENTS_IPA)
        if rate <= 0:
            raise UserError(
                f"espeak-ng cannot start with the data in {loader.get_data_path()}; reinstall espeakng-loader"
            )
        try:
            yield library, rate
        finally:
            library.espeak_Terminate()


def _choose(library: ctypes.CDLL, voice: Voice) -> None:
    name = f"{voice.language}+{voice.variant}"
    if library.espeak_SetVoiceByName(name.encode()) != 0:
        raise UserError(f"espeak-ng has no voice '{name}'; choose a language and variant that it ships")
    settings = ((PARAMETER_RATE, voice.rate), (PARAMETER_PITCH, voice.pitch), (PARAMETER_RANGE, voice.pitch_range))
    for parameter, value in settings:
        library.espeak_SetParameter(parameter, int(value), 0)


def _say(library: ctypes.CDLL, text: str) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Samples in [-1,1] at the library's rate, and (start in seconds, IPA) marks."""
    sound = bytearray()
    marks: list[tuple[float, str]] = []

    def receive(samples, count, events):  # type: ignore[no-untyped-def]
        if samples and count > 0:
            sound.extend(ctypes.string_at(samples, 2 * count))
        index = 0
        while events[index].type != EVENT_END:
            if events[index].type == EVENT_PHONEME:
                symbol = bytes(events[index].id.string).split(b"\0")[0].decode("utf-8", "ignore")
                marks.append((events[index].audio_position / 1000, symbol))
            index += 1
        return 0

    callback = _CALLBACK(receive)
    library.espeak_SetSynthCallback(callback)
    data = text.encode() + b"\0"
    if library.espeak_Synth(data, len(data), 0, 1, 0, UTF8, None, None) != 0 or not sound:
        raise UserError(f"espeak-ng could not say '{text}'")
    return np.frombuffer(bytes(sound), np.int16).astype(np.float32) / 32768, marks
