"""Launches, waits and uploads of one step of each stage and of one frame, on the pretended card."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from card import METER
from stand_ins import card

from d3talker.learning.priors import load_priors
from d3talker.learning.rendering import back, camera
from d3talker.learning.views import load_views
from d3talker.method.adapt import Adaptation
from d3talker.method.config import Config
from d3talker.method.driving import training_signals
from d3talker.method.pretrain import Person, Pretraining
from d3talker.method.synthesis import TrainedTalker
from d3talker.people.subject.layout import Subject

FRAMES = 10
PEOPLE = 5


def counted(name: str, run: Callable[[], object]) -> dict[str, int]:
    """What the second of two runs asks of the card; with D3TALKER_COUNTS set, by line on stdout."""
    run()
    METER.reset()
    METER.counting = True
    try:
        run()
    finally:
        METER.counting = False
    if os.environ.get("D3TALKER_COUNTS"):
        print(f"{name}: {METER.total()}")
        for what in ("launches", "waits", "uploads"):
            print("   ", what, dict(getattr(METER, what).most_common(60)))
    return METER.total()


def counts(config: Config, people: list[Subject], runs: Path) -> dict[str, dict[str, int]]:
    """Of the stages of both trainings, without density control, which changes the number of Gaussians now and then."""
    config = replace(config, density=replace(config.density, start=10**6))
    device, result = torch.device("cuda"), {}
    with card():
        def step(trainer: Any, stage: str, at: int) -> Callable[[], object]:
            trainer.stage, trainer.step = stage, at
            trainer.begin_stage()

            def run() -> None:
                trainer.step = at
                trainer._one_step()

            return run

        frames = people[0].frames("train")[:FRAMES]
        signals = training_signals(people[0], frames, config.signals, device)
        trainer = Adaptation(
            config, load_views(people[0], frames, device), signals, load_priors(people[0], frames), runs / "count", 0, device,
        )
        for stage, at in (("face", 3), ("face", 7), ("mouth", 3), ("fuse", 1), ("refine", 1)):
            name = f"adapt {stage}" + (" with geometry" if at == 7 else "")
            result[name] = counted(name, step(trainer, stage, at))
        persons = []
        for subject in [people[k % 2] for k in range(PEOPLE)]:
            some = subject.frames("train")[:FRAMES]
            persons.append(
                Person(subject.name, load_views(subject, some, device), training_signals(subject, some, config.signals, device))
            )
        general = Pretraining(config, persons, runs / "count-general", 0, device)
        for stage in general.stages:
            result[f"pretrain {stage}"] = counted(f"pretrain {stage}", step(general, stage, 3))
        talker, test = TrainedTalker(runs / "alone", "cuda"), people[0].frames("val")[:2]
        drive = talker.drive(people[0], test)
        view = camera(people[0], test[0], talker.device), back(people[0], test[0], talker.device)
        result["frame"] = counted("frame", lambda: talker.coarse(drive, 0, *view))
        coarse = talker.coarse(drive, 0, *view)
        result["refined"] = counted("refined", lambda: talker.refine(coarse))
    return result
