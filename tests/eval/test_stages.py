"""What the real stages add around training: damaged checkpoints are set aside, weights are passed on, oracles named."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from d3talker import checkpoint
from d3talker.method.config import PAPER
from d3talker.weights import ENVIRONMENT
from eval.stages import footnotes, or_anew, weights_at


def test_a_damaged_checkpoint_is_set_aside_and_a_good_one_stays(tmp_path):
    path, other = tmp_path / "run" / "adapt.safetensors", tmp_path / "pretrain.safetensors"

    def train() -> float:
        if path.exists():
            return checkpoint.load(path)["x"]
        checkpoint.save(path, {"x": 1.5})
        return 0.5

    assert or_anew(train, tmp_path / "run") == 0.5 and or_anew(train, tmp_path / "run") == 1.5
    path.write_bytes(path.read_bytes()[:-10])
    assert or_anew(train, tmp_path / "run") == 0.5
    assert checkpoint.load(path)["x"] == 1.5 and path.with_suffix(".damaged").exists()
    other.write_bytes(b"")
    with pytest.raises(checkpoint.Unusable):
        or_anew(lambda: checkpoint.load(other)["x"], tmp_path / "run")
    assert path.exists() and other.exists()


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
    assert any("ORACLE" in note for note in footnotes("d3talker", oracle))
    assert not any("ORACLE" in note for note in footnotes("d3talker", PAPER))
    assert any("test video" in note for note in footnotes("d3talker", oracle))
