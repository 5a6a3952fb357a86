"""Sound -> one row of features for each 25 fps frame, in the shapes that the official codes load (protocol 1.5)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from d3talker.audio.mel import FLOOR, log_mel
from d3talker.errors import UserError
from d3talker.weights import MissingWeights, find_weights

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
    steps = (log_mel(audio, RATE, STEP, BANDS) - np.float32(np.log(FLOOR))) / MEL_SCALE
    return windows(steps, frames)


def deepspeech_features(audio: np.ndarray, frames: int, weights: Path | None = None) -> np.ndarray:
    """DeepSpeech 0.1.0 windows [frames, 16, 29] float32 of mono 16 kHz sound [S]."""
    from d3talker.audio.deepspeech import deepspeech_steps

    return windows(deepspeech_steps(audio, weights), frames)


def hubert_features(audio: np.ndarray, frames: int, weights: Path | None = None) -> np.ndarray:
    """HuBERT hidden states, the two of each frame, [frames, 2, 1024] float32 (ER-NeRF data_utils/hubert.py)."""
    from d3talker.audio.speech_models import hubert_steps

    steps = hubert_steps(audio, weights)
    padded = np.pad(steps, ((0, max(0, 2 * frames - len(steps))), (0, 0)))
    return padded[: 2 * frames].reshape(frames, 2, -1)


def wav2vec2_features(audio: np.ndarray, frames: int, weights: Path | None = None) -> np.ndarray:
    """wav2vec 2.0 logit windows [frames, 16, 44] float32 of mono 16 kHz sound [S]."""
    from d3talker.audio.speech_models import wav2vec2_steps

    return windows(wav2vec2_steps(audio, weights), frames)


EXTRACTORS: dict[str, Callable[[np.ndarray, int, Path | None], np.ndarray]] = {
    "mel": mel_features, "deepspeech": deepspeech_features, "hubert": hubert_features, "wav2vec2": wav2vec2_features,
}


def choose(names: tuple[str, ...], weights: Path | None = None) -> list[str]:
    """The features to make, each once; "auto" stands for mel, and deepspeech where its graph is found."""
    out: list[str] = []
    for name in names:
        if name not in ("auto", *EXTRACTORS):
            raise UserError(f"audio features '{name}' are unknown; choose of auto, {', '.join(EXTRACTORS)}")
        out += ["mel", *_deepspeech_if_there(weights)] if name == "auto" else [name]
    return list(dict.fromkeys(out))


def extract(name: str, audio: np.ndarray, frames: int, weights: Path | None = None) -> np.ndarray:
    """Features of mono 16 kHz sound [S], one row a frame; the shape is that of the official codes' file for `name`."""
    return EXTRACTORS[name](audio, frames, weights)


def _deepspeech_if_there(weights: Path | None) -> list[str]:
    try:
        find_weights("deepspeech", weights)
    except MissingWeights:
        return []
    return ["deepspeech"]
