"""The upper face: coefficients of brows and lids, which sound does not tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

UPPER = ("brow_", "blink_", "eyes_wide", "squint")


def upper_face(names: Sequence[str]) -> np.ndarray:
    """Which of the named coefficients are the upper face's, bool [E]; none of a model whose names say nothing."""
    return np.array([name.startswith(UPPER) for name in names], bool)
