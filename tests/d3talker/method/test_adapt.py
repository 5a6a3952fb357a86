"""Adaptation: it learns, it stops and goes on to the same bits, and bad states are refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from d3talker import checkpoint
from d3talker.errors import UserError
from d3talker.graphics.layers import compose
from d3talker.learning import loop
from d3talker.learning.rendering import back, camera
from d3talker.method import adapt as adapting
from d3talker.method.adapt import CHECKPOINT, train_identity
from d3talker.method.config import MINI, Config, check
from d3talker.method.synthesis import TrainedTalker
from d3talker.people.audio.features import steps, windows
from d3talker.people.audio.statistics import AudioStatistics
from d3talker.people.head.embedded import embedded_head
from d3talker.people.head.upper import upper_face
from d3talker.people.media.video import read_audio
from d3talker.people.subject.layout import Subject

TINY = replace(
    MINI, device="cpu",
    gaussians=replace(MINI.gaussians, face_points=600, mouth_points=100, max_points=900),
    density=replace(MINI.density, start=10, every=10),
    refiner=replace(MINI.refiner, steps=6),
    schedule=replace(MINI.schedule, face=40, mouth=20, fuse=10, warmup=10, checkpoint_seconds=0),
)

RIGGED = replace(TINY, ablation=replace(TINY.ablation, rig="on", refiner="off"))


def model_of(run: Path) -> dict[str, torch.Tensor]:
    return checkpoint.load(run / CHECKPOINT)["model"]


def adapt(person: Path, out: Path, config: Config = TINY, seed: int = 1) -> tuple[float, bool]:
    subject = Subject(person)
    return train_identity(config, subject, subject.frames("train")[:30], out, seed)


@pytest.fixture(scope="module")
def finished(person: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    seconds, before = adapt(person, out)
    assert seconds > 0 and not before
    return out


@pytest.fixture(scope="module")
def rigged(person: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "rigged"
    adapt(person, out, RIGGED)
    return out


@pytest.mark.parametrize(("config", "stop_after"), [(TINY, 15), (TINY, 74), (RIGGED, 35)])
def test_interrupted_and_resumed_is_the_same_to_the_bit(
    person: Path, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: Config,
    stop_after: int,
) -> None:
    finished = request.getfixturevalue("finished" if config is TINY else "rigged")
    original, steps = loop.Loop._one_step, 0

    def interrupted(self: loop.Loop) -> str:
        nonlocal steps
        if steps == stop_after:
            raise KeyboardInterrupt
        steps += 1
        return original(self)

    monkeypatch.setattr(loop.Loop, "_one_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        adapt(person, tmp_path / "run", config)
    monkeypatch.undo()
    if (tmp_path / "run" / CHECKPOINT).exists():
        with pytest.raises(UserError, match="not trained to its end"):
            TrainedTalker(tmp_path / "run", "cpu")
    adapt(person, tmp_path / "run", config)
    whole, resumed = model_of(finished), model_of(tmp_path / "run")
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


def test_finished_training_is_not_repeated(person: Path, finished: Path) -> None:
    stamp = (finished / CHECKPOINT).stat().st_mtime_ns
    _, before = adapt(person, finished)
    assert before and (finished / CHECKPOINT).stat().st_mtime_ns == stamp


@pytest.mark.parametrize(("change", "message"), [
    ({"config": replace(TINY, loss=replace(TINY.loss, lips=1.0))}, r"options.loss.lips = 2.0, now options.loss.lips = 1.0"),
    ({"seed": 2}, "seed = 1, now seed = 2"),
])
def test_another_job_is_refused_and_the_finished_one_stays(person: Path, finished: Path, change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        adapt(person, finished, **{"config": TINY, "seed": 1} | change)
    assert adapt(person, finished)[1]


@pytest.mark.parametrize("damage", ["stage", "missing", "shape"])
def test_a_checkpoint_of_another_version_is_one_sentence(person: Path, finished: Path, tmp_path: Path, damage: str) -> None:
    state = checkpoint.load(finished / CHECKPOINT) | {"done": False}
    name = "general.motion.difference.body.0.weight"
    if damage == "stage":
        state["stage"] = "dream"
    elif damage == "missing":
        del state["model"][name]
    else:
        state["model"][name] = state["model"][name][:1]
    checkpoint.save(tmp_path / CHECKPOINT, state)
    with pytest.raises(checkpoint.Unusable, match=r"does not fit this d3talker .*delete it, or give another --out"):
        adapt(person, tmp_path)


def test_another_seed_is_another_model(person: Path, finished: Path, tmp_path: Path) -> None:
    adapt(person, tmp_path / "run", replace(TINY, schedule=replace(TINY.schedule, face=12, mouth=12, fuse=1)), seed=2)
    assert not torch.equal(
        model_of(finished)["general.motion.difference.body.0.weight"], model_of(tmp_path / "run")["general.motion.difference.body.0.weight"]
    )


def test_adaptation_beats_the_mean_training_frame(person: Path, tmp_path: Path) -> None:
    subject = Subject(person)
    config = replace(TINY, schedule=replace(TINY.schedule, face=150, mouth=61, fuse=30, warmup=60))
    frames = subject.frames("train")[:60]
    train_identity(config, subject, frames, tmp_path / "run", 0)
    trained, test = TrainedTalker(tmp_path / "run", "cpu"), subject.frames("val")[:8]
    signals = trained.drive(subject, test)
    truth = np.stack([subject.gt(f.img_id) / 255 for f in test])
    ours = np.stack([trained.coarse(signals, i, camera(subject, f, trained.device), back(subject, f, trained.device)).numpy()
                     for i, f in enumerate(test)])
    mean = np.mean([subject.gt(f.img_id) / 255 for f in frames], 0)

    def psnr(frames: np.ndarray) -> float:
        return float(np.mean(-10 * np.log10(((frames - truth) ** 2).mean((1, 2, 3)))))

    assert psnr(ours) > psnr(np.broadcast_to(mean, truth.shape)) + 1


def test_test_time_reads_no_motion_of_the_test_video(person: Path, finished: Path) -> None:
    """Changing what was tracked in the test frames changes nothing; changing the sound does."""
    subject, trained = Subject(person), TrainedTalker(finished, "cpu")
    test = subject.frames("val")[:4]
    before = trained.drive(subject, test)
    original = Subject.expression
    try:
        Subject.expression = lambda self: original(self) + 1.0  # type: ignore[method-assign]
        after = trained.drive(subject, test)
        assert torch.equal(after.motion, before.motion) and torch.equal(after.expression, before.expression)
        oracle = replace(trained.config, signals=replace(trained.config.signals, motion_source="tracked"))
        trained.config = oracle
        assert not torch.equal(trained.drive(subject, test).motion, before.motion)
    finally:
        Subject.expression = original  # type: ignore[method-assign]


def test_brows_and_lids_are_the_training_frames_in_the_eyes_loop(person: Path, finished: Path) -> None:
    subject, trained = Subject(person), TrainedTalker(finished, "cpu")
    upper, many = upper_face(embedded_head().expression_names), subject.frames("val")[:40]
    shown = trained.drive(subject, many).expression.numpy()[:, upper]
    rows = [frame.aud_id for frame in subject.frames("train")[:30]]
    theirs = subject.expression()[rows][:, upper]
    np.testing.assert_allclose(shown, np.concatenate([theirs, theirs[::-1][1:11]])[:len(shown)], atol=1e-6)
    trained.config = replace(trained.config, signals=replace(trained.config.signals, eyes="still"))
    still = trained.drive(subject, many).expression.numpy()[:, upper]
    np.testing.assert_allclose(still, np.broadcast_to(theirs.mean(0), still.shape), atol=1e-6)
    trained.config = replace(trained.config, signals=replace(trained.config.signals, eyes="video"))
    filmed = trained.drive(subject, many).expression.numpy()[:, upper]
    np.testing.assert_allclose(filmed, subject.expression()[[frame.aud_id for frame in many]][:, upper], atol=1e-6)


def test_imported_motion_drives_and_is_carried_over_by_the_training_frames(
    person: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Coefficients that hold the truth in another basis give the jaw of unseen frames back; without them the sentence says what to do."""
    subject = Subject(person)
    test, truth = subject.frames("val")[:4], subject.expression()
    jaw = embedded_head().expression_names.index("jaw_open")
    coefficients = np.outer(truth[:, jaw], np.random.default_rng(0).normal(size=64)).astype(np.float32)
    imported = replace(TINY.signals, motion_source="imported")
    trained = TrainedTalker(finished, "cpu")
    trained.config = replace(trained.config, signals=imported)
    with pytest.raises(UserError, match="motion import"):
        trained.drive(subject, test)

    monkeypatch.setattr(Subject, "imported_expression", lambda self: coefficients)
    adapt(person, tmp_path / "run", replace(TINY, schedule=replace(TINY.schedule, face=12, mouth=12, fuse=1)))
    trained = TrainedTalker(tmp_path / "run", "cpu")
    assert trained.imported is not None
    np.testing.assert_allclose(trained.imported.predict(coefficients)[:, jaw], truth[:, jaw], atol=0.05)
    predicted = trained.drive(subject, test).motion
    trained.config = replace(trained.config, signals=imported)
    assert not torch.equal(trained.drive(subject, test).motion, predicted)
    with pytest.raises(UserError, match="foreign sound"):
        trained.drive_by(subject, subject.features("mel")[:3], np.zeros(1920, np.float32))


def test_any_number_of_columns_is_heard(person: Path, tmp_path: Path) -> None:
    """HuBERT's file holds two rows of 1024 columns a frame, wav2vec's windows of 44: both train and drive."""
    folder = tmp_path / "person"
    shutil.copytree(person, folder)
    subject = Subject(folder)
    total, rng = len(subject.expression()), np.random.default_rng(0)
    short = replace(TINY.schedule, face=12, mouth=12, fuse=1)
    for name, file, shape in (("hubert", "aud_hu", (2, 1024)), ("wav2vec2", "aud_eo", (16, 44))):
        np.save(folder / f"{file}.npy", rng.normal(size=(total, *shape)).astype(np.float32))
        config = replace(TINY, schedule=short, signals=replace(TINY.signals, features=name), ablation=replace(TINY.ablation, refiner="off"))
        adapt(folder, tmp_path / name, config)
        trained = TrainedTalker(tmp_path / name, "cpu")
        assert trained.drive(subject, subject.frames("val")[:3]).audio.shape == (3, 16, shape[1])
        assert any(name in note for note in trained.notes)


def test_a_quieter_foreign_sound_moves_the_lips_as_far(person: Path, finished: Path) -> None:
    """A sound 12 dB quieter is the same to its own mean; by the training sound's it moved them half as far."""
    subject, trained = Subject(person), TrainedTalker(finished, "cpu")
    audio = read_audio(subject.layout.audio)
    sounds = (audio * np.float32(gain) for gain in (1, 0.25))
    loud, quiet = (
        trained.drive_by(subject, windows(steps(trained.feature_name, sound), 100), sound).expression for sound in sounds
    )
    assert loud.std(0).max() > 0.01
    np.testing.assert_allclose(quiet.std(0), loud.std(0), rtol=0.2, atol=2e-3)


def test_rows_share_every_draw_they_can(person: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other attributes make other Gaussians, but the same first weights, the same frames in the same order, the same noise."""
    drawn: dict[str, list] = {}
    draw, begin, first = adapting.draw_sample, adapting.Adaptation.begin_stage, {}

    def watched(views, drive, index, *more):
        sample = draw(views, drive, index, *more)
        drawn[name].append((index, sample.color, sample.signals.audio))
        return sample

    def started(self: adapting.Adaptation) -> None:
        first.setdefault(name, {key: value.clone() for key, value in self.talker.state_dict().items()})
        first.setdefault(name + " refiner", {k: v.clone() for k, v in self.refining.refiner.state_dict().items()})
        begin(self)

    monkeypatch.setattr(adapting, "draw_sample", watched)
    monkeypatch.setattr(adapting.Adaptation, "begin_stage", started)
    for name in ("mu", "all"):
        drawn[name] = []
        adapt(person, tmp_path / name, replace(TINY, ablation=replace(TINY.ablation, attributes=name)))
    for one, other in zip(drawn["mu"], drawn["all"], strict=True):
        assert one[0] == other[0] and torch.equal(one[1], other[1]) and torch.equal(one[2], other[2])
    last = "identity.fields.face.decoder.1.2.weight"
    assert first["mu"].keys() == first["all"].keys() and first["mu"][last].shape != first["all"][last].shape
    assert all(torch.equal(value, first["all"][key]) for key, value in first["mu"].items() if key != last)
    assert all(torch.equal(value, first["all refiner"][key]) for key, value in first["mu refiner"].items())
    left, right = (model_of(tmp_path / name)["identity.gaussians.face.means"] for name in ("mu", "all"))
    assert left.shape != right.shape or not torch.equal(left, right)


@pytest.mark.parametrize("part", ["refiner", "general", "individual"])
def test_a_finished_model_renders_without_a_part(person: Path, finished: Path, part: str) -> None:
    subject, whole = Subject(person), TrainedTalker(finished, "cpu")
    asked = replace(TINY, ablation=replace(TINY.ablation, leave_out=part))
    trained, test = TrainedTalker(finished, "cpu", asked), subject.frames("val")[:3]
    signals, where, behind = whole.drive(subject, test), camera(subject, test[1], whole.device), back(subject, test[1], whole.device)
    coarse, less = (one.coarse(signals, 1, where, behind) for one in (whole, trained))
    if part == "refiner":
        assert torch.equal(less, coarse) and torch.equal(trained.frame(signals, 1, where, behind), coarse)
        assert list(trained.stages()) != list(whole.stages()) and not torch.equal(whole.frame(signals, 1, where, behind), coarse)
    else:
        kept = "individual" if part == "general" else "general"
        assert list(trained.talker.active_fields("face")) == [kept] and set(trained.anchors["face"]) == {kept}
        encoded = whole.talker.encode(signals.at(1))
        alone = {r: whole.talker.deformations(r, encoded)[kept] for r in ("face", "mouth")}
        layers = [whole.talker.draw(region, where, alone[region]) for region in ("face", "mouth")]
        torch.testing.assert_close(less, compose(*layers, behind).clamp(0, 1), atol=1e-5, rtol=0)
    assert any("full model" in note for note in trained.notes) and not any("full model" in note for note in whole.notes)


def test_rendering_is_deterministic(person: Path, finished: Path) -> None:
    subject = Subject(person)
    frame = subject.frames("val")[0]
    pictures = []
    for _ in range(2):
        trained = TrainedTalker(finished, "cpu")
        signals = trained.drive(subject, [frame])
        pictures.append(trained.coarse(signals, 0, camera(subject, frame, trained.device), back(subject, frame, trained.device)))
    assert torch.equal(*pictures)


@pytest.mark.parametrize(("change", "message"), [
    ({"schedule": replace(TINY.schedule, warmup=40)}, "warmup"),
    ({"gaussians": replace(TINY.gaussians, max_points=10)}, "max_points"),
    ({"gaussians": replace(TINY.gaussians, sh_degree=4)}, "sh_degree"),
])
def test_impossible_configurations_are_refused(change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check(replace(TINY, **change))


def test_too_few_rows_are_named(person: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Subject, "features", lambda self, name="auto": np.zeros((10, 16, 29), np.float32))
    with pytest.raises(UserError, match="have 10 rows, frame 29 is asked for"):
        adapt(person, tmp_path / "run")


def test_audio_statistics_standardise_each_column() -> None:
    features = np.random.default_rng(0).normal(3, 2, (50, 16, 29))
    out = AudioStatistics.of(features).apply(features)
    np.testing.assert_allclose(out.reshape(-1, 29).mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(out.reshape(-1, 29).std(0), 1, atol=1e-2)
