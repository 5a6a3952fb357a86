"""How an official code is run: pinned commit, environment script, budget copy of the subject, commands.  Pure data."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from d3talker.people.subject.layout import Frame, Subject

Copy = Callable[["Subject", Sequence["Frame"], Path], list[str]]


@dataclass(frozen=True)
class Need:
    """A file that the code reads and `d3talker prepare` may not have made; `how` says where it comes from."""

    pattern: str
    how: str


@dataclass(frozen=True)
class Step:
    """One command.  argv may hold {python} {data} {run} {weights} {frames}, and in cross steps {features} {wav}.

    It runs in the checkout of the code.

    produces: patterns, relative to {run}, of what must be there when it has ended.  train: its time is training time.
    """

    name: str
    argv: tuple[str, ...]
    produces: tuple[str, ...]
    train: bool = True


@dataclass(frozen=True)
class Recipe:
    """All of it.  environment: a script of baselines/official/environments.  weights: files that --weights must hold.

    copy: "module:function" of (subject, training frames, target), which writes the subject as the code reads it, cut to
    the budget, and returns footnotes.  cross: steps that render the finished model with another sound.  outputs:
    folder, relative to {run}, that the method's `locate` is given; cross_outputs: the same after the cross steps.
    """

    environment: str
    copy: str
    steps: tuple[Step, ...]
    needs: tuple[Need, ...] = ()
    weights: tuple[str, ...] = ()
    cross: tuple[Step, ...] = ()
    outputs: str = "."
    cross_outputs: str = "."
    timeout_h: float = 24.0
    notes: tuple[str, ...] = ()

    def copier(self) -> Copy:
        """The function that `copy` names."""
        module, _, name = self.copy.partition(":")
        return getattr(importlib.import_module(module), name)


LANDMARKS = Need("ori_imgs/*.lms", "d3talker prepare")
TORSO = Need("torso_imgs/*.png", "d3talker prepare")
UNITS = Need("au.csv", "d3talker prepare, or OpenFace's FeatureExtraction")
TRACK = Need("track_params.pt", "the code's own data_utils/process.py")
TEETH = Need("teeth_mask/*.npy", "the code's own data_utils/easyportrait/create_teeth_mask.py")
