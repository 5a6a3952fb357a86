"""Networks of the re-implementations: parameters and shapes against the fact sheet of the official codes, and what reaches what."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from baselines.trained.gaussiantalker.network import CrossAttention, FeaturePlanes, Network, Signals, sinusoid
from baselines.trained.gaussiantalker.options import MINI as GT_MINI
from baselines.trained.gaussiantalker.options import PAPER as GAUSSIANTALKER
from baselines.trained.instag.nets import hooked, own, personal_nets, universal_nets
from baselines.trained.instag.options import PAPER as INSTAG
from baselines.trained.shared.motion_net import MotionNet, attention_colors
from baselines.trained.shared.motion_net import Signals as Frame
from baselines.trained.talkinggaussian.options import PAPER as TALKINGGAUSSIAN
from baselines.trained.talkinggaussian.training import build_nets

COLUMNS = 29  # DeepSpeech


def count(module: nn.Module | None) -> int:
    assert module is not None
    return sum(parameter.numel() for parameter in module.parameters())


def frame() -> Frame:
    rng = torch.Generator().manual_seed(0)
    return Frame(torch.randn(8, 16, COLUMNS, generator=rng), torch.rand(6, generator=rng))


def test_talkinggaussian_has_the_sheets_parameters() -> None:
    """Sheet 1.2: 28,392 and 139,800 numbers of grid, 12,544 and 3,296 weights, 32,869 of an audio encoder each."""
    nets = build_nets(TALKINGGAUSSIAN, COLUMNS)
    grids = {name: count(net.field.encoder) for name, net in nets.items()}
    assert grids == {"face": 28392, "mouth": 139800}
    assert {name: count(net.audio) for name, net in nets.items()} == {"face": 32869, "mouth": 32869}
    rest = {name: count(net) - grids[name] - 32869 for name, net in nets.items()}
    assert rest["mouth"] == 68 * 32 + 32 * 32 + 32 * 3 == 3296
    decoder = 74 * 64 + 64 * 64 + 64 * 11
    gates = 36 * 32 + 32 * 32 + 36 * 16 + 16 * 6
    assert rest["face"] == decoder + gates + 5 * 16 + 16 * 5 == 12544
    assert nets["mouth"].field.attention is None and nets["mouth"].field.eye_gate is None
    assert [level.side for level in nets["face"].field.encoder.layout][::11] == [17, 40]
    assert [level.side for level in nets["mouth"].field.encoder.layout][::11] == [65, 59]  # coarser with every level


def test_instag_has_the_sheets_layers() -> None:
    universal, personal = universal_nets(INSTAG, COLUMNS), personal_nets(INSTAG, COLUMNS)
    assert count(universal["face"]) == count(build_nets(TALKINGGAUSSIAN, COLUMNS)["face"])
    mouth = universal["mouth"]
    assert isinstance(mouth, MotionNet)
    assert count(mouth.field) - count(mouth.field.encoder) == 71 * 32 + 32 * 32 + 32 * 7
    assert count(mouth.scaler) == 39 * 16 + 16 * 16 + 16
    for region, hidden, outputs, inputs in (("face", 32, 11, 74), ("mouth", 16, 7, 68)):
        net = personal[own(region)]  # type: ignore[arg-type]
        assert isinstance(net, MotionNet)
        assert count(net.field.encoder) == 28392  # the face's grid for both
        assert count(net.aligner) == 36 * hidden + hidden * 6
        assert count(net.field.decoder) == hidden * hidden + hidden * outputs
        first = sum(part.weight.numel() for part in (net.field.from_position, net.field.from_signal, net.field.from_eyes) if part)
        assert first == inputs * hidden and (net.field.eye_gate is not None) == (region == "face")


def test_first_layers_are_drawn_as_one_layer_of_all_inputs() -> None:
    torch.manual_seed(0)
    net = build_nets(TALKINGGAUSSIAN, COLUMNS)["face"]
    bound = 1 / math.sqrt(74)
    for part in (net.field.from_position, net.field.from_signal, net.field.from_eyes):
        assert part is not None and 0.9 * bound < part.weight.abs().max() <= bound
    assert net.field.decoder[1][-1].weight.abs().max() > 0  # type: ignore[index]


def test_the_mouth_moves_up_and_down_and_by_the_hook() -> None:
    torch.manual_seed(0)
    net, means = universal_nets(INSTAG, COLUMNS)["mouth"], (torch.rand(50, 3) - 0.5) * 0.1
    assert isinstance(net, MotionNet)
    anchors = net.field.anchors(means)
    moved = [net.move(anchors, net.hear(frame()), torch.tensor(hook)) for hook in ([0.1, -0.1, 0.2], [0.3, -0.2, 0.5])]
    assert not torch.allclose(moved[0].means, moved[1].means)
    assert set(moved[0]._asdict()) and moved[0].scales is None and moved[0].quats is not None
    torch.testing.assert_close(net.field.axes, torch.tensor([0.2, 1.0, 0.2]))
    plain = net.field(anchors, net.audio(frame().audio), None, torch.tensor([0.1, -0.1, 0.2]))
    ratio = moved[0].means / plain.means
    assert ((ratio > 0) & (ratio < 2)).all() and torch.allclose(ratio[:, 0], ratio[:, 1], rtol=1e-4)


def test_the_aligner_starts_near_nothing_and_reaches_a_centimetre_and_a_quarter() -> None:
    torch.manual_seed(0)
    net, means = personal_nets(INSTAG, COLUMNS)["own_face"], (torch.rand(50, 3) - 0.5) * 0.1
    shift, scale = net.align(means)  # type: ignore[operator]
    assert shift.abs().max() < 1e-4 and (scale - 1).abs().max() < 1e-3
    nn.init.constant_(net.aligner[-1].weight, 1e6)  # type: ignore[union-attr, index]
    nn.init.constant_(net.field.encoder.table, 1.0)  # type: ignore[union-attr, arg-type]
    nn.init.constant_(net.aligner[0].weight, 1.0)  # type: ignore[union-attr, index]
    _, scale = net.align(means)  # type: ignore[operator]
    torch.testing.assert_close(scale, torch.full_like(scale, 1.25))


def test_hook_takes_ranks_of_the_vertical_shift() -> None:
    vertical = torch.tensor([3.0, -2.0, 1.0, 5.0, 0.0]) * 1e-3
    torch.testing.assert_close(hooked(vertical, 2), torch.tensor([0.3, 0.0, 0.3]))
    torch.testing.assert_close(hooked(vertical, 9), torch.tensor([-0.2, 0.5, -0.7]))  # fewer Gaussians than the rank


def test_eyes_do_not_reach_the_mouth_and_attentions_are_the_gates_lengths() -> None:
    torch.manual_seed(0)
    nets, means = build_nets(TALKINGGAUSSIAN, COLUMNS), (torch.rand(20, 3) - 0.5) * 0.1
    nn.init.normal_(nets["face"].field.encoder.table)
    anchors, one = nets["face"].field.anchors(means), frame()
    other = one._replace(eyes=one.eyes + 1)
    faces = [nets["face"].move(anchors, nets["face"].hear(signals)) for signals in (one, other)]
    assert not torch.equal(faces[0].means, faces[1].means)
    still = nets["mouth"].field.anchors(means)
    mouths = [nets["mouth"].move(still, nets["mouth"].hear(signals)) for signals in (one, other)]
    assert torch.equal(mouths[0].means, mouths[1].means)
    colors = attention_colors(anchors)
    assert anchors.attention is not None
    torch.testing.assert_close(colors[:, 0], anchors.attention.square().sum(1).sqrt())
    assert (colors[:, 2] == 0).all()


def test_centres_learn_by_the_net_only_where_they_are_moving() -> None:
    torch.manual_seed(0)
    net, means = build_nets(TALKINGGAUSSIAN, COLUMNS)["face"], ((torch.rand(20, 3) - 0.5) * 0.1).requires_grad_()
    nn.init.normal_(net.field.encoder.table)
    net.move(net.field.anchors(means, moving=True), net.hear(frame())).means.square().sum().backward()
    assert means.grad is not None and means.grad.abs().max() > 0
    means.grad = None
    net.move(net.field.anchors(means), net.hear(frame())).means.square().sum().backward()
    assert means.grad is None


def test_gaussiantalker_has_the_sheets_parameters() -> None:
    """Sheet 3.2: planes 1,966,080; deformation heads 49,211; one attention layer 33,472; canonical 98,104 with its two idle heads."""
    net = Network(GAUSSIANTALKER.network, COLUMNS, 16)
    assert count(net.planes) == 1966080 and count(net.heads) == 49211 and [count(x) for x in net.layers] == [33472]
    idle = 2 * (128 * 128 + 128) + (128 * 3 + 3) + (128 * 4 + 4)  # of scale and rotation, which nothing reads
    assert count(net.canonical) == 98104 - idle
    assert count(net.audio_token) == count(net.eye_token) == 32 * 64 + 64 * 64 and count(net.camera_token) == 12 * 64 + 64 * 64
    assert float(net.planes.planes[0].detach().min()) >= 0.1 and float(net.planes.planes[0].detach().max()) <= 0.5


@pytest.mark.parametrize("options", [GAUSSIANTALKER, GT_MINI])
def test_gaussiantalker_deforms_every_attribute_of_every_frame(options) -> None:
    torch.manual_seed(0)
    bands = (options.gaussians.sh_degree + 1) ** 2
    net = Network(options.network, COLUMNS, bands).eval()
    means = (torch.rand(30, 3) - 0.5) * 0.2
    net.planes.cover(means)
    signals = Signals(torch.randn(3, 8, 16, COLUMNS), torch.rand(3), torch.randn(3, 12))
    deformed = net.deform(net.planes(means), net.tokens(signals))
    assert [tuple(part.shape) for part in deformed] == [(3, 30, 3), (3, 30, 3), (3, 30, 4), (3, 30), (3, 30, bands, 3)]
    alone = net.deform(net.planes(means), net.tokens(Signals(*(part[1:2] for part in signals))))
    torch.testing.assert_close(alone.means[0], deformed.means[1], rtol=1e-4, atol=1e-6)


def test_planes_are_products_and_hold_their_border() -> None:
    planes = FeaturePlanes(2, (3, 5))
    planes.cover(torch.tensor([[-1.0, -1, -1], [1, 1, 1]]))
    for plane, value in zip(planes.planes, (0.5, 2.0), strict=True):
        nn.init.constant_(plane, value)
    torch.testing.assert_close(planes(torch.zeros(1, 3)), torch.tensor([[0.125, 0.125, 8.0, 8.0]]))
    nn.init.uniform_(planes.planes[0])
    torch.testing.assert_close(planes(torch.tensor([[9.0, -9, 1]])), planes(torch.tensor([[1.0, -1, 1]])))


def test_cross_attention_is_torchs() -> None:
    """Against torch.nn.MultiheadAttention with the same weights."""
    torch.manual_seed(0)
    layer = CrossAttention(GAUSSIANTALKER.network).eval()
    theirs = nn.MultiheadAttention(64, 2, batch_first=True).eval()
    theirs.in_proj_weight.data = torch.cat([layer.query.weight, layer.key.weight, layer.value.weight])
    theirs.in_proj_bias.data = torch.cat([layer.query.bias, layer.key.bias, layer.value.bias])
    theirs.out_proj.load_state_dict(layer.out.state_dict())
    features, tokens = torch.randn(7, 64), torch.randn(2, 4, 64)
    heard, _ = theirs(features.expand(2, -1, -1), tokens, tokens)
    x = layer.first_norm(features + heard)
    expected = layer.second_norm(x + layer.narrow(torch.relu(layer.widen(x))))
    torch.testing.assert_close(layer(features, tokens), expected)


def test_eyes_sinusoid_multiplies() -> None:
    net = Network(GAUSSIANTALKER.network, COLUMNS, 16)
    assert float(net.frequencies[-1]) == pytest.approx(5623.4, abs=0.1)  # type: ignore[index, arg-type]
    found = sinusoid(torch.tensor([0.5]), net.frequencies)[0]  # type: ignore[arg-type]
    assert found[0] == pytest.approx(math.sin(0.5)) and found[1] == pytest.approx(math.cos(0.5))
    assert found[3] == pytest.approx(math.cos(0.5 * 10000 ** (2 / 32)), abs=1e-5)
