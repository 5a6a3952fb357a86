"""TalkingGaussian on one person: mouth, face, then both fused (scripts/train_xx.sh:8-10)."""

from __future__ import annotations

from typing import Any

import torch

from baselines.trained.shared.head import Head, Moved
from baselines.trained.shared.head_training import HeadTraining
from baselines.trained.shared.motion_net import MotionNet, attention_colors
from baselines.trained.shared.options import HeadOptions
from baselines.trained.shared.pictures import Shot, motion_size
from d3talker.graphics.options import Region

CHECKPOINT = "talkinggaussian.safetensors"


def build_nets(options: HeadOptions, columns: int) -> dict[str, MotionNet]:
    """The nets of both branches, which share nothing; columns: of the audio features."""
    n = options.nets
    return {
        "face": MotionNet("face", n, columns, n.hidden),
        "mouth": MotionNet("mouth", n, columns, n.mouth_hidden, ("means",), gated=False, eyes=False),
    }


def moved_by(head: Head, region: Region, shot: Shot, moving: bool) -> Moved:
    """How a region's net moves it; moving: the centres learn by that."""
    net = head.net(region)
    anchors = net.field.anchors(head.of(region).means, moving=moving)
    delta = net.move(anchors, net.hear(shot.signals))
    colors = attention_colors(anchors) if region == "face" and moving else None
    return Moved(delta._replace(opacities=None), motion_size(delta) if region == "face" else 0.0, colors)


class TalkingGaussianTraining(HeadTraining):
    """The three stages."""

    title, stages = "talkinggaussian", ("mouth", "face", "fuse")

    def move(self, region: Region, shot: Shot) -> Moved:
        if self.stage == "fuse":
            with torch.no_grad():
                return moved_by(self.head, region, shot, moving=False)
        if self.done < self.options.schedule.static:
            return Moved(None)
        if self.colours_alone():
            with torch.no_grad():
                return moved_by(self.head, region, shot, moving=False)
        return moved_by(self.head, region, shot, moving=True)

    def net_groups(self, region: Region) -> list[dict[str, Any]]:
        return self.head.net(region).net_groups(self.options.nets)
