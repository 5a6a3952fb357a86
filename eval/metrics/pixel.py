"""PSNR as InsTaG, TalkingGaussian, ER-NeRF and RAD-NeRF compute it (protocol 3.1), with a cap for identical frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from eval.metrics.arrays import Layout, pair

CAP = 100.0  # dB


def psnr(
    predicted: Any, reference: Any, masks: Sequence[np.ndarray] | None = None, *,
    data_range: float | None = None, layout: Layout | None = None,
) -> np.ndarray:
    """-10 log10 of the mean squared difference over pixels and channels in [0, 1], at most 100 dB; float64 [T].

    predicted, reference: arrays or tensors [T, H, W, 3], [T, 3, H, W] or one frame; uint8, or floats with data_range=1 or 255, as
    they are, not rounded (see `eval.metrics.arrays.pair`).  masks: T arrays bool [H, W] that choose pixels; none chosen gives NaN.
    Of uint8 it is exact: the squared sum is taken in integers.
    """
    predicted, reference = pair(predicted, reference, data_range, layout)
    return np.array([
        _frame(a, b, None if masks is None else masks[index]) for index, (a, b) in enumerate(zip(predicted, reference))
    ])


def _frame(a: np.ndarray, b: np.ndarray, mask: np.ndarray | None) -> float:
    error = cv2.norm(a, b, cv2.NORM_L2SQR, None if mask is None else mask.astype(np.uint8))
    values = a.size if mask is None else 3 * int(np.count_nonzero(mask))
    if not values:
        return np.nan
    return min(CAP, 10 * np.log10(255.0**2 * values / error)) if error else CAP
