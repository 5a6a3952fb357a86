"""Coarse-to-fine network: shapes, identity at the start, bounds, sizes counted by hand and against GAGAvatar's."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from d3talker.errors import UserError
from d3talker.method.config import RefinerConfig
from d3talker.method.refiner import ModulatedConv, Refiner, channels, cost

SMALL = RefinerConfig(width=1 / 32)


def refiner(size: int = 64, seed: int = 0, width: float = 1 / 32) -> Refiner:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Refiner(size, RefinerConfig(width=width))


def images(count: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, size, size, 3, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=6, deadline=None)
@given(st.sampled_from([64, 128]), st.integers(1, 3), st.sampled_from([1 / 64, 1 / 32, 1 / 16]))
def test_untrained_it_is_the_identity_at_any_size_and_width(size, count, width):
    coarse = images(count, size)
    model = refiner(size, width=width)
    for mode in (True, False):
        assert torch.equal(model.train(mode)(coarse), coarse)


@pytest.mark.parametrize("size", [64, 128, 256, 512])
def test_a_level_for_each_halving_down_to_four(size):
    model = refiner(size, width=1 / 64)
    assert [2 ** len(level) * 4 for level in (model.down, model.up, model.to_rgb)] == [size] * 3


@pytest.mark.parametrize("size", [0, 32, 96, 1024])
def test_other_sizes_are_refused(size):
    with pytest.raises(UserError, match=f"not {size}"):
        Refiner(size, SMALL)


@pytest.mark.parametrize("shape", [(1, 64, 32, 3), (1, 3, 64, 64), (64, 64, 3)])
def test_another_shape_than_it_is_made_for_is_refused(shape):
    with pytest.raises(UserError, match="made for"):
        refiner()(torch.zeros(shape))


def test_a_width_of_nothing_is_refused():
    with pytest.raises(UserError, match=r"refiner\.width"):
        Refiner(64, RefinerConfig(width=0))


def awake(size: int = 64) -> Refiner:
    """A refiner whose residual is not zero any more."""
    model = refiner(size)
    generator = torch.Generator().manual_seed(1)
    for head in [model.first_rgb, *model.to_rgb]:
        head.conv.weight.data.normal_(std=3.0, generator=generator)
    return model


def test_the_result_is_bounded_and_the_same_twice():
    model, coarse = awake().eval(), images(2, 64)
    fine = model(coarse)
    assert torch.equal(fine, model(coarse)) and not torch.equal(fine, coarse)
    assert fine.min() >= 0 and fine.max() <= 1
    model.train()
    assert model(coarse).min() < 0  # out of range in training, where a clamp would swallow the gradient
    torch.testing.assert_close(model(coarse).clamp(0, 1), fine)


def test_images_of_a_batch_do_not_mix():
    model, coarse = awake(), images(3, 64)
    together = model(coarse)
    torch.testing.assert_close(together, torch.cat([model(one[None]) for one in coarse]), rtol=1e-4, atol=1e-5)


def test_gradient_reaches_every_parameter():
    model = awake()
    model(images(2, 64)).square().mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


@pytest.mark.parametrize("demodulate", [False, True])
def test_modulated_convolution_against_its_definition(demodulate):
    """StyleGAN2 eq. 1 and 3, one image at a time with weights of its own."""
    torch.manual_seed(0)
    layer = ModulatedConv(3, 5, 3, 4, demodulate).double()
    x, style = torch.randn(2, 3, 6, 7, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)
    expected = []
    for image, code in zip(x, style):
        weight = layer.weight * layer.modulation(code)[None, :, None, None]
        if demodulate:
            weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        expected.append(F.conv2d(image[None], weight, padding=1))
    torch.testing.assert_close(layer(x, style), torch.cat(expected))
    torch.testing.assert_close(layer(x[:1], style[:1]), expected[0])


def by_hand(size: int, width: float) -> tuple[int, int]:
    """Parameters and multiply-accumulates of the layout in the module's docstring, layer by layer."""
    parameters = macs = 0

    def conv(inputs: int, outputs: int, kernel: int, side: int, bias: bool = True) -> None:
        nonlocal parameters, macs
        parameters += inputs * outputs * kernel**2 + bias * outputs
        macs += inputs * outputs * kernel**2 * side**2

    def styled(inputs: int, outputs: int, kernel: int, side: int) -> None:
        conv(inputs, outputs, kernel, side)
        conv(style, inputs, 1, 1)
        if kernel == 3:  # the norm of the scaled weights
            conv(inputs, outputs, 1, 1, bias=False)
            nonlocal parameters
            parameters -= inputs * outputs

    def residual(inputs: int, outputs: int, before: int, after: int) -> None:
        conv(inputs, inputs, 3, before)
        conv(inputs, outputs, 3, after)
        conv(inputs, outputs, 1, after, bias=False)

    style = max(4, round(512 * width))
    sides = [4 * 2**k for k in range((size // 4).bit_length())]
    c = {side: channels(side, width) for side in sides}
    conv(3, c[size], 1, size)
    for coarse, fine in pairwise(sides):
        residual(c[fine], c[coarse], fine, coarse)
        residual(c[coarse], c[fine], coarse, fine)
        for _ in range(2):
            conv(c[fine], c[fine], 3, fine)
            conv(c[fine], 2 * c[fine], 3, fine)
        styled(2 * c[coarse], 2 * c[fine], 3, fine)
        styled(2 * c[fine], 2 * c[fine], 3, fine)
        styled(2 * c[fine], 3, 1, fine)
    conv(c[4], c[4], 3, 4)
    conv(c[4] * 16, style, 1, 1)
    for _ in range(8):
        conv(style, style, 1, 1)
    parameters += 2 * c[4] * 16
    styled(2 * c[4], 2 * c[4], 3, 4)
    styled(2 * c[4], 3, 1, 4)
    return parameters, macs


@pytest.mark.parametrize(("size", "width"), [(64, 1 / 16), (128, 1 / 32)])
def test_cost_against_a_count_by_hand(size, width):
    found = cost(refiner(size, width=width).eval(), repeats=1)
    parameters, macs = by_hand(size, width)
    assert (found.parameters, found.gmac) == (parameters, pytest.approx(macs / 1e9, rel=1e-9))
    assert found.milliseconds > 0


def test_full_width_at_512_is_gagavatars():
    """48.7 M parameters and 68.5 GMAC (reference protocol 4.5), whose stem reads 32 channels where ours reads 3."""
    parameters, macs = by_hand(512, 1.0)
    stem = (32 - 3) * 16
    assert parameters + stem == pytest.approx(48.7e6, rel=1e-3)
    assert macs + stem * 512**2 == pytest.approx(68.5e9, rel=1e-3)
