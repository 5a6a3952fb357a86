"""`d3talker compare`: my predictions against every method of a results folder."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest

from d3talker.cli import main
from d3talker.errors import UserError
from d3talker.people.media.predictions import Predictions, PredictionsWriter
from d3talker.people.media.video import probe
from eval.metrics.result import MetricResult
from reports.compare import CompareConfig, run


def frames(root):
    return np.stack(list(Predictions(root).frames()))


def decibels(clip, truth) -> list[float]:
    errors = ((clip.astype(float) - truth) ** 2).mean((1, 2, 3))
    return (10 * np.log10(255**2 / errors)).tolist()


def write(folder, pictures, subject="anna", **facts):
    facts = {"setting": "self", "first_img_id": 100, "torso_mode": "gt", "source": "test", **facts}
    tone = np.zeros(len(pictures) * 640, np.float32)
    with PredictionsWriter(folder, method="x", subject=subject, audio=tone, **facts) as writer:
        for picture in pictures:
            writer.write(picture)
    return folder


@pytest.fixture
def world(maker, tmp_path):
    """Results with two methods on one subject, scored for real, and my predictions, which are nearly perfect."""
    truth_at = maker.root / "reference" / "anna"
    for name in ("d3talker", "instag"):
        record = maker.record(name, clips=True, metrics={"psnr": MetricResult(value=1.0)})
        clip, truth = frames(maker.root / record.artifacts["predictions"]), frames(truth_at)
        values = decibels(clip, truth)
        maker.record(name, clips=True, metrics={
            "psnr": MetricResult(value=float(np.mean(values)), per_frame=values),
            "sync_c": MetricResult.missing("no weights"), "fps": MetricResult(value=60.0),
        })
    near = np.clip(frames(truth_at).astype(int) + 3, 0, 255).astype(np.uint8)
    return maker.root, write(tmp_path / "mine", near)


def test_numbers_plots_and_video(world, tmp_path, capsys):
    results, mine = world
    assert main(["compare", str(results), "--method", f"mine={mine}", "--out", str(tmp_path / "out")]) == 0
    out = tmp_path / "out"
    assert (out / "comparison.md").read_text() in capsys.readouterr().out
    rows = {row["rival"]: row for row in csv.DictReader((out / "comparison.csv").open())}
    assert list(rows) == ["InsTaG", "D³-Talker"]
    truth = frames(results / "reference" / "anna")
    expected = np.mean(decibels(frames(mine), truth))
    for row in rows.values():
        assert row["metric"] == "psnr" and row["outcome"] == "win"
        assert float(row["mine"]) == pytest.approx(expected, abs=1e-3)
        assert float(row["difference"]) == pytest.approx(float(row["mine"]) - float(row["theirs"]), abs=1e-3)
        assert float(row["low"]) <= float(row["difference"]) <= float(row["high"])
    document = json.loads((out / "comparison.json").read_text())
    assert document["predictions"]["anna"] == Predictions(mine).manifest.sha256
    assert set(document["against"]) == {"instag", "d3talker"}
    assert len(document["against"]["instag"]["records"]["anna"]) == 1
    assert (out / "figures" / "frames-anna.svg").stat().st_size > 1000
    info = probe(out / "videos" / "anna.mp4")
    assert info.width >= 4 * 32 and info.has_audio  # truth, mine, and two others


def test_unequal_conditions_are_noted(world, tmp_path, maker):
    results, mine = world
    lossy = write(tmp_path / "lossy", frames(mine), torso_mode="synthesised", lossless=False)
    run(CompareConfig(results, (f"mine={lossy}",), tmp_path / "out", videos=False))
    text = (tmp_path / "out" / "comparison.md").read_text()
    assert "torso: synthesised against gt" in text and "mine is lossy, theirs is not" in text
    assert not (tmp_path / "out" / "videos").exists()


def test_refusals(world, tmp_path):
    results, mine = world

    def refused(match, method=(f"mine={mine}",), out=tmp_path / "out", **options):
        with pytest.raises(UserError, match=match) as caught:
            run(CompareConfig(results, method, out, **options))
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out").exists()

    refused("--method needs NAME=PREDICTIONS", (str(mine),))
    refused("one method at a time", (f"a={mine}", f"b={mine}"))
    refused("are both of anna", (f"a={mine}", f"a={mine}"))
    refused("is not empty and holds no report", out=results)
    refused("no method measured on anna at 5 s", budget=5.0)
    cross = write(tmp_path / "cross", frames(mine), setting="cross")
    refused("is cross-driven, so it has no ground truth", (f"a={cross}",))
    other = write(tmp_path / "other", frames(mine), subject="bob")
    refused("no measured record of bob", (f"a={other}",))
    short = write(tmp_path / "short", frames(mine)[:9])
    refused("differ in frames", (f"a={short}",))
    late = write(tmp_path / "late", frames(mine), first_img_id=99)
    refused("differ in first_img_id", (f"a={late}",))
    refused("metric", metrics=("nonsense",))
    with (mine / "frames.mkv").open("ab") as stream:
        stream.write(b"x")
    refused("has changed since it was written")
    shutil.rmtree(mine)
    refused("does not exist")
