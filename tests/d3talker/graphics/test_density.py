"""Density control changes parameters and optimiser together, and keeps within its bounds."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from d3talker.graphics.density import DensityControl, screen_radii
from d3talker.graphics.gaussians import Gaussians, inverse_softplus, neighbour_distance
from d3talker.graphics.layers import Camera, Posed
from d3talker.learning.optimisers import gaussian_groups, optimiser
from d3talker.method.config import MINI

CONFIG = replace(MINI.density, start=0, every=1, grad_threshold=1.0, dense_size=0.02, reset_every=5)


@pytest.fixture
def scene() -> tuple[Gaussians, torch.optim.Optimizer, DensityControl]:
    torch.manual_seed(0)
    scales = torch.tensor([0.01] * 5 + [0.05] * 5)[:, None].expand(-1, 3)
    gaussians = Gaussians(torch.randn(10, 3) * 0.05, scales, 1)
    optimizer = optimiser(gaussian_groups(gaussians, MINI.gaussians))
    sum(getattr(gaussians, name).square().sum() for name in gaussians.NAMES).backward()
    optimizer.step()
    control = DensityControl(gaussians, CONFIG, "face", 100, 100)
    control.counts += 1
    return gaussians, optimizer, control


def aligned(gaussians: Gaussians, optimizer: torch.optim.Optimizer) -> None:
    count = gaussians.means.shape[0]
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for name in gaussians.NAMES:
        parameter = getattr(gaussians, name)
        assert parameter.shape[0] == count and id(parameter) in held
        assert optimizer.state[parameter]["exp_avg"].shape == parameter.shape


def test_small_ones_are_cloned_and_large_ones_split(scene) -> None:
    gaussians, optimizer, control = scene
    control.sums[[0, 7]] = 5.0
    before = {name: getattr(gaussians, name).detach().clone() for name in gaussians.NAMES}
    control.update(1, optimizer, torch.Generator().manual_seed(0))
    assert gaussians.means.shape[0] == 12
    aligned(gaussians, optimizer)
    assert torch.equal(gaussians.means[10], before["means"][0])  # the clone
    torch.testing.assert_close(gaussians.scales()[[7, 11]], gaussians.scales()[[7]].expand(2, -1))
    torch.testing.assert_close(gaussians.scales()[7], torch.nn.functional.softplus(before["raw_scales"][7]) / 1.6)
    assert not torch.equal(gaussians.means[7], before["means"][7]) and not torch.equal(gaussians.means[11], before["means"][7])
    untouched = [i for i in range(10) if i != 7]
    assert torch.equal(gaussians.means[untouched], before["means"][untouched])


def test_growth_stops_at_the_limit_and_takes_the_most_strained(scene) -> None:
    gaussians, optimizer, control = scene
    control.max_points = 12
    control.sums[:5] = torch.tensor([5.0, 9.0, 2.0, 7.0, 3.0])
    before = gaussians.means.detach().clone()
    control.update(1, optimizer, torch.Generator().manual_seed(0))
    assert torch.equal(gaussians.means[10:], before[[1, 3]])


def test_transparent_ones_are_pruned_but_never_all(scene) -> None:
    gaussians, optimizer, control = scene
    gaussians.raw_opacities.data[:4] = -9.0
    control.update(1, optimizer, torch.Generator())
    assert gaussians.means.shape[0] == 6
    aligned(gaussians, optimizer)
    gaussians.raw_opacities.data[:] = -9.0
    control.update(2, optimizer, torch.Generator())
    assert gaussians.means.shape[0] == 6


def test_opacity_is_reset_and_its_moments_with_it(scene) -> None:
    gaussians, optimizer, control = scene
    gaussians.raw_opacities.data[:] = 4.0
    control.update(5, optimizer, torch.Generator())
    torch.testing.assert_close(gaussians.opacities(), torch.full((10,), 0.01))
    assert optimizer.state[gaussians.raw_opacities]["exp_avg"].abs().max() == 0


def test_strain_is_the_gradient_of_the_screen_position() -> None:
    """Against autograd through the projection itself, in units of half the image."""
    torch.manual_seed(0)
    gaussians = Gaussians(torch.randn(6, 3) * 0.05, torch.full((6, 3), 0.01), 0)
    viewmat = torch.eye(4)
    viewmat[2, 3] = 1.0
    camera = Camera(viewmat, torch.tensor([[200.0, 0, 32], [0, 200.0, 32], [0, 0, 1]]), 64, 64)
    points = gaussians.means + torch.tensor([0, 0, 1.0])
    weights = torch.randn(6, 2)
    (points[:, :2] / points[:, 2:].detach() * 200 * weights).sum().backward()  # d loss / d pixel = weights
    control = DensityControl(gaussians, CONFIG, "face", 10, 10)
    control.observe(1, camera)
    torch.testing.assert_close(control.sums, weights.norm(dim=-1) * 32)


def test_scale_activation_inverts_and_neighbours_are_measured() -> None:
    values = torch.tensor([1e-4, 1e-2, 1.0])
    torch.testing.assert_close(torch.nn.functional.softplus(inverse_softplus(values)), values)
    line = torch.tensor([[float(i), 0, 0] for i in range(5)])
    assert neighbour_distance(line, 2)[2].item() == pytest.approx(1.0)


def test_the_opacity_threshold_rises_and_large_ones_go(scene) -> None:
    gaussians, optimizer, control = scene
    control.config = replace(CONFIG, every=10, reset_every=1000, opacity_rise=0.25, size_from=30, max_size=0.045)
    gaussians.raw_opacities.data[:] = torch.logit(torch.tensor([0.1, 0.2] + [0.9] * 8))
    control.update(10, optimizer, torch.Generator())  # 0.05 + 0.25 * 10 / 90 = 0.078
    assert gaussians.means.shape[0] == 10
    control.update(20, optimizer, torch.Generator())  # 0.106: the first goes, the large ones stay
    assert gaussians.means.shape[0] == 9
    control.radii[0] = 30.0
    control.update(30, optimizer, torch.Generator())  # 0.133: one by its radius, and five of 5 cm
    assert gaussians.means.shape[0] == 3 and gaussians.scales().max() < 0.045
    aligned(gaussians, optimizer)


def test_screen_radii_are_three_deviations_of_the_longer_axis() -> None:
    """A flat disc of 1 by 2 cm at 1 m and focal length 200: 4 px and 2 px, with 0.3 px² added."""
    camera = Camera(torch.eye(4), torch.tensor([[200.0, 0, 32], [0, 200.0, 32], [0, 0, 1]]), 64, 64)
    radii = screen_radii(torch.tensor([[0.0, 0, 1]]), torch.tensor([[1.0, 0, 0, 0]]), torch.tensor([[0.02, 0.01, 1e-4]]), camera)
    assert radii.tolist() == [math.ceil(3 * math.sqrt(16.3))]


def test_strain_of_drawn_centres_leaves_out_what_nets_send_back() -> None:
    gaussians = Gaussians(torch.randn(6, 3) * 0.05, torch.full((6, 3), 0.01), 0)
    camera = Camera(torch.eye(4), torch.tensor([[200.0, 0, 32], [0, 200.0, 32], [0, 0, 1]]), 64, 64)
    moved = gaussians.means + torch.tensor([0, 0, 1.0]) + 3 * gaussians.means  # as a net that reads the centres would
    moved.retain_grad()
    weights = torch.randn(6, 2)
    (moved[:, :2] / moved[:, 2:].detach() * 200 * weights).sum().backward()
    control = DensityControl(gaussians, CONFIG, "face", 10, 10)
    posed = Posed(moved, gaussians.quats, gaussians.scales(), gaussians.opacities(), gaussians.sh[:, 0])
    control.observe(1, camera, posed)
    torch.testing.assert_close(control.sums, weights.norm(dim=-1) * 32)


def test_bands_have_rates_of_their_own_and_are_drawn_one_by_one() -> None:
    gaussians = Gaussians(torch.zeros(2, 3), torch.full((2, 3), 0.01), 2)
    groups = {g["name"]: g["lr"] for g in gaussian_groups(gaussians, replace(MINI.gaussians, sh_rest_share=0.05))}
    assert groups["sh_rest"] == pytest.approx(groups["sh_dc"] / 20) and gaussians.sh.shape == (2, 9, 3)
    assert gaussians.degree == 2
    gaussians.shown = 1
    assert gaussians.degree == 1


def test_exponential_scales_are_split_as_exponential_scales() -> None:
    gaussians = Gaussians(torch.zeros(2, 3), torch.full((2, 3), 0.02), 0, activation="exp")
    torch.testing.assert_close(gaussians.raw_scales, torch.full((2, 3), 0.02).log())
    torch.testing.assert_close(gaussians.scales(torch.full((2, 3), 0.5)), torch.full((2, 3), 0.02) * math.exp(0.5))
