"""DFRF's parts: sizes of the sheet, projection against the camera, lookups, slot attention against loops, split layers, boxes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from baselines.trained.dfrf import options
from baselines.trained.dfrf.casting import Bundle, Cast, cast, offset_loss
from baselines.trained.dfrf.field import SKIP, DFRFField, Nerf, SlotAttention
from baselines.trained.dfrf.people import face_pixels, reference_rows
from baselines.trained.dfrf.references import FaceWarp, ReferenceEncoder, References, between, gather, nearest, project
from baselines.trained.dfrf.rendering import passing
from d3talker.graphics.encoding.grid import frequency
from d3talker.graphics.volume.rays import directions


def products(*nets: torch.nn.Module) -> int:
    return sum(p.numel() for net in nets for name, p in net.named_parameters() if p.dim() > 1 and name not in ("mean", "log_spread"))


def cameras(count: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """World-to-camera matrices about a head 0.8 m away, and intrinsics of a 20 x 16 picture."""
    g = torch.Generator().manual_seed(seed)
    view = torch.diag(torch.tensor([1.0, -1, -1, 1])).repeat(count, 1, 1)
    view[:, :3, :3] = torch.linalg.qr(view[:, :3, :3] + 0.05 * torch.randn(count, 3, 3, generator=g)).Q
    view[:, :3, :3] *= torch.sign(torch.diagonal(view[:, :3, :3], dim1=1, dim2=2) * torch.tensor([1.0, -1, -1]))[:, None]
    view[:, :3, 3] = torch.tensor([0.01, 0.0, 0.8])
    return view, torch.tensor([[50.0, 0, 10], [0, 50, 8], [0, 0, 1]])


def references(channels: int = 5) -> References:
    view, K = cameras()
    return References(torch.randn(3, channels, 16, 20, generator=torch.Generator().manual_seed(1)), view, K)


def test_sizes_of_the_paper():
    """Products a sample and a pixel, as the sheet counts them (3.2)."""
    field = DFRFField(options.PAPER.net, columns=29)
    assert products(field.encoder) == 83_072 and products(field.warp) == 36_800
    assert products(field.coarse) == products(field.fine) == 724_480
    attention = field.attention
    assert products(attention.place, attention.inputs, attention.key, attention.value) == 66_752
    assert products(attention.query, attention.update, attention.out) == 147_456
    assert options.PAPER.rays.coarse == 64 and options.PAPER.rays.fine == 128 and options.PAPER.rays.test_fine == 64
    decay = 0.1 ** (1 / options.PAPER.rates.decade)
    assert decay == pytest.approx(0.1 ** (400_000 / 750_000))


def test_points_fall_where_the_camera_sees_them():
    """A ray through a pixel's centre projects back on it; pixels beyond the picture are its border's."""
    found = references()
    for n in range(3):
        view = found.viewmats[n]
        pixels = torch.tensor([[0, 0], [19, 15], [7, 4]])
        along = directions(view, found.K, pixels)
        points = -view[:3, 3] @ view[:3, :3] + 0.9 * along
        torch.testing.assert_close(project(points, found)[n], pixels.float(), atol=1e-3, rtol=0)
    assert project(torch.tensor([[5.0, 5.0, 0.0]]), found)[..., 0].unique().tolist() == [19.0]


def test_lookups():
    found = references()
    whole = torch.tensor([[3.0, 7], [19, 15], [0, 0]]).expand(3, 3, 2)
    expected = torch.stack([found.features[:, :, int(y), int(x)] for x, y in whole[0]], 1)
    torch.testing.assert_close(nearest(found, whole + 0.3 * torch.tensor([1.0, -1])), expected)
    torch.testing.assert_close(between(found, whole), expected, atol=1e-5, rtol=0)
    half = between(found, torch.tensor([[[3.5, 7.0]]]).expand(3, 1, 2))[:, 0]
    torch.testing.assert_close(half, (found.features[:, :, 7, 3] + found.features[:, :, 7, 4]) / 2, atol=1e-5, rtol=0)
    outside = between(found, torch.tensor([[[-4.0, 30.0]]]).expand(3, 1, 2))[:, 0]
    torch.testing.assert_close(outside, found.features[:, :, 15, 0], atol=1e-5, rtol=0)


def test_the_cameras_channels_enter_as_a_bias():
    torch.manual_seed(0)
    net, pictures, (view, K) = ReferenceEncoder((4, 5, 6)), torch.rand(3, 9, 8, 3), cameras()
    positions = torch.stack([torch.linalg.inv(v)[:3, 3] for v in view])
    coded = torch.cat([frequency(pictures, 5), frequency(positions, 5)[:, None, None].expand(-1, 9, 8, -1)], -1)
    plain = net.third(net.second(net.first(coded.permute(0, 3, 1, 2)).relu()).relu())
    got = gather(net, pictures, view, K)
    assert got.features.shape == (3, 6, 9, 8)
    torch.testing.assert_close(got.features[:, :, 2:-2, 2:-2], plain[:, :, 2:-2, 2:-2], atol=1e-5, rtol=1e-4)


def test_the_warp_starts_still_and_teaches_neither_sound_nor_features():
    torch.manual_seed(0)
    warp = FaceWarp(5, 4)
    coded, audio = torch.randn(6, 63), torch.randn(4, requires_grad=True)
    features = torch.randn(3, 6, 5, requires_grad=True)
    assert warp(coded, audio, features).abs().max() < 1e-4
    with torch.no_grad():
        for p in warp.parameters():
            p.normal_()
    offsets = warp(coded, audio, features)
    assert offsets.abs().max() == 10
    joint = torch.cat([coded.expand(3, -1, -1), audio.expand(3, 6, -1), features], -1)
    plain = warp.third(warp.second(warp.first(joint).relu()).relu()).clamp(-10, 10)
    torch.testing.assert_close(offsets, plain, atol=1e-4, rtol=1e-4)
    assert torch.autograd.grad(offsets.sum(), (audio, features), allow_unused=True) == (None, None)


def test_slot_attention_equals_loops():
    torch.manual_seed(0)
    net = SlotAttention(5, 12)
    features, pixels, coded = torch.randn(3, 4, 5), torch.randn(3, 4, 2), torch.randn(4, 63)
    noise = torch.randn(4, 2, 12)
    got = net(features, pixels, coded, noise)
    for m in range(4):
        rows = []
        for r in range(3):
            seen = torch.cat([features[r, m], pixels[r, m]])
            rows.append(net.norm(F.leaky_relu(net.inputs(torch.cat([seen, coded[m], net.place(seen)])))))
        slots = [net.mean[0, 0] + net.log_spread[0, 0].exp() * noise[m, s] for s in range(2)]
        for _ in range(2):
            scores = torch.stack([
                torch.stack([net.query(net.norm_slots(slot)) @ net.key(row) / math.sqrt(12) for row in rows]) for slot in slots
            ])
            share = scores.softmax(0) + 1e-8
            share = share / share.sum(1, keepdim=True)
            new = []
            for s in range(2):
                update = sum(share[s, r] * net.value(rows[r]) for r in range(3))
                slot = net.update(update[None], slots[s][None])[0]
                new.append(slot + net.out(net.norm_out(slot)))
            slots = new
        torch.testing.assert_close(got[m], torch.cat(slots), atol=1e-5, rtol=1e-4)
    assert torch.equal(net(features, pixels, coded, None), net(features, pixels, coded, 0 * noise))


def test_the_radiance_field_equals_its_definition():
    torch.manual_seed(0)
    net = Nerf(options.TINY.net)
    varying, audio, along = torch.randn(7, 16 + 63), torch.randn(8), torch.randn(7, 27)
    entering = torch.cat([varying, audio.expand(7, 8)], 1)
    hidden = entering
    for number, layer in enumerate(net.layers):
        hidden = layer(torch.cat([entering, hidden], 1) if number == SKIP + 1 else hidden).relu()
    sigma, colours = net(varying, audio, along)
    torch.testing.assert_close(sigma, net.density(hidden)[:, 0].relu() + 1e-6)
    shade = torch.cat([hidden, along], 1)
    for layer in net.colour:
        shade = layer(shade).relu()
    torch.testing.assert_close(colours, torch.sigmoid(net.shown(shade)))


def test_casting_ends_in_the_background_and_is_still_without_a_generator():
    torch.manual_seed(0)
    net = options.TINY.net
    field = DFRFField(net, columns=9)
    view, K = cameras(2)
    found = gather(field.encoder, torch.rand(2, 16, 20, 3), view, K)
    back, audio = torch.rand(5, 3), torch.randn(net.audio)
    along = directions(view[0], K, torch.tensor([[4, 4], [5, 5], [6, 6], [7, 7], [8, 8]]))
    bundle = Bundle(-view[0, :3, 3] @ view[0, :3, :3], along, 0.6, 1.2, back)
    with torch.no_grad():
        for nerf in (field.coarse, field.fine):
            nerf.density.weight.zero_()
            nerf.density.bias.fill_(-1)
        made = cast(field, bundle, audio, found, (6, 4), None)
        torch.testing.assert_close(made.fine, back, atol=1e-4, rtol=0)  # nothing there: 1e-6 a metre
        assert made.offsets.shape == (2, 5, 10, 2) and made.depths.shape == (5, 10)
        for nerf in (field.coarse, field.fine):
            nerf.density.bias.fill_(300.0)
        one, other = (cast(field, bundle, audio, found, (6, 4), None) for _ in range(2))
        assert torch.equal(one.fine, other.fine) and (one.fine - back).abs().max() > 0.05
        g = torch.Generator().manual_seed(0)
        assert not torch.equal(cast(field, bundle, audio, found, (6, 4), g).fine, one.fine)


def test_the_offset_loss_by_hand():
    weights, depths = torch.tensor([[0.5, 2.0]], requires_grad=True), torch.tensor([[0.8, 0.9]])
    offsets = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]], requires_grad=True)
    made = Cast(torch.zeros(1, 3), torch.zeros(1, 3), weights, depths, offsets)
    assert offset_loss(made).item() == pytest.approx((1 + 4) * (1 - 0.4) / 4)
    assert torch.autograd.grad(offset_loss(made), weights, allow_unused=True) == (None,)


def test_references_lie_inside_the_budget():
    assert reference_rows(300, 4) == [50, 100, 150, 200] and reference_rows(300, 6) == [50, 100, 150, 200, 250, 0]
    assert reference_rows(125, 4) == [50, 100, 25, 75]
    assert all(row < frames for frames in (1, 3, 60) for row in reference_rows(frames, 4))


def test_most_rays_are_of_the_face():
    box = torch.tensor([4, 6, 14, 12])
    pixels = face_pixels(1000, 0.95, box, (40, 60), torch.Generator().manual_seed(0))
    inside = ((pixels >= box[:2]) & (pixels < box[2:])).all(1)
    assert 950 <= inside.sum() < 975 and (pixels >= 0).all() and pixels[:, 0].max() < 60 and pixels[:, 1].max() < 40
    assert pixels[:950].unique(dim=0).shape[0] == 60


def test_rays_that_pass_the_head():
    origin = torch.tensor([0.0, 0, 1])
    along = torch.tensor([[0.0, 0, -1], [0.1, 0, -1], [0.3, 0, -1], [0, 0.3, -2]])
    misses = [0, 0.1 / math.hypot(0.1, 1), 0.3 / math.hypot(0.3, 1), 0.3 / math.hypot(0.3, 2)]
    assert passing(origin, along, 0.16).tolist() == [n for n, miss in enumerate(misses) if miss < 0.16]
    assert passing(origin, along, 0.0).tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(misses[2], 0.287, atol=1e-3)
