"""RAD-NeRF's and ER-NeRF's parts: sizes of the sheet, split layers against plain ones, losses, schedules and targets by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from baselines.trained.er_nerf import options as er_options
from baselines.trained.er_nerf import training as er_training
from baselines.trained.er_nerf.field import ERField
from baselines.trained.nerf import losses, targets
from baselines.trained.nerf.field import Code
from baselines.trained.nerf.training import RadianceTraining
from baselines.trained.rad_nerf import options as rad_options
from baselines.trained.rad_nerf.eyes import polygon_area
from baselines.trained.rad_nerf.field import RADField, TruncatedExp
from baselines.trained.rad_nerf.torso import TorsoNet, places_of, pose_code, torso_loss
from baselines.trained.rad_nerf.training import RADTraining
from d3talker.graphics.render.sh import sh_basis


def products(*nets: torch.nn.Module) -> int:
    """Multiply-adds of linear and convolution layers at one place."""
    return sum(p.numel() for net in nets for p in net.parameters() if p.dim() > 1)


def test_sizes_of_the_paper():
    """R's log says 3,024,277 parameters with 44 columns and 10,000 codes (ashawkey/RAD-NeRF#86); products as counted in the sheet."""
    rad = RADField(rad_options.PAPER.net, columns=44, frames=10_000)
    assert sum(p.numel() for p in rad.parameters()) == 3_024_277
    assert [products(net) for net in (rad.ambient_net, rad.density_net, rad.colour_net)] == [10_368, 12_416, 5_568]
    er = ERField(er_options.PAPER.net, columns=29, frames=10)
    assert er.encoder.table.numel() == 490_752 and er.encoder.width == 36
    nets = (er.eye_attention, er.audio_attention, er.density_net, er.colour_net)
    assert [products(net) for net in nets] == [592, 4_352, 12_672, 5_568] and products(er.uncertainty_net) == 1_184
    assert [level.dense for level in er.encoder.layout] == [True] * 4 + [False] * 8


def code(audio: int) -> Code:
    g = torch.Generator().manual_seed(0)
    return Code(*(torch.randn(width, generator=g) for width in (audio, 1, 4)))


def places(count: int = 50) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(1)
    along = torch.nn.functional.normalize(torch.randn(count, 3, generator=g), dim=-1)
    return 0.3 * (torch.rand(count, 3, generator=g) - 0.5), along


def test_er_nerf_equals_its_definition():
    torch.manual_seed(0)
    field = ERField(er_options.MINI.net, columns=9, frames=3)
    torch.nn.init.normal_(field.encoder.table)
    (positions, along), frame = places(), code(32)
    x = field.encoder(positions)
    audio, eye = field.audio_attention(x), torch.sigmoid(field.eye_attention(x))
    out = field.density_net(torch.cat([x, audio * frame.audio, eye * frame.eye], 1))
    colour = field.colour_net(torch.cat([sh_basis(3, along), out[:, 1:], frame.own.expand(50, 4)], 1))
    found = field.found(positions, along, frame)
    torch.testing.assert_close(found.sigma, out[:, 0].exp())
    torch.testing.assert_close(found.values[:, :3], torch.sigmoid(colour) * 1.002 - 0.001)
    torch.testing.assert_close(found.values[:, 3:], torch.nn.functional.softplus(field.uncertainty_net(x)))
    torch.testing.assert_close(found.extras, torch.cat([audio.norm(dim=1, keepdim=True), eye], 1))
    torch.testing.assert_close(field.density(positions, frame), found.sigma)
    torch.testing.assert_close(field.seen(positions, along, frame)[1], found.values[:, :3])
    torch.testing.assert_close(field.felt(positions), torch.cat([found.values[:, 3:], found.extras], 1))
    grad, = torch.autograd.grad(found.values[:, 3].sum(), field.encoder.table, allow_unused=True)
    assert not grad.any(), "the uncertainty teaches the planes nothing"


def test_rad_nerf_equals_its_definition():
    torch.manual_seed(0)
    field = RADField(rad_options.MINI.net, columns=9, frames=3)
    for grid in (field.encoder, field.ambient_encoder):
        torch.nn.init.normal_(grid.table)
    (positions, along), frame = places(), code(64)
    x = field.encoder(positions)
    ambient = torch.tanh(field.ambient_net(torch.cat([x, frame.audio.expand(50, 64)], 1)))
    out = field.density_net(torch.cat([x, field.ambient_encoder(ambient), frame.eye.expand(50, 1)], 1))
    colour = torch.sigmoid(field.colour_net(torch.cat([sh_basis(3, along), out[:, 1:], frame.own.expand(50, 4)], 1)))
    found = field.found(positions, along, frame)
    torch.testing.assert_close(found.sigma, out[:, 0].exp(), rtol=1e-3, atol=1e-3)  # the lookup magnifies a last bit
    torch.testing.assert_close(found.values, colour, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found.extras[:, 0], ambient.abs().sum(1))
    torch.testing.assert_close(field.density(positions, frame), found.sigma)
    grad, = torch.autograd.grad(found.values.sum(), field.ambient_net[4].weight)
    assert grad.abs().max() > 0, "the sound learns where to look"


def test_the_exponential_has_a_bounded_gradient():
    x = torch.tensor([-30.0, -1.0, 2.0, 30.0], requires_grad=True)
    grad, = torch.autograd.grad(TruncatedExp.apply(x).sum(), x)
    np.testing.assert_allclose(grad, np.exp([-15.0, -1, 2, 15]), rtol=1e-5)


def test_entropy_by_hand():
    assert losses.entropy(torch.tensor([0.5, 0.5])) == pytest.approx(1.0)
    assert losses.entropy(torch.tensor([0.25])) == pytest.approx(-0.25 * math.log2(0.25) - 0.75 * math.log2(0.75))
    assert 0 < losses.entropy(torch.tensor([0.0, 1.0])) < 1e-3


def test_er_nerf_losses_by_hand():
    picture, true = torch.tensor([[0.5, 0.5, 0.5], [0.0, 0, 0]]), torch.tensor([[0.2, 0.5, 0.5], [0.0, 0, 1]])
    np.testing.assert_allclose(er_training.squared(picture, true), [0.03, 1 / 3], rtol=1e-5)
    unsure, face = torch.tensor([0.5, 2.0]), torch.tensor([True, False])
    share = 2 * np.exp([0.5, 2]) / np.exp([0.5, 2]).sum()
    np.testing.assert_allclose(er_training.weighing(unsure, 0.25), 0.2 + 0.8 * (0.75 + 0.25 * share), rtol=1e-5)
    np.testing.assert_allclose(er_training.weighing(unsure, 0.0), [1, 1], rtol=1e-6)
    expected = (0.3 / (2 * 1.5**2) + math.log(1.5) ** 2 / 2 + 1e-3 * 2) / 2
    assert er_training.uncertainty_loss(unsure, picture, true, face) == pytest.approx(expected, rel=1e-5)
    extras = torch.tensor([[3.0, 8.0], [5.0, 4.0]], requires_grad=True)
    audio, eye = er_training.ambient(extras, face)
    assert audio.item() == pytest.approx(5 / 2) and eye.item() == pytest.approx(8 / 16 * 3 / 2)
    grad, = torch.autograd.grad(eye, extras)
    np.testing.assert_allclose(grad, [[0, 3 / 16 / 2], [0, 0]])


def clock(kind: type[RadianceTraining], options, stage: str, step: int):
    """What a training's schedule reads, without the training."""
    made = SimpleNamespace(options=options, stage=stage, step=step)
    made.done = RadianceTraining.done.fget(made)  # type: ignore[attr-defined]
    return kind.decay(made, made.done), made.done  # type: ignore[arg-type]


def test_schedules_are_shares_of_the_steps():
    """Sheet 0.5, 1.4 and 2.4: x 0.1 and x 0.5 over the head; in the lips stage 0.091 to 0.05."""
    for kind, options, end in ((er_training.ERTraining, er_options, 0.5), (RADTraining, rad_options, 0.1)):
        for preset in (options.PAPER, options.MINI):
            s = preset.schedule
            assert clock(kind, preset, "head", 0) == (1, 0)
            assert clock(kind, preset, "head", s.head)[0] == pytest.approx(end)
            assert clock(kind, preset, "lips", s.lips)[0] == pytest.approx(0.05)
        first, done = clock(kind, options.PAPER, "lips", 0)
        assert first == pytest.approx(0.091, abs=1e-3) and done == pytest.approx(0.8)


def test_every_frame_comes_once_an_epoch():
    made = SimpleNamespace(views=range(7), seed=3)
    order = [RadianceTraining.frame_of(made, step) for step in range(21)]  # type: ignore[arg-type]
    epochs = [order[k:k + 7] for k in (0, 7, 14)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs) and len({tuple(epoch) for epoch in epochs}) == 3


def test_targets_lie_in_the_picture():
    g = torch.Generator().manual_seed(0)
    landmarks = np.random.default_rng(0).uniform(-5, 70, (6, 68, 2))
    landmarks[0] = landmarks[0] * 0 + 30.0  # all points on one: no box may be empty
    for boxes in (targets.point_boxes(landmarks, range(68), (64, 48)), targets.lip_squares(landmarks, (64, 48))):
        assert (boxes[:, :2] >= 0).all() and (boxes[:, 2] <= 48).all() and (boxes[:, 3] <= 64).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
    points = np.full((1, 68, 2), 20.0)
    points[0, 48], points[0, 54], points[0, 51], points[0, 57] = (10, 32), (30, 32), (20, 28), (20, 36)
    points[0, 49:51] = points[0, 52:54] = points[0, 55:57] = points[0, 58:60] = (20, 32)
    assert targets.lip_squares(points, (64, 64)).tolist() == [[10, 22, 30, 42]]
    pixels, shape = targets.box_pixels(torch.tensor([3, 5, 6, 7]))
    assert pixels.tolist() == [[3, 5], [4, 5], [5, 5], [3, 6], [4, 6], [5, 6]] and shape == (1, 2, 3)
    pixels, shape = targets.patch_pixels(4, 32, (40, 48), g)
    assert shape == (4, 32, 32) and (pixels >= 0).all() and (pixels[:, 0] < 48).all() and (pixels[:, 1] < 40).all()
    assert (pixels.view(4, 32, 32, 2)[:, 1:, :, 1] - pixels.view(4, 32, 32, 2)[:, :-1, :, 1] == 1).all()
    assert targets.patch_pixels(2, 32, (20, 24), g)[1] == (2, 20, 20), "a picture smaller than a patch"
    assert targets.random_pixels(500, (4, 6), g).unique(dim=0).shape == (24, 2)


def test_small_squares_get_a_black_frame():
    pictures = torch.rand(2, 3, 20, 25)
    wide = losses.padded(pictures)
    assert wide.shape == (2, 3, 32, 32) and torch.equal(wide[:, :, :20, :25], pictures) and wide.sum() == pytest.approx(float(pictures.sum()))
    assert losses.padded(torch.rand(1, 3, 40, 40)).shape == (1, 3, 40, 40)
    assert losses.perceptual(None, torch.rand(6, 3), torch.rand(6, 3), (1, 2, 3)) == 0


def test_polygon_areas():
    square = np.array([[[0, 0], [4, 0], [4, 3], [0, 3]]], float)
    assert polygon_area(square) == 12 and polygon_area(square[:, ::-1]) == 12


def test_the_torso_net():
    """Sizes of the sheet (1.2), its coordinates, and a pose by hand."""
    torch.manual_seed(0)
    net = TorsoNet(rad_options.PAPER.net, frames=2)
    assert products(net.offset_net) == 104 * 64 + 64 * 64 + 64 * 2
    assert products(net.net) == 136 * 32 + 32 * 32 + 32 * 4 and len(net.encoder.table) == 555_520
    assert products(net.offset_net, net.net) == 16_384
    np.testing.assert_allclose(places_of(torch.tensor([[0, 0], [7, 3]]), (4, 8)), [[-0.75, -0.875], [0.75, 0.875]])
    angle = 0.3
    c2w = torch.eye(4)
    c2w[:3, :3] = torch.tensor([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])
    c2w[:3, 3] = torch.tensor([0.1, 0.0, 0.5])
    np.testing.assert_allclose(pose_code(torch.linalg.inv(c2w)), [0, 0, angle, 0.4, 0, 2], atol=1e-6)
    torso = net(torch.rand(9, 2), torch.randn(6), 1)
    back = torch.rand(9, 3)
    torch.testing.assert_close(torso.over(back), torso.colour * torso.alpha[:, None] + back * (1 - torso.alpha[:, None]))
    assert torso_loss(torso, back, torso.over(back), torch.tensor(2.0), 0.5).item() == pytest.approx(1.0)
