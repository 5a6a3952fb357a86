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
from d3talker.learning.optimisers import load_optimiser_state, optimiser_state
from d3talker.learning.scalars import Board
from d3talker.progress import Bar

Parts = dict[str, torch.Tensor]

LOG = "log.json"
LOG_EVERY = 25  # steps
LOG_SECONDS = 2.0  # between two writings of the log
SAVING_SHARE = 0.02  # of the time, at most, goes into checkpoints


def finished(path: Path, job: dict[str, Any], seed: int) -> float | None:
    """Seconds of the training of this job that `path` holds, None where it is not finished.

    Raises UserError when the checkpoint is another job's, and when it cannot be read.
    """
    if not path.exists():
        return None
    state = checkpoint.load(path)
    checkpoint.check_job(path, state.get("job"), {**job, "seed": seed})
    return float(state["seconds"]) if state["done"] else None


class Loop(ABC):
    """A sequence of stages, each a number of steps; `run` goes on from wherever the checkpoint stands.

    A checkpoint holds everything the next step depends on, so that an interrupted run ends, on a CPU, bit for bit where an
    uninterrupted one does.  `job` says what is trained, as plain data: a checkpoint of another job is refused.  Every LOG_EVERY
    steps the log takes what `train_step` and, where `measuring` is set, `measured` return: RUN/log.json, and TensorBoard's events.
    """

    title: str
    counted = "Gaussians"  # what `points` is a number of, in log and status; nothing if empty
    stages: tuple[str, ...]
    optimizer: Optimizer | None  # None in a stage whose `state` holds its own

    def __init__(
        self, out: Path, name: str, job: dict[str, Any], seed: int, save_seconds: float, device: torch.device,
        measuring: bool = False,
    ) -> None:
        self.device, self.measuring = device, measuring
        self.board = Board(out) if measuring else None
        self.out, self.path, self.job, self.save_seconds = out, out / name, {**job, "seed": seed}, save_seconds
        self.generator = torch.Generator().manual_seed(seed)
        self.splitting = torch.Generator().manual_seed(seed)  # density control's own: what it draws leaves the frames' order alone
        self.stage, self.step, self.seconds, self.points = self.stages[0], 0, 0.0, 0
        self.log: dict[str, Any] = {"stage": [], "step": [], "loss": {}}
        self.latest: torch.Tensor | None = None  # the last step's L1, on the device
        self.seen = float("nan")  # its value, when last looked at

    @abstractmethod
    def steps(self) -> int:
        """Steps of the present stage."""

    @abstractmethod
    def begin_stage(self) -> None:
        """Make the present stage's optimiser and density control."""

    @abstractmethod
    def train_step(self) -> Parts:
        """One step; returns the losses to log, "l1" among them."""

    def measured(self) -> Parts:
        """More to log after a step that is logged, which only looks: it draws no random number and changes nothing."""
        return {}

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
        self.saved, self.saving = time.monotonic(), 0.0
        self.told = self.saved
        for stage in self.stages[self.stages.index(self.stage):]:
            if stage != self.stage:
                self.stage, self.step = stage, 0
                self.begin_stage()
            with Bar(f"{self.title} {stage}", self.steps(), self.step) as bar:
                while self.step < self.steps():
                    bar.step(status=self._one_step())
                    if self._save_due() and self.step < self.steps():
                        self.save()
        self.save(done=True)
        if self.board is not None:
            self.board.close()

    def _save_due(self) -> bool:
        return time.monotonic() - self.saved >= max(self.save_seconds, self.saving / SAVING_SHARE)

    def _one_step(self) -> str:
        began, compiled = time.perf_counter(), compiled_seconds()
        check = self.checks()
        parts = self.train_step()
        self.step += 1
        self.latest = parts["l1"]
        if check:
            self._see()
        self.seconds += time.perf_counter() - began - (compiled_seconds() - compiled)
        if self.step % LOG_EVERY == 0:
            self._write_down(parts | (self.measured() if self.measuring else {}))
        return f"L1 {self.seen:.4f}" + (f", {self.points} {self.counted}" if self.counted else "")

    def _write_down(self, parts: Parts) -> None:
        """A row of the log; on the disk, for who looks on, every few seconds."""
        self.log["stage"].append(self.stages.index(self.stage))
        self.log["step"].append(self.step)
        if self.counted:
            parts = parts | {self.counted.lower(): torch.tensor(self.points)}
        for name in [*self.log["loss"], *(n for n in parts if n not in self.log["loss"])]:
            values = self.log["loss"].setdefault(name, [None] * (len(self.log["step"]) - 1))
            values.append(parts[name].item() if name in parts else None)
        if time.monotonic() - self.told >= LOG_SECONDS:
            self._tell()

    def _tell(self) -> None:
        write_json(self.out / LOG, self.log)
        if self.board is not None:
            self.board.show(self.log)
        self.told = time.monotonic()

    def logs(self) -> bool:
        """Whether the present step is logged, for what costs too much to compute at every one."""
        return (self.step + 1) % LOG_EVERY == 0

    def checks(self) -> bool:
        """Whether the present step looks for NaN: on CUDA one in LOG_EVERY, for to look is to wait for the card."""
        return self.device.type == "cpu" or self.logs()

    def _see(self) -> None:
        """Wait for the latest loss.  Raises UserError where it is NaN."""
        assert self.latest is not None
        began = time.perf_counter()
        self.seen = self.latest.item()
        self.waited = time.perf_counter() - began
        if self.seen != self.seen:
            raise UserError(
                f"the loss became NaN in {self.title} {self.stage}, by step {self.step}; lower the learning rates and run again, "
                f"{self.path} still holds the last good state"
            )

    def save(self, done: bool = False) -> None:
        """Write checkpoint and log; steps that are still under way on a card count as training."""
        if self.latest is not None:
            self._see()
            self.seconds += self.waited
        began = time.monotonic()
        self._tell()
        checkpoint.save(self.path, {
            "job": self.job, "stage": self.stage, "step": self.step, "seconds": self.seconds, "done": done,
            "points": self.points, "rng": self.generator.get_state(), "splitting": self.splitting.get_state(),
            "optimizer": [] if self.optimizer is None else optimiser_state(self.optimizer),
            "log": self.log, **self.state(),
        })
        self.saved = time.monotonic()
        self.saving = self.saved - began if self.save_seconds else 0.0

    def _resume(self) -> None:
        if not self.path.exists():
            self.begin_stage()
            return
        state = checkpoint.load(self.path)
        checkpoint.check_job(self.path, state.get("job"), self.job)
        with checkpoint.usable(self.path):
            self._take_over(state)

    def _take_over(self, state: dict[str, Any]) -> None:
        self.stage, self.step, self.seconds = state["stage"], state["step"], state["seconds"]
        self.stages.index(self.stage)  # raises ValueError for a stage of another version
        self.load(state)
        self.begin_stage()
        self.load_stage(state)
        if self.optimizer is not None:
            load_optimiser_state(self.optimizer, state["optimizer"])
        self.generator.set_state(state["rng"])
        self.splitting.set_state(state["splitting"])
        self.log, self.points = state["log"], state["points"]
