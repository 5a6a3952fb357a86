"""A results folder with tiny clips, as the harness writes it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from d3talker.files import write_json
from d3talker.people.media.predictions import PredictionsWriter
from eval.metrics.result import MetricResult
from eval.records import Environment, Job, Record, Stage, write_record

FRAMES = 10
ENVIRONMENT = Environment(
    version="0.1.0", commit="0123456789abcdef", dirty=False, python="3.11.2", platform="Linux",
    packages={"numpy": "2.4.0"}, device="cpu", driver=None, threads=2,
)
LEVELS = {"psnr": 30.0, "ssim": 0.9, "lpips_alex": 0.05, "lmd_dlib": 3.0}


class ResultsMaker:
    """Writes records and predictions; everything that a test does not name has a plain value."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "records").mkdir(parents=True)

    def record(
        self, method: str = "d3talker", subject: str = "anna", *, budget: float = 10, seed: int = 0, status: str = "ok",
        metrics: dict[str, Any] | None = None, shift: float = 0.0, clips: bool = False, exclusive: bool = True,
        protocol: str = "d3-v2", setting: str = "self", audio: str | None = None, ablation: str = "full",
        config: dict[str, Any] | None = None, source_hash: str | None = None, **fields: Any,
    ) -> Record:
        """Write one record and return it; `shift` moves every value of it."""
        job = Job(
            protocol=protocol, method=method, subject=subject, subject_hash="ab" * 32, budget=budget, setting=setting,
            audio=audio, ablation=ablation, seed=seed, config=config or {}, source_hash=source_hash,
        )
        artifacts = self._clips(job) if clips else {}
        values = dict(default_metrics(shift + 0.01 * seed)) if metrics is None else metrics
        facts = {
            "key": job.key, "job": job, "status": status, "metrics": values if status == "ok" else {},
            "stages": {name: Stage(seconds=60.0, exclusive=exclusive) for name in ("train", "render")},
            "torso_mode": "gt", "lossless": True, "frames": FRAMES, "size": (32, 32), "environment": ENVIRONMENT,
            "started": "2026-01-01T00:00:00+00:00", "ended": "2026-01-01T00:10:00+00:00",
        }
        record = Record(**{**facts, "artifacts": artifacts, **fields})
        write_record(self.root / "records" / f"{record.key}.json", record)
        return record

    def _clips(self, job: Job) -> dict[str, str]:
        write_clip(self.root / "predictions" / job.key, job.method, job.subject, seed=job.seed + 1)
        write_clip(self.root / "reference" / job.subject, "ground-truth", job.subject, seed=0)
        log = {"step": list(range(0, 100, 10)), "loss": {"l1": [0.5 / (1 + i) for i in range(10)], "dssim": [0.2] * 10}}
        write_json(self.root / "runs" / job.key / "log.json", log)
        return {
            "predictions": f"predictions/{job.key}", "reference": f"reference/{job.subject}",
            "log": f"runs/{job.key}/log.json",
        }


def default_metrics(shift: float = 0.0) -> dict[str, MetricResult]:
    """A full set of metrics; Sync is missing for a reason, as it is without its weights."""
    metrics = {}
    for name, level in LEVELS.items():
        values = [level * (1 + 0.05 * shift + 0.01 * math.sin(i)) for i in range(FRAMES)]
        mean = sum(values) / FRAMES
        metrics[name] = MetricResult(value=mean, per_frame=values, interval=(mean * 0.99, mean * 1.01))
    metrics["sync_c"] = metrics["sync_d"] = MetricResult.missing("SyncNet's weights are not installed")
    metrics["train_time"] = MetricResult(value=1920.0 * (1 + shift))
    metrics["fps"] = MetricResult(value=65.0 * (1 + shift), extra={"with_refiner": 65.0, "without_refiner": 80.0})
    return metrics


def write_clip(folder: Path, method: str, subject: str, seed: int, frames: int = FRAMES, size: int = 32) -> None:
    """A predictions folder with noise for frames and a tone for sound."""
    rng = np.random.default_rng(seed)
    tone = 0.3 * np.sin(np.arange(frames * 640) * 0.2).astype(np.float32)
    with PredictionsWriter(
        folder, method=method, subject=subject, setting="self", first_img_id=100, torso_mode="gt", source="test",
        audio=tone,
    ) as writer:
        for _ in range(frames):
            writer.write(rng.integers(0, 256, (size, size, 3), dtype=np.uint8))


@pytest.fixture(scope="session")
def make_results() -> type[ResultsMaker]:
    """`make_results(folder)` for tests that need more than one results folder."""
    return ResultsMaker


@pytest.fixture
def maker(tmp_path: Path) -> ResultsMaker:
    """An empty results folder to fill."""
    return ResultsMaker(tmp_path / "results")
