"""A finished RAD-NeRF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from baselines.trained.nerf.rendering import TrainedRadiance
from baselines.trained.nerf.training import CHECKPOINT
from baselines.trained.rad_nerf.eyes import eye_area
from baselines.trained.rad_nerf.field import RADField
from baselines.trained.rad_nerf.options import Options
from baselines.trained.rad_nerf.torso import TorsoNet, places_of, pose_code
from baselines.trained.shared.hearing import SoundDrive
from d3talker import checkpoint
from d3talker.graphics.layers import Camera
from d3talker.graphics.volume import pixel_grid
from d3talker.people.subject.layout import Frame, Subject


class TrainedRAD(TrainedRadiance):
    kind = Options

    def __init__(self, run: Path, options: Any, device: str) -> None:
        super().__init__(run, options, device)
        self.torso: TorsoNet | None = None
        self.background = torch.zeros(0)
        state = checkpoint.load(Path(run) / CHECKPOINT)
        if state["torso"] is not None:
            with checkpoint.usable(Path(run) / CHECKPOINT):
                self.torso = TorsoNet(self.own.net, state["frames"])
                self.torso.load_state_dict(state["torso"])
                self.background = (state["background"] / 255).to(self.device)
            self.torso.to(self.device).eval().requires_grad_(False)
            self.torso_mode = "synthesised"

    def new_field(self, options: Options, columns: int, frames: int) -> RADField:
        return RADField(options.net, columns, frames)

    def filmed(self, subject: Subject, frames: Sequence[Frame]) -> np.ndarray:
        return eye_area(subject, frames)

    @torch.no_grad()
    def _frame(self, drive: SoundDrive, index: int, camera: Camera, back: Tensor) -> Tensor:
        return super()._frame(drive, index, camera, back if self.torso is None else self._behind(self.torso, camera))

    def _behind(self, net: TorsoNet, camera: Camera) -> Tensor:
        """The torso over the background, [H, W, 3]."""
        size = camera.height, camera.width
        torso = net(places_of(pixel_grid(*size, self.device), size), pose_code(camera.viewmat))
        return torso.over(self.background.flatten(0, 1)).view(*size, 3)
