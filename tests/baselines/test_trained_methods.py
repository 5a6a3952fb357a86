"""Methods that are trained: chosen on the command line, checked by `d3talker check`, planned, keyed and told apart in tables."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import toy_method

from baselines import registry
from baselines.choosing import by_method, chosen, everyone, given, options_of
from baselines.floors import FLOORS
from baselines.training_check import check_options, check_training
from d3talker.cli import main
from d3talker.errors import UserError
from d3talker.method.config import MINI, PAPER
from eval.bench import BenchConfig, request
from eval.jobs import signature, training_key
from eval.plan import plan
from eval.records import Job

TOY = "mean-learner"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch):
    """The toy as an installed plug-in brings it."""
    entry = EntryPoint("toy", "toy_method", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    for cached in (registry.trained_here, registry.rows_here):
        cached.cache_clear()
    yield
    for cached in (registry.trained_here, registry.rows_here):
        cached.cache_clear()


def test_values_behind_a_flag():
    assert given(["--a", "x", "y", "--b", "z"], "--a") == ["x", "y"] and given(["--a=x", "--a", "y"], "--a") == ["y"]
    assert given(["x"], "--a") == []


def test_one_method_has_its_options_at_the_top_and_several_have_them_by_name(installed):
    assert chosen(["--preset", "mini"], "--methods", ["d3talker", *FLOORS], "paper") == ("mini", MINI)
    _, both = chosen(["--methods", "d3talker", TOY, "mean-frame"], "--methods", [], "paper")
    assert both.d3talker == PAPER and both.mean_learner == toy_method.Options(400)
    assert by_method(["d3talker", TOY], both) == {"d3talker": PAPER, TOY: toy_method.Options(400)}
    assert by_method(["d3talker"], options_of(["d3talker"], {"d3talker": MINI})) == {"d3talker": MINI}
    with pytest.raises(UserError, match=r"'mean-frame' is not trained here.*d3talker, mean-learner"):
        chosen(["--method", "mean-frame"], "--method", [], "paper", True)


def test_all_is_all_that_runs_here(installed):
    assert set(everyone(["all"])) == {"d3talker", TOY, *FLOORS, *registry.Registry().trainable()}
    assert everyone(["mean-frame", "mean-frame"]) == ("mean-frame",)


def test_a_plugin_is_planned_like_all_others(installed, person):
    config = BenchConfig((person,), Path("x"), methods=("d3talker", TOY, "mean-frame"), preset="mini", budgets=(2.0,), motion="none", seeds=2)
    tasks = plan(request(config, config.options())).tasks
    jobs = [task.job for task in tasks]
    assert [(job.method, job.seed, job.trained) for job in jobs] == [
        ("d3talker", 0, True), ("d3talker", 1, True), (TOY, 0, True), (TOY, 1, True), ("mean-frame", 0, False)]
    assert jobs[2].config == {"steps": 40}  # where it runs changes no number
    assert len({training_key(job) for job in jobs}) == 5
    study = plan(request(replace(config, ablations=("audio-only",), seeds=1), config.options())).tasks
    assert [(t.job.method, t.job.ablation) for t in study if t.config] == [("d3talker", "without-facial-motion"), (TOY, "full")]  # the same setting, by its first name


def test_other_devices_for_one_benchmark_are_refused(installed, person):
    config = BenchConfig((person,), Path("x"), methods=("d3talker", TOY), preset="mini")
    model = options_of(["d3talker", TOY], {"d3talker": replace(MINI, device="cpu"), TOY: toy_method.Options(4, "cuda")})
    with pytest.raises(UserError, match="different devices"):
        replace(config, model=model).options()


def test_motion_is_no_matter_of_a_method_that_does_not_hear_it(installed):
    assert "motion" not in signature(TOY, toy_method.Options(), None, "abc") and signature("d3talker", MINI, None, "abc")["motion"] == "abc"


def test_imported_and_trained_frames_are_told_apart():
    plain = {"protocol": "d3-v2", "method": TOY, "subject": "a", "subject_hash": "b", "budget": 5}
    ours, theirs, cross = Job(**plain, config={"steps": 4}), Job(**plain, source_hash="c"), Job(**plain, config={"steps": 4}, source_hash="d")
    assert [job.imported for job in (ours, theirs, cross)] == [False, True, False]


def test_the_toy_keeps_the_contract(installed, tmp_path):
    check_options(toy_method.ADAPTER.train, AssertionError)
    assert check_training(toy_method.ADAPTER.train, tmp_path, AssertionError) is None


@pytest.mark.parametrize(("wrong", "said"), [
    ("random", "same bits"), ("seed", "another seed"), ("pickle", "pickled objects"), ("range", "outside of 0 ... 1"),
])
def test_check_catches(installed, tmp_path, monkeypatch, wrong, said):
    monkeypatch.setattr(toy_method, "WRONG", wrong)
    with pytest.raises(AssertionError, match=said):
        check_training(toy_method.ADAPTER.train, tmp_path, AssertionError)


def test_check_catches_options_without_a_device(installed, monkeypatch):
    monkeypatch.setattr(toy_method, "WRONG", "device")
    with pytest.raises(AssertionError, match="no device among"):
        check_options(toy_method.ADAPTER.train, AssertionError)


def test_adapt_and_render_by_hand(installed, person, tmp_path):
    run, out = tmp_path / "run", tmp_path / "out"
    assert main(["adapt", "--method", TOY, "--subject", str(person), "--out", str(run), "--budget", "2", "--model.steps", "5"]) == 0
    assert main(["render", str(run), "--method", TOY, "--subject", str(person), "--out", str(out)]) == 0
    assert "It learns one picture only." in (out / "manifest.json").read_text() and TOY in (out / "manifest.json").read_text()
    assert main(["pretrain", "--method", TOY, "--subjects", str(person), "--out", str(run)]) == 2
