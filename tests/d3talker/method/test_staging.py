"""Frames that do not fit into memory are read again, and nothing that is trained changes by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from d3talker import checkpoint
from d3talker.learning import priors, staging, views
from d3talker.learning.staging import Shelf, send
from d3talker.learning.views import load_views
from d3talker.method import adapt
from d3talker.people.subject.layout import Subject

from .test_adapt import CHECKPOINT, TINY, model_of
from .test_adapt import adapt as train


def numbers(asked: list[list[int]]):
    def read(indices: Sequence[int]) -> list[tuple[torch.Tensor, ...]]:
        asked.append(list(indices))
        return [(torch.full((4,), float(i)), torch.tensor([i], dtype=torch.uint8)) for i in indices]

    return read


def test_a_shelf_keeps_what_fits_and_reads_the_rest_again() -> None:
    asked: list[list[int]] = []
    shelf = Shelf(numbers(asked), 7, room=17 * 4 + 5, batch=2)
    assert asked == [[0, 1], [2, 3], [4, 5]]  # 17 bytes a frame: four fit, and it stops at the first that does not
    for index in (0, 3, 4, 4, 6):
        assert shelf[index][0].tolist() == [index] * 4 and shelf[index][1].item() == index
    assert asked[3:] == [[4], [4], [4], [4], [6], [6]]


def test_a_shelf_without_a_batch_reads_when_asked_and_once() -> None:
    asked: list[list[int]] = []
    shelf = Shelf(numbers(asked), 3, room=10**6, batch=0)
    assert asked == []
    assert [shelf[i][1].item() for i in (2, 2, 0, 2)] == [2, 2, 0, 2] and asked == [[2], [0]]


def test_room_is_a_share_of_the_machines_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 2**26 < staging.room() < 2**44
    monkeypatch.delattr(staging.os, "sysconf")
    assert staging.room() == staging.FALLBACK


def test_on_the_cpu_nothing_is_copied() -> None:
    tensors = [torch.zeros(3), torch.zeros(2, dtype=torch.uint8)]
    assert all(a is b for a, b in zip(send(tensors, torch.device("cpu")), tensors))


def test_frames_are_the_same_kept_or_read_again(person: Path) -> None:
    subject = Subject(person)
    frames = subject.frames("train")[:4]
    kept, again = (load_views(subject, frames, torch.device("cpu"), share) for share in (1.0, 1e-9))
    for index in range(4):
        assert all(torch.equal(a, b) for a, b in zip(kept.host(index), again.host(index)))


def test_a_machine_with_little_memory_trains_the_same(person: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(TINY, schedule=replace(TINY.schedule, face=14, mouth=11, fuse=3, warmup=3))
    train(person, tmp_path / "much", config)
    for module in (adapt, priors, views):
        monkeypatch.setattr(module, "room", lambda: 100_000)
    train(person, tmp_path / "little", config)
    much, little = model_of(tmp_path / "much"), model_of(tmp_path / "little")
    assert all(torch.equal(value, little[name]) for name, value in much.items())
    refined = [checkpoint.load(tmp_path / name / CHECKPOINT)["refiner"]["refiner"] for name in ("much", "little")]
    assert all(torch.equal(value, refined[1][name]) for name, value in refined[0].items())
