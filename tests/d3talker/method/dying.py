"""Run by test_killed.py in a process of its own: trains, is killed at a random moment of every stage, goes on, compares.

    python dying.py adapt|pretrain|motion OUT PERSON OTHER

Children are forked from one process that has loaded everything but started no OpenMP thread, which a fork would not survive.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ |= {"NUMBA_THREADING_LAYER": "workqueue", "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}

import torch

from d3talker import checkpoint
from d3talker.learning import loop
from d3talker.learning.motion import training as motion
from d3talker.method import adapt, pretrain
from d3talker.method.config import MINI
from d3talker.people.motion.options import NetworkConfig, TrainingConfig
from d3talker.people.subject.layout import Subject

KILLS = 2  # in each stage
CONFIG = replace(
    MINI, device="cpu",
    gaussians=replace(MINI.gaussians, face_points=300, mouth_points=80, max_points=500),
    density=replace(MINI.density, start=4, every=4, reset_every=9),
    refiner=replace(MINI.refiner, steps=40),
    schedule=replace(MINI.schedule, face=24, mouth=16, fuse=24, warmup=5, checkpoint_seconds=0),
    pretrain=replace(MINI.pretrain, face=24, mouth=16, warmup=5, frames=12),
)


def train_one(out: Path, people: list[Subject]) -> Path:
    """Adapt the first person."""
    adapt.train_identity(CONFIG, people[0], people[0].frames("train")[:12], out, 1)
    return out / adapt.CHECKPOINT


def train_both(out: Path, people: list[Subject]) -> Path:
    """Pre-train on all."""
    pretrain.pretrain(CONFIG, people, out, 1)
    return out / pretrain.CHECKPOINT


def train_motion(out: Path, people: list[Subject]) -> Path:
    """Train audio-to-motion networks on made-up speakers: lags, folds, and all speakers."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "helpers"))
    from small_motion import speaker

    config = TrainingConfig(
        network=NetworkConfig(width=4, dilations=(1,)), inputs=("mel",), components=2, steps=60, batch=2, window=20, folds=2, seeds=3
    )
    motion.MotionTraining(config, [speaker(seed) for seed in (1, 2, 3)], out, 1).run()
    return out / motion.CHECKPOINT


WORK: dict[str, tuple[Callable[[Path, list[Subject]], Path], tuple[str, ...]]] = {
    "adapt": (train_one, adapt.Adaptation.stages), "pretrain": (train_both, pretrain.Pretraining.stages),
    "motion": (train_motion, ("the first networks", "the middle", "the last")),
}


def dies_in(stage: str, draw: random.Random) -> None:
    """From now on this process is killed at a random moment: some steps into the stage, while it computes or saves."""
    step, network, countdown, delay = loop.Loop._one_step, motion.train_network, draw.randrange(4), draw.uniform(0, 0.05)

    def count() -> None:
        nonlocal countdown
        if countdown == 0:
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        countdown -= 1

    def counted_step(self: loop.Loop) -> str:
        if self.stage == stage:
            count()
        return step(self)

    def counted_network(*given: Any) -> Any:
        nonlocal countdown
        countdown = min(countdown, 0)  # a network is many steps, and there are few
        count()
        return network(*given)

    loop.Loop._one_step, motion.train_network = counted_step, counted_network  # type: ignore[method-assign]


def in_child(work: Callable[[], object]) -> int:
    """Wait status of `work` done in a fork of this process."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def flat(value: object, name: str = "") -> dict[str, object]:
    """Leaves of a checkpoint by name, without the seconds it took."""
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for key, item in items if key != "seconds" for k, v in flat(item, f"{name}/{key}").items()}
    return {name: value}


def main() -> int:
    """Print how often it was killed in which stage; exit code 1 where a run failed or ended elsewhere."""
    kind, out, *folders = sys.argv[1:]
    (train, stages), people, draw = WORK[kind], [Subject(folder) for folder in folders], random.Random(kind)
    for person in people:
        assert person.data_hash  # known to all children
    if in_child(lambda: train(Path(out) / "whole", people)) != 0:
        return 1
    for stage in stages:
        kills = 0
        for _ in range(KILLS):
            def doomed(stage: str = stage) -> None:
                dies_in(stage, draw)
                train(Path(out) / "killed", people)

            draw.random()  # another moment in each child
            code = in_child(doomed)
            if code not in (0, -signal.SIGKILL):
                return 1
            kills += code != 0
        print(f"{stage}: killed {kills} times", flush=True)
    if in_child(lambda: train(Path(out) / "killed", people)) != 0:
        return 1
    whole, killed = (flat(checkpoint.load(train(Path(out) / name, people))) for name in ("whole", "killed"))
    assert whole.keys() == killed.keys()
    for name, value in whole.items():
        same = torch.equal(value, killed[name]) if isinstance(value, torch.Tensor) else value == killed[name]  # type: ignore[arg-type]
        assert same, f"{name} differs"
    print(f"{len(whole)} values are equal to the bit")
    return 0


if __name__ == "__main__":
    sys.exit(main())
