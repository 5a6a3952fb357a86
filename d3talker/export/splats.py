"""The Gaussians of one frame with their spherical harmonics, activated, in head-fixed coordinates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from d3talker.graphics.options import REGIONS, Region
from d3talker.learning.fields import Deformation
from d3talker.method.driving import Drive
from d3talker.method.synthesis import TrainedTalker
from d3talker.method.talker import Talker, total


class Splats(NamedTuple):
    """means [N, 3] m; quats [N, 4] wxyz of unit length; scales [N, 3] m; opacities [N] in (0, 1); sh [N, K, 3]."""

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    sh: Tensor


@torch.no_grad()
def splats(talker: Talker, region: Region, delta: Deformation | None = None) -> Splats:
    """A region's Gaussians, static or deformed (eq. 8); drawn with any 3DGS renderer they are the talker's own picture."""
    g = talker.gaussians(region)
    delta = delta or Deformation(torch.zeros_like(g.means))
    quats = g.quats if delta.quats is None else g.quats + delta.quats
    sh: Tensor = g.sh
    if delta.sh is not None:
        sh = torch.cat([sh[:, :1] + delta.sh[:, None], sh[:, 1:]], 1)
    return Splats(g.means + delta.means, F.normalize(quats, dim=-1), g.scales(delta.scales), g.opacities(delta.opacities), sh)


@torch.no_grad()
def of_frame(trained: TrainedTalker, signals: Drive, index: int, shares: Mapping[str, float] | None = None) -> dict[Region, Splats]:
    """Both regions in frame `index`; shares: what each part of the deformation (general, individual, rig) is multiplied with."""
    talker, encoded = trained.talker, trained.talker.encode(signals.at(index))
    found = {}
    for region in REGIONS:
        parts = talker.deformations(region, encoded, trained.anchors[region])
        scaled = {name: part if shares is None else _times(part, shares.get(name, 1.0)) for name, part in parts.items()}
        found[region] = splats(talker, region, total(scaled))
    return found


def joined(parts: Mapping[Region, Splats]) -> Splats:
    """Both regions as one set, the face first."""
    return Splats(*(torch.cat(values) for values in zip(*(parts[region] for region in REGIONS if region in parts), strict=True)))


def _times(delta: Deformation, share: float) -> Deformation:
    means, *rest = delta
    return Deformation(means * share, *(None if value is None else value * share for value in rest))
