"""A head of two branches: static Gaussians of face and mouth, and the nets that move them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from baselines.trained.shared.motion_net import MotionNet
from d3talker.graphics.gaussians import Gaussians
from d3talker.graphics.layers import Layer
from d3talker.graphics.options import REGIONS, GaussianConfig, Region
from d3talker.learning.fields import Deformation


class Moved(NamedTuple):
    """delta: what is applied, None where the region stands still; size: the loss on what the nets predicted; colors [N, 3]: the
    attentions, for the face alone (see `attention_colors`)."""

    delta: Deformation | None
    size: Tensor | float = 0.0
    colors: Tensor | None = None


class Head(nn.Module):
    """gaussians and nets by region; `nets` may hold further ones of a method."""

    def __init__(self, gaussians: Mapping[Region, Gaussians], nets: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.gaussians = nn.ModuleDict({str(region): part for region, part in gaussians.items()})
        self.nets = nn.ModuleDict(dict(nets))

    def of(self, region: Region) -> Gaussians:
        """The region's static Gaussians."""
        gaussians = self.gaussians[region]
        assert isinstance(gaussians, Gaussians)
        return gaussians

    def net(self, name: str) -> MotionNet:
        """A net by name."""
        net = self.nets[name]
        assert isinstance(net, MotionNet)
        return net

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Load parameters, whatever number of Gaussians they have."""
        for region in REGIONS:
            resize(self.of(region), state, f"gaussians.{region}.")
        self.load_state_dict(dict(state))


def resize(gaussians: Gaussians, state: Mapping[str, Tensor], prefix: str) -> None:
    """Give Gaussians as many rows as a checkpoint's have."""
    for name in gaussians.NAMES:
        setattr(gaussians, name, nn.Parameter(state[prefix + name].to(gaussians.means.device, copy=True)))


def no_gaussians(config: GaussianConfig, **kwargs: Any) -> Gaussians:
    """One Gaussian, to be resized by a checkpoint."""
    point = torch.full((1, 3), 0.01)
    return Gaussians(point, point, config.sh_degree, **kwargs)


def composed(face: Layer, mouth: Layer, back: Tensor, mouth_alpha: Tensor | None = None) -> Tensor:
    """Face over mouth over `back` [H, W, 3] (TG train_fuse.py:112-113).

    mouth_alpha: what hides the background in the mouth's stead.
    """
    hides = mouth.alpha if mouth_alpha is None else mouth_alpha
    return face.rgb + (1 - face.alpha) * (mouth.rgb + (1 - hides) * back)
