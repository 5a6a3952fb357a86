"""A trained audio-to-motion model: networks averaged, prediction for a new speaker, and calibration on a few seconds of one."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from d3talker import checkpoint
from d3talker.errors import UserError
from d3talker.options import from_dict
from d3talker.people.head.embedded import embedded_head
from d3talker.people.motion.amplitude import aperture
from d3talker.people.motion.audio_to_motion import SPREAD_FLOOR, Regression, RidgeMotion
from d3talker.people.motion.hearing import CONTENT, Heard, hear, missing
from d3talker.people.motion.lips import LipSpace
from d3talker.people.motion.options import SHIPPED, NetworkConfig
from d3talker.people.motion.temporal import MotionNetwork
from d3talker.people.motion.tuning import fine_tuned

CHECKPOINT = "motion.safetensors"
RIDGE = 1.0  # penalty a frame
GAINS = (0.2, 3.0)  # a speaker's amplitude against the training speakers' median
STANDS_IN = "log-mel alone is heard, since speech content is not installed (pip install '.[speech-content]')"


@dataclass(frozen=True)
class Ears:
    """How sound becomes a network's input: principal components of some tracks, then unit variance over the whole sound.

    centres [C] and bases [C, D] by name; spreads [D]: standard deviation over the training speakers, a third of which is the
    least that a sound's own counts as.
    """

    centres: Mapping[str, np.ndarray]
    bases: Mapping[str, np.ndarray]
    spreads: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, sounds: Sequence[Heard], components: Mapping[str, int]) -> Ears:
        """From the training speakers' sounds; components: how many principal ones of a track are kept, else the track itself is."""
        centres, bases, spreads = {}, {}, {}
        for name in sounds[0]:
            rows = np.concatenate([s[name].reshape(-1, s[name].shape[-1]) for s in sounds]).astype(np.float64)
            if name in components:
                centres[name] = rows.mean(0).astype(np.float32)
                bases[name] = np.linalg.eigh(np.cov(rows.T))[1][:, ::-1][:, :components[name]].astype(np.float32)
                rows = (rows - centres[name]) @ bases[name]
            spreads[name] = rows.std(0).astype(np.float32)
        return cls(centres, bases, spreads)

    def rows(self, heard: Heard, inputs: Sequence[str]) -> np.ndarray:
        """A whole sound -> float32 [T, D]: a frame's two steps of every input side by side."""
        parts = []
        for name in inputs:
            steps = heard[name]
            if name in self.bases:
                steps = (steps - self.centres[name]) @ self.bases[name]
            spread = np.maximum(steps.std((0, 1)), self.spreads[name] / 3) + 1e-6
            parts.append(((steps - steps.mean((0, 1))) / spread).reshape(len(steps), -1))
        return np.concatenate(parts, 1).astype(np.float32)

    def state(self) -> dict[str, Any]:
        return {
            key: {name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in getattr(self, key).items()} for key in vars(self)
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Ears:
        return cls(**{key: {name: v.numpy() for name, v in group.items()} for key, group in state.items()})


class MotionModel:
    """Networks and what they were trained with.

    networks: (inputs, network) each.  speakers: names of those trained on; clips: SHA-256 of their videos.
    """

    def __init__(
        self, networks: Sequence[tuple[tuple[str, ...], MotionNetwork]], config: NetworkConfig, ears: Ears, lips: LipSpace,
        speakers: tuple[str, ...], clips: tuple[str, ...] = (),
    ) -> None:
        self.networks, self.config, self.ears, self.lips = list(networks), config, ears, lips
        self.speakers, self.clips = speakers, clips

    @classmethod
    def load(cls, path: Path | str = SHIPPED) -> MotionModel:
        """Read a checkpoint, or the run folder that holds it; the prior that ships unless told otherwise.

        Raises UserError when it is missing, damaged, or made for another face model.
        """
        path = checkpoint_of(path)
        state = checkpoint.load(path)
        with checkpoint.usable(path):
            return cls.from_state(state)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Everything that its networks hear."""
        return tuple(dict.fromkeys(name for inputs, _ in self.networks for name in inputs))

    def hears(self) -> tuple[str, ...]:
        """Those of `inputs` that this machine can hear."""
        absent = missing(self.inputs)
        return tuple(name for name in self.inputs if name not in absent)

    def knows(self, name: str, meta: Mapping[str, Any]) -> bool:
        """Whether it was trained on a subject: on a speaker of that name, or on the video that its subject.json names."""
        return name in self.speakers or meta.get("source", {}).get("sha256") in self.clips

    def chosen(self, heard: Heard) -> list[tuple[tuple[str, ...], MotionNetwork]]:
        """The networks that a sound is heard with: those with speech content, or else the rest.  Raises UserError for none."""
        able = [(inputs, network) for inputs, network in self.networks if set(inputs) <= set(heard)]
        if not able:
            raise UserError(f"the motion model hears {', '.join(self.inputs)}, the sound has {', '.join(heard)} alone")
        return [pair for pair in able if set(pair[0]) & set(CONTENT)] or able

    @torch.no_grad()
    def components(self, heard: Heard) -> np.ndarray:
        """The lips' components [T, K] of a whole sound, for a speaker of median amplitude: the networks' mean."""
        found = [network(self._rows(heard, inputs))[0].numpy() for inputs, network in self.chosen(heard)]
        return np.mean(found, 0) * (self.lips.amplitude * self.lips.unit)

    @torch.no_grad()
    def hidden(self, heard: Heard) -> np.ndarray:
        """The networks' last features side by side [T, N * width]."""
        found = [network.hidden(self._rows(heard, inputs))[0].numpy() for inputs, network in self.chosen(heard)]
        return np.concatenate(found, 1)

    def _rows(self, heard: Heard, inputs: Sequence[str]) -> torch.Tensor:
        return torch.from_numpy(self.ears.rows(heard, inputs))[None]

    def predict(self, heard: Heard, mean: np.ndarray | None = None) -> np.ndarray:
        """Expression [T, E] of a whole sound, float32, about a speaker's own mean [E], or the training speakers'."""
        return self.lips.expression(self.components(heard), self.lips.mean if mean is None else mean)

    def aperture(self, audio: np.ndarray) -> np.ndarray:
        """Opening of the lips in millimetres [T] at 25 fps, from mono 16 kHz sound [S], of a speaker of median amplitude."""
        return aperture(self.predict(hear(audio, self.hears())), embedded_head())

    def calibrate(self, heard: Heard, rows: np.ndarray, expression: np.ndarray) -> CalibratedMotion:
        """Fit to one speaker: a whole sound, and the tracked expression [n, E] of frames `rows` of it.

        Raises UserError for another number of expressions than the model was trained with.
        """
        if expression.shape[-1] != len(self.lips.mean):
            raise UserError(
                f"the motion model has {len(self.lips.mean)} expressions, the subject {expression.shape[-1]}; "
                "train another with: d3talker motion train"
            )
        mean = expression.mean(0, dtype=np.float64)
        wanted = self.lips.components(expression - mean)
        found, hidden = self.components(heard)[rows], self.hidden(heard)[rows].astype(np.float64)
        about = found.mean(0, dtype=np.float64)
        moves = np.square(found - about).sum()
        gain = float(np.clip(((found - about) * wanted).sum() / max(moves, 1e-9), *GAINS))
        center, spread = hidden.mean(0), hidden.std(0) + SPREAD_FLOOR
        hidden = (hidden - center) / spread
        gram = hidden.T @ hidden + RIDGE * len(hidden) * np.eye(hidden.shape[1])
        heard_with = Regression(center, spread, np.linalg.solve(gram, hidden.T @ wanted), np.zeros(wanted.shape[1]))
        tuned = self._tuned(heard, rows, wanted / (gain * self.lips.amplitude * self.lips.unit))
        drift = tuned.components(heard)[rows].mean(0, dtype=np.float64)
        return CalibratedMotion(self, tuple(heard), mean, about, gain, heard_with, tuned, drift)

    def _tuned(self, heard: Heard, rows: np.ndarray, wanted: np.ndarray) -> MotionModel:
        """Its networks fine-tuned on unit components [n, K] of frames `rows` of a sound, without those that do not hear it."""
        opening = self.lips.opening() * self.lips.unit
        networks = [
            (inputs, fine_tuned(network, self._rows(heard, inputs)[0], rows, wanted, opening))
            for inputs, network in self.chosen(heard)
        ]
        found = copy.copy(self)
        found.networks = networks
        return found

    def state(self) -> dict[str, Any]:
        """For a checkpoint; weights in half precision."""
        return {
            "networks": _weights(self.networks), "config": asdict(self.config), "ears": self.ears.state(),
            "lips": self.lips.state(), "speakers": list(self.speakers), "clips": list(self.clips),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> MotionModel:
        """Inverse of `state`."""
        config = from_dict(NetworkConfig, state["config"])
        return cls(
            _networks(state["networks"], config), config, Ears.from_state(state["ears"]), LipSpace.from_state(state["lips"]),
            tuple(state["speakers"]), tuple(state["clips"]),
        )


def _weights(networks: Sequence[tuple[tuple[str, ...], MotionNetwork]]) -> list[dict[str, Any]]:
    return [
        {"inputs": list(inputs), "weights": {k: v.half() for k, v in network.state_dict().items()}} for inputs, network in networks
    ]


def _networks(parts: Sequence[Mapping[str, Any]], config: NetworkConfig) -> list[tuple[tuple[str, ...], MotionNetwork]]:
    networks = []
    for part in parts:
        weights = {name: value.float() for name, value in part["weights"].items()}
        network = MotionNetwork(weights["inlet.0.weight"].shape[1], len(weights["outlet.bias"]), config)
        network.load_state_dict(weights)
        networks.append((tuple(part["inputs"]), network.eval()))
    return networks


@dataclass(frozen=True)
class CalibratedMotion:
    """Mean of three, each about the speaker's mean: the model's motion times one gain, a regression from its hidden features, and
    the motion of its networks fine-tuned on the speaker, times the gain.

    names: what was heard in calibration; mean [E] of the expression; about [K] and drift [K]: of the model's components and of the
    fine-tuned networks', on the speaker's frames.
    """

    model: MotionModel
    names: tuple[str, ...]
    mean: np.ndarray
    about: np.ndarray
    gain: float
    regression: Regression
    tuned: MotionModel
    drift: np.ndarray

    def predict(self, heard: Heard) -> np.ndarray:
        """A whole sound -> expression coefficients [T, E], float32.  Raises UserError where it lacks what was heard before."""
        if absent := set(self.names) - set(heard):
            raise UserError(f"motion was calibrated hearing {', '.join(self.names)}; the sound lacks {', '.join(sorted(absent))}")
        heard = {name: heard[name] for name in self.names}
        scaled = self.gain * (self.model.components(heard) - self.about)
        tuned = self.gain * (self.tuned.components(heard) - self.drift)
        found = (scaled + self.regression.predict(self.model.hidden(heard)) + tuned) / 3
        return self.model.lips.expression(found, self.mean)

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "model": self.model.state(), "names": list(self.names), "mean": self.mean.tolist(), "about": self.about.tolist(),
            "gain": self.gain, "regression": self.regression.state(), "tuned": _weights(self.tuned.networks),
            "drift": self.drift.tolist(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> CalibratedMotion:
        """Inverse of `state`.  Raises UserError for one that was calibrated by an earlier version."""
        if "tuned" not in state:
            raise UserError("its motion was calibrated by an earlier d3talker; train it again")
        model = MotionModel.from_state(state["model"])
        tuned = copy.copy(model)
        tuned.networks = _networks(state["tuned"], model.config)
        return cls(
            model, tuple(state["names"]), np.array(state["mean"]), np.array(state["about"]), float(state["gain"]),
            Regression.from_state(state["regression"]), tuned, np.array(state["drift"]),
        )


def checkpoint_of(path: Path | str) -> Path:
    """The model's file: `path` itself, or the one in that run folder."""
    path = Path(path)
    return path if path.suffix == ".safetensors" else path / CHECKPOINT


def motion_from_state(state: Mapping[str, Any]) -> CalibratedMotion | RidgeMotion:
    """The predictor whose `state` this is."""
    return CalibratedMotion.from_state(state) if "model" in state else RidgeMotion.from_state(state)
