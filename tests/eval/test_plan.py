"""From a request to jobs: the counts of every table, settings that are one, what is refused and what is left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from small_motion import small_model
from toys import ToySubject

from d3talker import checkpoint
from d3talker.errors import UserError
from d3talker.method.ablations import ABLATIONS, RETRAINED, ROWS, ablated
from d3talker.method.config import PAPER
from d3talker.people.motion.model import CHECKPOINT
from eval.imports import Import
from eval.jobs import Pretraining, canonical, signature, start_of, training_key, training_seed, units
from eval.plan import TABLES, HeardMotion, Request, plan
from eval.protocol import D3_V1
from eval.sounds import Sound

FLOORS = ("ground-truth", "ground-truth-h264", "mean-frame", "nearest-pose")
SUBJECTS = (ToySubject("anna"), ToySubject("ben"))
PEOPLE = (ToySubject("p1"), ToySubject("p2"))
DISTINCT = 12  # the paper's Table 4 has fourteen rows, of which three repeat a setting of another; the rig is ours
TRAINED = DISTINCT - 3  # without the refiner, without either field: the full run, rendered without them
PRETRAINED = TRAINED - 2  # attributes are the Individual Field's matter, which adaptation trains anew


@pytest.fixture
def sounds(tmp_path):
    for name in "AB":
        (tmp_path / f"{name}.wav").write_bytes(name.encode())
    return tuple(Sound(name, tmp_path / f"{name}.wav") for name in "AB")


def ask(**options) -> Request:
    base = Request(D3_V1, {"d3talker": PAPER}, SUBJECTS, methods=FLOORS, pretrain=PEOPLE)
    return replace(base, **options)


def count(request: Request) -> Counter:
    return Counter(task.job.method for task in plan(request).tasks)


def test_table_1_has_one_budget_and_every_method():
    tasks = plan(ask(tables=(1,), seeds=3)).tasks
    assert Counter(task.job.method for task in tasks) == {"d3talker": 12, **dict.fromkeys(FLOORS, 2)}
    assert {(task.job.budget, task.job.setting, task.job.ablation) for task in tasks} == {(10, "self", "full"), (10, "self", "rig")}


def test_the_rig_has_a_row_in_every_table_unless_other_rows_were_named(sounds):
    for table in TABLES:
        assert "rig" in {task.job.ablation for task in plan(ask(tables=(table,), sounds=sounds)).tasks}
        named = plan(ask(tables=(table,), sounds=sounds, ablations=("full", "without-c2f"))).tasks
        assert "rig" not in {task.job.ablation for task in named}
    assert {task.job.ablation for task in plan(ask(methods=())).tasks} == {"full"}
    assert {task.config.ablation.rig for task in plan(ask(methods=(), ablations=("rig",))).tasks} == {"on"}
    assert PAPER.ablation.rig == "off" and all("rig" not in row.switches for row in ABLATIONS.values())


def test_table_2_has_four_budgets_of_our_model_and_one_of_the_truth():
    tasks = plan(ask(tables=(2,))).tasks
    assert Counter(task.job.method for task in tasks) == {"d3talker": 16, "ground-truth": 2}
    assert Counter(task.job.budget for task in tasks) == {5: 6, 10: 4, 15: 4, 20: 4}


def test_table_3_has_every_sound(sounds):
    tasks = plan(ask(tables=(3,), sounds=sounds, seeds=2)).tasks
    assert len(tasks) == 2 * 2 * 2 * 2
    assert {(task.job.setting, task.job.audio) for task in tasks} == {("cross", "A"), ("cross", "B")}
    assert len({task.job.source_hash for task in tasks}) == 2


def test_table_4_has_fifteen_rows_of_twelve_settings():
    tasks = plan(ask(tables=(4,))).tasks
    assert Counter(task.job.method for task in tasks) == {"d3talker": 2 * DISTINCT, "ground-truth": 2}
    assert {task.job.budget for task in tasks} == {20}
    assert len({training_key(task.job) for task in tasks if task.config}) == 2 * TRAINED


def test_all_tables_share_what_they_have_in_common(sounds):
    request = ask(tables=TABLES, sounds=sounds, seeds=3)
    tasks = plan(request).tasks
    own = [task for task in tasks if task.config]
    # 4 budgets with and without rig, ten more rows at 20 s, two sounds at 10 s; what stands in several tables is run once
    assert len(own) == 2 * 3 * (2 * 4 + DISTINCT - 2 + 2 * 2)
    assert len(units(own)) == 2 * 3 * (2 * 4 + TRAINED - 2)
    assert len({task.job.key for task in tasks}) == len(tasks)


def test_pretraining_happens_once_for_all_that_see_the_same():
    starts = {task.pretraining.key for task in plan(ask(tables=TABLES, seeds=2)).tasks if task.pretraining}
    assert len(starts) == PRETRAINED
    whole = Pretraining("d3talker", PAPER, PEOPLE)
    for name in ("without-c2f", "general-only", "attributes-mu", "attributes-all"):
        start = start_of("d3talker", ablated(PAPER, name), PAPER, PEOPLE)
        assert start is not None and start.key == whole.key
    longer = replace(PAPER, schedule=replace(PAPER.schedule, face=20000), device="cpu")
    assert Pretraining("d3talker", longer, PEOPLE).key == Pretraining("d3talker", PAPER, PEOPLE).key
    other = replace(PAPER, pretrain=replace(PAPER.pretrain, face=7))
    assert len({Pretraining("d3talker", c, p).key for c in (PAPER, other) for p in (PEOPLE, SUBJECTS)}) == 4


def test_rows_of_one_place_share_their_seed_and_others_do_not():
    tasks = [task for task in plan(ask(tables=(2, 4), seeds=2)).tasks if task.config]
    seeds: dict[tuple, set[int]] = {}
    for task in tasks:
        seeds.setdefault((task.job.subject, task.job.budget, task.job.seed), set()).add(training_seed(task.job))
    assert all(len(own) == 1 for own in seeds.values()) and len(set.union(*seeds.values())) == len(seeds)
    assert len({task.pretraining.seed for task in tasks}) == 1


def test_rows_that_leave_something_out_train_nothing_of_their_own():
    full, *rest = plan(ask(ablations=("full", "without-c2f", "general-only", "individual-only"), methods=())).tasks[:4]
    assert len({task.job.key for task in (full, *rest)}) == 4
    assert {training_key(task.job) for task in rest} == {training_key(full.job)}
    one, = units((full, *rest))
    assert one.tasks == (full, *rest)
    retrained = plan(ask(ablations=("general-only-retrained",), methods=())).tasks[0]
    assert training_key(retrained.job) != training_key(full.job)


def test_a_job_knows_its_pretraining_and_no_option_of_another():
    start = Pretraining("d3talker", PAPER, PEOPLE)
    assert signature("d3talker", PAPER, start)["pretrain"] == start.key
    assert not {"pretrain", "device"} & set(signature("d3talker", PAPER, None))
    keys = {plan(ask(tables=(1,), methods=(), pretrain=p)).tasks[0].job.key for p in ((), PEOPLE)}
    assert len(keys) == 2


def test_rows_that_are_one_setting_have_one_name():
    assert len(canonical(ROWS, list(ROWS))) == DISTINCT + len(RETRAINED)
    assert canonical(ROWS, ["audio-only"]) == canonical(ROWS, ["without-facial-motion"])
    for name in ABLATIONS:
        assert ablated(PAPER, canonical(ROWS, [name])[0]) == ablated(PAPER, name)


@pytest.mark.parametrize(("budgets", "expected"), [
    ((), {1: {10}, 2: {5, 10, 15, 20}, 4: {20}}),
    ((5,), {1: {5}, 2: {5}, 4: {5}}),
    ((2, 10), {1: {10}, 2: {2, 10}, 4: {10}}),
    ((2, 4), {1: {4}, 2: {2, 4}, 4: {4}}),
])
def test_budgets_fit_the_tables(budgets, expected):
    for table, wanted in expected.items():
        assert {task.job.budget for task in plan(ask(tables=(table,), budgets=budgets)).tasks} == wanted


def test_without_tables_everything_is_multiplied(sounds):
    tasks = plan(ask(
        budgets=(5, 10), ablations=("full", "audio-only"), settings=("self", "cross"), sounds=sounds, seeds=2,
    )).tasks
    own = [task.job for task in tasks if task.config]
    assert len(own) == 2 * 2 * 2 * 2 * 3  # subjects, budgets, ablations, seeds; own sound and two others
    assert len(tasks) - len(own) == 2 * 2 * len(FLOORS)


def test_what_cannot_be_is_left_out_and_said():
    found = plan(ask(tables=TABLES, pretrain=()))
    assert not any(task.job.setting == "cross" for task in found.tasks)
    assert any("--audio" in text for text in found.left_out)
    assert any("without-sc-loss" in text and "--pretrain" in text for text in found.left_out)
    assert len({task.job.ablation for task in found.tasks}) == DISTINCT - 3


def test_settings_restrict_tables(sounds):
    found = plan(ask(tables=TABLES, settings=("self",), sounds=sounds))
    assert {task.job.setting for task in found.tasks} == {"self"} and not found.left_out


def test_imports_stand_where_they_belong(tmp_path):
    def one(**facts):
        plain = {"folder": tmp_path / "x", "method": "instag", "subject": "anna", "setting": "self", "budget": 10}
        return Import(**plain | {"digest": "d"} | facts)

    found = plan(ask(tables=(1, 4), imports=(one(), one(folder=tmp_path / "y", subject="zoe"))))
    imported = [task for task in found.tasks if task.predictions]
    assert [(task.job.method, task.job.subject, task.job.budget) for task in imported] == [("instag", "anna", 10)]
    assert len([text for text in found.left_out if "zoe" in text]) == 1


@pytest.fixture
def motion(tmp_path) -> HeardMotion:
    checkpoint.save(tmp_path / "motion" / CHECKPOINT, small_model(("p1", "ben")).state())
    return HeardMotion(tmp_path / "motion")


def test_another_motion_model_is_another_job_and_another_training(motion):
    (plain,), (heard,) = (
        [t for t in plan(ask(subjects=SUBJECTS[:1], motion=m)).tasks if t.config] for m in (None, motion)
    )
    assert heard.motion == motion.run and plain.motion is None
    assert plain.job.key != heard.job.key and training_key(plain.job) != training_key(heard.job)
    before = heard.job.key
    checkpoint.save(motion.run / CHECKPOINT, {**checkpoint.load(motion.run / CHECKPOINT), "speakers": ["p1"]})
    (other,) = (t for t in plan(ask(subjects=SUBJECTS[:1], motion=HeardMotion(motion.run))).tasks if t.config)
    assert other.job.key != before


def test_a_motion_model_that_knows_a_test_subject_is_refused(motion):
    with pytest.raises(UserError, match="trained on 'ben'"):
        plan(ask(motion=motion))


def test_a_missing_motion_model_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        plan(ask(motion=HeardMotion(tmp_path / "nowhere")))


@pytest.mark.parametrize(("options", "words"), [
    ({"subjects": (ToySubject("anna"), ToySubject("anna"))}, "share a name"),
    ({"budgets": (30,)}, "30 s"),
    ({"budgets": (0.2,)}, "5 frames"),
    ({"seeds": 0}, "--seeds"),
    ({"ablations": ("no-such",)}, "no-such"),
    ({"ablations": ("no-contrast",), "pretrain": ()}, "--pretrain"),
    ({"settings": ("cross",)}, "--audio"),
    ({"pretrain": PEOPLE[:1]}, "at least two"),
    ({"pretrain": (*PEOPLE, SUBJECTS[0])}, "other people"),
    ({"methods": ("nobody",)}, "nobody"),
    ({"methods": ("instag",)}, "d3talker import instag"),
    ({"imports": (Import(Path("x"), "mean-frame", "anna", "self", 10, "d"),)}, "also runs here"),
    ({"tables": (3,)}, "--audio"),
    ({"tables": (1,), "settings": ("cross",), "sounds": (Sound("A", None),)}, "exclude"),
])
def test_wrong_requests_are_refused_in_one_sentence(options, words):
    with pytest.raises(UserError, match=words) as error:
        plan(ask(**options))
    assert "\n" not in str(error.value)
