"""Training logs as the loops write them: stages follow one another, and a stage may lack a loss."""

from __future__ import annotations

import math
from pathlib import Path

from d3talker.files import write_json
from reports.curves import losses, read_log


def test_a_stage_without_a_loss_leaves_a_gap(tmp_path: Path) -> None:
    log = {"stage": [0, 0, 1], "step": [25, 50, 25], "loss": {"l1": [0.3, 0.2, 0.1], "dssim": [0.5, 0.4, None]}}
    write_json(tmp_path / "log.json", log)
    read = read_log(tmp_path / "log.json")
    assert read is not None
    steps, curves, breaks = read
    assert steps == [25, 50, 75] and breaks == [50] and curves["l1"] == [0.3, 0.2, 0.1] and math.isnan(curves["dssim"][2])
    assert losses(tmp_path / "figure", {"run": tmp_path / "log.json"}) and (tmp_path / "figure.png").exists()
