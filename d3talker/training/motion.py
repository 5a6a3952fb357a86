"""Training of the audio-to-motion network on several subjects, and its score on speakers that it never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from d3talker import checkpoint
from d3talker.config import from_dict
from d3talker.errors import UserError
from d3talker.motion.amplitude import aperture
from d3talker.motion.face import FaceModel
from d3talker.motion.head import embedded_head
from d3talker.motion.model import CHECKPOINT, MotionModel
from d3talker.motion.options import TrainingConfig
from d3talker.motion.temporal import MotionNetwork
from d3talker.progress import Bar
from d3talker.subject.layout import Subject
from d3talker.training.dataset import AudioStatistics

LIPS = slice(48, 68)
HELD_SHARE = 5  # of one subject alone, every fifth block of time is held out
BLOCK = 50  # frames
SPREAD_FLOOR = 0.02  # coefficients that hardly move must not weigh as much as the jaw


@dataclass(frozen=True)
class Speaker:
    """One identity: name, features [T, 16, C] of unit variance, expression [T, E]."""

    name: str
    features: np.ndarray
    expression: np.ndarray


def load_speaker(root: Path, feature_name: str) -> Speaker:
    """The training frames of a subject; its test frames stay unseen.  Raises UserError for what is missing."""
    subject = Subject(root)
    rows = np.array([frame.aud_id for frame in subject.frames("train")])
    features, expression = subject.features(feature_name), subject.expression()
    if rows.max() >= min(len(features), len(expression)):
        raise UserError(
            f"{root} has {len(features)} rows of features and {len(expression)} of expression, frame {rows.max()} is "
            "asked for; run d3talker prepare again"
        )
    return Speaker(subject.name, AudioStatistics.of(features[rows]).apply(features[rows]), expression[rows])


def divide(speakers: Sequence[Speaker], held_out: Sequence[str]) -> tuple[list[Speaker], list[Speaker]]:
    """Speakers to train on, and to score on: the named ones, by default the last; blocks of time for a single one."""
    names = [speaker.name for speaker in speakers]
    if len(set(names)) < len(names):
        raise UserError(f"two subjects have the same name ({', '.join(sorted(names))}); rename one folder")
    if unknown := set(held_out) - set(names):
        raise UserError(f"--held-out names {', '.join(sorted(unknown))}, none of the subjects {', '.join(names)}")
    if len(speakers) == 1:
        one = speakers[0]
        held = np.arange(len(one.features)) // BLOCK % HELD_SHARE == HELD_SHARE - 1
        if not held.any():
            raise UserError(f"{one.name} has {len(held)} training frames; a single subject needs {BLOCK * HELD_SHARE}")
        return [_part(one, ~held)], [_part(one, held)]
    held_names = set(held_out) or {names[-1]}
    train = [speaker for speaker in speakers if speaker.name not in held_names]
    if not train:
        raise UserError("--held-out names every subject; leave one to train on")
    return train, [speaker for speaker in speakers if speaker.name in held_names]


class MotionTraining:
    """The state of one training; `run` goes on from wherever it stands, on a CPU bit for bit."""

    def __init__(
        self, config: TrainingConfig, speakers: Sequence[Speaker], feature_name: str, out: Path, seed: int
    ) -> None:
        self.config, self.out, self.feature_name = config, out, feature_name
        self.names = [speaker.name for speaker in speakers]
        if short := [s.name for s in speakers if len(s.features) < config.window]:
            raise UserError(
                f"{short[0]} has fewer training frames than a window ({config.window}); leave it out, or lower "
                "--training.window"
            )
        self.data = [(torch.from_numpy(s.features), torch.from_numpy(s.expression)) for s in speakers]
        self.generator = torch.Generator().manual_seed(seed)
        columns, expressions = speakers[0].features.shape[-1], speakers[0].expression.shape[-1]
        face = embedded_head()
        if expressions != len(face.expression_names):
            raise UserError(
                f"{self.names[0]} was fitted with {expressions} expressions, the face model has "
                f"{len(face.expression_names)}; run d3talker prepare again"
            )
        self.lip_basis = lip_basis(face)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = MotionNetwork(columns, expressions, len(speakers), config.network)
        centred = torch.cat([e - e.mean(0) for _, e in self.data])
        self.network.spread.copy_(centred.std(0).clamp_min(SPREAD_FLOOR))
        with torch.no_grad():
            for mean, (_, expression) in zip(self.network.means, self.data, strict=True):
                mean.copy_(expression.mean(0) / self.network.spread)
        self.lip_scale = (centred @ self.lip_basis).std().item()
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        self.step = 0

    def run(self) -> MotionModel:
        """Train what is left; write and return the model."""
        self._resume()
        with Bar("audio-to-motion", self.config.steps, self.step) as bar:
            while self.step < self.config.steps:
                loss = self._train_step()
                bar.step(status=f"loss {loss:.3f}")
                if self.step % self.config.save_every == 0 or self.step == self.config.steps:
                    self._save()
        return self.model()

    def model(self) -> MotionModel:
        """The model as it stands, in evaluation mode."""
        return MotionModel(self.network.eval(), self.config.network, self.feature_name, tuple(self.names))

    def _train_step(self) -> float:
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * 0.5 * (1 + np.cos(np.pi * self.step / self.config.steps))
        features, wanted, means = self._batch()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**31, (), generator=self.generator)))  # dropout takes no generator
            found = self.network(features) + means[:, None]
        error = found - wanted / self.network.spread
        lips = (error * self.network.spread) @ self.lip_basis / self.lip_scale
        loss = error.square().mean() + self.config.lips * lips.square().mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.step += 1
        value = loss.item()
        if value != value:
            raise FloatingPointError(f"the loss became NaN at step {self.step}; lower --training.learning-rate")
        return value

    def _batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Windows of speakers drawn with equal chance: features with noise, expression, and the speakers' means."""
        c, g = self.config, self.generator
        who = torch.randint(len(self.data), (c.batch,), generator=g).tolist()
        features, wanted = [], []
        for speaker in who:
            rows, expression = self.data[speaker]
            first = int(torch.randint(len(rows) - c.window + 1, (), generator=g))
            features.append(rows[first:first + c.window])
            wanted.append(expression[first:first + c.window])
        x = torch.stack(features)
        x = x + c.noise * torch.randn(x.shape, generator=g)
        x = x + c.shift * torch.randn(c.batch, 1, 1, x.shape[-1], generator=g)
        return x, torch.stack(wanted), self.network.means[who]

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a training to go on."""
        return {"config": asdict(self.config), "speakers": self.names, "features": self.feature_name,
                "frames": [len(rows) for rows, _ in self.data]}

    def _save(self) -> None:
        checkpoint.save(self.out / CHECKPOINT, {
            **self.model().state(), "training": self._identity(), "step": self.step, "rng": self.generator.get_state(),
            "optimizer": [self.optimizer.state.get(p, {}) for g in self.optimizer.param_groups for p in g["params"]],
        })

    def _resume(self) -> None:
        path = self.out / CHECKPOINT
        if not path.exists():
            return
        state = checkpoint.load(path)
        kept = state["training"]
        if {**kept, "config": from_dict(TrainingConfig, kept["config"])} != {**self._identity(), "config": self.config}:
            raise UserError(f"{path} was trained on other subjects or with other options; give another --out")
        self.network.load_state_dict(state["network"])
        self.generator.set_state(state["rng"])
        self.step = state["step"]
        parameters = [p for g in self.optimizer.param_groups for p in g["params"]]
        for parameter, moments in zip(parameters, state["optimizer"], strict=True):
            if moments:
                self.optimizer.state[parameter] = moments


def lip_basis(face: FaceModel) -> Tensor:
    """[E, 60]: how each coefficient moves the lips' 20 landmarks, in millimetres, axes side by side."""
    return torch.from_numpy(face.landmark_basis()[2][:, LIPS].reshape(len(face.expression_names), -1) * 1000).float()


def score(predicted: np.ndarray, tracked: np.ndarray) -> Mapping[str, float | None]:
    """How well [T, E] follows the tracked [T, E]: correlation of lip aperture; its and all lip points' error in mm.

    The correlation is None where the lips of one side never move.
    The speaker's mean is taken out of the errors, since a new speaker's own is always at hand.
    """
    face = embedded_head()
    a, b = aperture(predicted, face), aperture(tracked, face)
    spread = a.std() * b.std()
    lips = ((predicted - predicted.mean(0)) - (tracked - tracked.mean(0))) @ lip_basis(face).numpy()
    return {
        "aperture_r": float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread > 1e-12 else None,
        "aperture_mm": float(np.abs((a - a.mean()) - (b - b.mean())).mean()),
        "lips_mm": float(np.sqrt(np.square(lips.reshape(len(lips), -1, 3)).sum(-1)).mean()),
    }


def evaluate(model: MotionModel, speakers: Sequence[Speaker]) -> dict[str, Mapping[str, float | None]]:
    """`score` on each speaker."""
    return {s.name: score(model.predict(s.features, s.expression.mean(0)), s.expression) for s in speakers}


def _part(speaker: Speaker, rows: np.ndarray) -> Speaker:
    return Speaker(speaker.name, speaker.features[rows], speaker.expression[rows])
