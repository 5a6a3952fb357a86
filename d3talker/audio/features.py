"""Sound -> one row of features for each 25 fps frame, in the shapes that the field's official codes load (protocol 1.5)."""

from __future__ import annotations

import numpy as np

from d3talker.audio.mel import FLOOR, log_mel

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


def mel_features(audio: np.ndarray, frames: int) -> np.ndarray:
    """Log-mel windows [frames, 16, 29] float32 of mono 16 kHz sound [S]; silence is 0."""
    steps = (log_mel(audio, RATE, STEP, BANDS) - np.log(FLOOR)) / MEL_SCALE
    return windows(steps, frames)
