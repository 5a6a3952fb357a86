"""Sound -> rows of features 50 times a second, by name; and a row for each 25 fps frame, in the shapes that the official codes load
(protocol 1.5)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from d3talker.errors import UserError
from d3talker.people.audio.level import levelled
from d3talker.people.audio.mel import FLOOR, log_mel
from d3talker.weights import MissingWeights, find_weights

RATE = 16000
STEP = 320  # samples: 50 Hz
WINDOW, STRIDE, PAD = 16, 2, 8  # steps (DeepSpeech windows of ER-NeRF: deepspeech_features.py:157-168)
OWN = slice(PAD, PAD + STRIDE)  # of a window's 16 steps, those of its frame's own 40 ms
BANDS = 29  # as many as DeepSpeech has letters, so that mel features go where its logits go
MEL_SCALE = 6.0  # brings speech to about 0-2; silence and padding are 0
CONTENT = ("phonemes", "allphone")  # what is said, by recognisers that pip brings


def mel_steps(audio: np.ndarray, weights: Path | None = None) -> np.ndarray:
    """Log-mel [1 + S // 320, 29] float32 of mono 16 kHz sound [S]; silence is 0; needs no weights."""
    return (log_mel(audio, RATE, STEP, BANDS) - np.float32(np.log(FLOOR))) / MEL_SCALE


def _deepspeech(audio: np.ndarray, weights: Path | None) -> np.ndarray:
    from d3talker.people.audio.deepspeech import deepspeech_steps

    return deepspeech_steps(audio, weights)


def _hubert(audio: np.ndarray, weights: Path | None) -> np.ndarray:
    from d3talker.people.audio.speech_models import hubert_steps

    return hubert_steps(audio, weights)


def _wav2vec2(audio: np.ndarray, weights: Path | None) -> np.ndarray:
    from d3talker.people.audio.speech_models import wav2vec2_steps

    return wav2vec2_steps(audio, weights)


def _phonemes(audio: np.ndarray, weights: Path | None) -> np.ndarray:
    from d3talker.people.audio.phonemes import phoneme_steps

    return phoneme_steps(audio)


def _allphone(audio: np.ndarray, weights: Path | None) -> np.ndarray:
    from d3talker.people.audio.allphone import allphone_steps

    return allphone_steps(audio)


STEPS: dict[str, Callable[[np.ndarray, Path | None], np.ndarray]] = {
    "mel": mel_steps, "deepspeech": _deepspeech, "hubert": _hubert, "wav2vec2": _wav2vec2, "phonemes": _phonemes,
    "allphone": _allphone,
}
WINDOWED = ("mel", "deepspeech", "wav2vec2")  # the others' files hold a frame's own two steps, as those of ER-NeRF's hubert.py


def steps(name: str, audio: np.ndarray, weights: Path | None = None) -> np.ndarray:
    """Features float32 [R, C] of mono 16 kHz sound [S], R about S / 320; row k is about sample 320 k.

    Raises UserError for an unknown name, MissingExtra or MissingWeights naming what the features need and this machine lacks.
    """
    if name not in STEPS:
        raise UserError(f"audio features '{name}' are unknown; choose one of {', '.join(STEPS)}")
    return STEPS[name](levelled(audio), weights)  # a quiet and a loud copy of one clip have the same features


def extract(name: str, audio: np.ndarray, frames: int, weights: Path | None = None) -> np.ndarray:
    """What the features' file holds, one row a frame: windows [frames, 16, C], or a frame's own two steps [frames, 2, C]."""
    found = windows(steps(name, audio, weights), frames)
    return found if name in WINDOWED else np.ascontiguousarray(found[:, OWN])


def windows(steps: np.ndarray, frames: int) -> np.ndarray:
    """50 Hz steps [S, C] -> [frames, 16, C] float32, a read-only view: frame i sees steps 2i-8 ... 2i+7, zeros outside."""
    needed = STRIDE * (frames - 1) + WINDOW
    padded = np.zeros((max(needed, PAD + len(steps)), steps.shape[1]), np.float32)
    padded[PAD:PAD + len(steps)] = steps
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=0)[:needed:STRIDE][:frames].transpose(0, 2, 1)


def own_steps(rows: np.ndarray) -> np.ndarray:
    """A features' file [T, 16 or 2, C] -> 50 Hz steps [2 T, C].  Raises UserError for any other shape."""
    if rows.ndim != 3 or rows.shape[1] not in (WINDOW, STRIDE):
        raise UserError(f"audio features must be [frames, {WINDOW} or {STRIDE}, columns], not {list(rows.shape)}")
    return (rows[:, OWN] if rows.shape[1] == WINDOW else rows).reshape(-1, rows.shape[-1])


def choose(names: tuple[str, ...], weights: Path | None = None) -> list[str]:
    """The features to make, each once; "auto" stands for mel, speech content where its extra is installed, and deepspeech where its
    graph is found."""
    out: list[str] = []
    for name in names:
        if name not in ("auto", *STEPS):
            raise UserError(f"audio features '{name}' are unknown; choose of auto, {', '.join(STEPS)}")
        out += ["mel", *content()[0], *_deepspeech_if_there(weights)] if name == "auto" else [name]
    return list(dict.fromkeys(out))


def content() -> tuple[list[str], str]:
    """The speech content that this machine can make, and what keeps it from the rest in a sentence ("" where nothing does)."""
    from d3talker.people.audio import allphone, phonemes

    names, reasons = [], []
    for name, check in zip(CONTENT, (phonemes.check, allphone.check)):
        try:
            check()
            names.append(name)
        except UserError as error:
            reasons.append(str(error))
    return names, "; ".join(reasons)


def _deepspeech_if_there(weights: Path | None) -> list[str]:
    try:
        find_weights("deepspeech", weights)
    except MissingWeights:
        return []
    return ["deepspeech"]
