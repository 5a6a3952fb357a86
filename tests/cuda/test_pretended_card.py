"""The CUDA path without a card: device rules, equality with the CPU, every resume, and budgets of launches and waits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gsplat")

CLOSE = 1e-5  # of a loss, before Adam has made last bits grow
GROWN = 5e-4  # after it: up to 1.5e-4 seen within twenty steps at the presets' rates


@pytest.fixture(scope="module")
def report(person: Path, other_person: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What rehearse.py found, in a process of its own: it renames a torch backend for good."""
    script, out = Path(__file__).with_name("rehearse.py"), tmp_path_factory.mktemp("card")
    run = subprocess.run([sys.executable, str(script), str(out), str(person), str(other_person)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-4000:]
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize(("name", "steps"), [("adapt", 22), ("adapt from a pre-training", 22), ("pretrain", 14)])
def test_training_is_the_cpus(report: dict[str, Any], name: str, steps: int) -> None:
    assert report[name]["steps"] == steps
    assert report[name]["off"][0] < CLOSE and report[name]["off"][1] < GROWN
    assert report[name].get("refiner off", [0])[-1] < GROWN  # its frames come of fields that have grown apart


@pytest.mark.parametrize(("name", "stage"), [
    *(("adapt", stage) for stage in ("face", "mouth", "fuse", "refine")), ("pretrain", "face"), ("pretrain", "mouth"),
])
def test_every_resume_ends_where_one_run_does(report: dict[str, Any], name: str, stage: str) -> None:
    assert report[name]["resumed"][stage] == 0


def test_frames_are_the_cpus(report: dict[str, Any]) -> None:
    assert report["render"]["worst"] < 1e-4 and report["render"]["fps"] > 0


def test_metrics_are_the_cpus(report: dict[str, Any]) -> None:
    assert report["metrics"]["lpips"] < 1e-5 and report["metrics"]["sync"] < 1e-4


def test_the_first_hour_on_a_card_comes_to_its_end(report: dict[str, Any]) -> None:
    hour = report["first hour"]
    assert hour["code"] == 0 and hour["failed"] == []
    assert [(r["size"], r["gaussians"]) for r in hour["speed"]] == [(16, 20_000), (512, 20_000)]
    frames, steps = (hour["speed"][1][name] for name in ("frame_fps", "step_per_s"))
    assert 0 < frames["least"] <= frames["median"] <= frames["most"]
    assert hour["reached"] == {"frame_fps_512_20000": frames["median"] >= 500, "step_per_s_512_20000": steps["median"] >= 100}
    adapted = hour["adaptation"]
    assert adapted["exit_codes"] == [-9, 0] and adapted["done"] and adapted["gone_on_from"] == ["mouth", 3]
    assert adapted["step_seconds"] > 0 and adapted["gaussians"]["face"] > 0
    assert hour["rendering"]["largest_difference"] < 1e-5 and hour["rendering"]["psnr"] > 5
    assert all(hour["rendering"][f"graphs_{name}"]["refined_fps"]["median"] > 0 for name in ("on", "off"))


BUDGETS = {  # launches, waits, uploads; gsplat waits once a draw, for a count; a replayed graph is one launch
    "adapt face": (235, 1, 1), "adapt face with geometry": (420, 1, 1), "adapt mouth": (320, 2, 1), "adapt fuse": (320, 2, 1),
    "adapt refine": (1165, 3, 2), "pretrain face": (455, 1, 1), "pretrain mouth": (1735, 4, 1), "frame": (36, 2, 0),
    "refined": (3, 0, 0),
}


@pytest.mark.parametrize("name", BUDGETS)
def test_no_more_launches_and_waits_than_budgeted(report: dict[str, Any], name: str) -> None:
    found = report["counts"][name]
    assert all(a <= b for a, b in zip(found.values(), BUDGETS[name], strict=True)), found
