"""`--verify` agrees with honest records and finds the others."""

from __future__ import annotations

import json

import pytest

from d3talker.errors import UserError
from d3talker.people.media.predictions import Predictions
from eval.metrics.score import score_predictions
from reports.load import load_results
from reports.report import ReportConfig, run
from reports.verify import verify


@pytest.fixture
def honest(maker):
    """A results folder whose PSNR and SSIM were really measured."""
    draft = maker.record(clips=True)
    folders = [Predictions(maker.root / draft.artifacts[name]) for name in ("predictions", "reference")]
    metrics = score_predictions(*folders, None, ["psnr", "ssim"])
    return maker, maker.record(metrics=metrics, artifacts=draft.artifacts)


def change(maker, record, value: float) -> None:
    path = maker.root / "records" / f"{record.key}.json"
    stored = json.loads(path.read_text("utf-8"))
    stored["metrics"]["psnr"]["value"] = value
    path.write_text(json.dumps(stored), "utf-8")


def test_honest_numbers_agree(honest, tmp_path):
    maker, _ = honest
    checks = verify(load_results(maker.root), 5)
    assert {(check.metric, check.verdict) for check in checks} == {("psnr", "same"), ("ssim", "same")}
    assert run(ReportConfig(maker.root, tmp_path / "report", verify=True, videos=False, figures=False)) == 0
    page = (tmp_path / "report" / "index.html").read_text("utf-8")
    assert "2 numbers of 1 records were computed again and agree" in page


def test_an_altered_number_is_found(honest, tmp_path, capsys):
    maker, record = honest
    change(maker, record, record.metrics["psnr"].value + 0.1)
    assert run(ReportConfig(maker.root, tmp_path / "report", verify=True, videos=False, figures=False)) == 1
    assert "1 differ" in capsys.readouterr().err
    stored = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert {check["metric"]: check["verdict"] for check in stored["checks"]} == {"psnr": "differs", "ssim": "same"}


@pytest.mark.parametrize("damage", ["gone", "altered"])
def test_what_cannot_be_repeated_says_why(honest, damage):
    maker, record = honest
    frames = maker.root / record.artifacts["predictions"] / "frames.mkv"
    if damage == "gone":
        (frames.parent / "manifest.json").unlink()
    else:
        frames.write_bytes(frames.read_bytes() + b"\0")
    (check,) = verify(load_results(maker.root), 5)
    assert check.verdict == "not repeated" and ("no longer" in check.why or "has changed" in check.why)


def test_the_sample_has_the_size_that_was_asked_for(honest):
    maker, _ = honest
    for seed in range(1, 5):
        maker.record(seed=seed, artifacts={"predictions": "gone"})
    results = load_results(maker.root)
    assert len({check.record for check in verify(results, 3)}) == 3
    assert verify(results, 3) == verify(results, 3) and verify(results, 0) == []
    with pytest.raises(UserError, match="--sample is -1"):
        run(ReportConfig(maker.root, maker.root.parent / "report", verify=True, sample=-1))
