"""A trained audio-to-motion model: loading, prediction for a new speaker, and calibration on a few seconds of one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from d3talker import checkpoint
from d3talker.config import from_dict
from d3talker.errors import UserError
from d3talker.motion.audio_to_motion import SPREAD_FLOOR, Regression, RidgeMotion
from d3talker.motion.options import NetworkConfig
from d3talker.motion.temporal import MotionNetwork

CHECKPOINT = "motion.safetensors"
RIDGE = 1.0  # penalty a frame; 0.3 to 3 differ little on held-out speakers


class MotionModel:
    """Network and what it was trained with; knows no speaker's mean but those of its training."""

    def __init__(
        self, network: MotionNetwork, config: NetworkConfig, feature_name: str, speakers: tuple[str, ...]
    ) -> None:
        self.network, self.config, self.feature_name, self.speakers = network, config, feature_name, speakers

    @classmethod
    def load(cls, path: Path | str) -> MotionModel:
        """Read a checkpoint, or the run folder that holds it.  Raises UserError when it is missing or damaged."""
        path = Path(path)
        return cls.from_state(checkpoint.load(path if path.suffix == ".safetensors" else path / CHECKPOINT))

    @torch.no_grad()
    def predict(self, features: np.ndarray, mean: np.ndarray) -> np.ndarray:
        """Expression [T, E], float32.

        features [T, 16, C]: of unit variance over the speaker's training frames (AudioStatistics); mean [E]: of the
        speaker's tracked expression there.  Raises UserError for features of another kind.
        """
        found = self.network(self._inputs(features))[0] * self.network.spread
        return (found.numpy() + mean).astype(np.float32)

    @torch.no_grad()
    def hidden(self, features: np.ndarray) -> np.ndarray:
        """The network's last features [T, width]."""
        return self.network.hidden(self._inputs(features))[0].numpy()

    def _inputs(self, features: np.ndarray) -> torch.Tensor:
        columns = self.network.columns
        if features.ndim != 3 or features.shape[1:] != (16, columns):
            raise UserError(
                f"the motion model hears {self.feature_name} features [T, 16, {columns}], not {list(features.shape)}; "
                "give those, or train another"
            )
        return torch.from_numpy(np.ascontiguousarray(features, np.float32))[None]

    def calibrate(self, features: np.ndarray, expression: np.ndarray, lips: np.ndarray | None = None) -> CalibratedMotion:
        """Fit to one speaker's training frames: features [T, 16, C], tracked expression [T, E], lips as in RidgeMotion.fit.

        Raises UserError for features of another kind or another number of expressions than the model was trained with.
        """
        if expression.shape[-1] != len(self.network.spread):
            raise UserError(
                f"the motion model has {len(self.network.spread)} expressions, the subject {expression.shape[-1]}; "
                "train another with: d3talker motion train"
            )
        inputs = self.hidden(features).astype(np.float64)
        center, spread, mean = inputs.mean(0), inputs.std(0) + SPREAD_FLOOR, expression.mean(0, dtype=np.float64)
        inputs = (inputs - center) / spread
        gram = inputs.T @ inputs + RIDGE * len(inputs) * np.eye(inputs.shape[1])
        heard = Regression(center, spread, np.linalg.solve(gram, inputs.T @ (expression - mean)), mean)
        return CalibratedMotion(self, RidgeMotion.fit(features, expression, lips), heard)

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "network": self.network.state_dict(), "network_config": asdict(self.config),
            "feature_name": self.feature_name, "speakers": list(self.speakers),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> MotionModel:
        """Inverse of `state`."""
        weights, config = state["network"], from_dict(NetworkConfig, state["network_config"])
        identities, expressions = weights["means"].shape
        network = MotionNetwork(weights["inlet.0.weight"].shape[1] // 2, expressions, identities, config)
        network.load_state_dict(weights)
        return cls(network.eval(), config, state["feature_name"], tuple(state["speakers"]))


@dataclass(frozen=True)
class CalibratedMotion:
    """Mean of three: the network as it is about the speaker's mean, and two regressions on the speaker's training frames,
    from the network's hidden features and from sound alone.

    Their errors differ: over four held-out speakers with 125 frames each the mean's lip aperture correlates by 0.47 with
    the tracked one; the three alone by 0.41, 0.39 and 0.40.  Same interface as RidgeMotion.
    """

    model: MotionModel
    ridge: RidgeMotion
    heard: Regression

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Audio windows [T, 16, C] -> expression coefficients [T, E], float32."""
        heard = self.heard.predict(self.model.hidden(features))
        parts = (self.model.predict(features, self.heard.mean), heard, self.ridge.predict(features))
        return np.mean(parts, 0).astype(np.float32)

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"model": self.model.state(), "ridge": self.ridge.state(), "heard": self.heard.state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> CalibratedMotion:
        """Inverse of `state`."""
        heard = Regression.from_state(state["heard"])
        return cls(MotionModel.from_state(state["model"]), RidgeMotion.from_state(state["ridge"]), heard)


def fit_motion(
    run: Path | None, feature_name: str, features: np.ndarray, expression: np.ndarray, lips: np.ndarray | None = None
) -> CalibratedMotion | RidgeMotion:
    """A predictor of motion for one subject's training frames: features [T, 16, C] of unit variance, expression [T, E], lips as
    in RidgeMotion.fit.

    run: folder of `d3talker motion train`, or None for ridge regression on this subject alone.  Raises UserError where
    the run is missing, or hears other features than `feature_name`.
    """
    if run is None:
        return RidgeMotion.fit(features, expression, lips)
    model = MotionModel.load(run)
    if model.feature_name != feature_name:
        raise UserError(f"{run} hears {model.feature_name} features, the subject has {feature_name}; train another")
    return model.calibrate(features, expression, lips)


def motion_from_state(state: dict[str, Any]) -> CalibratedMotion | RidgeMotion:
    """The predictor whose `state` this is."""
    return CalibratedMotion.from_state(state) if "model" in state else RidgeMotion.from_state(state)
