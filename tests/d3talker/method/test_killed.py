"""Killed by SIGKILL at random moments of every stage, a training goes on by the same command, to the same bits."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("kind", "stages"), [("adapt", 4), ("pretrain", 2), ("motion", 3)])
def test_killed_in_every_stage(person: Path, other_person: Path, tmp_path: Path, kind: str, stages: int) -> None:
    command = [sys.executable, str(Path(__file__).with_name("dying.py")), kind, str(tmp_path), str(person), str(other_person)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    kills = [int(count) for count in re.findall(r"killed (\d+) times", run.stdout)]
    assert len(kills) == stages and min(kills) >= 1, run.stdout
    assert "equal to the bit" in run.stdout
