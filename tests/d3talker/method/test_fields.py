"""Signals and fields: shapes, what reaches what, and that the two branches really are apart."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from d3talker.graphics.gaussians import Gaussians
from d3talker.graphics.options import REGIONS
from d3talker.learning.encoders import AudioEncoder, EyeEncoder, window
from d3talker.learning.fields import Deformation, shifts
from d3talker.method.config import MINI, AblationConfig, SignalConfig
from d3talker.method.signals import DifferenceEncoder, MotionEncoder, TemporalConvolution
from d3talker.method.talker import General, Identity, Signals, Talker, build_field, total

CONFIG = SignalConfig(pncc_size=32)


def signals(seed: int = 0) -> Signals:
    rng = torch.Generator().manual_seed(seed)
    return Signals(
        torch.randn(2 * CONFIG.neighbours + 1, 3, 32, 32, generator=rng),
        torch.randn(CONFIG.audio_window, 16, 29, generator=rng), torch.rand(6, generator=rng), torch.rand(33, generator=rng),
    )


def talker(**ablation: str) -> Talker:
    torch.manual_seed(0)
    config = replace(MINI, signals=CONFIG, ablation=AblationConfig(**ablation))
    means = (torch.rand(20, 3) - 0.5) * 0.2
    model = Talker(config, General(config, 29), Identity(config, {r: Gaussians(means, torch.full((20, 3), 0.01), 1) for r in REGIONS}))
    for field in [*model.general.fields.values(), *model.identity.fields.values()]:
        torch.nn.init.normal_(field.decoder[1][-1].weight, std=0.1)  # a new field is still; these tests need one that moves
        torch.nn.init.normal_(field.encoder.table, std=0.5)
    return model


def test_signal_widths() -> None:
    s = signals()
    assert DifferenceEncoder(CONFIG)(s.motion).shape == (9, 32)
    assert MotionEncoder(CONFIG)(s.motion).shape == (32,)
    assert AudioEncoder(29, CONFIG.width, CONFIG.audio_window)(s.audio).shape == (32,)
    assert EyeEncoder()(s.eyes).shape == (6,) and EyeEncoder()(s.eyes)[5] == s.eyes[5]


@pytest.mark.parametrize("seed", range(3))
def test_new_encoders_pass_on_how_frames_differ(seed: int) -> None:
    """Inputs that differ by about their unit spread give features that do too; else a short training never wakes an encoder."""
    torch.manual_seed(seed)
    motion, audio = MotionEncoder(CONFIG), AudioEncoder(29, CONFIG.width, CONFIG.audio_window)
    pictures = torch.randn(16, 2 * CONFIG.neighbours + 1, 3, CONFIG.pncc_size, CONFIG.pncc_size)
    heard = torch.randn(16, CONFIG.audio_window, 16, 29)
    with torch.no_grad():
        for features in (torch.stack([motion(p) for p in pictures]), torch.stack([audio(h) for h in heard])):
            assert 0.05 < features.std(0).mean() < 5


@pytest.mark.parametrize("neighbours", [0, 1, 2, 4, 7])
def test_tcn_sees_exactly_its_neighbours(neighbours: int) -> None:
    torch.manual_seed(0)
    tcn = TemporalConvolution(8, neighbours)
    rows = torch.randn(2 * neighbours + 1, 8, requires_grad=True)
    tcn(rows).sum().backward()
    assert (rows.grad.abs().sum(1) > 0).all()
    with pytest.raises((RuntimeError, IndexError, AssertionError)):
        assert tcn(torch.randn(2 * neighbours, 8)).shape == (8,)


def test_motion_branch_is_blind_to_the_canonical_face() -> None:
    encoder = MotionEncoder(CONFIG)
    still = torch.zeros(9, 3, 32, 32)
    assert torch.equal(encoder(still), encoder(still.clone()))
    moved = still.clone()
    moved[4, :, 10:14, 10:14] = 0.5
    assert not torch.allclose(encoder(still), encoder(moved))


def test_window_pads_with_zeros_beyond_both_ends() -> None:
    rows = torch.arange(1, 6, dtype=torch.float32)[:, None]
    assert window(rows, 0, 2, 1).flatten().tolist() == [0, 0, 1, 2]
    assert window(rows, 4, 1, 2).flatten().tolist() == [4, 5, 0, 0]
    assert window(rows, 2, 1, 1).flatten().tolist() == [2, 3, 4]


def test_a_new_field_is_still() -> None:
    torch.manual_seed(0)
    field = build_field("face", MINI.fields, 32, 32, "all")
    anchors = field.anchors(torch.rand(7, 3) * 0.1, torch.tensor(0.0))
    delta = field(anchors, torch.randn(32), torch.rand(6))
    assert [part.shape for part in delta] == [(7, 3), (7, 4), (7, 3), (7,), (7, 3)]
    assert all(part.abs().max() == 0 for part in delta)


@pytest.mark.parametrize("attributes", ["mu", "mu_r_s", "all"])
def test_the_ablation_of_attributes_is_the_individual_fields_alone(attributes: str) -> None:
    """Paper 4.4: "different selections of Gaussian attributes for deformation in the Individual Field"."""
    model = talker(attributes=attributes)
    parts = model.deformations("face", model.encode(signals()))
    assert [value is not None for value in parts["general"]] == [True, True, True, False, False]
    deformed = {"mu": 1, "mu_r_s": 3, "all": 5}[attributes]
    assert [value is not None for value in parts["individual"]] == [True] * deformed + [False] * (5 - deformed)
    mouth = model.deformations("mouth", model.encode(signals()))
    assert all(value is None for part in mouth.values() for value in part[1:])


def test_branches_are_apart() -> None:
    """Motion reaches delta_G alone, sound delta_I alone; and the sum is the sum."""
    model = talker()
    base = signals()
    for changed, moving, still in (
        (base._replace(motion=base.motion * 2), "general", "individual"), (base._replace(audio=base.audio * 2), "individual", "general"),
    ):
        before = model.deformations("face", model.encode(base))
        after = model.deformations("face", model.encode(changed))
        assert torch.equal(before[still].means, after[still].means)
        assert not torch.allclose(before[moving].means, after[moving].means, atol=1e-7)
        torch.testing.assert_close(total(before).means, before["general"].means + before["individual"].means)


@pytest.mark.parametrize(("control", "deaf_to"), [("audio", "motion"), ("motion", "audio")])
def test_one_signal_for_both_fields(control: str, deaf_to: str) -> None:
    model = talker(control=control)
    base = signals()
    changed = base._replace(**{deaf_to: getattr(base, deaf_to) * 3})
    for name, part in model.deformations("face", model.encode(base)).items():
        assert torch.equal(part.means, model.deformations("face", model.encode(changed))[name].means)


@pytest.mark.parametrize("fields", ["general", "individual"])
def test_field_ablation_leaves_one(fields: str) -> None:
    assert set(talker(fields=fields).deformations("face", talker(fields=fields).encode(signals()))) == {fields}


def test_eyes_reach_both_fields_but_not_the_lower_face() -> None:
    model = talker()
    base = signals()
    blink = base._replace(eyes=base.eyes + torch.tensor([0, 0, 0, 0, 0, 1.0]))
    before, after = (model.deformations("face", model.encode(s)) for s in (base, blink))
    high = model.gaussians("face").means[:, 1] > model.identity.eye_floor
    assert high.any() and not high.all()
    for name in before:
        moved = (before[name].means != after[name].means).any(1)
        assert moved[high].any() and not moved[~high].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("region", REGIONS)
def test_many_fields_at_once_are_each_of_them(region: str, dtype: torch.dtype) -> None:
    """Values and gradients of the stacked pass against one field after the other."""
    model = talker().to(dtype)
    fields = [talker().identity.fields[region].to(dtype) for _ in range(3)]
    for k, field in enumerate(fields):
        torch.manual_seed(k)
        for parameter in field.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    means, floor = model.gaussians(region).means.detach(), model.identity.eye_floor
    encoded = model.encode(Signals(*(part.to(dtype) for part in signals())))
    own = model.anchors(region)["individual"]
    together = shifts(fields, means, floor, own.attention, encoded["individual"], encoded["eyes"])
    single = [
        field(field.anchors(means, floor)._replace(attention=own.attention), encoded["individual"], encoded["eyes"]).means
        for field in fields
    ]
    close = {"rtol": 1e-4, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 1e-9, "atol": 1e-12}
    torch.testing.assert_close(together, torch.stack(single), **close)
    parameters = [p for field in fields for name, p in field.named_parameters() if "attention" not in name]
    weights = torch.randn(together.shape, dtype=dtype)
    got = torch.autograd.grad((together * weights).sum(), parameters, retain_graph=True)
    for a, b in zip(got, torch.autograd.grad((torch.stack(single) * weights).sum(), parameters)):
        torch.testing.assert_close(a, b, **close)


def test_anchors_kept_give_the_same_deformation() -> None:
    model = talker()
    encoded = model.encode(signals())
    kept = model.anchors("face")
    for name, part in model.deformations("face", encoded, kept).items():
        torch.testing.assert_close(part.means, model.deformations("face", encoded)[name].means)


def test_adding_deformations_keeps_what_only_one_has() -> None:
    a, b = Deformation(torch.ones(2, 3)), Deformation(torch.ones(2, 3), quats=torch.ones(2, 4))
    assert torch.equal((a + b).means, torch.full((2, 3), 2.0)) and torch.equal((a + b).quats, torch.ones(2, 4))
    assert (a + b).scales is None
