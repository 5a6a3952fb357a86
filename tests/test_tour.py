"""The tour in Python, run as it stands, on a small synthetic person and with a short schedule."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "tour.md"


def test_every_block_of_the_tour_runs(person: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    from d3talker.method import config

    mini = config.PRESETS["mini"]
    short = replace(
        mini, gaussians=replace(mini.gaussians, face_points=500, mouth_points=100, max_points=800),
        schedule=replace(mini.schedule, face=26, mouth=12, fuse=2, warmup=10), refiner=replace(mini.refiner, steps=2),
    )
    monkeypatch.setitem(config.PRESETS, "mini", short)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "anna").symlink_to(person)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    names: dict[str, object] = {}
    for number, block in enumerate(blocks):
        exec(compile(block, f"docs/tour.md, block {number + 1}", "exec"), names)  # our own page
    out = capsys.readouterr().out
    assert len(blocks) >= 6 and "individual moves the face's Gaussians by" in out
    score = float(re.search(r"PSNR ([\d.]+)", out)[1])
    assert 10 < score < 60 and Path("signals.png").stat().st_size > 5000
    assert {path.name for path in Path("export/anna").iterdir()} >= {"head.ply", "transforms.json", "head.glb", "head.npz"}
