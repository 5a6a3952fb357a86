"""Nearest-pose retrieval: for every test frame, the training frame whose head pose is closest; it ignores the sound."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from baselines.adapter import Adapter, Skip
from baselines.spec import MethodSpec

if TYPE_CHECKING:
    import numpy as np

    from d3talker.people.subject.layout import Frame, Subject

SPEC = MethodSpec(
    name="nearest-pose", title="Nearest-pose training frame", kind="floor", torso_mode="synthesised",
    status="computed here; a method below it gains nothing over looking frames up",
)


def predict(subject: Subject, train: Sequence[Frame], test: Sequence[Frame], out: Path) -> None:
    """Write, for each test frame, the training frame with the nearest pose."""
    from baselines.floors import write

    nearest = [train[i].img_id for i in nearest_rows(poses(subject, train), poses(subject, test))]
    write(SPEC, subject, test, (subject.gt(img_id) for img_id in nearest), out)


def poses(subject: Subject, frames: Sequence[Frame]) -> np.ndarray:
    """Camera poses [T, 12]: rotation and, so that both weigh alike, translation divided by the mean camera distance."""
    import numpy as np

    views = subject.viewmats(frames)
    shift = views[:, :3, 3] / np.linalg.norm(views[:, :3, 3], axis=-1).mean()
    return np.concatenate([views[:, :3, :3].reshape(-1, 9), shift], axis=-1)


def nearest_rows(keys: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """For each query [Q, D] the index of the nearest key [K, D], the first of equals; int [Q]."""
    return ((queries[:, None] - keys[None]) ** 2).sum(-1).argmin(1)


ADAPTER = Adapter(locate=Skip("a floor is computed, it has no outputs"), run=predict)
