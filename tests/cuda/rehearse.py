"""Runs the CUDA path on the pretended card, beside the CPU, and prints what came of it as JSON.

    python tests/cuda/rehearse.py FOLDER PERSON OTHER

FOLDER: scratch; PERSON, OTHER: subject folders of 64x64 pixels.  Exit code 0 whenever all checks ran; the test judges their values.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
from budgets import counts
from stand_ins import card

from d3talker import checkpoint
from d3talker.learning import loop
from d3talker.learning.backbones import Backbone
from d3talker.learning.rendering import back, camera, render
from d3talker.method import adapt
from d3talker.method.adapt import train_identity
from d3talker.method.config import PAPER, Config
from d3talker.method.pretrain import CHECKPOINT, pretrain
from d3talker.method.synthesis import TrainedTalker
from d3talker.people.subject.layout import Subject


def config(device: str) -> Config:
    """Preset `paper` with few Gaussians and steps: every loss, density control and opacity reset at work."""
    return replace(
        PAPER, device=device,
        gaussians=replace(PAPER.gaussians, start="mesh", face_points=300, mouth_points=80, max_points=500),
        density=replace(PAPER.density, start=2, every=3, reset_every=5),
        signals=replace(PAPER.signals, audio_noise=0.1), loss=replace(PAPER.loss, lips=1.0),
        schedule=replace(PAPER.schedule, face=10, mouth=6, fuse=3, warmup=2, checkpoint_seconds=0),
        pretrain=replace(PAPER.pretrain, face=8, mouth=6, warmup=2, frames=12),
        refiner=replace(PAPER.refiner, width=0.0625, batch=2, steps=3),
    )


def perceptual(device: torch.device, weights: Path | None = None) -> tuple[Backbone, None]:
    """AlexNet with random weights in place of its file."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Backbone("alexnet").eval().to(device), None


@contextmanager
def recorded() -> Iterator[list[float]]:
    """L1 of every training step within."""
    original, values = loop.Loop._one_step, []

    def step(self: loop.Loop) -> str:
        train = self.train_step

        def kept() -> Any:
            parts = train()
            values.append(float(parts["l1"]))
            return parts

        self.train_step = kept  # type: ignore[method-assign]
        try:
            return original(self)
        finally:
            del self.train_step  # type: ignore[attr-defined]

    loop.Loop._one_step = step  # type: ignore[method-assign]
    try:
        yield values
    finally:
        loop.Loop._one_step = original  # type: ignore[method-assign]


@contextmanager
def stopped_after(steps: int) -> Iterator[None]:
    """Interrupt training after so many steps."""
    original, done = loop.Loop._one_step, 0

    def limited(self: loop.Loop) -> str:
        nonlocal done
        if done == steps:
            raise KeyboardInterrupt
        done += 1
        return original(self)

    loop.Loop._one_step = limited  # type: ignore[method-assign]
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        loop.Loop._one_step = original  # type: ignore[method-assign]


def off(ours: list[float], theirs: list[float]) -> list[float]:
    """Relative difference of two series of losses: largest of the first three steps, and of all."""
    found = [abs(a - b) / abs(b) for a, b in zip(ours, theirs, strict=True)]
    return [max(found[:3]), max(found)]


def difference(one: Path, two: Path) -> float:
    """Largest difference between the tensors of two checkpoints."""
    found = [0.0]

    def compare(a: Any, b: Any) -> None:
        if isinstance(a, dict):
            assert a.keys() == b.keys()
        if isinstance(a, (dict, list)):
            for key in a if isinstance(a, dict) else range(len(a)):
                compare(a[key], b[key])
        elif isinstance(a, torch.Tensor):
            found.append((a.double() - b.double()).abs().max().item() if a.numel() else 0.0)

    compare(checkpoint.load(one), checkpoint.load(two))
    return max(found)


def resumes(train: Callable[[Path], object], whole: Path, name: str, stops: dict[str, int]) -> dict[str, float]:
    """Stopped within each stage and gone on with: difference to the run in one go."""
    result = {}
    for stage, steps in stops.items():
        out = whole.parent / f"{whole.name}-{stage}"
        with card():
            with stopped_after(steps):
                train(out)
            train(out)
        result[stage] = difference(whole / name, out / name)
    return result


def adaptation(runs: Path, person: Subject, general: Path | None) -> dict[str, Any]:
    """Card against CPU, and every resume."""
    frames = person.frames("train")[:10]
    name = "alone" if general is None else "from"
    with recorded() as cpu:
        train_identity(config("cpu"), person, frames, runs / f"{name}-cpu", 0, general)
    with recorded() as ours, card():
        train_identity(config("cuda"), person, frames, runs / name, 0, general)
    fields = len(ours) - config("cpu").refiner.steps
    result: dict[str, Any] = {
        "steps": len(ours), "off": off(ours[:fields], cpu[:fields]), "refiner off": off(ours[fields:], cpu[fields:]),
    }
    if general is None:
        stops = {"face": 4, "mouth": 13, "fuse": 17, "refine": 21}
        train = lambda out: train_identity(config("cuda"), person, frames, out, 0)  # noqa: E731
        result["resumed"] = resumes(train, runs / name, adapt.CHECKPOINT, stops)
    return result


def pretraining(runs: Path, people: list[Subject]) -> dict[str, Any]:
    """Card against CPU, and both resumes."""
    with recorded() as cpu:
        pretrain(config("cpu"), people, runs / "general-cpu", 0)
    with recorded() as ours, card():
        pretrain(config("cuda"), people, runs / "general", 0)
    train = lambda out: pretrain(config("cuda"), people, out, 0)  # noqa: E731
    return {
        "steps": len(ours), "off": off(ours, cpu),
        "resumed": resumes(train, runs / "general", CHECKPOINT, {"face": 5, "mouth": 11}),
    }


def rendering(runs: Path, person: Subject) -> dict[str, Any]:
    """A fine frame of the card against the CPU's; predictions and timing run."""
    from eval.timing import peak_memory, stages_fps, time_stages
    from eval.warm import warm_up

    test = person.frames("val")[:3]

    def fine(device: str) -> np.ndarray:
        talker = TrainedTalker(runs / "alone", device)
        signals = talker.drive(person, test)
        pictures = [
            talker.refine(talker.coarse(signals, i, camera(person, frame, talker.device), back(person, frame, talker.device))).cpu().numpy()
            for i, frame in enumerate(test)
        ]
        return np.stack(pictures)

    wanted = fine("cpu")
    with card():
        warm_up("cuda")
        got = fine("cuda")
        talker = TrainedTalker(runs / "alone", "cuda")
        render(talker, "d3talker", person, test[:2], None, runs / "predictions")
        signals = talker.drive(person, test)
        views = [(camera(person, frame, talker.device), back(person, frame, talker.device)) for frame in test]
        stages: dict[str, Callable[[int, Any], Any]] = {
            "coarse": lambda i, _: talker.coarse(signals, i, *views[i]), "refine": lambda _, picture: talker.refine(picture),
        }
        with peak_memory(True):
            speed = stages_fps(time_stages(stages, 2, warm_up=1, cuda=True), True)
    assert speed.value is not None
    return {"worst": float(np.abs(got - wanted).max()), "fps": speed.value}


def metrics() -> dict[str, Any]:
    """LPIPS and SyncNet, with random weights."""
    import eval.metrics.perceptual as module
    from d3talker.learning.lpips import LPIPS
    from eval.metrics.perceptual import lpips
    from eval.metrics.syncnet import LipStream, SyncNet, distances, sound_embeddings

    g = np.random.default_rng(0)
    a, b = (g.integers(0, 255, (2, 64, 64, 3), dtype=np.uint8) for _ in range(2))
    masks = g.random((2, 64, 64)) > 0.5
    faces = [g.integers(0, 255, (224, 224, 3), dtype=np.uint8) for _ in range(7)]
    wave = g.standard_normal(8000).astype(np.float32) * 0.1
    torch.manual_seed(0)
    model, network = LPIPS("alex", Backbone("alexnet")).eval(), SyncNet().eval()
    module.spread = lambda function, *rows: [function(*row) for row in zip(*rows, strict=True)]  # modes are a thread's own

    def embeddings() -> tuple[Any, Any]:
        stream = LipStream(network)
        for face in faces:
            stream.push(face)
        lips, sound = stream.finish(), sound_embeddings(network, wave)
        count = min(len(lips), len(sound))
        return distances(lips[:count], sound[:count])

    wanted = lpips(a, b, masks, model=model), np.asarray(embeddings())
    with card():
        model.to("cuda")
        network.to("cuda")
        got = lpips(a, b, masks, model=model), np.asarray(embeddings())
    return {"lpips": float(np.abs(got[0] - wanted[0]).max()), "sync": float(np.abs(got[1] - wanted[1]).max())}


def first_hour(runs: Path, person: Subject) -> dict[str, Any]:
    """benchmarks/gpu.py from end to end, its sizes small; its children run here, and are interrupted instead of killed."""
    root = Path(__file__).resolve().parents[2]
    sys.path.insert(0, str(root / "benchmarks"))
    import gpu

    def in_child(work: Callable[..., None], arguments: tuple[Any, ...], limit: float | None = None) -> int:
        with stopped_after(10**6 if limit is None else 13):
            work(*arguments)
            return 0
        return -9

    for name, value in {"SIZES": (16, 512), "COUNTS": (20_000,), "WARM_UP": 1, "ROUNDS": 2, "BATCH": 1, "SCORED": 2, "BUDGET": 10}.items():
        setattr(gpu, name, value)
    gpu.in_child, gpu.parity = in_child, lambda: {"passed": True, "summary": [], "exit_code": 0}
    gpu.shortened = lambda share: config("cuda")
    with card():
        code = gpu.main([str(runs / "gpu.json"), "--subject", str(person.root)])
    return {"code": code, **json.loads((runs / "gpu.json").read_text())}


def main() -> int:
    """Run all checks."""
    adapt.load_perceptual = perceptual
    runs, people = Path(sys.argv[1]), [Subject(folder) for folder in sys.argv[2:]]
    report = {
        "pretrain": pretraining(runs, people),
        "adapt": adaptation(runs, people[0], None),
        "adapt from a pre-training": adaptation(runs, people[0], runs / "general"),
        "render": rendering(runs, people[0]),
        "metrics": metrics(),
        "first hour": first_hour(runs, people[0]),
        "counts": counts(config("cuda"), people, runs),
    }
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
