"""What both stages share: a resumable loop over regions, its random numbers, its log and its checkpoints."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from d3talker import checkpoint
from d3talker.errors import UserError
from d3talker.files import write_json
from d3talker.jit import compiled_seconds
from d3talker.progress import Bar
from d3talker.training.optimisers import load_optimiser_state, optimiser_state
from d3talker.training.pictures import Parts

LOG = "log.json"
LOG_EVERY = 25


class Loop(ABC):
    """A sequence of stages, each a number of steps; `run` goes on from wherever the checkpoint stands.

    A checkpoint holds everything the next step depends on, so that an interrupted run ends, on a CPU, bit for bit where an
    uninterrupted one does.
    """

    title: str
    stages: tuple[str, ...]
    optimizer: Optimizer | None  # None in a stage whose `state` holds its own

    def __init__(self, out: Path, name: str, seed: int, save_every: int) -> None:
        self.out, self.path, self.save_every = out, out / name, save_every
        self.generator = torch.Generator().manual_seed(seed)
        self.stage, self.step, self.seconds, self.points = self.stages[0], 0, 0.0, 0
        self.log: dict[str, Any] = {"stage": [], "step": [], "loss": {}}

    @abstractmethod
    def steps(self) -> int:
        """Steps of the present stage."""

    @abstractmethod
    def begin_stage(self) -> None:
        """Make the present stage's optimiser and density control."""

    @abstractmethod
    def train_step(self) -> Parts:
        """One step; returns the losses to log, "l1" among them."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold beyond the loop's own state."""

    @abstractmethod
    def load(self, state: dict[str, Any]) -> None:
        """Inverse of `state`, called with the stage set and before its optimiser is made."""

    @abstractmethod
    def load_stage(self, state: dict[str, Any]) -> None:
        """The part of `state` that needs the stage's optimiser and density control."""

    def run(self) -> None:
        """Train what is left.  Raises UserError when the loss becomes NaN: the last checkpoint stays good."""
        self._resume()
        for stage in self.stages[self.stages.index(self.stage):]:
            if stage != self.stage:
                self.stage, self.step = stage, 0
                self.begin_stage()
            with Bar(f"{self.title} {stage}", self.steps(), self.step) as bar:
                while self.step < self.steps():
                    bar.step(status=self._one_step())
                    if self.step % self.save_every == 0 and self.step < self.steps():
                        self.save()
        self.save(done=True)

    def _one_step(self) -> str:
        began, compiled = time.perf_counter(), compiled_seconds()
        parts = self.train_step()
        self.step += 1
        value = parts["l1"].item()
        self.seconds += time.perf_counter() - began - (compiled_seconds() - compiled)
        if value != value:
            raise UserError(
                f"the loss became NaN in {self.title} {self.stage}, step {self.step}; lower the learning rates and run again, "
                f"{self.path} still holds the last good state"
            )
        if self.step % LOG_EVERY == 0:
            self.log["stage"].append(self.stages.index(self.stage))
            self.log["step"].append(self.step)
            parts = parts | {"gaussians": torch.tensor(self.points)}
            for name in [*self.log["loss"], *(n for n in parts if n not in self.log["loss"])]:
                values = self.log["loss"].setdefault(name, [None] * (len(self.log["step"]) - 1))
                values.append(parts[name].item() if name in parts else None)
        return f"L1 {value:.4f}, {self.points} Gaussians"

    def save(self, done: bool = False) -> None:
        """Write checkpoint and log."""
        write_json(self.out / LOG, self.log)
        checkpoint.save(self.path, {
            "stage": self.stage, "step": self.step, "seconds": self.seconds, "done": done, "rng": self.generator.get_state(),
            "optimizer": [] if self.optimizer is None else optimiser_state(self.optimizer), "log": self.log, **self.state(),
        })

    def _resume(self) -> None:
        if not self.path.exists():
            self.begin_stage()
            return
        state = checkpoint.load(self.path)
        self.stage, self.step, self.seconds = state["stage"], state["step"], state["seconds"]
        self.load(state)
        self.begin_stage()
        self.load_stage(state)
        if self.optimizer is not None:
            load_optimiser_state(self.optimizer, state["optimizer"])
        self.generator.set_state(state["rng"])
        self.log = state["log"]
