"""Every video that is written says what it is, and `d3talker inspect VIDEO` reads it back."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from d3talker import cli
from d3talker.people.media.mark import Mark, joined, mark_now, read_mark
from d3talker.people.media.predictions import Predictions, PredictionsWriter
from d3talker.people.media.video import VideoWriter
from reports.videos import write_clip, write_side_by_side

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


def predictions(out: Path, method: str) -> Predictions:
    with PredictionsWriter(
        out, method=method, subject="nobody", setting="self", first_img_id=0, torso_mode="gt", source="test"
    ) as writer:
        for frame in FRAMES:
            writer.write(frame)
    return Predictions(out)


def told(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    assert cli.main(["inspect", str(path), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["facts"]


def test_predictions_and_their_copies_are_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = datetime.now(timezone.utc) - timedelta(seconds=1)
    ours, truth = predictions(tmp_path / "ours", "d3-talker"), predictions(tmp_path / "truth", "ground-truth")
    write_clip(tmp_path / "ours.mp4", ours, None)
    write_clip(tmp_path / "truth.mp4", truth, None)
    write_side_by_side(tmp_path / "both.mp4", [truth, ours], ["a", "b"], None)
    for path in (ours.root / "frames.mkv", tmp_path / "ours.mp4"):
        facts = told(path, capsys)
        assert facts["synthetic"] == "yes" and facts["method"] == "d3-talker"
        assert before <= datetime.fromisoformat(facts["made"]) <= datetime.now(timezone.utc)
    assert told(tmp_path / "truth.mp4", capsys)["synthetic"].startswith("no: ")  # nobody rendered these frames
    both = told(tmp_path / "both.mp4", capsys)
    assert both["synthetic"] == "yes" and both["method"] == "ground-truth, d3-talker" and both["made"] != "not said"


def test_a_copy_keeps_the_date_of_its_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    made = predictions(tmp_path / "p", "d3-talker")
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    write_clip(tmp_path / "copy.mp4", made, None)
    assert read_mark(tmp_path / "copy.mp4") == Mark(("d3-talker",), "1970-01-02T00:00:00+00:00")


def test_a_strangers_video_has_no_mark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with VideoWriter(tmp_path / "a.mp4", codec="h264", metadata={"comment": "holiday"}) as writer:
        for frame in FRAMES:
            writer.write(frame)
    assert read_mark(tmp_path / "a.mp4") is None
    assert cli.main(["inspect", str(tmp_path / "a.mp4")]) == 0
    out = capsys.readouterr().out
    assert "no mark" in out and "32 x 32" in out and "ready for training" not in out
    (tmp_path / "a.txt").write_text("no video")
    assert cli.main(["inspect", str(tmp_path / "a.txt")]) == 2


def test_joined_names_each_method_once_and_the_latest_date() -> None:
    marks = [Mark(("b",), "2026-01-01"), Mark(("a", "b"), "2026-03-01"), Mark(("c",))]
    assert joined(marks) == Mark(("b", "a", "c"), "2026-03-01")
    assert mark_now("x").metadata()["synthetic"] == "true" and "made" not in Mark(("x",)).metadata()
