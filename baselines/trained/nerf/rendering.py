"""A finished RAD-NeRF or ER-NeRF, ready to render."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from baselines.trained.nerf.field import RadianceField, picture
from baselines.trained.nerf.training import CHECKPOINT
from baselines.trained.shared.hearing import Hearing, SoundDrive
from d3talker import checkpoint
from d3talker.errors import UserError
from d3talker.graphics.layers import Camera
from d3talker.graphics.volume import OccupancyGrid
from d3talker.learning.contract import Trained, device_named
from d3talker.options import from_dict
from d3talker.people.subject.layout import Frame, Subject


class TrainedRadiance(Trained):
    """Reads RUN/nerf.safetensors; eyes by the options' rule at test time."""

    kind: type  # of the options

    def __init__(self, run: Path, options: Any, device: str) -> None:
        """options: take the test-time ones from them, or the training's own.  Raises UserError for an unfinished or damaged run."""
        state = checkpoint.load(Path(run) / CHECKPOINT)
        if not state["done"]:
            raise UserError(f"{run} is not trained to its end; run the same training command again to go on")
        with checkpoint.usable(Path(run) / CHECKPOINT):
            self.own = own = from_dict(self.kind, state["options"])
            self.options = options or own
            self.device = device_named(device)
            self.seconds: float = state["seconds"]
            self.run, self.data = Path(run), state["job"]["data"]
            self.hearing = Hearing.from_state(state["hearing"])
            self.feature_name = self.hearing.feature_name
            self.field = self.new_field(own, self.hearing.columns, state["frames"])
            self.field.load_state_dict(state["field"])
            self.grid = OccupancyGrid(own.space.cells, own.space.halves)
            self.grid.load_state_dict(state["grid"])
        self.field.to(self.device).eval().requires_grad_(False)
        self.grid.to(self.device)
        self.notes: list[str] = list(state["notes"])
        if self.feature_name != "deepspeech":
            self.notes.append(f"Audio features: {self.feature_name}, where the paper has DeepSpeech's.")

    @abstractmethod
    def new_field(self, options: Any, columns: int, frames: int) -> RadianceField:
        """Nets of these options."""

    @abstractmethod
    def filmed(self, subject: Subject, frames: Sequence[Frame]) -> np.ndarray:
        """The video's own eye signal [T, 1]."""

    def drive(self, subject: Subject, frames: Sequence[Frame]) -> SoundDrive:
        filmed = self.filmed(subject, frames) if self.options.eyes == "video" else None
        return self.hearing.drive(subject, frames, self.options.eyes, filmed).to(self.device)

    def drive_by(self, subject: Subject, features: np.ndarray, sound: np.ndarray) -> SoundDrive:
        return self.hearing.drive_by(features, self.options.eyes).to(self.device)

    def stages(self) -> dict[str, Callable]:
        return {"volume": self._frame}

    @torch.no_grad()
    def _frame(self, drive: SoundDrive, index: int, camera: Camera, back: Tensor) -> Tensor:
        return picture(self.field, self.grid, self.field.code(*drive.at(index)), camera, back)
