"""MFCC as SyncNet was trained on: python_speech_features' defaults at 16 kHz, in numpy."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.fft import dct

RATE, WINDOW, STEP, FFT = 16000, 400, 160, 512
FILTERS, COEFFICIENTS = 26, 13
PREEMPHASIS, LIFTER = 0.97, 22
EPSILON = np.finfo(float).eps


def mfcc(samples: np.ndarray) -> np.ndarray:
    """Samples [S] as 16-bit values (not scaled to 1) at 16 kHz -> float64 [N, 13], 100 rows a second.

    Rectangular 25 ms windows, zero-padded at the end; 26 mel filters; orthonormal DCT-II, sine lifter 22; the first
    coefficient is the log of the frame's energy.
    """
    signal = np.asarray(samples, np.float64)
    signal = np.append(signal[:1], signal[1:] - PREEMPHASIS * signal[:-1])
    count = 1 if len(signal) <= WINDOW else 1 + -(-(len(signal) - WINDOW) // STEP)
    padded = np.append(signal, np.zeros((count - 1) * STEP + WINDOW - len(signal)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::STEP]
    power = np.abs(np.fft.rfft(windows, FFT)) ** 2 / FFT
    energy, bands = power.sum(1), power @ filters().T
    cepstra = dct(np.log(np.where(bands == 0, EPSILON, bands)), type=2, axis=1, norm="ortho")[:, :COEFFICIENTS]
    cepstra *= 1 + LIFTER / 2 * np.sin(np.pi * np.arange(COEFFICIENTS) / LIFTER)
    cepstra[:, 0] = np.log(np.where(energy == 0, EPSILON, energy))
    return cepstra


@cache
def filters() -> np.ndarray:
    """Triangles [26, 257] between FFT bins that lie evenly on the mel scale from 0 to 8 kHz."""
    mel = np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), FILTERS + 2)
    edges = np.floor((FFT + 1) * 700 * (10 ** (mel / 2595) - 1) / RATE)
    bins = np.arange(FFT // 2 + 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    return np.where((bins >= low) & (bins < middle), rising, np.where((bins >= middle) & (bins < high), falling, 0.0))
