"""SSIM with the Gaussian window of Wang et al. 2004, equal to scikit-image's, in one pass over the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from d3talker.jit import compiling, kernel
from eval.metrics.arrays import Layout, pair
from eval.metrics.batches import FramesTooSmall
from eval.metrics.workers import spread

RADIUS, SIGMA = 5, 1.5
TAPS = 2 * RADIUS + 1
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
WEIGHTS = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / SIGMA) ** 2)
WEIGHTS /= WEIGHTS.sum()


def ssim(
    predicted: Any, reference: Any, masks: Sequence[np.ndarray] | None = None, *,
    data_range: float | None = None, layout: Layout | None = None,
) -> np.ndarray:
    """Mean structural similarity of each frame, float64 [T].

    Gaussian 11x11 window of sigma 1.5, RGB, data range 1, biased variances, no border, as in scikit-image's
    structural_similarity(gaussian_weights=True, use_sample_covariance=False, data_range=1, channel_axis=-1).
    predicted, reference: arrays or tensors [T, H, W, 3], [T, 3, H, W] or one frame; uint8, or floats with data_range=1 or 255 (see
    `eval.metrics.arrays.pair`).  masks: T arrays bool [H, W] that choose pixels; none chosen gives NaN.
    Raises UserError for frames under 11 px.
    """
    predicted, reference = pair(predicted, reference, data_range, layout)
    if min(predicted.shape[1:3]) < TAPS:
        raise FramesTooSmall(f"SSIM needs frames of at least {TAPS} px a side; enlarge them")
    chosen = [None] * len(predicted) if masks is None else [mask[RADIUS:-RADIUS, RADIUS:-RADIUS] for mask in masks]
    with compiling("SSIM"):
        return np.array(spread(_frame, predicted, reference, chosen))


def ssim_map(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """SSIM of every pixel and channel that has a whole window: [H, W, 3] in 0 ... 255 twice -> float64 [H - 10, W - 10, 3]."""
    height, width = a.shape[:2]
    out = np.empty((height - 2 * RADIUS, width - 2 * RADIUS, 3))
    _ssim_rows(a.reshape(height, -1), b.reshape(height, -1), WEIGHTS, out.reshape(len(out), -1))
    return out


@kernel
def _ssim_rows(a, b, weights, out):  # type: ignore[no-untyped-def]
    """Rows of interleaved RGB, 0 ... 255 [H, 3 W] -> float64 [H - 10, 3 (W - 10)]; weighted sums down, then across.

    The window is symmetric, so that pixels as far above as below the middle (left as right of it) share a product.
    """
    sums = np.empty((4, a.shape[1]))
    for y in range(out.shape[0]):
        for x in range(a.shape[1]):
            p, q = np.float64(a[y + RADIUS, x]), np.float64(b[y + RADIUS, x])
            weight = weights[RADIUS]
            sum_a, sum_b, sum_squares, sum_product = weight * p, weight * q, weight * (p * p + q * q), weight * (p * q)
            for j in range(RADIUS):
                weight = weights[j]
                p, q = np.float64(a[y + j, x]), np.float64(b[y + j, x])
                r, s = np.float64(a[y + 2 * RADIUS - j, x]), np.float64(b[y + 2 * RADIUS - j, x])
                sum_a += weight * (p + r)
                sum_b += weight * (q + s)
                sum_squares += weight * (p * p + q * q + r * r + s * s)
                sum_product += weight * (p * q + r * s)
            sums[0, x], sums[1, x], sums[2, x], sums[3, x] = sum_a, sum_b, sum_squares, sum_product
        for x in range(out.shape[1]):
            weight, middle = weights[RADIUS], x + 3 * RADIUS
            mean_a, mean_b = weight * sums[0, middle], weight * sums[1, middle]
            squares, product = weight * sums[2, middle], weight * sums[3, middle]
            for j in range(RADIUS):
                weight, left, right = weights[j], x + 3 * j, x + 3 * (2 * RADIUS - j)
                mean_a += weight * (sums[0, left] + sums[0, right])
                mean_b += weight * (sums[1, left] + sums[1, right])
                squares += weight * (sums[2, left] + sums[2, right])
                product += weight * (sums[3, left] + sums[3, right])
            means, mean_squares = mean_a * mean_b, mean_a * mean_a + mean_b * mean_b
            structure = (2 * (product - means) + C2) / (squares - mean_squares + C2)
            out[y, x] = (2 * means + C1) / (mean_squares + C1) * structure


def _frame(a: np.ndarray, b: np.ndarray, mask: np.ndarray | None) -> float:
    values = ssim_map(a, b)
    if mask is not None:
        values = values[mask]
    return min(1.0, float(values.mean())) if values.size else np.nan
