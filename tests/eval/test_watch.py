"""The table of a bench that runs: what each job does, from files alone."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from d3talker import cli
from d3talker.files import write_json
from eval.metrics.result import MetricResult
from eval.records import Environment, Job, Record
from eval.store import Store
from eval.watch import states


def job(subject: str, method: str = "d3talker") -> Job:
    return Job(protocol="d3-v2", method=method, subject=subject, subject_hash="ab", budget=5)


def record(one: Job, status: str, **fields) -> Record:
    environment = Environment(
        version="0", commit=None, dirty=None, python="3", platform="Linux", packages={}, device="cpu", driver=None, threads=1
    )
    return Record(key=one.key, job=one, status=status, environment=environment, started="a", ended="b", **fields)


def test_every_job_stands_where_it_stands(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    names = ("done", "broken", "learning", "stopped", "later")
    jobs = {name: job(name) for name in names}
    write_json(tmp_path / "plan.json", {"jobs": [{"key": one.key, **one.model_dump()} for one in jobs.values()]})
    store.write(record(jobs["done"], "ok", metrics={"psnr": MetricResult(value=31.25)}))
    store.write(record(jobs["broken"], "failed", reason="no such file"))
    log = {"stage": [0, 1], "step": [1200, 75], "loss": {"l1": [0.5, 0.0125], "held_out/psnr": [20.0, 24.5], "dssim": [1, 1]}}
    for name in ("learning", "stopped"):
        write_json(store.run(jobs[name]) / "log.json", log)
    os.utime(store.run(jobs["stopped"]) / "log.json", (time.time() - 3600,) * 2)
    found = {state.job.subject: (state.status, state.told) for state in states(store)}
    assert found["done"] == ("ok", "psnr 31.25") and found["broken"][0] == "failed" and "no such file" in found["broken"][1]
    assert found["learning"] == ("running", "stage 2, step 75; l1 0.0125, psnr 24.5")
    assert found["stopped"][0] == "waiting" and "stage 2, step 75" in found["stopped"][1] and found["later"] == ("waiting", "")
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.main(["bench", "--watch", "--subjects", "none", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "1 running, 1 failed, 2 waiting, 1 ok" in out and out.index("learning") < out.index("later") < out.index("done")


def test_a_folder_without_a_bench_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["bench", "--watch", "--subjects", "none", "--out", str(tmp_path)]) == 2
    assert "start d3talker bench there first" in capsys.readouterr().err
