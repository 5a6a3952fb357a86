"""`d3talker motion speakers | train | score | import`: what audio-to-motion models learn from, the models, how well they hear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from d3talker.people.motion.options import PRIOR, TrainingConfig


@dataclass(frozen=True)
class SpeakersConfig:
    """Track facial motion and sound of many clips, and nothing else: data for `motion train`."""

    clips: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Videos of at least a second, or folders of one speaker's; a file alone is a speaker of its own."""
    out: Path
    """Folder for the results; run again to go on, or to add clips."""
    sources: Path | None = None
    """JSON list of {"name": FILE, beside the list, "speaker", "language", "licence"}: says more of the clips, or names them all."""


@dataclass(frozen=True)
class TrainConfig:
    """Train on any speakers, score on those left out in turn, then train on all; writes motion.safetensors and scores.json."""

    subjects: tuple[Path, ...]
    """Subject folders (their training frames), and folders of `motion speakers`."""
    out: Path = Path("runs/motion")
    """Folder for the model and its scores; an interrupted training goes on there."""
    held_out: tuple[str, ...] = ()
    """Speakers that nothing is trained on."""
    seed: int = 0
    """Same seed, same model, on a CPU."""
    training: TrainingConfig = field(default_factory=TrainingConfig)


@dataclass(frozen=True)
class ScoreConfig:
    """How well a model's lips follow the tracked ones of subjects' test frames, by seconds of their own training video."""

    subjects: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Subject folders."""
    motion: str = PRIOR
    """prior (comes with d3talker), none (a regression on the subject's frames), or the folder of a finished `motion train`."""
    budgets: tuple[float, ...] = (0, 5, 10, 20)
    """Seconds; 0 is the model alone."""
    out: Path | None = None
    """JSON file for the scores."""


@dataclass(frozen=True)
class ImportConfig:
    """Take expression coefficients [T, 64] at 25 fps, made by Real3D-Portrait's own model, into a subject folder."""

    coefficients: Path
    """.npy made with temperature 0 and blink mode none (Real3D-Portrait's defaults are 0.2 and random blinks)."""
    subject: Path
    """Subject folder whose sound they were made from."""


@dataclass(frozen=True)
class MotionConfig:
    """Facial motion from sound."""

    command: tyro.conf.OmitSubcommandPrefixes[
        Annotated[SpeakersConfig, tyro.conf.subcommand("speakers", prefix_name=False)]
        | Annotated[TrainConfig, tyro.conf.subcommand("train", prefix_name=False)]
        | Annotated[ScoreConfig, tyro.conf.subcommand("score", prefix_name=False)]
        | Annotated[ImportConfig, tyro.conf.subcommand("import", prefix_name=False)]
    ]


def run(config: MotionConfig) -> None:
    """Do what the sub-command says.  Raises UserError for bad input."""
    command = config.command
    if isinstance(command, SpeakersConfig):
        _speakers(command)
    elif isinstance(command, TrainConfig):
        _train(command)
    elif isinstance(command, ScoreConfig):
        _score(command)
    else:
        _import(command)


def _speakers(config: SpeakersConfig) -> None:
    from d3talker.errors import UserError
    from d3talker.people.preparation.speakers import sources, track_speakers

    found = sources(config.clips, config.sources)
    if not found:
        raise UserError("no clip is named; give videos, folders of videos, or --sources")
    index = track_speakers(found, config.out)
    rows = [index[source.path.stem] for source in found]
    out = [(source.path, row["left_out"]) for source, row in zip(found, rows) if "left_out" in row]
    for path, reason in out:
        print(f"left out {path}: {reason}")
    used = [row for row in rows if "left_out" not in row]
    seconds, speakers = sum(row["frames"] for row in used) / 25, {row["speaker"] for row in used}
    print(f"{config.out}: {len(used)} clips of {len(speakers)} speakers, {seconds:.0f} s; {len(out)} left out")


def _train(config: TrainConfig) -> None:
    from d3talker.errors import UserError
    from d3talker.learning.motion.data import load_speakers
    from d3talker.learning.motion.training import MotionTraining
    from d3talker.people.motion import hearing
    from d3talker.progress import say

    if not config.subjects:
        raise UserError("--subjects names no folder; give at least one")
    names = tuple(dict.fromkeys(name for kind in config.training.inputs for name in kind.split("+")))
    absent = hearing.missing(names)
    for name, reason in absent.items():
        say(f"without {name}: {reason}")
    speakers = load_speakers(config.subjects, [name for name in names if name not in absent], config.held_out)
    _, result = MotionTraining(config.training, speakers, config.out, config.seed).run()
    for name, values in {**result["speakers"], "mean": result["mean"]}.items():
        print(f"{name}: {_line(values)}")


def _score(config: ScoreConfig) -> None:
    from d3talker.files import write_json
    from d3talker.learning.motion.scores import by_budget
    from d3talker.people.motion.options import motion_model
    from d3talker.people.subject.layout import Subject

    found = {}
    for root in config.subjects:
        subject = Subject(root)
        found[subject.name] = by_budget(motion_model(config.motion), subject, config.budgets)
        for seconds, values in found[subject.name].items():
            print(f"{subject.name}, {seconds} s: {_line(values)}")
    if config.out is not None:
        write_json(config.out, found)


def _line(values: Mapping[str, object]) -> str:
    from d3talker.learning.motion.scores import NAMES

    return ", ".join(f"{name} {value:.3f}" if isinstance(value := values.get(name), float) else f"{name} -" for name in NAMES)


def _import(config: ImportConfig) -> None:
    from d3talker.people.motion.real3d import import_coefficients

    path, frames = import_coefficients(config.coefficients, config.subject)
    print(f"{path}: expression coefficients of {frames} frames")
