"""What a group of metrics that share work looks like to `score`: fed batch by batch, asked for results at the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from d3talker.errors import UserError
from d3talker.people.subject.landmarks import LandmarkDetector
from eval.intervals import of_frames
from eval.metrics.batches import Batch
from eval.metrics.result import MetricResult

REGIONS = ("head", "mouth", "torso")
MOUTH_MARGIN = 0.3  # of the lips' width, on every side of their box
MOUTH = slice(48, 68)
EMPTY = "the region is empty in every frame"
Side = Literal["predicted", "reference"]
Known = dict[tuple[str, int], np.ndarray]  # (backend, first frame of a batch) -> landmarks of a reference


class Unavailable(UserError):
    """Something a metric needs is not on this machine; the message says what to install."""


@dataclass
class Context:
    """What metrics may use besides the frames."""

    audio: np.ndarray | None = None  # float32 [S], 16 kHz
    reference_landmarks: np.ndarray | None = None  # [T, 68, 2] px, from the same detector
    weights: Path | None = None
    download: bool = False
    device: str = "cpu"
    known: Known = field(default_factory=dict)
    _detectors: dict[str, LandmarkDetector] = field(default_factory=dict)

    def detector(self, backend: Literal["dlib", "fan"]) -> LandmarkDetector:
        """The landmark detector, made once; raises MissingExtra or MissingWeights."""
        if backend not in self._detectors:
            self._detectors[backend] = LandmarkDetector(backend, self.device)
        return self._detectors[backend]

    def landmarks(self, batch: Batch, side: Side, backend: Literal["dlib", "fan"] = "dlib") -> np.ndarray:
        """Landmarks [n, 68, 2] of a batch's frames in pixels, NaN where there is no face; detected once."""
        key = (backend, side)
        if key not in batch.memo:
            if side == "reference" and self.reference_landmarks is not None:
                batch.memo[key] = self.reference_landmarks[batch.start : batch.start + len(batch)]
            else:
                known, place = self.known if side == "reference" else {}, (backend, batch.start)
                if place not in known:
                    known[place] = self.detector(backend).track(getattr(batch, side))
                batch.memo[key] = known[place]
        return batch.memo[key]

    def masks(self, batch: Batch, region: str) -> list[np.ndarray]:
        """Masks bool [H, W] of a region, from the given ones; the mouth may come from the reference's landmarks."""
        if batch.masks is not None and region in batch.masks[0]:
            return [masks[region] for masks in batch.masks]
        if region == "mouth":
            return [mouth_box(points, batch.predicted.shape[1:3]) for points in self.landmarks(batch, "reference")]
        raise UserError(f"no {region} masks were given; leave out the metrics of that region")


class Family(ABC):
    """Metrics computed together.  The constructor raises MissingExtra, MissingWeights or Unavailable."""

    def __init__(self, names: Sequence[str], context: Context) -> None:
        self.names, self.context = tuple(names), context

    @abstractmethod
    def update(self, batch: Batch) -> None:
        """Take in the next frames."""

    @abstractmethod
    def results(self) -> dict[str, MetricResult]:
        """A result for each name."""


class Regional(Family):
    """A per-frame metric `base`, and `base_head`, `base_mouth`, `base_torso` over masks; means over frames."""

    def __init__(self, names: Sequence[str], context: Context) -> None:
        super().__init__(names, context)
        self.values: dict[str, list[np.ndarray]] = {name: [] for name in names}

    @abstractmethod
    def frames(self, batch: Batch, masks: list[np.ndarray] | None) -> np.ndarray:
        """Values [n] of a batch's frames."""

    @cached_property
    def extra(self) -> dict[str, Any]:
        """What stands beside every value."""
        return {}

    def update(self, batch: Batch) -> None:
        for name, values in self.values.items():
            region = name.rpartition("_")[2]
            values.append(self.frames(batch, self.context.masks(batch, region) if region in REGIONS else None))

    def results(self) -> dict[str, MetricResult]:
        return {
            name: per_frame_result(np.concatenate(values), EMPTY, self.extra)
            for name, values in self.values.items()
        }


def per_frame_result(values: np.ndarray, when_empty: str, extra: dict[str, Any] | None = None) -> MetricResult:
    """The mean of per-frame values [T] with its interval; NaN frames are None, and counted by who reads `per_frame`."""
    per_frame = [float(value) if np.isfinite(value) else None for value in values]
    if not np.isfinite(values).any():
        return MetricResult(value=None, reason=when_empty, per_frame=per_frame, extra=extra or {})
    found = of_frames(values)
    interval = found.interval if found else None
    return MetricResult(value=float(np.nanmean(values)), per_frame=per_frame, interval=interval, extra=extra or {})


def mouth_box(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Box around landmarks 48-67 with a margin of 0.3 lip widths, bool [H, W]; empty without a face."""
    mask = np.zeros(size, bool)
    lips = points[MOUTH]
    if np.isfinite(lips).all():
        margin = MOUTH_MARGIN * np.ptp(lips[:, 0])
        low = np.maximum(np.floor(lips.min(0) - margin), 0).astype(int)
        high = np.maximum(np.ceil(lips.max(0) + margin) + 1, 0).astype(int)
        mask[low[1] : high[1], low[0] : high[0]] = True
    return mask
