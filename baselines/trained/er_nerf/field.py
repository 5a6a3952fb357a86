"""ER-NeRF's field: a tri-plane, where in it the sound and the eyes act, density, colour and uncertainty (network.py)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.trained.er_nerf.options import NetConfig
from baselines.trained.nerf.field import Code, Found, RadianceField, linear
from baselines.trained.shared.hearing import WINDOW
from d3talker.graphics.encoding import TriPlaneEncoder
from d3talker.graphics.render.sh import sh_basis
from d3talker.learning.encoders import AudioEncoder, mlp

BOUND = 0.25  # m, RAD-NeRF's bound 1
EYE_HIDDEN, UNCERTAINTY_HIDDEN = 16, 32
BASIS = 16  # spherical harmonics of a direction


class Attended(NamedTuple):
    """Of M places: encoding [M, 3 levels], audio attention [M, A], eye attention [M, 1], density's first layer [M, H]."""

    encoded: Tensor
    audio: Tensor
    eye: Tensor
    hidden: Tensor


class ERField(RadianceField):
    """Nets of ER-NeRF; all bias-free.

    audio attention f(x) -> [A] times the audio code; eye attention in (0, 1) times the eye signal; density
    exp(net(x, attended audio, attended eye)); colour of direction, density's features and the frame's code, a little beyond [0, 1].
    """

    def __init__(self, config: NetConfig, columns: int, frames: int) -> None:
        super().__init__()
        resolutions = config.base_resolution, config.desired_resolution
        self.encoder = TriPlaneEncoder(config.levels, 1, *resolutions, config.log2_table, BOUND)
        width, hidden, geometry = self.encoder.width, config.hidden, config.hidden
        self.audio = AudioEncoder(columns, config.audio, WINDOW)
        self.audio_attention = mlp(width, hidden, config.audio)
        self.eye_attention = mlp(width, EYE_HIDDEN, 1)
        self.density_net = mlp(width + config.audio + 1, hidden, hidden, 1 + geometry)
        self.colour_net = mlp(BASIS + geometry + config.individual, hidden, 3)
        self.uncertainty_net = mlp(width, UNCERTAINTY_HIDDEN, 1)
        self.individual = nn.Parameter(0.1 * torch.randn(frames, config.individual))

    def attended(self, positions: Tensor, code: Code) -> Attended:
        """Encoding, attentions and the first hidden layer; the three first layers are one product."""
        encoded = self.encoder(positions)
        layers = (linear(self.audio_attention, 0).weight, linear(self.eye_attention, 0).weight)
        by_place, by_sound, by_eye = linear(self.density_net, 0).weight.split([encoded.shape[1], len(code.audio), 1], 1)
        joint = F.linear(encoded, torch.cat([*layers, by_place]))
        a, e, hidden = joint.split([len(layers[0]), len(layers[1]), len(by_place)], 1)
        audio, eye = linear(self.audio_attention, 1)(a.relu()), torch.sigmoid(linear(self.eye_attention, 1)(e.relu()))
        # the density net's columns times the code: the same as its input times the code, but once a frame
        moved = F.linear(torch.cat([audio, eye], 1), torch.cat([by_sound * code.audio, by_eye * code.eye], 1))
        return Attended(encoded, audio, eye, (hidden + moved).relu())

    def density(self, positions: Tensor, code: Code) -> Tensor:
        hidden = linear(self.density_net, 1)(self.attended(positions, code).hidden).relu()
        return torch.exp(hidden @ linear(self.density_net, 2).weight[0])

    def shaded(self, place: Attended, along: Tensor, code: Code) -> tuple[Tensor, Tensor]:
        """sigma [M] and colour [M, 3]."""
        out = linear(self.density_net, 2)(linear(self.density_net, 1)(place.hidden).relu())
        shown, own = linear(self.colour_net, 0).weight.split([BASIS + out.shape[1] - 1, len(code.own)], 1)
        hidden = F.linear(torch.cat([sh_basis(3, along), out[:, 1:]], 1), shown, own @ code.own).relu()
        return torch.exp(out[:, 0]), torch.sigmoid(linear(self.colour_net, 1)(hidden)) * 1.002 - 0.001

    def found(self, positions: Tensor, along: Tensor, code: Code) -> Found:
        """values: colour and uncertainty [M, 4]; extras: norm of the audio attention, and the eye attention [M, 2]."""
        place = self.attended(positions, code)
        sigma, colour = self.shaded(place, along, code)
        values = torch.cat([colour, self.uncertainty(place.encoded)], 1)
        return Found(sigma, values, torch.cat([place.audio.norm(dim=1, keepdim=True), place.eye], 1))

    def uncertainty(self, encoded: Tensor) -> Tensor:
        """[M, 1], positive; no gradient reaches the planes."""
        return F.softplus(self.uncertainty_net(encoded.detach()))

    def felt(self, positions: Tensor) -> Tensor:
        """What is to be smooth: uncertainty, norm of the audio attention, eye attention, [M, 3]."""
        encoded = self.encoder(positions)
        eye = torch.sigmoid(self.eye_attention(encoded))
        return torch.cat([self.uncertainty(encoded), self.audio_attention(encoded).norm(dim=1, keepdim=True), eye], 1)

    def seen(self, positions: Tensor, along: Tensor, code: Code) -> tuple[Tensor, Tensor]:
        return self.shaded(self.attended(positions, code), along, code)
