"""Coarse-to-Fine module (paper 3.4): a StyleUNet that adds what the rasteriser missed, at the resolution it came in.

Layout of GAGAvatar's neural renderer (style_unet.py; the paper names StyleUNet-based renderers and no more): a UNet
reads the coarse image, its 4x4 bottom gives one style code, each level of its way up scales and shifts (SFT) one level
of a StyleGAN2 decoder.  Ours has no noise injection, the decoder draws a residual that starts at zero, and the skips
join after enlarging, up to the stem's: fine detail would otherwise have to pass through half the resolution.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from d3talker.errors import UserError
from d3talker.method.config import RefinerConfig

SMALLEST, LARGEST = 64, 512  # sides
BOTTOM = 4  # side at which the way down ends and the decoder begins
UNET = {4: 256, 8: 256, 16: 256, 32: 256, 64: 128, 128: 64, 256: 32, 512: 16}  # GAGAvatar: channels by side
STYLE, STYLE_LAYERS = 512, 8  # GAGAvatar: width of the style code, depth of its MLP
NARROWEST = 4  # channels
SLOPE = 0.2
RESIDUAL = 0.1  # ours: without it the first steps of Adam spoil the picture


def channels(side: int, width: float) -> int:
    """Channels of the UNet at a level of `side` pixels; the decoder has twice as many."""
    return max(NARROWEST, round(UNET[side] * width))


class Refiner(nn.Module):
    """Coarse images [B, S, S, 3] in [0, 1] -> fine images of the same shape; untrained, it returns its input.

    S is a power of two from 64 to 512; the parameters belong to one S.  In training the result may leave [0, 1], so
    that no gradient is lost there; in evaluation it is clamped.
    """

    def __init__(self, size: int, config: RefinerConfig) -> None:
        super().__init__()
        check_size(size)
        if config.width <= 0:
            raise UserError(f"refiner.width is {config.width}; give a number above 0")
        self.size = size
        self.sides = [side for side in UNET if BOTTOM < side <= size]  # way up, coarse to fine
        wide = {side: channels(side, config.width) for side in UNET}
        style = max(NARROWEST, round(STYLE * config.width))
        self.stem = nn.Conv2d(3, wide[size], 1)
        self.down = nn.ModuleList(ResBlock(wide[s], wide[s // 2], 0.5) for s in reversed(self.sides))
        self.bottom = nn.Conv2d(wide[BOTTOM], wide[BOTTOM], 3, padding=1)
        self.to_style = nn.Sequential(nn.Linear(wide[BOTTOM] * BOTTOM**2, style), StyleMLP(style))
        self.up = nn.ModuleList(ResBlock(wide[s // 2], wide[s], 2) for s in self.sides)
        self.shape = nn.ModuleList(SFT(wide[s]) for s in self.sides)
        self.constant = nn.Parameter(torch.randn(1, 2 * wide[BOTTOM], BOTTOM, BOTTOM))
        self.first = StyleConv(2 * wide[BOTTOM], 2 * wide[BOTTOM], style)
        self.first_rgb = ToRGB(2 * wide[BOTTOM], style)
        self.enlarge = nn.ModuleList(StyleConv(2 * wide[s // 2], 2 * wide[s], style) for s in self.sides)
        self.refine = nn.ModuleList(StyleConv(2 * wide[s], 2 * wide[s], style) for s in self.sides)
        self.to_rgb = nn.ModuleList(ToRGB(2 * wide[s], style) for s in self.sides)

    def forward(self, coarse: Tensor) -> Tensor:
        if coarse.shape[1:] != (self.size, self.size, 3):
            raise UserError(f"this refiner is made for [B, {self.size}, {self.size}, 3], not {list(coarse.shape)}")
        fine = coarse + self.residual(coarse.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return fine if self.training else fine.clamp(0, 1)

    def residual(self, coarse: Tensor) -> Tensor:
        """What is added to the coarse images [B, 3, S, S], of their shape."""
        x = F.leaky_relu(self.stem(coarse), SLOPE)
        skips = [x]
        for block in self.down:
            x = block(x)
            skips.append(x)
        x = F.leaky_relu(self.bottom(x), SLOPE)
        style = self.to_style(x.flatten(1))
        x = x + skips.pop()
        out = self.first(self.constant.repeat(len(x), 1, 1, 1), style)
        rgb = self.first_rgb(out, style)
        levels = zip(self.up, self.shape, self.enlarge, self.refine, self.to_rgb, strict=True)
        for up, shape, enlarge, refine, to_rgb in levels:
            x = up(x) + skips.pop()
            scale, shift = shape(x)
            out = enlarge(resize(out, 2), style) * scale + shift
            out = refine(out, style)
            rgb = resize(rgb, 2) + to_rgb(out, style)
        return RESIDUAL * rgb

    def style_parameters(self) -> list[nn.Parameter]:
        """The style MLP, which learns slower than the rest."""
        return list(self.to_style[1].parameters())


class ResBlock(nn.Module):
    """Two 3x3 convolutions with a bilinear resize between them, and a 1x1 skip."""

    def __init__(self, inputs: int, outputs: int, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.conv1 = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.conv2 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = resize(F.leaky_relu(self.conv1(x), SLOPE), self.factor)
        return F.leaky_relu(self.conv2(out), SLOPE) + self.skip(resize(x, self.factor))


class SFT(nn.Module):
    """Spatial feature transform: a scale and a shift [B, 2C, S, S] for the decoder, from the UNet's [B, C, S, S]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale, self.shift = (
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(SLOPE, inplace=True),
                nn.Conv2d(width, 2 * width, 3, padding=1),
            )
            for _ in range(2)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return 1 + self.scale(x), self.shift(x)  # GFPGAN: a level starts unscaled


class StyleMLP(nn.Module):
    """Eight linear layers on the style code, brought to unit mean square first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(STYLE_LAYERS):
            linear = nn.Linear(width, width)
            nn.init.kaiming_normal_(linear.weight, a=SLOPE)
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.LeakyReLU(SLOPE, inplace=True)]
        self.layers = nn.Sequential(*layers)

    def forward(self, style: Tensor) -> Tensor:
        return self.layers(style * torch.rsqrt(style.square().mean(1, keepdim=True) + 1e-8))


class ModulatedConv(nn.Module):
    """StyleGAN2's convolution: weights scaled by the style per input channel, then of unit norm per output channel.

    For more than one image, inputs and outputs are scaled around one shared convolution, which is the same sum.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, style: int, demodulate: bool) -> None:
        super().__init__()
        self.demodulate = demodulate
        self.modulation = nn.Linear(style, inputs)
        nn.init.kaiming_normal_(self.modulation.weight, nonlinearity="linear")
        nn.init.ones_(self.modulation.bias)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel) / (inputs * kernel**2) ** 0.5)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale, padding = self.modulation(style), self.weight.shape[-1] // 2
        norm = scale.new_ones(len(x), self.weight.shape[0])
        if self.demodulate:
            norm = torch.rsqrt(scale.square() @ self.weight.square().sum((2, 3)).T + 1e-8)
        if len(x) == 1:  # a weight is smaller than an image
            return F.conv2d(x, self.weight * scale[..., None, None] * norm.T[..., None, None], padding=padding)
        return F.conv2d(x * scale[..., None, None], self.weight, padding=padding) * norm[..., None, None]


class StyleConv(nn.Module):
    """A demodulated 3x3 convolution, bias and activation; no noise."""

    def __init__(self, inputs: int, outputs: int, style: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, style, demodulate=True)
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        return F.leaky_relu(self.conv(x, style) * 2**0.5 + self.bias, SLOPE)


class ToRGB(nn.Module):
    """Features to one level's share of the residual; weights start at zero, so that the refiner starts as identity."""

    def __init__(self, inputs: int, style: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, 3, 1, style, demodulate=False)
        nn.init.zeros_(self.conv.weight)
        self.bias = nn.Parameter(torch.zeros(3, 1, 1))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        return self.conv(x, style) + self.bias


def resize(x: Tensor, factor: float) -> Tensor:
    """[B, C, H, W] -> [B, C, H * factor, W * factor]: bilinear, pixel edges aligned."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def fast_layout(refiner: Refiner) -> Refiner:
    """Its convolutions laid out channels last, as images are: a third to a half less time on a CPU."""
    for parameter in refiner.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return refiner


def check_size(size: int) -> None:
    """Raises UserError unless `size` is a power of two from 64 to 512."""
    if size not in UNET or not SMALLEST <= size <= LARGEST:
        sides = ", ".join(str(s) for s in UNET if s >= SMALLEST)
        raise UserError(
            f"the refiner works on square images of {sides} pixels, not {size}; make the subject so (d3talker prepare --size)"
        )


class Cost(NamedTuple):
    """Parameters; multiply-accumulates of one image in 1e9 (convolutions, linear layers); its milliseconds."""

    parameters: int
    gmac: float
    milliseconds: float


@torch.no_grad()
def cost(refiner: Refiner, repeats: int = 10) -> Cost:
    """Size and speed of a refiner where it lies: batch 1, synchronised, median after two unmeasured runs."""
    parameter = next(refiner.parameters())
    image = torch.rand(1, refiner.size, refiner.size, 3, device=parameter.device, dtype=parameter.dtype)
    with FlopCounterMode(display=False) as counter:
        refiner(image)
    refiner(image)
    times = []
    for _ in range(repeats):
        _synchronise(parameter.device)
        began = time.perf_counter()
        refiner(image)
        _synchronise(parameter.device)
        times.append(time.perf_counter() - began)
    parameters = sum(p.numel() for p in refiner.parameters())
    return Cost(parameters, counter.get_total_flops() / 2e9, 1e3 * sorted(times)[len(times) // 2])


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
