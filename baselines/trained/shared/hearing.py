"""What drives a method that hears sound alone: windows of audio features, and the eyes by the suite's rule (loop, still, video)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from d3talker.errors import UserError
from d3talker.learning.encoders import window
from d3talker.learning.rendering import eyes_at_test
from d3talker.people.audio.features import OWN
from d3talker.people.audio.statistics import AudioStatistics
from d3talker.people.subject.action_units import BLINK_MAX
from d3talker.people.subject.layout import Frame, Subject

WINDOW = 8  # frames i-4 ... i+3 (RAD-NeRF utils.py:56-72)
SHORTEST_OWN = 50  # frames: a shorter sound says too little of its own mean

Eyes = Literal["loop", "still", "video"]


@dataclass(frozen=True)
class SoundDrive:
    """Signals of T consecutive frames: normalised audio features [T, 16, C], and what drives the eyes [T, E]."""

    audio: Tensor
    eyes: Tensor

    def __len__(self) -> int:
        return self.audio.shape[0]

    def at(self, index: int) -> tuple[Tensor, Tensor]:
        """Audio window [WINDOW, 16, C] of a frame, with zeros beyond both ends, and its eyes [E]."""
        return window(self.audio, index, WINDOW // 2, WINDOW // 2 - 1), self.eyes[index]

    def to(self, device: torch.device) -> SoundDrive:
        return SoundDrive(self.audio.to(device), self.eyes.to(device))


@dataclass(frozen=True)
class Hearing:
    """What test time needs of a training: the features' name and statistics, and the training frames' eyes [T, E]."""

    feature_name: str
    statistics: AudioStatistics
    eyes: np.ndarray

    @classmethod
    def of(cls, subject: Subject, frames: Sequence[Frame], features: str, eyes: np.ndarray) -> Hearing:
        """features: their name, or auto; eyes [T, E] of the training frames `frames`."""
        name = subject.feature_name(features)
        return cls(name, AudioStatistics.of(_rows(subject, name, frames)), eyes.astype(np.float32))

    def state(self) -> dict[str, Any]:
        """Plain data for a checkpoint."""
        return {"feature_name": self.feature_name, "statistics": asdict(self.statistics), "eyes": self.eyes.tolist()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Hearing:
        """Inverse of `state`."""
        return cls(state["feature_name"], AudioStatistics(**state["statistics"]), np.array(state["eyes"], np.float32))

    @property
    def columns(self) -> int:
        """Of the audio features."""
        return len(self.statistics.mean)

    def trained(self, subject: Subject, frames: Sequence[Frame]) -> SoundDrive:
        """The training frames' own signals."""
        return self._drive(self.statistics.apply(_rows(subject, self.feature_name, frames)), self.eyes)

    def drive(self, subject: Subject, frames: Sequence[Frame], eyes: Eyes, filmed: np.ndarray | None = None) -> SoundDrive:
        """Signals of test frames by their own sound; filmed [T, E]: the video's own eyes, for `eyes` = video."""
        audio = self.statistics.apply(_rows(subject, self.feature_name, frames))
        return self._drive(audio, self._eyes(len(audio), eyes, filmed))

    def drive_by(self, features: np.ndarray, eyes: Eyes) -> SoundDrive:
        """Signals of any sound by its features [T, 16, C], normalised by its own mean and spread where it is long enough."""
        own = AudioStatistics.of(features[:, OWN]) if len(features) >= SHORTEST_OWN else self.statistics
        return self._drive(own.apply(features), self._eyes(len(features), eyes, None))

    def _eyes(self, count: int, rule: Eyes, filmed: np.ndarray | None) -> np.ndarray:
        """By the suite's rule; at rest an eye is open as usual, whatever its signal measures."""
        return eyes_at_test(self.eyes, filmed, count, rule, np.median(self.eyes, 0))

    @staticmethod
    def _drive(audio: np.ndarray, eyes: np.ndarray) -> SoundDrive:
        return SoundDrive(*(torch.from_numpy(np.array(part, np.float32)) for part in (audio, eyes)))


def _rows(subject: Subject, name: str, frames: Sequence[Frame]) -> np.ndarray:
    """Features [T, 16, C] of frames.  Raises UserError where there are too few."""
    features, rows = subject.features(name), [frame.aud_id for frame in frames]
    if max(rows) >= len(features):
        raise UserError(f"{subject.root} has audio features for {len(features)} frames, frame {max(rows)} is asked for")
    return features[rows]


def blinks(subject: Subject, frames: Sequence[Frame]) -> np.ndarray:
    """AU45 of frames, cut at BLINK_MAX and divided by it, [T, 1] (ER-NeRF provider.py:423-426)."""
    return action_units(subject, frames)[:, -1:]


def action_units(subject: Subject, frames: Sequence[Frame]) -> np.ndarray:
    """AU 1, 4, 5, 6, 7 over OpenFace's 5, and AU45 over BLINK_MAX, of frames, float32 [T, 6] in [0, 1]."""
    units = subject.action_units()[[frame.aud_id for frame in frames]]
    return np.concatenate([units[:, :-1] / 5, units[:, -1:] / BLINK_MAX], 1).astype(np.float32)
