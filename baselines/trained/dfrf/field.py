"""DFRF's field: what the references show of a sample is gathered in two slots, which condition a coarse and a fine NeRF."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.trained.dfrf.options import NetConfig
from baselines.trained.dfrf.references import POINT, POINT_LEVELS, FaceWarp, ReferenceEncoder, References, between, nearest, project
from baselines.trained.shared.hearing import WINDOW
from d3talker.graphics.encoding.grid import frequency
from d3talker.learning.encoders import AudioEncoder

SLOTS, ITERATIONS = 2, 2
PLACE = 32  # width of the aggregation's first net
DIRECTION_LEVELS = 4
DIRECTION = 3 * (1 + 2 * DIRECTION_LEVELS)
THINNEST = 1e-6  # added to every density (run_nerf_deform.py:404-430)
SKIP = 4  # the input comes again after this layer


class SlotAttention(nn.Module):
    """Slot attention (Locatello et al. 2020) of each sample over its references: 2 slots, 2 iterations (helpers:492-569)."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.place = nn.Sequential(nn.Linear(features + 2, PLACE), nn.ReLU(), nn.Linear(PLACE, PLACE))
        self.inputs = nn.Linear(features + 2 + POINT + PLACE, width)
        self.norm = nn.LayerNorm(width)
        self.key, self.value, self.query = (nn.Linear(width, width) for _ in range(3))
        self.mean, self.log_spread = nn.Parameter(torch.randn(1, 1, width)), nn.Parameter(torch.zeros(1, 1, width))
        self.update = nn.GRUCell(width, width)
        self.norm_slots, self.norm_out = nn.LayerNorm(width), nn.LayerNorm(width)
        self.out = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, features: Tensor, pixels: Tensor, coded: Tensor, noise: Tensor | None) -> Tensor:
        """features [R, M, C], pixels [R, M, 2], coded points [M, 63], noise [M, 2, W] of the slots -> [M, 2 W]."""
        seen = torch.cat([features, pixels], -1)
        here = torch.cat([seen, self.place(seen)], -1)
        count = seen.shape[-1]
        by_seen, by_point, by_place = self.inputs.weight.split([count, POINT, PLACE], 1)
        common = F.linear(coded, by_point, self.inputs.bias)  # the same for all references
        inputs = self.norm(F.leaky_relu(F.linear(here, torch.cat([by_seen, by_place], 1)) + common)).transpose(0, 1)
        key, value = self.key(inputs), self.value(inputs)
        slots = self.mean.expand(len(inputs), SLOTS, -1)
        if noise is not None:
            slots = slots + self.log_spread.exp() * noise
        for _ in range(ITERATIONS):
            query = self.query(self.norm_slots(slots))
            share = (query @ key.transpose(1, 2) * self.width**-0.5).softmax(1) + 1e-8  # over the slots
            share = share / share.sum(2, keepdim=True)  # then over the references
            found = self.update((share @ value).flatten(0, 1), slots.flatten(0, 1))
            slots = (found + self.out(self.norm_out(found))).view_as(slots)
        return slots.flatten(1)


class Nerf(nn.Module):
    """One radiance field (helpers:601-659): `depth` layers with the input again after SKIP, colour by the direction too."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        entering, width = 2 * config.slots + POINT + config.audio, config.width
        widths = [entering] + [width + (entering if k == SKIP else 0) for k in range(config.depth - 1)]
        self.layers = nn.ModuleList([nn.Linear(wide, width) for wide in widths])
        self.density = nn.Linear(width, 1)
        half = width // 2
        self.colour = nn.ModuleList([nn.Linear(width + DIRECTION, half), nn.Linear(half, half), nn.Linear(half, half)])
        self.shown = nn.Linear(half, 3)

    def forward(self, varying: Tensor, audio: Tensor, along: Tensor) -> tuple[Tensor, Tensor]:
        """Slots and coded points [M, 2 W + 63], audio code [A], coded directions [M, 27] -> sigma [M], colours [M, 3]."""
        hidden = varying
        for number, module in enumerate(self.layers):
            layer = cast(nn.Linear, module)
            again = number == SKIP + 1
            by_varying, by_sound, by_hidden = _parts(layer.weight, varying.shape[1], len(audio), number)
            if number == 0 or again:
                made = F.linear(varying, by_varying, layer.bias + by_sound @ audio)
                hidden = (made + F.linear(hidden, by_hidden) if again else made).relu()
            else:
                hidden = layer(hidden).relu()
        sigma = self.density(hidden)[:, 0].relu() + THINNEST
        shade = torch.cat([hidden, along], 1)
        for each in self.colour:
            shade = each(shade).relu()
        return sigma, torch.sigmoid(self.shown(shade))


def _parts(weight: Tensor, varying: int, audio: int, number: int) -> tuple[Tensor, ...]:
    """Columns of a layer for what varies, the sound, and the layer before it."""
    if number in (0, SKIP + 1):
        return weight.split([varying, audio, weight.shape[1] - varying - audio], 1)
    return weight, weight, weight


class Seen(NamedTuple):
    """Of M samples: density [M], colours [M, 3], offsets [R, M, 2] in pixels."""

    sigma: Tensor
    colours: Tensor
    offsets: Tensor


class DFRFField(nn.Module):
    """All nets of DFRF; references, warp and attention serve both fields."""

    def __init__(self, config: NetConfig, columns: int) -> None:
        super().__init__()
        self.scaled = config.scaled_pixels
        self.audio = AudioEncoder(columns, config.audio, WINDOW, seen=config.audio // 2)
        self.encoder = ReferenceEncoder(config.channels)
        self.warp = FaceWarp(config.channels[-1], config.audio)
        self.attention = SlotAttention(config.channels[-1], config.slots)
        self.coarse, self.fine = Nerf(config), Nerf(config)

    def seen(
        self, nerf: Nerf, points: Tensor, along: Tensor, audio: Tensor, references: References, noise: Tensor | None
    ) -> Seen:
        """points [M, 3] in metres, unit directions [M, 3], audio code [A]; noise [M, 2, W] of the slots, or None: their means."""
        coded = frequency(points, POINT_LEVELS)
        pixels = project(points, references)
        offsets = self.warp(coded, audio, nearest(references, pixels.detach()))
        features = between(references, pixels + offsets)
        height, width = references.size
        shown = pixels.round() / (pixels.new_tensor([width, height]) if self.scaled else 1)
        slots = self.attention(features, shown.flip(-1), coded, noise)  # row, column
        sigma, colours = nerf(torch.cat([slots, coded], 1), audio, frequency(along, DIRECTION_LEVELS))
        return Seen(sigma, colours, offsets)
