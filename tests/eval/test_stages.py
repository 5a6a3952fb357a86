"""What the real stages add around training: damaged checkpoints are set aside, weights are passed on, oracles named."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from d3talker import checkpoint
from d3talker.config import PAPER
from d3talker.weights import ENVIRONMENT
from eval.stages import footnotes, set_aside_damaged, weights_at


def test_a_damaged_checkpoint_is_set_aside_and_a_good_one_stays(tmp_path):
    path = tmp_path / "adapt.safetensors"
    set_aside_damaged(path)  # there is none yet
    checkpoint.save(path, {"x": torch.zeros(100)})
    set_aside_damaged(path)
    assert checkpoint.load(path)["x"].shape == (100,)
    path.write_bytes(path.read_bytes()[:-10])
    set_aside_damaged(path)
    assert not path.exists() and path.with_suffix(".damaged").exists()


@pytest.mark.parametrize("before", [None, "elsewhere"])
def test_weights_are_passed_on_for_the_time_of_training(monkeypatch, before):
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    if before:
        monkeypatch.setenv(ENVIRONMENT, before)
    with pytest.raises(ZeroDivisionError), weights_at(Path("here")):
        assert os.environ[ENVIRONMENT] == "here"
        raise ZeroDivisionError
    assert os.environ.get(ENVIRONMENT) == before
    with weights_at(None):
        assert os.environ.get(ENVIRONMENT) == before


def test_an_oracle_is_named():
    oracle = replace(PAPER, signals=replace(PAPER.signals, motion_source="tracked", eyes="video"))
    assert any("ORACLE" in note for note in footnotes(oracle))
    assert not any("ORACLE" in note for note in footnotes(PAPER))
    assert any("test video" in note for note in footnotes(oracle))
