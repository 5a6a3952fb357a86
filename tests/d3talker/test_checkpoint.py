"""Checkpoints keep everything, and nothing in them is ever executed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from d3talker import checkpoint
from d3talker.errors import UserError
from d3talker.method.config import MINI, PAPER, Config
from d3talker.options import from_dict


def test_round_trip(tmp_path: Path) -> None:
    shared = torch.arange(6.0).reshape(2, 3)
    tree = {"a": shared, "view": shared.T, "list": [{"b": torch.tensor(True)}, 1.5, None, "x"], "bytes": torch.arange(5, dtype=torch.uint8)}
    checkpoint.save(tmp_path / "c.safetensors", tree)
    read = checkpoint.load(tmp_path / "c.safetensors")
    assert torch.equal(read["a"], tree["a"]) and torch.equal(read["view"], tree["view"])
    assert torch.equal(read["bytes"], tree["bytes"]) and read["list"][1:] == [1.5, None, "x"] and read["list"][0]["b"].item() is True


@pytest.mark.parametrize("content", [b"", b"{}", b"\x80\x04\x95", b"\x00" * 100])
def test_damage_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a readable d3talker checkpoint"):
        checkpoint.load(path)


def test_foreign_and_missing_files_are_named(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, str(tmp_path / "c.safetensors"))
    with pytest.raises(UserError, match="not a readable d3talker checkpoint"):
        checkpoint.load(tmp_path / "c.safetensors")
    with pytest.raises(UserError, match="does not exist"):
        checkpoint.load(tmp_path / "missing.safetensors")


@pytest.mark.parametrize("config", [MINI, PAPER])
def test_configuration_survives(tmp_path: Path, config: Config) -> None:
    checkpoint.save(tmp_path / "c.safetensors", {"config": asdict(config)})
    assert from_dict(Config, checkpoint.load(tmp_path / "c.safetensors")["config"]) == config


def test_unknown_option_of_another_version_is_named() -> None:
    with pytest.raises(UserError, match="has no option hyper"):
        from_dict(Config, {"hyper": 1})
