"""LPIPS 0.1 (Zhang et al. 2018) on AlexNet, VGG-16 or SqueezeNet, equal to the `lpips` package without importing it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from d3talker.learning.lpips import LPIPS, load_lpips, to_images
from eval.metrics.arrays import Layout, pair
from eval.metrics.batches import FramesTooSmall
from eval.metrics.workers import spread


def lpips(
    predicted: Any, reference: Any, masks: Sequence[np.ndarray] | None = None, *,
    model: LPIPS | None = None, weights: Path | None = None, data_range: float | None = None, layout: Layout | None = None,
) -> np.ndarray:
    """LPIPS of each frame, float64 [T]; 0 for identical frames, higher is worse.

    predicted, reference: arrays or tensors [T, H, W, 3], [T, 3, H, W] or one frame; uint8, or floats with data_range=1 or 255 (see
    `eval.metrics.arrays.pair`).  masks: T arrays bool [H, W] that choose pixels; none chosen gives NaN.
    model: from `load_lpips`; without one, AlexNet is loaded from `weights`.
    """
    predicted, reference = pair(predicted, reference, data_range, layout)
    model = model or load_lpips(weights=weights)
    device = model.linear[0].device

    @torch.inference_mode()
    def one(a: np.ndarray, b: np.ndarray, mask: np.ndarray | None) -> float:  # more at once would only miss the cache
        chosen = None if mask is None else torch.from_numpy(mask).to(device)[None, None].float()
        try:
            return model(to_images(a[None], device), to_images(b[None], device), chosen).item()
        except RuntimeError as error:
            if "too small" not in str(error):
                raise
            raise FramesTooSmall(f"LPIPS has no value for frames of {a.shape[1]}x{a.shape[0]} px; enlarge them") from None

    return np.array(spread(one, predicted, reference, [None] * len(predicted) if masks is None else masks))
