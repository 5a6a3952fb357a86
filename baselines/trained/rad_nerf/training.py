"""RAD-NeRF's losses and schedule (utils.py:726-806)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.trained.nerf.field import Code, Drawn
from baselines.trained.nerf.losses import entropy, perceptual
from baselines.trained.nerf.targets import Target, box_pixels, point_boxes, random_pixels, target
from baselines.trained.nerf.training import RadianceTraining
from baselines.trained.rad_nerf.field import RADField
from baselines.trained.rad_nerf.torso import TorsoNet, places_of, pose_code, torso_loss
from d3talker.learning.loop import Parts
from d3talker.learning.staging import send
from d3talker.learning.views import image
from d3talker.people.subject.layout import Frame, Subject

NOSTRILS = range(31, 36)  # landmarks


class RADTraining(RadianceTraining):
    title, stages = "rad-nerf", ("head", "lips", "torso")
    field: RADField

    def __init__(self, options: Any, subject: Subject, frames: Sequence[Frame], *rest: Any) -> None:
        super().__init__(options, subject, frames, *rest)
        self.torso: TorsoNet | None = None
        if options.schedule.torso:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.seed)
                self.torso = TorsoNet(options.net, len(frames)).to(self.device)
            self.background = torch.from_numpy(subject.background())

    def begin_stage(self) -> None:
        if self.stage == "torso" and self.torso is not None:  # the head is done, the torso alone learns
            grid = list(self.torso.encoder.parameters())
            rest = [p for p in self.torso.parameters() if p is not grid[0]]
            rates = self.options.rates
            groups = [{"params": grid, "lr": rates.grid, "rate": rates.grid}, {"params": rest, "lr": rates.net, "rate": rates.net}]
            self.optimizer = self.new_optimiser(groups)
        else:
            super().begin_stage()

    def train_step(self) -> Parts:
        return super().train_step() if self.stage != "torso" else self._torso_step()

    def _torso_step(self) -> Parts:
        assert self.torso is not None and self.optimizer is not None
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * self.options.rates.head_end ** (self.step / self.steps())
        index, size = self.frame_of(self.step), self.views.size
        pixels = random_pixels(self.options.schedule.rays, size, self.generator)
        wanted = target(self.views, index, pixels, self.faces[index])
        back, = send([self.background[pixels[:, 1], pixels[:, 0]]], self.device)
        torso = self.torso(places_of(wanted.pixels, size), pose_code(self.views.viewmats[index]), index)
        loss = torso_loss(torso, image(back), wanted.back, entropy(torso.alpha), self.options.loss.entropy)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return {"l1": (torso.over(image(back)) - wanted.back).detach().abs().mean() + 0 * loss.detach(), "torso": loss.detach()}

    def state(self) -> dict[str, Any]:
        if self.torso is None:
            return {**super().state(), "torso": None}
        return {**super().state(), "torso": self.torso.state_dict(), "background": self.background}

    def load(self, state: dict[str, Any]) -> None:
        super().load(state)
        if self.torso is not None:
            self.torso.load_state_dict(state["torso"])

    def new_field(self, frames: int) -> RADField:
        return RADField(self.options.net, self.hearing.columns, frames)

    def face_boxes(self, landmarks: np.ndarray) -> Tensor:
        """The lower face: as wide as all landmarks, from the nostrils' top to the chin (provider.py:471-473)."""
        boxes = point_boxes(landmarks, range(68), self.views.size)
        boxes[:, 1] = point_boxes(landmarks, NOSTRILS, self.views.size)[:, 1].minimum(boxes[:, 3] - 1)
        return boxes

    def groups(self) -> list[dict[str, Any]]:
        rates = self.options.rates
        grids, attention, rest = self.parted(self.field.encoder, self.field.ambient_encoder)
        return [
            {"name": "grids", "params": grids, "lr": rates.grid}, {"name": "nets", "params": rest, "lr": rates.net},
            {"name": "audio attention", "params": attention, "lr": 5 * rates.net},
        ]

    def new_optimiser(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.Adam(groups, betas=(0.9, 0.99), eps=1e-15, fused=True)

    def grid_moves(self) -> bool:
        return self.stage == "head"  # main.py:127-129

    def looks_at_squares(self) -> bool:
        return self.step % 2 == 0  # the others are ordinary steps (utils.py:757-770)

    def loss(self, drawn: Drawn, wanted: Target, code: Code, done: float) -> tuple[Tensor, Parts]:
        weights = self.options.loss
        parts: Parts = {"mse": F.mse_loss(drawn.picture, wanted.true), "entropy": entropy(drawn.made.alpha)}
        parts["ambient"] = (drawn.made.extras[:, 0] * ~wanted.face).mean()
        loss = parts["mse"] + weights.entropy * parts["entropy"] + weights.ambient * min(done, 1.0) * parts["ambient"]
        return loss, {name: value.detach() for name, value in parts.items()}

    def lip_target(self, index: int) -> Target:
        pixels, shape = box_pixels(self.lips[index])
        return target(self.views, index, pixels, self.faces[index], shape)

    def lip_loss(self, drawn: Drawn, wanted: Target, code: Code, done: float) -> tuple[Tensor, Parts]:
        assert wanted.shape is not None
        loss, parts = self.loss(drawn, wanted, code, done)
        seen = perceptual(self.perceptual, drawn.picture, wanted.true, wanted.shape)
        return loss + self.options.loss.lips * seen, {**parts, "lpips": seen.detach()}
