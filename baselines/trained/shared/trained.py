"""What all re-implementations do alike with a finished training: read it, and make signals of sound and eyes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from baselines.trained.shared.clip import Drive, Hearing, drive_of
from d3talker import checkpoint
from d3talker.errors import UserError
from d3talker.learning.contract import Trained, device_named
from d3talker.learning.rendering import eyes_at_test
from d3talker.options import from_dict
from d3talker.people.subject.layout import Frame, Subject

SHORTEST_OWN = 50  # frames: a shorter sound says too little of its own mean


class TrainedBaseline(Trained):
    """Options, signals and notes of a finished training; a method adds its model and the stages of a frame."""

    window: int  # frames of audio features that a method hears

    def __init__(self, path: Path, kind: type, options: Any, device: str) -> None:
        """path: its checkpoint; options: whose test-time options hold, None = as trained.

        Raises UserError when it is missing, damaged or unfinished.
        """
        self.state = checkpoint.load(path)
        if not self.state["done"]:
            raise UserError(f"{path.parent} is not trained to its end; run the same training command again to go on")
        self.run, self.data = path.parent, self.state["job"].get("data")
        self.options = from_dict(kind, self.state["config"])
        if options is not None:
            self.options = replace(self.options, eyes=options.eyes)
        self.device = device_named(device)
        self.seconds: float = self.state["seconds"]
        self.hearing = Hearing.from_state(self.state["hearing"])
        self.feature_name = self.hearing.name
        self.eyes = np.array(self.state["eyes"], np.float32)
        self.notes = list(self.state["notes"])
        if self.feature_name != "deepspeech":
            self.notes.append(f"Audio features: {self.feature_name}, standardised; the official code has DeepSpeech's as they are.")

    def ready(self, model: nn.Module) -> None:
        """Put a loaded model where it renders, learning no more."""
        model.to(self.device).eval().requires_grad_(False)

    def drive(self, subject: Subject, frames: Sequence[Frame]) -> Drive:
        """Signals of `frames` of a subject by its own sound."""
        rows = [frame.aud_id for frame in frames]
        features = subject.features(self.feature_name)
        if max(rows) >= len(features):
            raise UserError(f"{subject.root} has audio features for {len(features)} frames, frame {max(rows)} is asked for")
        filmed = subject.action_units()[rows] if self.options.eyes == "video" else None
        return self._drive(self.hearing.scaled(features), rows, filmed)

    def drive_by(self, subject: Subject, features: np.ndarray, sound: np.ndarray) -> Drive:
        """Signals by any sound's audio features [T, 16, C]."""
        scaled = self.hearing.scaled(features, own=len(features) >= SHORTEST_OWN)
        return self._drive(scaled, list(range(len(features))), None)

    def _drive(self, features: np.ndarray, rows: list[int], filmed: np.ndarray | None) -> Drive:
        eyes = eyes_at_test(self.eyes, filmed, len(rows), self.options.eyes)
        return drive_of(features, rows, eyes, self.window, self.device)

