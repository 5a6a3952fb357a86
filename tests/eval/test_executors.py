"""Every executor runs the same toy sweep to the same results, and survives workers that crash or die."""

from __future__ import annotations

import logging
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from toys import contents, toy_harness, toy_sweep, toy_tasks

from d3talker.errors import UserError
from eval.executors import Died, ExecutorConfig, Serial, executor

KINDS = {
    "serial": ExecutorConfig(),
    "ray": ExecutorConfig("ray", workers=2, cpus=1),
    "slurm-local": ExecutorConfig("slurm", workers=2, cpus=1, cluster="local"),
    "slurm-debug": ExecutorConfig("slurm", cluster="debug"),
}
NEEDS = {"ray": "ray", "slurm-local": "submitit", "slurm-debug": "submitit"}
OWN_PROCESS = ("ray", "slurm-local")
TASKS = toy_tasks(1, sounds=("A",), pretrain=True)


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def where(kind, tmp_path_factory):
    """The executor of this kind, started once for all tests."""
    if kind in NEEDS:
        pytest.importorskip(NEEDS[kind], reason=f"{kind} needs the extra 'sweep'")
        logging.getLogger("submitit").setLevel(logging.ERROR)
    with closing(executor(KINDS[kind], tmp_path_factory.mktemp(kind), cuda=False)) as running:
        yield running


@pytest.fixture(scope="module")
def finals(tmp_path_factory):
    harness = toy_harness(tmp_path_factory.mktemp("finals"))
    toy_sweep(harness, TASKS)
    return contents(harness.store.root)


def without_times(results):
    """Which files there are, and what is in those that hold no times."""
    timeless = ("predictions", "reference")
    return {path: value if Path(path).parts[0] in timeless else 0 for path, value in results.items()}


def test_all_executors_come_to_the_same(tmp_path, kind, where, finals):
    harness = toy_harness(tmp_path)
    assert toy_sweep(harness, TASKS, where) == 0
    assert without_times(contents(harness.store.root)) == without_times(finals)
    records = [harness.store.record(task.job) for task in TASKS]
    assert [record.status for record in records] == ["ok"] * 3
    # side by side no training time counts, but speeds are measured again one by one
    assert records[0].metrics["train_time"].extra["exclusive"] == (kind == "serial")
    assert records[0].metrics["fps"].extra["exclusive"]
    assert {count for what, count in harness.stages.done().items() if not what.startswith("fps")} == {1}


def test_mishaps_cost_their_own_job_alone(tmp_path, kind, where):
    wrong = {"s0": "crash", "s1": "die"} if kind in OWN_PROCESS else {"s0": "crash"}
    tasks = [task for task in toy_tasks(3) if task.config][:3]
    harness = toy_harness(tmp_path, wrong=wrong)
    assert toy_sweep(harness, tasks, where) == len(wrong)
    crashed, died, fine = (harness.store.record(task.job) for task in tasks)
    assert crashed.reason == "ZeroDivisionError: the toy crashed" and fine.status == "ok"
    if kind in OWN_PROCESS:
        assert died.status == "failed" and "died" in harness.store.log(died.job).read_text()
        assert harness.stages.done()["die s1"] == 2  # it was given a second chance


def test_a_full_disk_stops_every_executor(tmp_path, where, monkeypatch):
    monkeypatch.setattr("pdb.post_mortem", lambda: None)  # submitit's debug executor opens the debugger
    harness = toy_harness(tmp_path, wrong={"s0": "full"})
    with pytest.raises(OSError, match="No space"):
        toy_sweep(harness, TASKS[:1], where)
    assert harness.store.record(TASKS[0].job) is None


def test_serial_yields_as_it_goes():
    seen = []
    for index, value in Serial().run(lambda item: item * 2, [1, 2, 3]):
        seen.append((index, value))
        assert not isinstance(value, Died)
    assert seen == [(0, 2), (1, 4), (2, 6)]


def test_options_of_slurm_are_checked(tmp_path):
    pytest.importorskip("submitit")
    with pytest.raises(UserError, match="NAME=VALUE"):
        executor(ExecutorConfig("slurm", cluster="debug", options=("partition",)), tmp_path, cuda=False)


@pytest.mark.skipif(bool(shutil.which("srun")), reason="there is a Slurm here")
def test_a_machine_without_slurm_is_told(tmp_path):
    pytest.importorskip("submitit")
    with pytest.raises(UserError, match="Slurm cannot be used here"):
        executor(ExecutorConfig("slurm"), tmp_path, cuda=False)


@pytest.mark.parametrize(("name", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, name, package):
    import importlib

    real = importlib.import_module

    def absent(module, *args):
        if module == package:
            raise ModuleNotFoundError(f"No module named '{package}'", name=package)
        return real(module, *args)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(UserError, match=r"\.\[sweep\]"):
        executor(ExecutorConfig(name), tmp_path, cuda=False)
