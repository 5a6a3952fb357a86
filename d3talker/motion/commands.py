"""`d3talker motion train | import`: the audio-to-motion model, or coefficients that Real3D-Portrait's model made."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from d3talker.motion.options import TrainingConfig


@dataclass(frozen=True)
class TrainConfig:
    """Train on the training frames of any subjects, and score on speakers left out; writes motion.safetensors."""

    subjects: tuple[Path, ...]
    """Subject folders; with a single one, every fifth 2 s are held out."""
    out: Path = Path("runs/motion")
    """Folder for the checkpoint and scores.json; an interrupted training goes on there."""
    held_out: tuple[str, ...] = ()
    """Names of the subjects to score on instead of training; the last one if none is named."""
    features: str = "auto"
    """Audio features; auto takes the best that all subjects have."""
    seed: int = 0
    """Same seed, same model, on a CPU."""
    training: TrainingConfig = field(default_factory=TrainingConfig)


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
        Annotated[TrainConfig, tyro.conf.subcommand("train", prefix_name=False)]
        | Annotated[ImportConfig, tyro.conf.subcommand("import", prefix_name=False)]
    ]


def run(config: MotionConfig) -> None:
    """Do what the sub-command says.  Raises UserError for bad input."""
    if isinstance(config.command, ImportConfig):
        _import(config.command)
    else:
        _train(config.command)


def _train(config: TrainConfig) -> None:
    from d3talker.errors import UserError
    from d3talker.files import write_json
    from d3talker.subject.layout import Subject, common_features
    from d3talker.training import motion

    if not config.subjects:
        raise UserError("--subjects names no folder; give at least one")
    feature_name = common_features([Subject(root) for root in config.subjects], config.features)
    speakers = [motion.load_speaker(root, feature_name) for root in config.subjects]
    train, held = motion.divide(speakers, config.held_out)
    model = motion.MotionTraining(config.training, train, feature_name, config.out, config.seed).run()
    scores = motion.evaluate(model, held)
    write_json(config.out / "scores.json", {"trained_on": [speaker.name for speaker in train], "held_out": scores})
    for name, values in scores.items():
        shown = ", ".join(f"{key} {'-' if value is None else f'{value:.3f}'}" for key, value in values.items())
        print(f"{name} (held out): {shown}")


def _import(config: ImportConfig) -> None:
    from d3talker.motion.real3d import import_coefficients

    path, frames = import_coefficients(config.coefficients, config.subject)
    print(f"{path}: expression coefficients of {frames} frames")
