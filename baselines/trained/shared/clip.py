"""What the re-implementations read of a subject: audio features of the whole clip, action units, masks, what guides sampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from baselines.trained.shared.curriculum import Measures
from baselines.trained.shared.motion_net import Signals
from d3talker.errors import UserError
from d3talker.learning.encoders import window
from d3talker.learning.views import Views, load_views
from d3talker.people.audio.statistics import AudioStatistics
from d3talker.people.subject.action_units import BLINK_MAX, read_unit
from d3talker.people.subject.layout import Frame, Subject

INNER_LIPS = slice(60, 68)  # of the 68 landmarks
OPENING = "AU25_r"
LEAST_EXTENT = 0.02  # metres: a head that never moves would else learn no shape at all


@dataclass(frozen=True)
class Drive:
    """Signals of T frames: features [R, 16, C] of a whole sound, of which rows [T] are theirs; action units [T, 6]."""

    features: Tensor
    rows: list[int]
    eyes: Tensor
    window: int

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, index: int) -> Signals:
        """The signals that drive frame `index`; zeros stand beyond both ends of the sound."""
        half = self.window // 2
        return Signals(window(self.features, self.rows[index], half, self.window - half - 1), self.eyes[index])


@dataclass(frozen=True)
class Hearing:
    """The audio features that a training heard, and how they were scaled: DeepSpeech's as they are, as in the official codes;
    others, whose units these do not know, by their mean and spread over the training frames."""

    name: str
    statistics: AudioStatistics | None

    @classmethod
    def of(cls, subject: Subject, frames: Sequence[Frame], wanted: str) -> Hearing:
        """Raises UserError where the subject lacks them."""
        name = subject.feature_name(wanted)
        if name == "deepspeech":
            return cls(name, None)
        return cls(name, AudioStatistics.of(subject.features(name)[[frame.aud_id for frame in frames]]))

    def scaled(self, features: np.ndarray, own: bool = False) -> np.ndarray:
        """Features [T, 16, C] as the nets hear them; own: a foreign sound, by its own mean and spread."""
        if self.statistics is None:
            return features.astype(np.float32)
        return (AudioStatistics.of(features) if own else self.statistics).apply(features)

    def state(self) -> dict[str, Any]:
        """Plain data for a checkpoint."""
        return {"name": self.name, "statistics": None if self.statistics is None else asdict(self.statistics)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Hearing:
        """Inverse of `state`."""
        return cls(state["name"], None if state["statistics"] is None else AudioStatistics(**state["statistics"]))


@dataclass(frozen=True)
class Clip:
    """The training frames of one subject: pictures, signals, measures."""

    name: str
    views: Views
    drive: Drive
    hearing: Hearing
    eyes: np.ndarray
    measures: Measures

    def __len__(self) -> int:
        return len(self.views)


def load_clip(
    subject: Subject, frames: Sequence[Frame], wanted: str, window: int, device: torch.device, share: float = 1.0
) -> Clip:
    """Read `frames` of a subject.  wanted: audio features; share: of the memory that pictures may take.

    Raises UserError naming what is missing.
    """
    rows = [frame.aud_id for frame in frames]
    hearing = Hearing.of(subject, frames, wanted)
    features = hearing.scaled(subject.features(hearing.name))
    if max(rows) >= len(features):
        raise UserError(f"{subject.root} has audio features for {len(features)} frames, frame {max(rows)} is asked for")
    eyes = subject.action_units()[rows]
    views = load_views(subject, frames, device, share)
    return Clip(
        subject.name, views, drive_of(features, rows, eyes, window, device), hearing, eyes, measure(subject, frames, views, eyes),
    )


def drive_of(features: np.ndarray, rows: list[int], eyes: np.ndarray, window: int, device: torch.device) -> Drive:
    """A Drive from arrays: scaled features [R, 16, C], rows of it, action units [T, 6]."""
    return Drive(torch.from_numpy(features).to(device), rows, torch.from_numpy(eyes.astype(np.float32)).to(device), window)


def measure(subject: Subject, frames: Sequence[Frame], views: Views, eyes: np.ndarray) -> Measures:
    """What guides sampling: AU25 from OpenFace's csv where it has that column, else the height of the inner lips."""
    height = np.ptp(subject.landmarks([frame.img_id for frame in frames])[:, INNER_LIPS, 1], axis=1)
    unit = read_unit(subject.layout.action_units, OPENING, subject.total)
    opening = height if unit is None else unit[[frame.aud_id for frame in frames]]
    pixels = np.array([int(views.host(index).mouth.sum()) for index in range(len(frames))])
    return Measures(height, opening, (eyes[:, -1] / BLINK_MAX).clip(0, 1), pixels)


def camera_extent(views: Views) -> float:
    """3DGS' unit of length in metres, for its rates and sizes."""
    return max(views.extent(), LEAST_EXTENT)
