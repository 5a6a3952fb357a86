"""ER-NeRF, RAD-NeRF and DFRF learn a synthetic person: above the floors, by the sound, killed and resumed to the bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.methods.nearest_pose import nearest_rows, poses
from baselines.trained.dfrf.method import DFRF
from baselines.trained.er_nerf.method import ERNeRF
from baselines.trained.rad_nerf.method import RADNeRF
from d3talker import checkpoint
from d3talker.errors import UserError
from d3talker.learning.rendering import back, camera
from d3talker.people.subject.layout import Subject

CPU = torch.device("cpu")
METHODS: dict[str, Callable] = {"er-nerf": ERNeRF, "rad-nerf": RADNeRF, "dfrf": DFRF}


def options(name: str):
    """Enough for a 64 px person: sizes of `mini`, a part of its steps."""
    made = METHODS[name]().presets["mini"]
    if name == "dfrf":
        rays = replace(made.rays, rays=96, coarse=12, fine=16, test_coarse=12, test_fine=16)
        return replace(made, schedule=replace(made.schedule, tune=500), rays=rays)
    space, rates = replace(made.space, cells=(32, 32, 16)), made.rates
    return replace(made, schedule=replace(made.schedule, head=900, lips=100, rays=512), space=space, rates=rates, audio_noise=0.1)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(-10 * np.log10(((one - other) ** 2).mean()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["er-nerf"])
def test_beats_the_floors_and_follows_the_sound(name, person, tmp_path):
    """On test frames: nearer to the truth than the mean and the nearest training frame; nearer to it about the mouth with the frames'
    own sound than with sound of another moment."""
    subject, method = Subject(person), METHODS[name]()
    train, test = subject.frames("train"), subject.frames("val")
    seconds, before = method.train(options(name), subject, train, tmp_path, 0)
    assert seconds > 0 and not before
    made = method.load(tmp_path, device="cpu")
    drive = made.drive(subject, test)
    truth = [subject.gt(f.img_id) / 255 for f in test]
    nearest = nearest_rows(poses(subject, train), poses(subject, test))
    mean = np.mean([subject.gt(f.img_id) / 255 for f in train], 0)
    floors = {
        "mean": np.mean([psnr(mean, t) for t in truth]),
        "nearest": np.mean([psnr(subject.gt(train[k].img_id) / 255, t) for k, t in zip(nearest, truth, strict=True)]),
    }
    views = [(camera(subject, f, CPU), back(subject, f, CPU)) for f in test]
    own = [made.frame(drive, i, *view).numpy() for i, view in enumerate(views)]
    got = np.mean([psnr(o, t) for o, t in zip(own, truth, strict=True)])
    assert got > max(floors.values()), f"{got:.2f} dB against {floors}"
    shift = len(test) // 2
    foreign = [made.frame(drive, (i + shift) % len(test), *view).numpy() for i, view in enumerate(views)]
    mouths = subject.landmarks([f.img_id for f in test])[:, 48:].round().astype(int)

    def mouth_error(pictures: list[np.ndarray]) -> float:
        errors = []
        for picture, true, points in zip(pictures, truth, mouths, strict=True):
            (x0, y0), (x1, y1) = points.min(0), points.max(0) + 1
            errors.append(((picture - true)[y0:y1, x0:x1] ** 2).mean())
        return float(np.mean(errors))

    assert mouth_error(own) < mouth_error(foreign)


@pytest.mark.parametrize("name", METHODS)
def test_killed_and_resumed_to_the_bit(name, person, tmp_path, monkeypatch):
    subject, method = Subject(person), METHODS[name]()
    frames = subject.frames("train")[:20]
    tiny = method.tiny()
    method.train(tiny, subject, frames, tmp_path / "whole", 0)
    loop = method.loop(tiny, subject, frames, tmp_path / "cut", 0)
    loop.save_seconds = 0.0
    steps = iter(range(100))
    inner = loop.train_step

    def dying():
        if next(steps) == 7:
            raise KeyboardInterrupt
        return inner()

    monkeypatch.setattr(loop, "train_step", dying)
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    assert checkpoint.load(loop.path)["step"] == 7
    _, before = method.train(tiny, subject, frames, tmp_path / "cut", 0)
    assert not before
    one, other = (checkpoint.load(tmp_path / folder / loop.path.name) for folder in ("whole", "cut"))
    assert all(torch.equal(one["field"][key], other["field"][key]) for key in one["field"])
    assert method.train(tiny, subject, frames, tmp_path / "cut", 0)[1], "it is done"
    with pytest.raises(UserError, match="was trained with"):
        method.train(tiny, subject, frames[:-1], tmp_path / "cut", 0)


def test_a_base_of_others_then_a_fresh_warp(person, other_person, tmp_path):
    method, tiny = DFRF(), DFRF().tiny()
    base, people = tmp_path / "base", [Subject(person), Subject(other_person)]
    seconds, before = method.pretrain(tiny, people, base, 0)
    assert seconds > 0 and not before and method.pretrain(tiny, people, base, 0)[1]
    frames = people[0].frames("train")[:20]
    method.train(tiny, people[0], frames, tmp_path / "run", 0, general=base)
    kept, start = checkpoint.load(base / "base.safetensors")["field"], method.loop(tiny, people[0], frames, tmp_path / "new", 0, base)
    fresh = start.field.state_dict()
    assert all(torch.equal(kept[name], fresh[name]) for name in kept if not name.startswith("warp."))
    assert not torch.equal(kept["warp.first.weight"], fresh["warp.first.weight"])
    assert not any("Without a base" in note for note in method.load(tmp_path / "run", device="cpu").notes)
    wide = replace(tiny, net=replace(tiny.net, width=20))
    with pytest.raises(UserError, match=r"net\.width = 16, here it is 20"):
        method.train(wide, people[0], frames, tmp_path / "wide", 0, general=base)
    with pytest.raises(UserError, match="does not exist"):
        method.train(tiny, people[0], frames, tmp_path / "none", 0, general=Path("/nowhere"))


@pytest.mark.parametrize("name", METHODS)
def test_a_budget_of_almost_nothing(name, person, other_person, tmp_path):
    """Three frames: boxes, references and epochs must do with them.  And no other person wears the head."""
    subject, method = Subject(person), METHODS[name]()
    method.train(method.tiny(), subject, subject.frames("train")[:3], tmp_path, 0)
    made, test = method.load(tmp_path, device="cpu"), subject.frames("val")[:2]
    picture = made.frame(made.drive(subject, test), 1, camera(subject, test[1], CPU), back(subject, test[1], CPU))
    made.check_subject(subject)
    with pytest.raises(UserError, match="trained on other data"):
        made.check_subject(Subject(other_person))
    assert picture.shape == (64, 64, 3) and picture.isfinite().all() and picture.min() >= 0 and picture.max() <= 1


@pytest.mark.parametrize("name", METHODS)
def test_nan_is_never_silent(name, person, tmp_path, monkeypatch):
    subject, method = Subject(person), METHODS[name]()
    loop = method.loop(method.tiny(), subject, subject.frames("train")[:5], tmp_path, 0)
    with torch.no_grad():
        next(p for n, p in loop.field.named_parameters() if n.startswith(("colour_net", "fine.shown"))).fill_(float("nan"))
    with pytest.raises(UserError, match="NaN"):
        loop.run()


@pytest.mark.parametrize("name", ["er-nerf", "rad-nerf"])
def test_options_that_cannot_train(name):
    method = METHODS[name]()
    tiny = method.tiny()
    with pytest.raises(UserError, match="rays=0"):
        method.check(replace(tiny, schedule=replace(tiny.schedule, rays=0)))
    assert method.steps(tiny) == (40 if name == "rad-nerf" else 32)  # the torso's, too
    assert "oracle" in method.driven(replace(tiny, eyes="video"))[0]
