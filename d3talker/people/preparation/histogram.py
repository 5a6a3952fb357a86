"""Colour histograms in Lab, as densities."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

BINS = (24, 32, 32)  # of L, a, b
VOLUME = np.prod([256 / n for n in BINS])  # of a bin


def to_lab(image: np.ndarray) -> np.ndarray:
    """uint8 RGB [H, W, 3] -> uint8 Lab."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2LAB)


def bins(lab: np.ndarray) -> np.ndarray:
    """uint8 Lab [.., 3] -> bin number [..]."""
    scaled = [(lab[..., c].astype(np.int32) * n) >> 8 for c, n in enumerate(BINS)]
    return (scaled[0] * BINS[1] + scaled[1]) * BINS[2] + scaled[2]


def density(numbers: np.ndarray) -> np.ndarray:
    """Smoothed density over bins, per unit of Lab volume, float32 [24 * 32 * 32]."""
    counts = np.bincount(numbers, minlength=int(np.prod(BINS))).reshape(BINS).astype(np.float64)
    smooth = gaussian_filter(counts, (1.0, 0.7, 0.7)) + 1e-4
    return (smooth / smooth.sum() / VOLUME).ravel().astype(np.float32)
