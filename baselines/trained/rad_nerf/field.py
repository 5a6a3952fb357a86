"""RAD-NeRF's field: a grid in space, and a second one whose coordinates the sound moves (network.py)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.trained.nerf.field import Code, Found, RadianceField, linear
from baselines.trained.rad_nerf.options import NetConfig
from baselines.trained.shared.hearing import WINDOW
from d3talker.graphics.encoding.grid import GridEncoder
from d3talker.graphics.render.sh import sh_basis
from d3talker.learning.encoders import AudioEncoder, mlp

BOUND = 0.25  # m, RAD-NeRF's bound 1
BASIS = 16  # spherical harmonics of a direction
STEEPEST = 15.0  # of the exponential's gradient (activation.py:5-16)


class TruncatedExp(torch.autograd.Function):
    """exp, whose gradient is that of exp at no more than +-STEEPEST."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.exp()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        x, = ctx.saved_tensors
        return grad * x.clamp(-STEEPEST, STEEPEST).exp()


class RADField(RadianceField):
    """Nets of RAD-NeRF; all bias-free.

    ambient coordinates tanh(net(x, audio)) in the square +-1, where a second grid is looked up; density
    exp(net(x, ambient features, eye)); colour of direction, density's features and the frame's code.
    """

    def __init__(self, config: NetConfig, columns: int, frames: int) -> None:
        super().__init__()
        sizes = config.levels, 2, config.base_resolution, config.desired_resolution, config.log2_table
        self.encoder = GridEncoder(3, "tiled", *sizes, BOUND)
        self.ambient_encoder = GridEncoder(2, "tiled", *sizes, 1.0)
        width, hidden, geometry = self.encoder.width, config.hidden, config.hidden
        self.audio = AudioEncoder(columns, config.audio, WINDOW)
        self.ambient_net = mlp(width + config.audio, hidden, hidden, 2)
        self.density_net = mlp(2 * width + 1, hidden, hidden, 1 + geometry)
        self.colour_net = mlp(BASIS + geometry + config.individual, hidden, 3)
        self.individual = nn.Parameter(0.1 * torch.randn(frames, config.individual))

    def hidden(self, positions: Tensor, code: Code) -> tuple[Tensor, Tensor]:
        """Ambient coordinates [M, 2] and the density net's last hidden layer [M, H]; what is one for a frame enters as a bias."""
        encoded = self.encoder(positions)
        by_place, by_sound = linear(self.ambient_net, 0).weight.split([encoded.shape[1], len(code.audio)], 1)
        first = F.linear(encoded, by_place, by_sound @ code.audio).relu()
        ambient = torch.tanh(linear(self.ambient_net, 2)(linear(self.ambient_net, 1)(first).relu()))
        here, by_eye = linear(self.density_net, 0).weight.split([2 * encoded.shape[1], 1], 1)
        first = F.linear(torch.cat([encoded, self.ambient_encoder(ambient)], 1), here, by_eye @ code.eye).relu()
        return ambient, linear(self.density_net, 1)(first).relu()

    def density(self, positions: Tensor, code: Code) -> Tensor:
        return torch.exp(self.hidden(positions, code)[1] @ linear(self.density_net, 2).weight[0])

    def shaded(self, hidden: Tensor, along: Tensor, code: Code) -> tuple[Tensor, Tensor]:
        """sigma [M] and colour [M, 3]."""
        out = linear(self.density_net, 2)(hidden)
        shown, own = linear(self.colour_net, 0).weight.split([BASIS + out.shape[1] - 1, len(code.own)], 1)
        first = F.linear(torch.cat([sh_basis(3, along), out[:, 1:]], 1), shown, own @ code.own).relu()
        return TruncatedExp.apply(out[:, 0]), torch.sigmoid(linear(self.colour_net, 1)(first))

    def found(self, positions: Tensor, along: Tensor, code: Code) -> Found:
        """values: colour [M, 3]; extras: |a1| + |a2| of the ambient coordinates [M, 1]."""
        ambient, hidden = self.hidden(positions, code)
        return Found(*self.shaded(hidden, along, code), ambient.abs().sum(1, keepdim=True))

    def seen(self, positions: Tensor, along: Tensor, code: Code) -> tuple[Tensor, Tensor]:
        return self.shaded(self.hidden(positions, code)[1], along, code)
