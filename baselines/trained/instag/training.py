"""InsTaG's adaptation to one person: face, mouth, then both fused (scripts/train_xx_few.sh:18-20)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from baselines.trained.instag.nets import Personal, hook, own
from baselines.trained.instag.options import InsTaGOptions
from baselines.trained.shared.head import Head, Moved
from baselines.trained.shared.head_training import HeadTraining
from baselines.trained.shared.motion_net import attention_colors
from baselines.trained.shared.pictures import Shot, motion_size
from d3talker.graphics.layers import Layer
from d3talker.graphics.options import REGIONS, Region
from d3talker.learning.fields import Anchors
from d3talker.learning.loop import Parts
from d3talker.learning.losses import geometry

CHECKPOINT = "instag.safetensors"
BACK = -0.07  # metres: IT train_face.py:314-315 prunes the face behind this depth
UNSHAPED = 100  # IT train_face.py:200-206: steps after a reset of opacity in which depth has no loss


def personal(head: Head, region: Region) -> Personal:
    """A region's personal network."""
    net = head.nets[own(region)]
    assert isinstance(net, Personal)
    return net


def asked(head: Head, region: Region, aligned: bool, moving: bool) -> tuple[Anchors, Tensor | None, Tensor | None]:
    """The universal net's anchors where the Motion Aligner has it asked, that shift [N, 3], and the scale of its motion."""
    means = head.of(region).means
    shift = scale = None
    if aligned:
        shift, scale = personal(head, region).align(means)
    places = means if shift is None else means + shift
    return head.net(region).field.anchors(places, moving=moving), shift, scale


class InsTaGTraining(HeadTraining):
    """The three stages of adaptation.  Nothing is frozen, and nothing stands still: a pre-trained net moves from step 1."""

    title, stages = "instag", ("face", "mouth", "fuse")
    options: InsTaGOptions
    pretrained = True  # else the universal nets learn at their whole rate from the start

    def begin_stage(self) -> None:
        super().begin_stage()
        with torch.no_grad():  # the face stands still in the other two stages
            self.face_anchors = self.head.net("face").field.anchors(self.head.of("face").means)
        for region in REGIONS:  # the fuse stage teaches colours and aligners
            self.head.net(region).requires_grad_(self.stage != "fuse")

    def move(self, region: Region, shot: Shot) -> Moved:
        if self.colours_alone():
            with torch.no_grad():
                return self._move(region, shot)
        return self._move(region, shot)

    def _move(self, region: Region, shot: Shot) -> Moved:
        aligned = self.stage == "fuse" or self.done >= self.options.personal.aligned_from
        anchors, shift, scale = asked(self.head, region, aligned, moving=self.stage != "fuse" or aligned)
        net = self.head.net(region)
        size: Tensor | float = 0.0 if shift is None else shift.abs().mean()
        if region == "mouth":
            heard = hook(self.head.net("face"), self.face_anchors, shot.signals.audio, self._rank())
            delta = net.move(anchors, net.hear(shot.signals), heard)
            return Moved(delta._replace(quats=None), size)
        delta = net.move(anchors, net.hear(shot.signals))
        if scale is not None:
            delta = delta._replace(means=delta.means * scale)
        return Moved(delta._replace(opacities=None), size + motion_size(delta), attention_colors(anchors))

    def _rank(self) -> int:
        h = self.options.hook
        return h.rank if self.stage == "fuse" else int(torch.randint(h.low, h.high + 1, (1,), generator=self.generator))

    def net_groups(self, region: Region) -> list[dict[str, Any]]:
        universal = self.head.net(region).net_groups(self.options.nets)
        return universal + personal(self.head, region).own_groups(self.options)

    def fuse_groups(self) -> list[dict[str, Any]]:
        return [group for region in REGIONS for group in personal(self.head, region).aligner_groups(self.options)]

    def net_factor(self, region: Region, done: float) -> float:
        s = self.options.schedule
        return s.held_rate if self.pretrained and done < s.held else 0.5**done

    def shaped(self) -> bool:
        return self.stage == "face" and self.priors is not None and self.done >= self.options.schedule.geometry_from

    def further_loss(self, layer: Layer, shot: Shot) -> tuple[Tensor | float, Parts]:
        if shot.prior is None:
            return 0.0, {}
        head = shot.head[..., 0]
        normals = torch.where(shot.head, shot.prior.normals, 0.0)
        depth = torch.where(head, shot.prior.depth, torch.nan)
        normal, deep = geometry(layer, normals, depth)
        w = self.options.loss
        loss = w.normal * normal
        if self.step % self.options.density.reset_every > UNSHAPED * self.options.density.every / 100:
            loss = loss + w.depth * deep
        return loss, {"normal": normal.detach(), "depth": deep.detach()}

    def behind(self, means: Tensor) -> Tensor | None:
        return means[:, 2] < BACK
