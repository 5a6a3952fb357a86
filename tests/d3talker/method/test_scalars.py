"""Scalars of a training: they change nothing, TensorBoard reads what the log holds, and a resumed run has one history."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from d3talker import checkpoint
from d3talker.errors import MissingExtra
from d3talker.files import read_json
from d3talker.learning.scalars import Board, counted
from d3talker.method.adapt import CHECKPOINT, train_identity
from d3talker.method.measures import AFTER, held_out
from d3talker.people.subject.layout import Subject

from .test_adapt import TINY

SHORT = replace(TINY, schedule=replace(TINY.schedule, face=50, mouth=27, fuse=25, warmup=26), tensorboard=True)


def series(run: Path) -> dict[str, dict[int, float]]:
    """What TensorBoard's own reader finds: name -> step -> value."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return {name: {event.step: event.value for event in events.Scalars(name)} for name in events.Tags()["scalars"]}


def test_measuring_changes_no_bit_and_tensorboard_reads_the_log(person: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    subject = Subject(person)
    frames = subject.frames("train")[:20]
    train_identity(SHORT, subject, frames, tmp_path / "seen", 3)
    train_identity(replace(SHORT, tensorboard=False), subject, frames, tmp_path / "blind", 3)
    seen, blind = (checkpoint.load(tmp_path / name / CHECKPOINT)["model"] for name in ("seen", "blind"))
    assert all(torch.equal(value, blind[name]) for name, value in seen.items())
    log = read_json(tmp_path / "seen" / "log.json")
    spread = log["loss"]["spread/face_general_mm"]
    assert spread[0] == 0 and spread[1] > 0  # nothing is deformed during warm-up, then it is
    assert all(5 < value < 60 for value, stage in zip(log["loss"]["held_out/psnr"], log["stage"]) if stage < 3)
    assert not any("/" in name for name in read_json(tmp_path / "blind" / "log.json")["loss"])
    steps, _ = counted(log["step"])
    for name, told in series(tmp_path / "seen").items():
        values = log["loss"][name]
        assert told == {int(s): np.float32(v) for s, v in zip(steps, values) if v is not None}, name


def test_lost_steps_are_hidden_after_a_resume(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    first = Board(tmp_path)
    first.show({"step": [25, 50, 75], "loss": {"l1": [3.0, 2.0, 9.0]}})
    first.close()
    again = Board(tmp_path)
    again.show({"step": [25, 50], "loss": {"l1": [3.0, 2.0]}})
    again.show({"step": [25, 50, 25], "loss": {"l1": [3.0, 2.0, 1.0], "new name": [None, None, 5.0]}})
    again.close()
    assert series(tmp_path) == {"l1": {25: 3.0, 50: 2.0, 75: 1.0}, "new_name": {75: 5.0}}


def test_the_held_out_frame_is_not_trained_on(person: Path) -> None:
    from d3talker.method.driving import training_signals

    subject, device = Subject(person), torch.device("cpu")
    every = subject.frames("train")
    frames = every[:10]
    signals = training_signals(subject, frames, TINY.signals, device)
    held = held_out(subject, frames, signals, TINY.signals, device)
    chosen = every[min(10 + AFTER, len(every)) - 1]
    assert held is not None and chosen not in frames
    np.testing.assert_array_equal(held.views.host(0).image.numpy(), subject.gt(chosen.img_id))
    whole = training_signals(subject, every, TINY.signals, device)
    expected = whole.drive.expression[every.index(chosen)]
    torch.testing.assert_close(held.drive.at(held.index).expression, expected)
    assert held_out(subject, every, whole, TINY.signals, device) is None


def test_without_the_package_the_flag_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorboard", None)
    with pytest.raises(MissingExtra, match=r"pip install '\.\[logs\]'"):
        Board(tmp_path)
