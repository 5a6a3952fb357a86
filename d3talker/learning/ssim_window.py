"""The window and constants of SSIM, for both implementations of D-SSIM."""

from __future__ import annotations

import torch

WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2


def window_weights() -> list[float]:
    """The normalised 1D Gaussian; its outer product is the window."""
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weights = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    return (weights / weights.sum()).tolist()
