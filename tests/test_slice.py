"""The whole way on a clip made here: video -> subject -> training -> record -> report; and the second time nothing is trained."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from d3talker.cli import main
from d3talker.people.media.mark import read_mark
from d3talker.people.media.predictions import Predictions
from eval.records import read_record

STEPS = ["--model.schedule.face", "60", "--model.schedule.warmup", "20", "--model.schedule.mouth", "30", "--model.schedule.fuse", "10",
         "--model.gaussians.face-points", "800", "--model.gaussians.max-points", "1200"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("espeakng_loader", reason="the clip is made with espeak-ng; install the extra 'synth'")
    pytest.importorskip("dlib", reason="prepare needs dlib; install the extra 'landmarks'")
    from d3talker.people.synthetic.subjects import make_subject

    folder = tmp_path_factory.mktemp("slice")
    video = make_subject(folder / "actor", seed=5, seconds=5.0, size=160) / "actor.mp4"
    assert main(["prepare", str(video), "--out", str(folder / "data" / "actor"), "--size", "64"]) == 0
    return folder / "data" / "actor"


def test_video_in_report_out(prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results, report = tmp_path / "results", tmp_path / "report"
    bench = ["bench", "--subjects", str(prepared), "--budgets", "2", "--preset", "mini", "--out", str(results), *STEPS]
    assert main(bench) == 0
    records = {read_record(path).job.method: read_record(path) for path in (results / "records").glob("*.json")}
    assert set(records) == {"d3talker", "ground-truth", "ground-truth-h264", "mean-frame", "nearest-pose"}
    ours = records["d3talker"]
    assert ours.status == "ok" and ours.environment.packages["torch"] and ours.stages["train"].seconds > 0
    assert ours.metrics["fps"].value and ours.metrics["train_time"].value
    assert ours.metrics["psnr"].value > records["mean-frame"].metrics["psnr"].value
    for name in ("sync_c", "sync_d"):
        assert ours.metrics[name].value is None and "syncnet_v2.model" in ours.metrics[name].reason
    made = Predictions(results / ours.artifacts["predictions"])
    made.verify()
    assert made.manifest.frames == ours.frames == len(json.loads((prepared / "transforms_val.json").read_text())["frames"]) - 1
    assert made.audio().size == made.manifest.frames * 640

    stamps = {p: p.stat().st_mtime_ns for p in (results / "runs").rglob("*.safetensors")}
    capsys.readouterr()
    assert main(bench) == 0
    assert {p: p.stat().st_mtime_ns for p in (results / "runs").rglob("*.safetensors")} == stamps and stamps

    run = next((results / "runs").rglob("adapt.safetensors")).parent
    assert main(["render", str(run), "--subject", str(prepared), "--out", str(tmp_path / "seen")]) == 0
    assert (next(Predictions(tmp_path / "seen").frames()) == next(made.frames())).all()
    mark = read_mark(tmp_path / "seen" / "look.mp4")
    assert mark is not None and mark.synthetic and mark.methods == ("d3talker",) and mark.made

    assert main(["report", str(results), "--out", str(report)]) == 0
    table = (report / "tables" / "table1.md").read_text()
    row = next(line for line in table.splitlines() if line.startswith("| D³-Talker"))
    assert f"{ours.metrics['psnr'].value:.3f}" in row and re.search(r"-<sup>[\d,]+</sup>", row)
    for title in ("RAD-NeRF", "DFRF", "ER-NeRF", "GaussianTalker", "TalkingGaussian", "InsTaG"):
        assert title in table
    assert (report / "index.html").exists() and list((report / "videos").iterdir()) and list((report / "figures").glob("*.png"))
