"""Facial motion from sound for one speaker: ridge regression from audio features to expression, fitted on training frames alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from d3talker.errors import UserError
from d3talker.people.audio.features import windows
from d3talker.people.motion.hearing import Heard

ROWS = slice(3, 13)  # of a window's 16 at 50 Hz: 100 ms before and after the frame
STEPS = 5  # of 40 ms
COMPONENTS = 6
MOTIONS = 4
FOLDS = 5
SPREAD_FLOOR = 1e-6
STILL = 1e-3  # added to the spread of a band of log-mel
RIDGES = np.geomspace(1e-3, 1e3, 13)  # penalties a frame; inputs have unit variance


@dataclass(frozen=True)
class Regression:
    """targets = mean + (inputs - center) / spread @ weights."""

    center: np.ndarray
    spread: np.ndarray
    weights: np.ndarray
    mean: np.ndarray

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Inputs [T, D] -> targets [T, E], float32."""
        return ((inputs - self.center) / self.spread @ self.weights + self.mean).astype(np.float32)

    def state(self) -> dict[str, list]:
        """Plain lists for a checkpoint."""
        return {name: value.tolist() for name, value in vars(self).items()}

    @classmethod
    def from_state(cls, state: Mapping[str, list]) -> Regression:
        """Inverse of `state`."""
        return cls(**{name: np.array(value, np.float64) for name, value in state.items()})


def regress(inputs: np.ndarray, targets: np.ndarray) -> Regression:
    """Ridge regression of targets [T, E] on inputs [T, D], consecutive frames of one speaker.

    Each target's penalty is the one of RIDGES with the least error on held-out fifths (blocks in time), so that what the inputs
    do not tell ends near its mean.
    """
    center, spread = inputs.mean(0, dtype=np.float64), inputs.std(0, dtype=np.float64) + SPREAD_FLOOR
    inputs, targets = (inputs - center) / spread, targets.astype(np.float64)
    errors = np.zeros((len(RIDGES), targets.shape[1]))
    for held in np.array_split(np.arange(len(inputs)), FOLDS):
        kept = np.setdiff1d(np.arange(len(inputs)), held)
        mean = targets[kept].mean(0)
        solutions = _solve(inputs[kept], targets[kept] - mean)
        errors += ((inputs[held] @ solutions + mean - targets[held]) ** 2).sum(1)
    mean = targets.mean(0)
    weights = _solve(inputs, targets - mean)[errors.argmin(0), :, np.arange(targets.shape[1])].T
    return Regression(center, spread, weights, mean)


@dataclass(frozen=True)
class RidgeMotion:
    """expression = mean + (inputs - center) / spread @ weights; inputs are the principal components of log-mel in 40 ms steps.

    Few inputs and few outputs, since there are as few as 125 frames to learn from.  Inputs: on cnn2, over ten training windows of
    5 s, the lip aperture of the 12 s test part is predicted with a mean correlation of 0.44; with 12 components of the whole window
    it is 0.33.  Log-mel, whatever the fields hear: phonemes say more, but not to a linear model (r .11 against .32 at 5 s, .26
    against .42 at 10 s).  Outputs: the main motions of the lips, with all else that goes along with them; what is left of
    33 coefficients, guessed one by one, makes faces that no training frame has shown.
    """

    basis: np.ndarray
    regression: Regression
    names = ("mel",)  # what it hears

    def predict(self, heard: Heard) -> np.ndarray:
        """A whole sound -> expression coefficients [T, E], float32.  Raises UserError for a fit of an earlier version."""
        if heard["mel"].shape[-1] != len(self.basis):
            raise UserError("its motion was fitted by an earlier d3talker; train it again")
        return self.regression.predict(_reduce(_windows(heard), self.basis))

    @classmethod
    def fit(cls, heard: Heard, rows: np.ndarray, expression: np.ndarray, lips: np.ndarray | None = None) -> RidgeMotion:
        """Fit on training frames, see `regress`.

        heard: the whole sound; expression [n, E] of frames `rows` [n] of it.  lips [E, L]: what each coefficient adds to the lips'
        coordinates; the outputs are then the principal components of the lips' motion.  Without it each coefficient is one.
        """
        if lips is not None:
            scores, back = _main_motions(expression.astype(np.float64), lips)
            found = cls.fit(heard, rows, scores)
            weights, mean = found.regression.weights @ back, found.regression.mean @ back + expression.mean(0)
            return cls(found.basis, replace(found.regression, weights=weights, mean=mean))
        features = _windows(heard)[rows]
        flat = features.reshape(-1, features.shape[-1]).astype(np.float64)
        basis = np.linalg.eigh(np.cov(flat.T))[1][:, ::-1][:, :COMPONENTS]
        return cls(basis, regress(_reduce(features, basis), expression))

    def state(self) -> dict[str, list]:
        """Plain lists for a checkpoint."""
        return {"basis": self.basis.tolist(), **self.regression.state()}

    @classmethod
    def from_state(cls, state: Mapping[str, list]) -> RidgeMotion:
        """Inverse of `state`."""
        rest = {name: value for name, value in state.items() if name != "basis"}
        return cls(np.array(state["basis"], np.float64), Regression.from_state(rest))


def _windows(heard: Heard) -> np.ndarray:
    """Log-mel [T, 2, C] of a whole sound -> windows [T, 16, C], each column about its mean and in units of its spread."""
    steps = heard["mel"].reshape(-1, heard["mel"].shape[-1])
    return windows((steps - steps.mean(0)) / (steps.std(0) + STILL), len(heard["mel"]))


def _main_motions(expression: np.ndarray, lips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Principal components of the lips' motion [T, MOTIONS], and the expression [MOTIONS, E] that goes with each in the mean."""
    centred = expression - expression.mean(0)
    u, s, _ = np.linalg.svd(centred @ lips, full_matrices=False)
    scores = u[:, :MOTIONS] * s[:MOTIONS]
    return scores, np.linalg.lstsq(scores, centred, rcond=None)[0]


def _reduce(features: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """[T, 16, C] -> [T, STEPS * components]: means over equal steps, then principal components."""
    near = features[:, ROWS]
    steps = near.reshape(len(near), STEPS, -1, near.shape[-1]).mean(2)
    return (steps @ basis).reshape(len(near), -1)


def _solve(inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Ridge solutions for every value of RIDGES: [R, D, E]."""
    u, s, vt = np.linalg.svd(inputs, full_matrices=False)
    shrink = s / (s**2 + RIDGES[:, None] * len(inputs))
    return np.einsum("dk,rk,ke->rde", vt.T, shrink, u.T @ targets, optimize=True)
