"""Every metric of the protocol: plain functions on arrays here, whole clips in `eval.metrics.score`.

    from eval.metrics import psnr, ssim, lpips, lmd
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {  # no module bears a function's name: once imported, it would hide it
    "psnr": "pixel", "ssim": "structure", "lpips": "perceptual", "load_lpips": "perceptual",
    "lmd": "lips", "lmd_iod": "lips", "lmd_dtw": "lips",
    "score_predictions": "score", "METRICS": "registry", "MetricResult": "result",
}  # fmt: skip
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Load on first use: the registry is read where torch is not wanted."""
    if name not in _HOMES:
        raise AttributeError(f"module 'eval.metrics' has no attribute '{name}'")
    return getattr(importlib.import_module(f"eval.metrics.{_HOMES[name]}"), name)
