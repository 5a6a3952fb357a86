"""Pre-training: shared parameters learn from everybody, contrast is on when asked for, and it resumes to the same bits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from d3talker import checkpoint
from d3talker.errors import UserError
from d3talker.files import read_json
from d3talker.learning import loop
from d3talker.learning.views import load_views
from d3talker.method.adapt import CHECKPOINT as ADAPTED
from d3talker.method.adapt import train_identity
from d3talker.method.config import Config
from d3talker.method.driving import training_signals
from d3talker.method.pretrain import Person, Pretraining, pretrain
from d3talker.method.sampling import draw_sample
from d3talker.method.shared import CHECKPOINT, load_general
from d3talker.people.subject.layout import Subject

from .test_adapt import TINY

CONFIG = replace(TINY, pretrain=replace(TINY.pretrain, face=30, mouth=12, warmup=6, frames=20))


def test_adaptation_hears_what_the_pretraining_heard(person: Path, finished: Path, tmp_path: Path) -> None:
    heard = load_general(finished).features
    assert heard == Subject(person).feature_name()
    other = replace(CONFIG, signals=replace(CONFIG.signals, features="hubert"))
    with pytest.raises(UserError, match=f"pre-trained on {heard} features, hubert are asked for"):
        train_identity(other, Subject(person), Subject(person).frames("train")[:30], tmp_path, 0, finished)


def subjects(*folders: Path) -> list[Subject]:
    return [Subject(folder) for folder in folders]


@pytest.fixture(scope="module")
def finished(person: Path, other_person: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("general")
    pretrain(CONFIG, subjects(person, other_person), out, 0)
    return out


def test_resumes_to_the_same_bits(
    person: Path, other_person: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, steps = loop.Loop._one_step, 0

    def interrupted(self: loop.Loop) -> str:
        nonlocal steps
        steps += 1
        if steps == 25:
            raise KeyboardInterrupt
        return original(self)

    monkeypatch.setattr(loop.Loop, "_one_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pretrain(CONFIG, subjects(person, other_person), tmp_path, 0)
    monkeypatch.undo()
    with pytest.raises(UserError, match="is not finished"):
        load_general(tmp_path)
    pretrain(CONFIG, subjects(person, other_person), tmp_path, 0)
    for name, value in load_general(finished).general.items():
        assert torch.equal(value, load_general(tmp_path).general[name]), name


def test_average_trails_what_trains_and_keeps_the_rest(
    person: Path, other_person: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The face's average of its own stage stays through the mouth's, which sees the face as that average."""
    begin, after_face = Pretraining.begin_stage, {}

    def watched(self: Pretraining) -> None:
        if self.stage == "mouth":
            after_face.update({name: value.clone() for name, value in self.average.items()})
            raw = self.general.state_dict()["motion.difference.body.0.weight"]
            assert not torch.equal(raw, after_face["motion.difference.body.0.weight"])
        begin(self)

    monkeypatch.setattr(Pretraining, "begin_stage", watched)
    pretrain(CONFIG, subjects(person, other_person), tmp_path, 0)
    state = checkpoint.load(tmp_path / CHECKPOINT)
    trained_last = {name for name in after_face if name.startswith("fields.mouth.")}
    for name in after_face:
        if name not in trained_last:
            assert torch.equal(state["average"][name], after_face[name]), name
            assert torch.equal(state["general"][name], after_face[name]), name
    moved = "fields.mouth.decoder.1.0.weight"
    assert not torch.equal(state["average"][moved], after_face[moved])
    assert not torch.equal(state["average"][moved], state["general"][moved])


@pytest.mark.parametrize(("contrast", "logged"), [
    ("both", {"similarity", "negative"}), ("similarity", {"similarity"}), ("negative", {"negative"}), ("none", set()),
])
def test_contrast_follows_the_ablation(person: Path, other_person: Path, tmp_path: Path, contrast: str, logged: set) -> None:
    config: Config = replace(
        CONFIG, pretrain=replace(CONFIG.pretrain, face=26, mouth=26), ablation=replace(CONFIG.ablation, contrast=contrast)
    )
    pretrain(config, subjects(person, other_person), tmp_path, 0)
    assert set(read_json(tmp_path / "log.json")["loss"]) == {"l1", "dssim", "refined l1", "gaussians"} | logged


def test_adaptation_starts_from_the_shared_parameters(person: Path, finished: Path, tmp_path: Path) -> None:
    subject = Subject(person)
    still = replace(CONFIG, schedule=replace(CONFIG.schedule, face=2, mouth=2, fuse=1, warmup=1))
    train_identity(still, subject, subject.frames("train")[:10], tmp_path, 7, finished)
    adapted = checkpoint.load(tmp_path / ADAPTED)
    assert adapted["pretrained"] is True
    shared = load_general(finished).general
    for name in ("motion.difference.body.0.weight", "fields.face.decoder.1.0.weight"):
        torch.testing.assert_close(adapted["model"][f"general.{name}"], shared[name], atol=1e-2, rtol=0)
    train_identity(still, subject, subject.frames("train")[:10], tmp_path / "alone", 7)
    alone = checkpoint.load(tmp_path / "alone" / ADAPTED)["model"][f"general.{name}"]
    assert (alone - shared[name]).abs().max() > 0.05


def test_needs_two_and_the_same_people(person: Path, other_person: Path, finished: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least two identities"):
        pretrain(CONFIG, subjects(person), tmp_path, 0)
    state = checkpoint.load(finished / CHECKPOINT)
    checkpoint.save(tmp_path / CHECKPOINT, state | {"done": False})
    with pytest.raises(UserError, match=r"was trained with subjects = \['person', 'other'\], now"):
        pretrain(CONFIG, subjects(other_person, person), tmp_path, 0)


@pytest.mark.parametrize("others", ["learn", "still"])
def test_the_other_identities_fields_learn_from_similarity_or_stand_still(
    person: Path, other_person: Path, tmp_path: Path, others: str
) -> None:
    config = replace(CONFIG, loss=replace(CONFIG.loss, others=others))
    training = objects(config, subjects(person, other_person), tmp_path)
    training.begin_stage()
    training.step = CONFIG.pretrain.warmup
    for talker in training.talkers:  # a field starts as no deformation, which nothing is similar to
        for field in (talker.identity.fields["face"], talker.general.fields["face"]):
            torch.nn.init.normal_(field.decoder[1][2].weight, std=0.1)  # type: ignore[union-attr, index]
    sample = draw_sample(training.people[0].views, training.people[0].signals.drive, 3, None, training.generator)
    loss, parts = training._loss(0, sample)
    assert parts["similarity"] > 0 and "gradient/similarity" not in parts  # measured only where a log asks for it
    loss.backward()
    taught = [p.grad is not None for p in training.talkers[1].identity.fields["face"].decoder.parameters()]  # type: ignore[union-attr]
    assert all(taught) if others == "learn" else not any(taught)
    assert all(p.grad is not None for p in training.talkers[0].identity.fields["face"].decoder.parameters())  # type: ignore[union-attr]


def test_contrast_in_the_networks_units_and_its_pull_are_logged(person: Path, other_person: Path, tmp_path: Path) -> None:
    """In metres L_C is a product of two hundredths of a hundredth."""
    values = {}
    for units in ("metres", "network"):
        config = replace(CONFIG, loss=replace(CONFIG.loss, negative_units=units), ablation=replace(CONFIG.ablation, refiner="off"))
        training = objects(config, subjects(person, other_person), tmp_path)
        training.measuring = True
        training.begin_stage()
        training.step = 24  # the 25th step is logged
        generator = torch.Generator().manual_seed(0)
        for talker in training.talkers:
            for field in (talker.identity.fields["face"], talker.general.fields["face"]):
                torch.nn.init.normal_(field.decoder[1][2].weight, std=0.1, generator=generator)  # type: ignore[union-attr, index]
        sample = draw_sample(training.people[0].views, training.people[0].signals.drive, 3, None, training.generator)
        values[units] = {name: float(value.detach()) for name, value in training._loss(0, sample)[1].items()}
    ratio = values["network"]["negative"] / values["metres"]["negative"]
    assert ratio == pytest.approx(CONFIG.fields.means_scale**-2, rel=1e-3)
    pulled = values["network"]["gradient/negative"] / values["metres"]["gradient/negative"]
    assert pulled == pytest.approx(ratio, rel=1e-3) and values["network"]["gradient/image"] > 0


def objects(config: Config, people: list[Subject], out: Path) -> Pretraining:
    """A pre-training that has not begun."""
    made = []
    for subject in people:
        frames = subject.frames("train")[:10]
        signals = training_signals(subject, frames, config.signals, torch.device("cpu"))
        made.append(Person(subject.name, load_views(subject, frames, torch.device("cpu")), signals))
    return Pretraining(config, made, out, 0, torch.device("cpu"))
