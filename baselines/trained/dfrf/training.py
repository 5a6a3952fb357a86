"""DFRF's training: the base model on several people, and its fine-tuning on one with a fresh warp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from baselines.trained.dfrf.casting import Bundle, cast, offset_loss
from baselines.trained.dfrf.field import DFRFField
from baselines.trained.dfrf.options import Options
from baselines.trained.dfrf.people import Person, face_pixels
from baselines.trained.dfrf.references import gather
from d3talker import checkpoint
from d3talker.errors import UserError
from d3talker.files import sha256_file
from d3talker.graphics.volume.rays import directions
from d3talker.learning.loop import Loop, Parts
from d3talker.learning.staging import send
from d3talker.learning.views import image

CHECKPOINT, BASE = "nerf.safetensors", "base.safetensors"
BETAS, EPSILON = (0.9, 0.999), 1e-8  # torch's Adam
ATTENTION_RATE = 5.0


class DFRFTraining(Loop):
    """base: train on several people; else on one.  start: the base's nets, which fine-tuning goes on with, the warp apart."""

    title, stages, counted = "dfrf", ("train",), ""

    def __init__(
        self, options: Options, people: Sequence[Person], columns: int, out: Path, seed: int, device: torch.device,
        job: dict[str, Any], base: bool, kept: dict[str, Any], start: dict[str, Tensor] | None = None,
    ) -> None:
        """kept: plain data for the checkpoint, what test time needs beside the nets."""
        super().__init__(out, BASE if base else CHECKPOINT, job, seed, options.schedule.checkpoint_seconds, device)
        self.options, self.people, self.base, self.kept = options, people, base, kept
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.field = DFRFField(options.net, columns)
        if start is not None:  # run_nerf_deform.py:332-342 does not load the warp
            self.field.load_state_dict({**start, **{f"warp.{n}": v for n, v in self.field.warp.state_dict().items()}})
        self.field.to(device)

    def steps(self) -> int:
        return self.options.pretrain.base if self.base else self.options.schedule.tune

    def begin_stage(self) -> None:
        attention = [*self.field.audio.attention.parameters(), *self.field.audio.weights.parameters()]
        taken = {id(p) for p in attention}
        nets = [p for p in self.field.parameters() if id(p) not in taken]
        rate = self.options.rates.net
        groups = [{"params": nets, "lr": rate}, {"params": attention, "lr": ATTENTION_RATE * rate}]
        self.optimizer = torch.optim.Adam([{**g, "rate": g["lr"]} for g in groups], betas=BETAS, eps=EPSILON, fused=True)

    @property
    def smooth(self) -> bool:
        """Whether the audio code is the attended one; the attention gets no gradient before."""
        share = (self.options.pretrain if self.base else self.options.schedule).smooth_from
        return self.step >= share * self.steps()

    def train_step(self) -> Parts:
        assert self.optimizer is not None
        decay = 0.1 ** (self.step / (self.options.rates.decade * self.options.pretrain.base))
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * decay
        loss, parts = self._loss()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return {**parts, "l1": parts["l1"] + 0 * loss.detach()}  # a NaN anywhere in the loss shows

    def _loss(self) -> tuple[Tensor, Parts]:
        rays = self.options.rays
        person = self.people[int(torch.randint(len(self.people), (1,), generator=self.generator))]
        views = person.views
        index = int(torch.randint(len(views), (1,), generator=self.generator))
        pixels = face_pixels(rays.rays, rays.in_face, person.faces[index], views.size, self.generator)
        bundle, true = self._bundle(person, index, pixels)
        references = gather(self.field.encoder, *person.pictures(self._others(index, len(views))), views.K)
        made = cast(self.field, bundle, self._audio(person, index), references, (rays.coarse, rays.fine), self.generator)
        parts: Parts = {
            "mse": (made.fine - true).square().mean(), "coarse": (made.coarse - true).square().mean(), "offsets": offset_loss(made),
        }
        loss = parts["mse"] + parts["coarse"] + self.options.loss.offsets * parts["offsets"]
        parts = {**parts, "l1": (made.fine - true).abs().mean()}
        return loss, {name: value.detach() for name, value in parts.items()}

    def _bundle(self, person: Person, index: int, pixels: Tensor) -> tuple[Bundle, Tensor]:
        """Rays through pixels (on the host) of a frame, and their true colours [N, 3]."""
        view, (x, y) = person.views.host(index), pixels.unbind(-1)
        sent, true, back = send([pixels, view.image[y, x], view.back[y, x]], self.device)
        viewmat = person.views.viewmats[index]
        along = directions(viewmat, person.views.K, sent)
        origin = -viewmat[:3, 3] @ viewmat[:3, :3]
        return Bundle(origin, along, person.near, person.far, image(back)), image(true)

    def _others(self, index: int, count: int) -> list[int]:
        """Random other frames of the same person; all, over and over, where there are too few."""
        wanted = self.options.net.references
        others = torch.randperm(max(count - 1, 1), generator=self.generator).repeat(wanted)[:wanted]
        return [(index + 1 + int(k)) % count for k in others]

    def _audio(self, person: Person, index: int) -> Tensor:
        window, _ = person.drive.at(index)
        if self.options.audio_noise:
            window = window + self.options.audio_noise * torch.randn(window.shape, generator=self.generator).to(window)
        return audio_code(self.field, window, self.smooth)

    def state(self) -> dict[str, Any]:
        return {"options": asdict(self.options), "field": self.field.state_dict(), **self.kept}

    def load(self, state: dict[str, Any]) -> None:
        self.field.load_state_dict(state["field"])

    def load_stage(self, state: dict[str, Any]) -> None:
        """There is nothing beyond the optimiser."""


def audio_code(field: DFRFField, window: Tensor, smooth: bool) -> Tensor:
    """Audio window [8, 16, C] -> code [A]: of its middle frame alone, or attended."""
    return field.audio(window) if smooth else field.audio.alone(window[len(window) // 2][None])[0]


def load_base(folder: Path) -> dict[str, Any]:
    """A finished base model's checkpoint.  Raises UserError for an unfinished or damaged one."""
    state = checkpoint.load(folder / BASE)
    if not state["done"]:
        raise UserError(f"{folder} is not trained to its end; run the same pre-training again to go on")
    return state


def base_hash(folder: Path) -> str:
    """Of a base model's file.  Raises UserError where there is none."""
    if not (folder / BASE).is_file():
        raise UserError(f"{folder / BASE} does not exist; train the base model first")
    return sha256_file(folder / BASE)
