"""How far lips open: measured on the head, and given back to motion predicted from sound, which is smaller than their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from d3talker.people.head.embedded import embedded_head
from d3talker.people.head.face import FaceModel

SHARE = 0.7  # of the speaker's own standard deviation: more costs more in the lips' error than it gives
SHUT = 10  # percentile of the opening at which lips count as shut
MOST = 3.0  # times: what hardly moves, a silence say, stays nearly still
LEAST_MOVEMENT = 0.01  # mm


def aperture(expression: np.ndarray, face: FaceModel) -> np.ndarray:
    """Height of the gap between the inner lips in millimetres [T], from expression [T, E] (iBUG 61-63 and 65-67)."""
    mean, _, basis = face.landmark_basis()
    points = mean + np.einsum("te,exy->txy", expression, basis)
    return (points[:, [61, 62, 63], 1] - points[:, [67, 66, 65], 1]).mean(1) * 1000


@dataclass(frozen=True)
class Amplitude:
    """One speaker's lips on their training frames, in mm: mean opening, its standard deviation, and the opening when shut."""

    mean: float
    spread: float
    shut: float

    @classmethod
    def of(cls, expression: np.ndarray) -> Amplitude:
        """From tracked expression [T, E]."""
        opening = aperture(expression, embedded_head())
        return cls(float(opening.mean()), float(opening.std()), float(np.percentile(opening, SHUT)))

    def restore(self, predicted: np.ndarray) -> np.ndarray:
        """Predicted expression [T, E] of a whole clip, about its mean, made larger or smaller as one; float32.

        Where lips open wider than in the mean, so that the opening's standard deviation is 0.7 of the speaker's own; where less, at
        least so, and until they are shut as often as the speaker's.
        """
        opening = aperture(predicted, embedded_head())
        mean, spread = opening.mean(), opening.std()
        if spread < LEAST_MOVEMENT:
            return predicted.astype(np.float32)
        wide = min(SHARE * self.spread / spread, MOST)
        closing = max(mean - float(np.percentile(opening, SHUT)), LEAST_MOVEMENT)
        narrow = min(max(wide, (mean - self.shut) / closing), MOST)
        gain = np.where(opening < mean, narrow, wide)[:, None]
        centre = predicted.mean(0, dtype=np.float64)
        return (centre + gain * (predicted - centre)).astype(np.float32)

    def state(self) -> dict[str, float]:
        """For a checkpoint."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, float]) -> Amplitude:
        """Inverse of `state`."""
        return cls(**state)
