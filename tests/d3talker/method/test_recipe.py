"""One recipe: presets differ in counts, sizes and lengths alone; rates follow from the lengths, and the schedules are the published ones."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from d3talker.graphics.gaussians import Gaussians
from d3talker.graphics.options import REGIONS
from d3talker.learning.optimisers import MEANS_HORIZON_PRETRAINING, gaussian_groups, optimiser, set_rates
from d3talker.learning.views import Views, load_views
from d3talker.method import adapt, pictures
from d3talker.method.config import MINI, PAPER, PRESETS
from d3talker.method.driving import training_signals
from d3talker.method.groups import net_groups, own_groups
from d3talker.method.rig.mesh import INSIDE
from d3talker.method.sampling import draw_sample
from d3talker.method.start import first_identity
from d3talker.method.talker import General, Identity, Talker
from d3talker.people.head.embedded import embedded_head
from d3talker.people.subject.layout import Subject

SIZES = {  # what a preset may choose: counts, sizes, lengths
    "gaussians": {"face_points", "mouth_points", "max_points"}, "density": {"start", "every"},
    "schedule": {"face", "mouth", "fuse", "warmup"}, "refiner": {"width", "batch", "steps", "learning_rate"},
    "pretrain": {"face", "mouth", "warmup", "frames"},
}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_differ_in_counts_sizes_and_lengths_alone(name: str) -> None:
    own, published = asdict(PRESETS[name]), asdict(PAPER)
    for section, values in published.items():
        if isinstance(values, dict):
            other = {option for option, value in values.items() if own[section][option] != value}
            assert other <= SIZES.get(section, set()), (section, other)
        else:
            assert own[section] == values


def test_rates_follow_from_the_length() -> None:
    assert PAPER.haste == 1 and MINI.haste == pytest.approx((10000 / 1200) ** 0.5)
    assert replace(PAPER, schedule=replace(PAPER.schedule, face=50)).haste == 3
    gaussians = Gaussians(torch.zeros(3, 3), torch.full((3, 3), 0.01), 1)
    rates = {config.haste: {g["name"]: g["lr"] for g in gaussian_groups(gaussians, config.gaussians, 0.1, config.haste)} for config in (PAPER, MINI)}
    assert rates[1]["means"] == pytest.approx(7e-5)  # times the cameras' extent
    for name, rate in rates[1].items():
        assert rates[MINI.haste][name] == pytest.approx(rate * MINI.haste)


def test_centres_slow_down_over_the_published_horizon() -> None:
    gaussians = Gaussians(torch.zeros(3, 3), torch.full((3, 3), 0.01), 1)
    optimizer = optimiser(gaussian_groups(gaussians, PAPER.gaussians))

    def rate(done: float, *horizon: float) -> float:
        set_rates(optimizer, done, 1.0, *horizon)
        return next(g["lr"] / g["rate"] for g in optimizer.param_groups if g["name"] == "means")

    assert rate(0) == 1 and rate(1) == pytest.approx(0.36, abs=0.005)  # step 10,000 of InsTaG's 45,000
    assert rate(0.3, MEANS_HORIZON_PRETRAINING) == rate(1, MEANS_HORIZON_PRETRAINING) == pytest.approx(0.01)


def test_grids_alone_decay_and_the_audio_window_learns_faster() -> None:
    general = General(PAPER, 29)
    identity = Identity(PAPER, {r: Gaussians(torch.zeros(3, 3), torch.full((3, 3), 0.01), 1) for r in REGIONS})
    groups = net_groups(general, "face", PAPER) + own_groups(identity, "face", PAPER)
    decays = {id(p): (g["weight_decay"], g["lr"]) for g in groups for p in g["params"]}
    over_time = {id(p) for p in general.audio.over_time()}
    for field, rate in ((general.fields["face"], 5e-4), (identity.fields["face"], 5e-4)):
        grid = {id(p) for p in field.encoder.parameters()}  # type: ignore[union-attr]
        for p in field.parameters():
            assert decays[id(p)] == ((0.01, 5e-3) if id(p) in grid else (0.0, rate))
    for part in general.encoders():
        for p in part.parameters():
            assert decays[id(p)] == ((1e-4, 2.5e-3) if id(p) in over_time else (0.0, 5e-4))
    assert not {id(p) for p in general.audio.parameters()} & {
        id(p) for g in net_groups(general, "mouth", PAPER) for p in g["params"]
    }


@pytest.fixture(scope="module")
def views(person: Path) -> Views:
    subject = Subject(person)
    return load_views(subject, subject.frames("train")[:40], torch.device("cpu"))


def test_the_extent_is_the_cameras(views: Views) -> None:
    turns = torch.linspace(0, 6.2831853, 9)[:-1]
    viewmats = torch.eye(4).repeat(8, 1, 1)
    viewmats[:, 0, 3], viewmats[:, 2, 3] = 0.2 * turns.cos(), 0.7 + 0.2 * turns.sin()
    assert replace(views, viewmats=viewmats).extent() == pytest.approx(0.22, rel=1e-4)
    assert 0.001 < views.extent() < 0.3


@pytest.mark.parametrize("start", ["cube", "mesh"])
def test_the_mouth_starts_about_the_teeth(views: Views, person: Path, start: str) -> None:
    identity = Subject(person).identity()
    config = replace(PAPER, gaussians=replace(PAPER.gaussians, start=start, mouth_points=2000, face_points=50))
    own = first_identity(config, views, identity, torch.Generator().manual_seed(0))
    points = own.gaussians["mouth"].means.detach()  # type: ignore[union-attr]
    model = embedded_head()
    head = torch.from_numpy(model.vertices(identity, np.zeros(len(model.expression_names))))
    teeth = head[torch.from_numpy(model.region_mask("teeth"))]
    assert torch.cdist(teeth, points).amin(1).max() < 0.012
    assert set(INSIDE) >= {"teeth"} and points[:, 2].max() >= teeth[:, 2].max() - 0.005


def test_hair_is_hidden_in_most_steps_of_the_middle(views: Views) -> None:
    shown = [pictures.hair_shown(6 / 7, step, step / 1000) for step in range(1000)]
    assert all(shown[:300]) and all(shown[650:]) and sum(shown[300:650]) == 50
    assert all(pictures.hair_shown(0.0, step, step / 1000) for step in range(1000))


def test_hidden_hair_teaches_nothing_and_the_mouth_counts_in_its_box(views: Views, person: Path) -> None:
    subject = Subject(person)
    given = training_signals(subject, subject.frames("train")[:40], MINI.signals, torch.device("cpu"))
    small = replace(MINI, gaussians=replace(MINI.gaussians, face_points=1500, mouth_points=300))
    own = first_identity(small, views, given.identity, torch.Generator().manual_seed(0))
    talker = Talker(small, General(small, given.columns), own)
    index = max(range(len(views)), key=lambda i: int(views.host(i).mouth.sum()))
    sample = draw_sample(views, given.drive, index, None, torch.Generator().manual_seed(0))
    assert sample.view.hair.any()
    _, picture, target, _ = pictures.face_picture(talker, sample, None, hair=False)
    hair = sample.view.hair[..., 0]
    assert torch.equal(picture[hair], target[hair]) and not torch.equal(picture[~hair], target[~hair])
    x0, y0, x1, y1 = sample.lips.tolist()
    _, picture, target, lacking = pictures.mouth_picture(talker, sample, None, None)
    assert picture.shape == target.shape == (y1 - y0, x1 - x0, 3)
    share = sample.view.mouth[y0:y1, x0:x1].float().mean()
    assert 0 < lacking <= share and share > 5 * sample.view.mouth.float().mean()


def test_the_mouth_learns_from_frames_that_show_it(views: Views) -> None:
    counts = [int(views.host(i).mouth.sum()) for i in range(len(views))]
    area = views.size[0] * views.size[1] / 512**2
    chosen = views.with_mouth(20)
    assert chosen == [i for i, count in enumerate(counts) if count >= max(20 * area, 1)] and 0 < len(chosen) < len(views)
    assert views.with_mouth(1e9) == list(range(len(views)))  # a mouth that is always shut


def test_a_pretrained_field_deforms_from_the_first_step(person: Path) -> None:
    subject, config = Subject(person), replace(MINI, gaussians=replace(MINI.gaussians, face_points=200, mouth_points=50))
    frames = subject.frames("train")[:20]
    made = training_signals(subject, frames, config.signals, torch.device("cpu"))
    loaded = load_views(subject, frames, torch.device("cpu"))
    for pretrained in (False, True):
        training = adapt.Adaptation(config, loaded, made, None, person / "no", 0, torch.device("cpu"))
        training.pretrained = pretrained
        training.begin_stage()
        called = []
        run = training.passes
        training.passes = lambda *a: called.append(1) or run(*a)  # type: ignore[assignment, func-returns-value]
        training.train_step()
        assert bool(called) == pretrained


def test_bands_are_drawn_one_by_one() -> None:
    config = replace(PAPER, gaussians=replace(PAPER.gaussians, sh_degree=2))
    gaussians = {r: Gaussians(torch.zeros(3, 3), torch.full((3, 3), 0.01), 2) for r in REGIONS}
    talker = Talker(config, General(config, 29), Identity(config, gaussians))

    def degrees(stage: str, step: int, every: int) -> list[int]:
        talker.show_bands(stage, step, every)
        return [talker.gaussians(region).degree for region in REGIONS]

    assert [degrees("face", step, 1000) for step in (0, 999, 1000, 2000, 9000)] == [[0, 2], [0, 2], [1, 2], [2, 2], [2, 2]]
    assert degrees("mouth", 500, 1000) == [2, 0] and degrees("fuse", 0, 1000) == degrees("face", 0, 0) == [2, 2]
