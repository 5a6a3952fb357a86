"""ER-NeRF's losses and schedule (utils.py:751-876); s is the share of the steps so far."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.trained.er_nerf.field import BOUND, ERField
from baselines.trained.nerf.field import Code, Drawn
from baselines.trained.nerf.losses import entropy, perceptual
from baselines.trained.nerf.targets import Target, box_pixels, patch_pixels, point_boxes, target
from baselines.trained.nerf.training import RadianceTraining
from d3talker.graphics.volume.marching import LIMIT
from d3talker.learning.loop import Parts

SMOOTH_EVERY = 16  # steps
SMOOTH_REACH = 1e-3 * BOUND  # m
FIRM = 0.2  # share of the squared error that the uncertainty never weighs
GROWTH = 10.0  # the weighing goes no higher
RESTRAINT = 1e-3  # of the uncertainty outside the face's box


def squared(picture: Tensor, true: Tensor) -> Tensor:
    """Mean squared error of each ray [N]."""
    return (picture - true).square().mean(-1)


def weighing(uncertainty: Tensor, done: float) -> Tensor:
    """Weights [N] of the rays' squared errors: towards what is uncertain, as training goes on; no gradient."""
    share = uncertainty.detach().softmax(0) * len(uncertainty)
    return FIRM + (1 - FIRM) * ((1 - done) + done * share).clamp(0, GROWTH)


def uncertainty_loss(uncertainty: Tensor, picture: Tensor, true: Tensor, face: Tensor) -> Tensor:
    """Mean over rays of |error| / (2 b²) + ln² b / 2 with b = 1 + u inside the face's box, and 1e-3 u outside."""
    beta = 1 + uncertainty
    error = (picture - true).detach().norm(dim=-1)
    return torch.where(face, error / (2 * beta.square()) + beta.log().square() / 2, RESTRAINT * uncertainty).mean()


def ambient(made_extras: Tensor, face: Tensor) -> tuple[Tensor, Tensor]:
    """Audio attention outside the face's box, and inside it eye attention where the sound is attended to, which keeps its."""
    audio, eye = made_extras.unbind(1)
    return (audio * ~face).mean(), (eye / LIMIT * audio.detach() * face).mean()


class ERTraining(RadianceTraining):
    title = "er-nerf"
    field: ERField

    def new_field(self, frames: int) -> ERField:
        return ERField(self.options.net, self.hearing.columns, frames)

    def face_boxes(self, landmarks: Any) -> Tensor:
        return point_boxes(landmarks, range(68), self.views.size)

    def groups(self) -> list[dict[str, Any]]:
        rates = self.options.rates
        grid, attention, rest = self.parted(self.field.encoder)
        return [
            {"name": "grid", "params": grid, "lr": rates.grid, "weight_decay": 0.01},  # torch's default: the code names none
            {"name": "nets", "params": rest, "lr": rates.net, "weight_decay": 0.0},
            {"name": "audio attention", "params": attention, "lr": 5 * rates.net, "weight_decay": 1e-4},
        ]

    def new_optimiser(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(groups, betas=(self.options.rates.beta1, 0.99), eps=1e-8, fused=True)

    def eye(self, eye: Tensor) -> Tensor:
        noise = (2 * torch.rand(1, generator=self.generator) - 1) * self.options.eye_noise
        return eye + noise.to(eye)

    def loss(self, drawn: Drawn, wanted: Target, code: Code, done: float) -> tuple[Tensor, Parts]:
        weights = self.options.loss
        off, loss = squared(drawn.picture, wanted.true), drawn.picture.new_zeros(())
        parts: Parts = {"mse": off.mean().detach()}
        if weights.uncertainty:
            uncertainty = drawn.made.sums[:, 3]
            unsure = uncertainty_loss(uncertainty, drawn.picture, wanted.true, wanted.face)
            off, loss = off * weighing(uncertainty, done), weights.uncertainty * done * unsure
            parts["uncertainty"] = unsure.detach()
        loss = loss + off.mean() + self.restraints(drawn, wanted, done, parts)
        if self.step % SMOOTH_EVERY == 0 and len(drawn.samples.positions):
            parts["smoothness"] = self.smoothness(drawn.samples.positions)
            loss = loss + weights.smoothness * done * parts["smoothness"]
        return loss, {name: value.detach() for name, value in parts.items()}

    def smoothness(self, positions: Tensor) -> Tensor:
        """Squared differences of what `felt` gives at the samples and nearby."""
        shift = (2 * torch.rand(positions.shape, generator=self.generator) - 1).to(positions) * SMOOTH_REACH
        with torch.no_grad():
            here = self.field.felt(positions)
        return (self.field.felt(positions + shift) - here).square().mean(0).sum()

    def restraints(self, drawn: Drawn, wanted: Target, done: float, parts: Parts) -> Tensor:
        """Entropy and both ambient losses."""
        weights = self.options.loss
        parts["entropy"] = entropy(drawn.made.alpha)
        parts["audio_ambient"], parts["eye_ambient"] = ambient(drawn.made.extras, wanted.face)
        growing = weights.audio_ambient * parts["audio_ambient"] + weights.eye_ambient * parts["eye_ambient"]
        return weights.entropy * parts["entropy"] + done * growing

    @property
    def at_lips(self) -> bool:
        """Whether the present step of the lips stage looks at the lips, or at patches anywhere."""
        return self.step % 2 == 0

    def lip_target(self, index: int) -> Target:
        if self.at_lips:
            pixels, shape = box_pixels(self.lips[index])
        else:
            pixels, shape = patch_pixels(self.options.patches, self.options.patch_size, self.views.size, self.generator)
        return target(self.views, index, pixels, self.faces[index], shape)

    def lip_loss(self, drawn: Drawn, wanted: Target, code: Code, done: float) -> tuple[Tensor, Parts]:
        assert wanted.shape is not None
        weights = self.options.loss
        parts: Parts = {"mse": F.mse_loss(drawn.picture, wanted.true)}
        parts["lpips"] = perceptual(self.perceptual, drawn.picture, wanted.true, wanted.shape)
        weight = weights.lips if self.at_lips else weights.patches
        loss = parts["mse"] + weight * parts["lpips"] + self.restraints(drawn, wanted, done, parts)
        return loss, {name: value.detach() for name, value in parts.items()}
