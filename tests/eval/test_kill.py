"""Killed at any moment and run again: nothing is repeated, nothing is half counted, nothing is left lying about."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from toys import contents, toy_harness, toy_sweep, toy_tasks

from eval.harness import describe_once

FORK = multiprocessing.get_context("fork")
TASKS = toy_tasks(1, sounds=("A",), pretrain=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What an undisturbed sweep leaves behind, and what it does."""
    describe_once("cpu")  # the children inherit it
    root = tmp_path_factory.mktemp("whole")
    harness = toy_harness(root)
    assert toy_sweep(harness, TASKS) == 0
    return contents(harness.store.root), harness.stages.done()


def in_child(work: Callable[[], object]) -> int:
    """Exit code of `work` in a process of its own; -9 when it was killed."""

    def body() -> None:
        work()
        os._exit(0)

    child = FORK.Process(target=body)
    child.start()
    child.join()
    return child.exitcode


def dying_sweep(root: Path, at: int, before: bool) -> None:
    """A sweep that is killed at its `at`-th rename: the moments between which anything changes for good."""
    real, count = os.replace, 0

    def replace(*args, **kwargs):
        nonlocal count
        count += 1
        if count == at and before:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **kwargs)
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    os.replace = replace
    toy_sweep(toy_harness(root), TASKS)


@pytest.mark.parametrize("before", [True, False])
def test_kill_at_every_rename(tmp_path, whole, before):
    finals, needed = whole
    killed = 0
    for at in range(1, 200):
        root = tmp_path / str(at)
        if in_child(lambda: dying_sweep(root, at, before)) == 0:
            break
        killed += 1
        harness = toy_harness(root)
        assert toy_sweep(harness, TASKS) == 0
        assert contents(harness.store.root) == finals
        extra = harness.stages.done() - needed
        assert extra.total() <= 1, f"killed at rename {at}, these were repeated: {extra}"
        assert toy_sweep(harness, TASKS) == 0 and harness.stages.done() - needed == extra  # all is done now
    assert killed > 20


def test_kill_at_chance_again_and_again(tmp_path, whole):
    finals, needed = whole
    draw, kills = random.Random(7), 0
    while True:
        child = FORK.Process(target=lambda: (toy_sweep(toy_harness(tmp_path, seconds=0.002), TASKS), os._exit(0)))
        child.start()
        child.join(draw.uniform(0, 0.05 + 0.02 * kills))  # slower machines get more time, in the end enough
        if child.exitcode is None:
            os.kill(child.pid, signal.SIGKILL)
            child.join()
        if child.exitcode == 0:
            break
        kills += 1
    harness = toy_harness(tmp_path)
    assert contents(harness.store.root) == finals
    assert (harness.stages.done() - needed).total() <= kills
    assert kills > 1


def test_processes_share_the_work(tmp_path, whole):
    tasks = toy_tasks(4, sounds=("A",), pretrain=True)
    children = [
        FORK.Process(target=lambda: os._exit(toy_sweep(toy_harness(tmp_path, seconds=0.01), tasks))) for _ in range(3)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0
    harness = toy_harness(tmp_path)
    assert all(harness.store.record(task.job).status == "ok" for task in tasks)
    assert set(harness.stages.done().values()) == {1}  # nothing was done twice


def test_a_process_takes_over_from_one_that_is_killed(tmp_path, whole, monkeypatch):
    monkeypatch.setattr("eval.sweep.WAIT_S", 0.01)
    finals, needed = whole
    first = FORK.Process(target=lambda: toy_sweep(toy_harness(tmp_path, seconds=0.3), TASKS))
    first.start()
    log = tmp_path / "log"
    while not log.exists() or "train-step-1" not in log.read_text():
        time.sleep(0.005)
    second = FORK.Process(target=lambda: os._exit(toy_sweep(toy_harness(tmp_path), TASKS)))
    second.start()
    time.sleep(0.1)
    assert second.is_alive()  # it waits for what the first one holds
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    second.join()
    assert second.exitcode == 0
    harness = toy_harness(tmp_path)
    assert contents(harness.store.root) == finals
    assert (harness.stages.done() - needed).total() <= 1


def test_an_interruption_stops_the_sweep_and_is_no_failure(tmp_path):
    harness = toy_harness(tmp_path)
    class Interrupted(type(harness.stages)):
        def score(self, *args):
            raise KeyboardInterrupt

    stages = Interrupted(tmp_path / "log")
    with pytest.raises(KeyboardInterrupt):
        toy_sweep(type(harness)(harness.store, stages, ("psnr",), "cpu"), TASKS)
    assert not (harness.store.root / "records").exists()
    assert toy_sweep(harness, TASKS) == 0
