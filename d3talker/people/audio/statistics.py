"""Mean and spread of audio features, which networks hear in units of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AudioStatistics:
    """Mean and standard deviation of each column of the audio features, over the training frames."""

    mean: list[float]
    spread: list[float]

    @classmethod
    def of(cls, features: np.ndarray) -> AudioStatistics:
        """features [T, steps, C]."""
        flat = features.reshape(-1, features.shape[-1])
        return cls(flat.mean(0).tolist(), (flat.std(0) + 1e-3).tolist())

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Centre and scale each column."""
        return ((features - np.array(self.mean)) / np.array(self.spread)).astype(np.float32)
