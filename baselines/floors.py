"""The floors and bounds that every table shows: methods of a few lines that run in our own process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from baselines.adapter import Predict, Skip
from baselines.recipe import Recipe
from baselines.registry import Registry
from baselines.spec import MethodSpec
from d3talker.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from d3talker.people.subject.layout import Frame, Subject

FLOORS = ("ground-truth", "ground-truth-h264", "mean-frame", "nearest-pose")


def floor(name: str) -> Predict:
    """The function (subject, train_frames, test_frames, out) that writes a floor's predictions folder.

    Raises UserError when `name` is no method that runs in our process.
    """
    run = Registry().adapter(name).run
    if isinstance(run, (Skip, Recipe)):
        raise UserError(f"'{name}' is no floor; choose one of {', '.join(FLOORS)}")
    return run


def write(
    spec: MethodSpec, subject: Subject, test: Sequence[Frame], frames: Iterable[np.ndarray], out: Path,
    notes: Sequence[str] = (),
) -> None:
    """Write a self-driven predictions folder: `frames` (uint8 RGB [H, W, 3], one a test frame) and their sound."""
    from d3talker.people.media.predictions import PredictionsWriter
    from d3talker.people.subject.sound import clip_sound

    with PredictionsWriter(
        out, method=spec.name, subject=subject.name, setting="self", first_img_id=test[0].img_id,
        torso_mode=spec.torso_mode, source="d3talker", lossless=spec.lossless, audio=clip_sound(subject, test),
        notes=list(notes),
    ) as writer:
        for frame in frames:
            writer.write(frame)
