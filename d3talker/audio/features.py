"""Sound -> one row of features for each 25 fps frame, in the shapes that the official codes load (protocol 1.5)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from d3talker.audio.mel import FLOOR, log_mel
from d3talker.errors import UserError

RATE = 16000
STEP = 320  # samples: 50 Hz
WINDOW, STRIDE, PAD = 16, 2, 8  # steps (DeepSpeech windows of ER-NeRF: deepspeech_features.py:157-168)
BANDS = 29  # as many as DeepSpeech has letters, so that mel features go where its logits go
MEL_SCALE = 6.0  # brings speech to about 0-2; silence and padding are 0


def windows(steps: np.ndarray, frames: int) -> np.ndarray:
    """50 Hz steps [S, C] -> [frames, 16, C] float32: frame i sees steps 2i-8 ... 2i+7, zeros outside."""
    needed = STRIDE * (frames - 1) + WINDOW
    padded = np.zeros((max(needed, PAD + len(steps)), steps.shape[1]), np.float32)
    padded[PAD:PAD + len(steps)] = steps
    rows = np.arange(frames)[:, None] * STRIDE + np.arange(WINDOW)
    return padded[rows]


def mel_features(audio: np.ndarray, frames: int, weights: Path | None = None) -> np.ndarray:
    """Log-mel windows [frames, 16, 29] float32 of mono 16 kHz sound [S]; silence is 0; needs no weights."""
    steps = (log_mel(audio, RATE, STEP, BANDS) - np.log(FLOOR)) / MEL_SCALE
    return windows(steps, frames)


EXTRACTORS: dict[str, Callable[[np.ndarray, int, Path | None], np.ndarray]] = {"mel": mel_features}


def choose(names: tuple[str, ...]) -> list[str]:
    """The features to make, each once; "auto" stands for mel."""
    out = ["mel" if name == "auto" else name for name in names]
    unknown = [name for name in out if name not in EXTRACTORS]
    if unknown:
        raise UserError(f"audio features '{unknown[0]}' are unknown; choose of auto, {', '.join(EXTRACTORS)}")
    return list(dict.fromkeys(out))


def extract(name: str, audio: np.ndarray, frames: int, weights: Path | None = None) -> np.ndarray:
    """Features of mono 16 kHz sound [S], one row a frame; the shape is that of the official codes' file for `name`."""
    return EXTRACTORS[name](audio, frames, weights)
