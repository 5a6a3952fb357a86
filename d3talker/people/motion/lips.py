"""The lips' main motions over many speakers, and the expression that goes with each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

from d3talker.people.head.embedded import embedded_head
from d3talker.people.head.face import FaceModel

LIPS = slice(48, 68)
OPENING = ((61, 1), (62, 1), (63, 1), (67, -1), (66, -1), (65, -1))  # inner lips, upper minus lower


def lip_basis(face: FaceModel) -> np.ndarray:
    """[E, 60]: how each coefficient moves the lips' 20 landmarks, in millimetres, axes side by side."""
    return (face.landmark_basis()[2][:, LIPS].reshape(len(face.expression_names), -1) * 1000).astype(np.float64)


@cache
def opening() -> np.ndarray:
    """[60]: what makes the lips' opening of their landmarks, both in millimetres."""
    weights = np.zeros((20, 3))
    for point, sign in OPENING:
        weights[point - LIPS.start, 1] = sign / 3
    return weights.ravel()


@dataclass(frozen=True)
class LipSpace:
    """Principal components of the lips' landmarks over speakers of equal amplitude.

    basis [60, K]; back [K, E]: expression that goes with each; mean [E]: expression, mean over speakers; amplitude: median over
    speakers of the opening's standard deviation, mm; unit: root of the components' whole variance where that deviation is 1 mm.
    """

    basis: np.ndarray
    back: np.ndarray
    mean: np.ndarray
    amplitude: float
    unit: float

    @classmethod
    def of(cls, moves: Sequence[np.ndarray], means: Sequence[np.ndarray], components: int) -> LipSpace:
        """From each speaker's expression about its mean [T, E], and that mean [E]."""
        landmarks = lip_basis(embedded_head())
        spreads = [max(float((part @ landmarks @ opening()).std()), 1e-3) for part in moves]
        every = np.concatenate([part / spread for part, spread in zip(moves, spreads)])
        lips = every @ landmarks
        basis = np.linalg.eigh(lips.T @ lips)[1][:, ::-1][:, :components]
        scores = lips @ basis
        back = np.linalg.lstsq(scores, every, rcond=None)[0]
        unit = float(np.sqrt(scores.var(0).sum()))
        return cls(basis, back, np.mean(means, 0), float(np.median(spreads)), unit)

    def components(self, moves: np.ndarray) -> np.ndarray:
        """Expression about its mean [T, E] -> components [T, K], mm."""
        return moves @ lip_basis(embedded_head()) @ self.basis

    def expression(self, components: np.ndarray, mean: np.ndarray) -> np.ndarray:
        """Components [T, K] and a speaker's mean [E] -> expression [T, E], float32."""
        return (components @ self.back + mean).astype(np.float32)

    def opening(self) -> np.ndarray:
        """[K]: what makes the opening (mm) of components."""
        return opening() @ self.basis

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        arrays = {name: torch.from_numpy(np.ascontiguousarray(getattr(self, name))).float() for name in ("basis", "back", "mean")}
        return {**arrays, "amplitude": self.amplitude, "unit": self.unit}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> LipSpace:
        """Inverse of `state`."""
        arrays = {name: state[name].numpy().astype(np.float64) for name in ("basis", "back", "mean")}
        return cls(**arrays, amplitude=float(state["amplitude"]), unit=float(state["unit"]))
