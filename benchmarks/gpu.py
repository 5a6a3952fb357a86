"""The first hour on a CUDA card: kernels built, parity tests, steps, frames, an adaptation killed and gone on with; one JSON.

    python benchmarks/gpu.py benchmarks/results/gpu-NAME.json

The JSON is written anew after each part, so that an hour that ends early leaves what it found.  Exits with 2 and says so where
there is no CUDA device or no gsplat, with 1 where a parity test fails or a part does not come to its end.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import tyro

from d3talker import checkpoint
from d3talker.errors import UserError, require
from d3talker.files import write_json
from d3talker.graphics.render import toolchain
from d3talker.learning import graphs
from d3talker.learning.rendering import back, camera
from d3talker.method.adapt import CHECKPOINT, train_identity
from d3talker.method.config import PAPER, Config
from d3talker.method.synthesis import TrainedTalker
from d3talker.people.subject.layout import Subject

ROOT = Path(__file__).resolve().parent.parent
SIZES, COUNTS = (128, 256, 512), (5_000, 20_000, 50_000)
WARM_UP, ROUNDS, BATCH = 50, 9, 20
BUDGET = 250  # frames of training, 10 s
SCORED = 50  # test frames rendered and compared
TARGETS = {"frame_fps_512_20000": 500, "step_per_s_512_20000": 100}


@dataclass(frozen=True)
class Options:
    """Measure one CUDA card."""

    out: tyro.conf.Positional[Path]
    """The JSON to write."""
    subject: Path | None = None
    """Subject folder to adapt to; without it a synthetic person is made (extra `synth`)."""
    size: int = 512
    """Side of the synthetic person's pictures."""
    share: float = 1.0
    """Share of the steps of preset `paper`: less where the hour is shorter."""
    kill_after: float = 60.0
    """Seconds after which the adaptation is killed once, to be gone on with."""


def per_second(function: Callable[[], object]) -> dict[str, float]:
    """Calls a second, synchronised: the median of ROUNDS batches after WARM_UP calls, and the slowest and fastest."""
    for _ in range(WARM_UP):
        function()
    torch.cuda.synchronize()
    rates = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(BATCH):
            function()
        torch.cuda.synchronize()
        rates.append(BATCH / (time.perf_counter() - began))
    return {"median": statistics.median(rates), "least": min(rates), "most": max(rates)}


def build() -> dict[str, Any]:
    """Everything that compiles at first use, with its seconds, and what the toolchain is."""
    from eval.warm import warm_up

    built, began = toolchain.kernels() is not None, time.perf_counter()
    warm_up("cuda")
    return {"built_before": built, "seconds": time.perf_counter() - began, "parts": [asdict(part) for part in toolchain.parts()]}


def parity() -> dict[str, Any]:
    """Run the tests marked gpu; how many passed is in the last line."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "tests/d3talker"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return {"passed": run.returncode == 0, "summary": run.stdout.strip().splitlines()[-1:], "exit_code": run.returncode}


def speed(device: str = "cuda") -> list[dict[str, Any]]:
    """Raster passes, a training step, a frame at batch 1 and memory, by size and count, with the backends that `auto` picks."""
    from workload import Step, render_pass, scene

    results = []
    for size, count in itertools.product(SIZES, COUNTS):
        torch.cuda.reset_peak_memory_stats()
        arguments, step = scene(count, size, device), Step(count, size, device)
        results.append({
            "size": size, "gaussians": count,
            "raster_forward_backward_per_s": per_second(render_pass(arguments, "auto")),
            "raster_forward_per_s": per_second(render_pass(arguments, "auto", backward=False)),
            "step_per_s": per_second(step), "frame_fps": per_second(step.frame()),
            "peak_mib": torch.cuda.max_memory_allocated() / 2**20,
        })
    return results


def person(options: Options, folder: Path) -> Subject:
    """Whom to adapt to."""
    if options.subject is not None:
        return Subject(options.subject)
    from d3talker.people.synthetic.subjects import make_subject

    return Subject(make_subject(folder / "person", seed=1, seconds=30.0, size=options.size))


def shortened(share: float) -> Config:
    """Preset `paper` with a share of its steps."""
    def cut(steps: int) -> int:
        return max(round(steps * share), 2)

    s = PAPER.schedule
    schedule = replace(s, face=cut(s.face), mouth=cut(s.mouth), fuse=cut(s.fuse), warmup=cut(s.warmup) // 2)
    return replace(PAPER, device="cuda", schedule=schedule, refiner=replace(PAPER.refiner, steps=cut(PAPER.refiner.steps)))


def train(root: Path, out: Path, config: Config) -> None:
    """Adapt, or go on; leaves the peak of the device's memory beside the checkpoint."""
    subject = Subject(root)
    train_identity(config, subject, subject.frames("train")[:BUDGET], out, 0)
    write_json(out / "memory.json", {"peak_mib": torch.cuda.max_memory_allocated() / 2**20})


def in_child(work: Callable[..., None], arguments: tuple[Any, ...], limit: float | None = None) -> int:
    """Exit code of `work` in a process of its own, which is killed after `limit` seconds."""
    child = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    child.start()
    child.join(limit)
    if child.is_alive():
        child.kill()
        child.join()
    return child.exitcode or 0


def adaptation(subject: Subject, out: Path, options: Options) -> dict[str, Any]:
    """The whole of preset `paper` on one person: killed once, gone on with; seconds of steps, wall clock, memory."""
    config = shortened(options.share)
    began = time.perf_counter()
    first = in_child(train, (subject.root, out, config), options.kill_after)
    stopped = checkpoint.load(out / CHECKPOINT) if (out / CHECKPOINT).exists() else {"stage": None, "step": 0}
    second = in_child(train, (subject.root, out, config))
    state = checkpoint.load(out / CHECKPOINT)
    points = {region: len(state["model"][f"identity.gaussians.{region}.means"]) for region in ("face", "mouth")}
    return {
        "size": list(subject.size), "share": options.share, "exit_codes": [first, second], "done": state["done"],
        "gone_on_from": [stopped["stage"], stopped["step"]], "step_seconds": state["seconds"],
        "wall_seconds": time.perf_counter() - began, "gaussians": points, **json.loads((out / "memory.json").read_text()),
    }


def rendering(subject: Subject, run: Path) -> dict[str, Any]:
    """Frames a second at batch 1 with CUDA graphs and launch by launch, how far the two differ, and PSNR on test frames."""
    test = subject.frames("val")[:SCORED]
    result: dict[str, Any] = {}
    pictures = {}
    for name in ("on", "off"):
        os.environ[graphs.ENVIRONMENT] = name
        talker = TrainedTalker(run, "cuda")
        drive = talker.drive(subject, test)
        views = [(camera(subject, frame, talker.device), back(subject, frame, talker.device)) for frame in test]
        turn = itertools.cycle(range(len(test)))

        def coarse(talker: TrainedTalker = talker, drive: Any = drive, views: Any = views, turn: Any = turn) -> torch.Tensor:
            index = next(turn)
            return talker.coarse(drive, index, *views[index])

        result[f"graphs_{name}"] = {
            "coarse_fps": per_second(coarse), "refined_fps": per_second(lambda t=talker, c=coarse: t.refine(c())),
        }
        pictures[name] = torch.stack([talker.refine(talker.coarse(drive, i, *view)) for i, view in enumerate(views)]).cpu()
    del os.environ[graphs.ENVIRONMENT]
    truth = torch.stack([torch.from_numpy(subject.gt(frame.img_id)) for frame in test]) / 255
    errors = (pictures["on"] - truth).square().mean((1, 2, 3))
    result["largest_difference"] = (pictures["on"] - pictures["off"]).abs().max().item()
    result["psnr"] = (-10 * errors.log10()).mean().item()
    return result


def reached(results: list[dict[str, Any]]) -> dict[str, bool]:
    """Which targets the main size meets."""
    main_size = next(r for r in results if (r["size"], r["gaussians"]) == (512, 20_000))
    return {name: main_size[name.removesuffix("_512_20000")]["median"] >= goal for name, goal in TARGETS.items()}


def main(arguments: list[str] | None = None) -> int:
    """Measure and write; see the module's first lines for the exit codes."""
    options = tyro.cli(Options, args=arguments)
    if not torch.cuda.is_available():
        print("benchmarks/gpu.py needs a CUDA device, and torch sees none; nothing was measured", file=sys.stderr)
        return 2
    try:
        require("gsplat", "gpu", "the GPU benchmark")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    began, properties = time.perf_counter(), torch.cuda.get_device_properties(0)
    report: dict[str, Any] = {
        "device": properties.name, "memory_gib": properties.total_memory / 2**30, "cuda": torch.version.cuda,
        "torch": torch.__version__, "gsplat": version("gsplat"), "python": platform.python_version(), "targets": TARGETS,
        "failed": [],
    }  # fmt: skip

    def part(name: str, work: Callable[[], Any]) -> Any:
        try:
            report[name] = work()
        except Exception as error:
            report[name] = None
            report["failed"].append(f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:500]}")
            print(report["failed"][-1], file=sys.stderr)
        report["seconds"] = time.perf_counter() - began
        write_json(options.out, report)
        print(f"{name}: done after {report['seconds']:.0f} s", flush=True)
        return report[name]

    part("build", build)
    part("parity", parity)
    results = part("speed", speed)
    part("reached", lambda: reached(results))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subjects: list[Subject] = []
        part("person", lambda: subjects.append(person(options, folder)) or list(subjects[0].size))
        for subject in subjects:
            part("adaptation", lambda subject=subject: adaptation(subject, folder / "run", options))
            part("rendering", lambda subject=subject: rendering(subject, folder / "run"))
    good = not report["failed"] and report["parity"]["passed"]
    print(f"wrote {options.out} after {report['seconds']:.0f} s; targets reached: {report['reached']}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
