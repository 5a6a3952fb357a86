"""`d3talker bench`: plan the jobs, say what they are, run what is not done yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from baselines.floors import FLOORS
from d3talker.config import PAPER, PRESETS, Config, Preset
from d3talker.errors import UserError
from d3talker.files import write_json
from d3talker.progress import console
from eval.protocol import D3_V1

DEFAULT_METRICS = ("psnr", "ssim", "lpips_alex", "lmd_dlib", "sync_c", "sync_d", "avc_r")


@dataclass(frozen=True)
class BenchConfig:
    """Train on each subject and budget, render the test frames, score them; run again to go on where it stopped."""

    subjects: tuple[Path, ...]
    """Subject folders, made by `d3talker prepare`."""
    out: Path
    """Results folder; what is in it already is kept and not repeated."""
    preset: Preset = "paper"
    """mini: 128x128 on a CPU, minutes. paper: the published schedule, CUDA."""
    budgets: tuple[float, ...] = (10,)
    """Seconds of training video."""
    ablations: tuple[str, ...] = ("full",)
    """Rows of Table 4, by name."""
    seeds: int = 1
    """How many times each training is repeated with another seed."""
    floors: tuple[str, ...] = FLOORS
    """Methods without training that every table shows in small print."""
    metrics: tuple[str, ...] = DEFAULT_METRICS
    """What is measured."""
    weights: Path | None = None
    """Folder with metric weights (LPIPS, SyncNet); others are looked for in the cache, see `d3talker doctor`."""
    shared_machine: bool = False
    """Other work runs on this machine meanwhile: times are then recorded, but not shown."""
    retry: bool = True
    """Run failed jobs again."""
    dry_run: bool = False
    """Print the plan and stop."""
    model: Config = field(default_factory=lambda: PAPER)
    """Every option of the model, over the preset's."""

    @classmethod
    def defaults(cls, args: Sequence[str]) -> BenchConfig:
        """The defaults that the preset named in `args` brings."""
        preset: Preset = cls.preset
        for index, arg in enumerate(args):
            name, _, value = arg.partition("=")
            if name == "--preset":
                value = value or (args[index + 1] if index + 1 < len(args) else "")
                if value not in PRESETS:
                    raise UserError(f"there is no preset '{value}'; choose one of {', '.join(PRESETS)}")
                preset = value  # type: ignore[assignment]
        return cls(subjects=tyro.MISSING, out=tyro.MISSING, preset=preset, model=PRESETS[preset])


def run(config: BenchConfig) -> int:
    """Returns 0 when every job is done, 1 when some failed."""
    from d3talker.talker import device_of
    from eval.harness import Harness
    from eval.jobs import expand
    from eval.metrics.registry import check_names
    from eval.store import Store

    check_names(config.metrics)
    if config.seeds < 1:
        raise UserError(f"--seeds is {config.seeds}; give at least 1")
    device = device_of(config.model)
    tasks = expand(
        D3_V1, config.subjects, config.budgets, config.ablations, config.seeds, config.floors, config.model
    )
    harness = Harness(Store(config.out), D3_V1, config.metrics, config.weights, device.type, not config.shared_machine)
    open_ = [task for task in tasks if not harness.is_done(task.job)]
    console.print(f"{len(tasks)} jobs, {len(tasks) - len(open_)} done already, {len(open_)} to run in {config.out}")
    for task in open_:
        console.print(f"  {label(task.job)}")
    if config.dry_run:
        return 0
    write_json(config.out / "plan.json", {"jobs": [{"key": t.job.key, **t.job.model_dump()} for t in tasks]})
    failed = 0
    for task in open_:
        with harness.store.claim(task.job.key) as mine:
            if not mine:
                console.print(f"{label(task.job)}: another process works on it")
                continue
            if harness.is_done(task.job):
                continue
            record = harness.run(task)
            failed += record.status == "failed"
            console.print(f"{label(task.job)}: {record.status}{': ' + record.reason if record.reason else ''}{brief(record)}")
    return 1 if failed else 0


def label(job) -> str:  # type: ignore[no-untyped-def]
    """One line that names a job."""
    seed = f", seed {job.seed}" if job.method == "d3talker" else ""
    ablation = f" {job.ablation}" if job.ablation != "full" else ""
    return f"{job.method}{ablation} on {job.subject}, {job.budget:g} s{seed}"


def brief(record) -> str:  # type: ignore[no-untyped-def]
    """The values that were measured, in one line."""
    values = [f"{name} {result.value:.4g}" for name, result in record.metrics.items() if result.value is not None]
    return f" ({', '.join(values)})" if values else ""
