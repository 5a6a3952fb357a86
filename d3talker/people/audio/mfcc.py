"""Mel-frequency cepstra as python_speech_features computes them: DeepSpeech 0.1.0 and SyncNet were trained on these."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.fft import dct

RATE, FRAME, STEP, SIZE = 16000, 400, 160, 512  # samples a second; 25 ms, 10 ms, FFT
FILTERS, LIFTER, PRE_EMPHASIS = 26, 22, 0.97


def mfcc(signal: np.ndarray, coefficients: int) -> np.ndarray:
    """16 kHz samples [S] in int16 units -> cepstra [F, coefficients], float64, 100 rows a second; the first is log energy.

    Frames without taper, the last one padded with zeros; 26 triangular filters up to 8 kHz. DeepSpeech takes 26 coefficients,
    SyncNet 13.
    """
    signal = np.asarray(signal, np.float64)
    flat = np.append(signal[:1], signal[1:] - PRE_EMPHASIS * signal[:-1])
    count = 1 + max(0, -(-(len(flat) - FRAME) // STEP))
    padded = np.append(flat, np.zeros((count - 1) * STEP + FRAME - len(flat)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::STEP]
    power = np.abs(np.fft.rfft(frames, SIZE)) ** 2 / SIZE
    tiny = np.finfo(float).eps
    energy, bands = power.sum(1), power @ _filters().T
    cepstra = dct(np.log(np.where(bands == 0, tiny, bands)), type=2, axis=1, norm="ortho")[:, :coefficients]
    cepstra *= 1 + LIFTER / 2 * np.sin(np.pi * np.arange(cepstra.shape[1]) / LIFTER)
    cepstra[:, 0] = np.log(np.where(energy == 0, tiny, energy))
    return cepstra


@cache
def _filters() -> np.ndarray:
    """Triangles [26, 257] between whole FFT bins, equally spaced on the mel scale."""
    mels = np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), FILTERS + 2)
    edges = np.floor((SIZE + 1) * 700 * (10 ** (mels / 2595) - 1) / RATE)
    bins = np.arange(SIZE // 2 + 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = np.where((bins >= low) & (bins < middle), (bins - low) / np.maximum(middle - low, 1), 0)
    falling = np.where((bins >= middle) & (bins < high), (high - bins) / np.maximum(high - middle, 1), 0)
    return rising + falling
