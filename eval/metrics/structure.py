"""SSIM with the Gaussian window of Wang et al. 2004, equal to scikit-image's, fast."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import cv2
import numpy as np

from d3talker.errors import UserError
from eval.metrics.batches import pair

RADIUS, SIGMA = 5, 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ssim(predicted: np.ndarray, reference: np.ndarray, masks: Sequence[np.ndarray] | None = None) -> np.ndarray:
    """Mean structural similarity of each frame, float64 [T].

    Gaussian 11x11 window of sigma 1.5, RGB, data range 1, biased variances, no border, as in scikit-image's
    structural_similarity(gaussian_weights=True, use_sample_covariance=False, data_range=1, channel_axis=-1).
    predicted, reference: uint8 [T, H, W, 3]; masks: T arrays bool [H, W] that choose pixels; none chosen gives NaN.
    Raises UserError for frames under 11 px.
    """
    predicted, reference = pair(predicted, reference)
    if min(predicted.shape[1:3]) <= 2 * RADIUS:
        raise UserError(f"SSIM needs frames of at least {2 * RADIUS + 1} px a side; enlarge them")
    chosen = [None] * len(predicted) if masks is None else [mask[RADIUS:-RADIUS, RADIUS:-RADIUS] for mask in masks]
    return np.array(list(_threads().map(_frame, predicted, reference, chosen)))


def ssim_map(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """SSIM of every pixel and channel that has a whole window: uint8 [H, W, 3] twice -> float64 [H - 10, W - 10, 3]."""
    kernel = cv2.getGaussianKernel(2 * RADIUS + 1, SIGMA, cv2.CV_64F)

    def blur(image: np.ndarray) -> np.ndarray:
        return cv2.sepFilter2D(image, cv2.CV_64F, kernel, kernel)[RADIUS:-RADIUS, RADIUS:-RADIUS]

    x, y = a.astype(np.float64), b.astype(np.float64)
    mean_x, mean_y = blur(x), blur(y)
    mean_xy = mean_x * mean_y
    mean_squares = mean_x**2 + mean_y**2
    covariance = blur(x * y) - mean_xy
    variances = blur(x * x + y * y) - mean_squares
    return ((2 * mean_xy + C1) * (2 * covariance + C2)) / ((mean_squares + C1) * (variances + C2))


def _frame(a: np.ndarray, b: np.ndarray, mask: np.ndarray | None) -> float:
    values = ssim_map(a, b)
    if mask is not None:
        values = values[mask]
    return float(values.mean()) if values.size else np.nan


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cv2.getNumThreads())  # OpenCV and numpy let go of the interpreter while they work
