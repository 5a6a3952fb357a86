"""The training loop of RAD-NeRF and ER-NeRF: head, then lips; one frame a step, and the occupancy grid beside it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from baselines.trained.nerf.field import Code, Drawn, RadianceField, draw
from baselines.trained.nerf.losses import load_perceptual
from baselines.trained.nerf.targets import Target, lip_squares, random_pixels, target
from baselines.trained.shared.hearing import Hearing
from d3talker.graphics.volume import OccupancyGrid, camera_rays
from d3talker.learning.loop import Loop, Parts
from d3talker.learning.views import load_views
from d3talker.people.subject.layout import Frame, Subject

CHECKPOINT = "nerf.safetensors"
BLIND = 2  # steps between two looks at the lips alone


class RadianceTraining(Loop):
    """What both share: `options` has the sections space and schedule, audio_noise and device."""

    stages: tuple[str, ...] = ("head", "lips")
    counted = "occupied cells"

    def __init__(
        self, options: Any, subject: Subject, frames: Sequence[Frame], hearing: Hearing, out: Path, seed: int, device: torch.device,
        job: dict[str, Any],
    ) -> None:
        super().__init__(out, CHECKPOINT, job, seed, options.schedule.checkpoint_seconds, device)
        self.options, self.hearing, self.seed = options, hearing, seed
        self.views = load_views(subject, frames, device)
        self.drive = hearing.trained(subject, frames).to(device)
        landmarks = subject.landmarks([frame.img_id for frame in frames])
        self.faces, self.lips = self.face_boxes(landmarks), lip_squares(landmarks, subject.size)
        self.perceptual, self.notes = load_perceptual(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # layers draw their first weights from the global generator
            self.field = self.new_field(len(frames)).to(device)
        self.grid = OccupancyGrid(options.space.cells, options.space.halves).to(device)
        self.grid.mark_unseen(self.views.viewmats, self.views.K)
        self.optimizer = None

    @abstractmethod
    def new_field(self, frames: int) -> RadianceField:
        """The nets, with a code for each training frame."""

    @abstractmethod
    def face_boxes(self, landmarks: Any) -> Tensor:
        """Boxes [T, 4] inside which the sound may act, of landmarks [T, 68, 2]."""

    @abstractmethod
    def groups(self) -> list[dict[str, Any]]:
        """Parameter groups with their rates."""

    @abstractmethod
    def new_optimiser(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """The method's optimiser."""

    @abstractmethod
    def loss(self, drawn: Drawn, wanted: Target, code: Code, done: float) -> tuple[Tensor, Parts]:
        """The loss of a step on rays anywhere."""

    @abstractmethod
    def lip_loss(self, drawn: Drawn, wanted: Target, code: Code, done: float) -> tuple[Tensor, Parts]:
        """The loss of a step on squares, `wanted.shape`, in the lips stage."""

    @abstractmethod
    def lip_target(self, index: int) -> Target:
        """What a step of the lips stage looks at."""

    def decay(self, done: float) -> float:
        """What rates are multiplied with after the share `done` of the head's steps, or in the lips stage of both."""
        rates = self.options.rates
        return rates.head_end**done if self.stage == "head" else rates.lips_end**done

    def parted(self, *grids: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter], list[nn.Parameter]]:
        """The field's parameters: of its grids, of the audio attention, and the others."""
        attention = [*self.field.audio.attention.parameters(), *self.field.audio.weights.parameters()]
        tables = [table for grid in grids for table in grid.parameters()]
        taken = {id(p) for p in (*attention, *tables)}
        return tables, attention, [p for p in self.field.parameters() if id(p) not in taken]

    def eye(self, eye: Tensor) -> Tensor:
        """A training frame's eye signal [1] on its way into the field."""
        return eye

    def steps(self) -> int:
        return getattr(self.options.schedule, self.stage)

    @property
    def done(self) -> float:
        """Share of the steps so far: of the head's in its stage, of both together in the lips' (main.py:216-217)."""
        s = self.options.schedule
        return self.step / s.head if self.stage == "head" else (s.head + self.step) / (s.head + s.lips)

    @property
    def passed(self) -> int:
        """Steps of both stages so far."""
        return self.step + (self.options.schedule.head if self.stage == "lips" else 0)

    def frame_of(self, step: int) -> int:
        """Which frame a step looks at: all of them in turn, shuffled anew each time (provider.py:729)."""
        epoch, place = divmod(step, len(self.views))
        shuffled = torch.randperm(len(self.views), generator=torch.Generator().manual_seed(self.seed * 1_000_003 + epoch))
        return int(shuffled[place])

    def begin_stage(self) -> None:
        if self.optimizer is None:  # the lips stage goes on with the head's moments, as the official codes do
            self.optimizer = self.new_optimiser([{**group, "rate": group["lr"]} for group in self.groups()])

    def code(self, index: int, noise: float) -> Code:
        """A training frame's code; noise: standard deviation on its audio features."""
        window, eye = self.drive.at(index)
        if noise:
            window = window + noise * torch.randn(window.shape, generator=self.generator).to(window)
        return self.field.code(window, self.eye(eye), index)

    @torch.no_grad()
    def update_grid(self) -> None:
        """One update with the signals of a random training frame."""
        space, number = self.options.space, self.passed // self.options.space.every
        index = int(torch.randint(len(self.views), (1,), generator=self.generator))
        code = self.code(index, 0.0)
        share = space.share if number >= space.whole else 1.0
        self.grid.update(lambda positions: self.field.density(positions, code), self.generator, share)
        self.points = int(self.grid.occupied.sum()) if self.device.type == "cpu" else 0

    def train_step(self) -> Parts:
        assert self.optimizer is not None
        if self.passed % self.options.space.every == 0 and self.grid_moves():
            self.update_grid()
        rates = self.decay(self.done)
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * rates
        index, looks = self.frame_of(self.passed), self.stage == "lips" and self.looks_at_squares()
        wanted = self.lip_target(index) if looks else self.anywhere(index)
        code = self.code(index, self.options.audio_noise)
        rays = camera_rays(self.views.viewmats[index], self.views.K, wanted.pixels)
        jitter = torch.rand(len(wanted.pixels), generator=self.generator).to(self.device)
        drawn = draw(self.field, self.grid, rays, code, wanted.back, jitter)
        loss, parts = (self.lip_loss if looks else self.loss)(drawn, wanted, code, self.done)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        off = (drawn.picture - wanted.true).detach().abs().mean()
        return {"l1": off + 0 * loss.detach(), **parts}  # a NaN anywhere in the loss shows

    def grid_moves(self) -> bool:
        """Whether the present stage updates the occupancy grid."""
        return True

    def looks_at_squares(self) -> bool:
        """Whether a step of the lips stage looks at squares."""
        return True

    def anywhere(self, index: int) -> Target:
        """Random pixels of a frame."""
        pixels = random_pixels(self.options.schedule.rays, self.views.size, self.generator)
        return target(self.views, index, pixels, self.faces[index])

    def state(self) -> dict[str, Any]:
        return {
            "options": asdict(self.options), "hearing": self.hearing.state(), "frames": len(self.views), "notes": self.notes,
            "field": self.field.state_dict(), "grid": self.grid.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        self.field.load_state_dict(state["field"])
        self.grid.load_state_dict(state["grid"])

    def load_stage(self, state: dict[str, Any]) -> None:
        """There is nothing beyond the optimiser."""
