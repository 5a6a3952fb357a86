"""InsTaG's pre-training: universal nets and one personal network each, on several identities in turn.

Two stages (pretrain_face.py, pretrain_mouth.py); both leave the running mean of the universal nets for adaptation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from baselines.trained.instag.nets import Personal, hook, universal_nets
from baselines.trained.instag.options import InsTaGOptions, pretraining
from baselines.trained.instag.training import personal
from baselines.trained.shared.clip import Clip, camera_extent
from baselines.trained.shared.curriculum import Draw
from baselines.trained.shared.head import Head, Moved, resize
from baselines.trained.shared.head_training import HeadTraining
from baselines.trained.shared.motion_net import MotionNet, attention_colors
from baselines.trained.shared.pictures import Shot, motion_size
from baselines.trained.shared.rates import bent
from d3talker.errors import UserError
from d3talker.graphics.density import DensityControl
from d3talker.graphics.layers import Layer
from d3talker.graphics.options import REGIONS, Region
from d3talker.learning.loop import Parts
from d3talker.learning.losses import negative_contrast
from d3talker.learning.optimisers import gaussian_groups, optimiser

CHECKPOINT = "instag-pretrain.safetensors"


class InsTaGPretrainingRun(HeadTraining):
    """The training of one head a step: `head`, `clip`, `frames`, `extent` and `density` are those of the identity whose turn it is.

    Its checkpoint holds all of them, and `average`, the running mean.
    """

    title, stages = "instag pretrain", ("face", "mouth")
    options: InsTaGOptions

    def __init__(
        self, options: InsTaGOptions, heads: Sequence[Head], clips: Sequence[Clip], out: Path, seed: int, device: torch.device,
        job: dict[str, Any] | None = None,
    ) -> None:
        """heads: Gaussians and personal nets of each identity."""
        if len(heads) < 2:
            raise UserError("pre-training needs at least two identities, for its losses tell them apart; give more --subjects")
        super().__init__(pretraining(options), heads[0], clips[0], out, CHECKPOINT, seed, device, job)
        self.plain, self.decay = self.options, options.pretrain.ema
        self.mouth_static = options.pretrain.mouth_static
        self.heads, self.clips = [head.to(device) for head in heads], clips
        self.draws = [Draw(self.options.curriculum, clip.measures, clip.views.size, replacement=True) for clip in clips]
        self.extents = [camera_extent(clip.views) for clip in clips]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.universal = nn.ModuleDict(universal_nets(options, clips[0].drive.features.shape[-1])).to(device)
            self.average = nn.ModuleDict(universal_nets(options, clips[0].drive.features.shape[-1])).to(device)
        self.average.load_state_dict(self.universal.state_dict())
        self.average.requires_grad_(False)
        self.turn = 0

    def begin_stage(self) -> None:
        region, s = self.region, self.plain.schedule
        if region == "mouth":
            s = replace(s, static=self.mouth_static, regular_from=self.mouth_static)
        self.options = replace(self.plain, schedule=s)
        groups = self._universal(region).net_groups(self.options.nets)
        self.densities = []
        for head, extent in zip(self.heads, self.extents, strict=True):
            self.extent = extent
            groups += gaussian_groups(head.of(region), self.options.gaussians, extent)
            groups += personal(head, region).own_groups(self.options)
            self.densities.append(DensityControl(
                head.of(region), self.density_options(region), region, self.options.gaussians.max_points, self.steps()
            ))
        self.optimizer = optimiser(groups)

    def train_step(self) -> Parts:
        k = self.turn = int(torch.randint(len(self.heads), (1,), generator=self.generator))
        self.head, self.clip, self.frames = self.heads[k], self.clips[k], self.draws[k]
        self.extent, self.density = self.extents[k], self.densities[k]
        parts = super().train_step()
        pairs = zip(self._averaged().parameters(), self._universal(self.region).parameters(), strict=True)
        mean, now = zip(*((a, b.detach()) for a, b in pairs), strict=True)
        torch._foreach_lerp_(list(mean), list(now), 1 - self.decay)
        self.points = sum(head.of(self.region).means.shape[0] for head in self.heads)
        return parts

    def _universal(self, region: Region) -> MotionNet:
        net = self.universal[region]
        assert isinstance(net, MotionNet)
        return net

    def _averaged(self) -> MotionNet:
        """The mean of what learns in this stage."""
        net = self.average[self.region]
        assert isinstance(net, MotionNet)
        return net

    def move(self, region: Region, shot: Shot) -> Moved:
        """The universal and the personal motion, summed (IT gaussian_renderer/__init__.py:165-169, 314-316)."""
        self.shift: Tensor | None = None
        if self.done < self.options.schedule.static:
            return Moved(None)
        means, net, mine = self.head.of(region).means, self._universal(region), personal(self.head, region)
        anchors, own_anchors = (one.field.anchors(means, moving=True) for one in (net, mine))
        heard = None
        if region == "mouth":
            face = self.average["face"]
            assert isinstance(face, MotionNet)
            with torch.no_grad():
                still = face.field.anchors(self.head.of("face").means)
            heard = hook(face, still, shot.signals.audio, self.options.hook.rank)
        own = mine.move(own_anchors, mine.hear(shot.signals))
        summed = net.move(anchors, net.hear(shot.signals), heard) + own
        self.shift = own.means
        size = motion_size(summed) + motion_size(own)  # the official sum is formed in place, so that "universal" terms see it
        if region == "mouth":
            return Moved(summed._replace(quats=None), size)
        return Moved(summed._replace(opacities=None), size, attention_colors(anchors, own_anchors))

    def further_loss(self, layer: Layer, shot: Shot) -> tuple[Tensor | float, Parts]:
        """L_C: other identities' personal shift at these centres, for the same frame, must not point along the own one.

        For the face all others, for the mouth one drawn at random (pretrain_face.py:215-229, pretrain_mouth.py:212-223).
        """
        if self.shift is None:
            return 0.0, {}
        others = [k for k in range(len(self.heads)) if k != self.turn]
        if self.region == "mouth":
            others = [others[int(torch.randint(len(others), (1,), generator=self.generator))]]
        with torch.no_grad():
            means = self.head.of(self.region).means
            theirs = torch.stack([_alone(personal(self.heads[k], self.region), means, shot) for k in others])
        loss = negative_contrast(self.shift, theirs)
        return self.options.loss.negative * loss, {"negative": loss.detach()}

    def net_groups(self, region: Region) -> list[dict[str, Any]]:
        return []  # all groups are made together

    def net_factor(self, region: Region, done: float) -> float:
        s = self.options.schedule
        return bent(done, s.face_bend) if region == "face" else bent(done, s.mouth_bend, s.mouth_end)

    def state(self) -> dict[str, Any]:
        kept = super().state()
        return kept | {
            "model": None, "frames": [], "eyes": [], "density": [density.state() for density in self.densities],
            "names": [clip.name for clip in self.clips], "universal": self.universal.state_dict(),
            "average": self.average.state_dict(), "heads": [head.state_dict() for head in self.heads],
        }

    def load(self, state: dict[str, Any]) -> None:
        self.universal.load_state_dict(state["universal"])
        self.average.load_state_dict(state["average"])
        for head, kept in zip(self.heads, state["heads"], strict=True):
            for region in REGIONS:
                resize(head.of(region), kept, f"gaussians.{region}.")
            head.load_state_dict(kept)

    def load_stage(self, state: dict[str, Any]) -> None:
        for density, kept in zip(self.densities, state["density"], strict=True):
            density.load(kept)


def _alone(net: Personal, means: Tensor, shot: Shot) -> Tensor:
    """A personal network's shift [N, 3] of another identity's Gaussians, by its own encoders and gates."""
    return net.move(net.field.anchors(means), net.hear(shot.signals)).means
