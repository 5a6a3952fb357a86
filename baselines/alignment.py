"""Where in a subject's video a clip was rendered, found by how the pictures move: blur and colour do not matter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from d3talker.subject.layout import Subject

SIDE = 48
LAG = 2  # two frames of motion: on real clips the true shift scores 0.7-0.9, its neighbours 0.05-0.3 less
REACH = 12
MIN_SCORE = 0.15
MIN_GAIN = 0.02


@dataclass(frozen=True)
class Alignment:
    """Best shift of a clip against the ground truth, in frames; positive: it is ahead.

    score, at_zero: correlation of motion at the best shift and at none.  first, last: best shift of the clip's
    first and last third, None where it fits nowhere near.  motion: energy of its motion relative to the truth's.
    """

    shift: int
    score: float
    at_zero: float
    first: int | None
    last: int | None
    motion: float

    @property
    def known(self) -> bool:
        """Whether the clip moves with the ground truth at all."""
        return self.score >= MIN_SCORE

    @property
    def shifted(self) -> bool:
        """Whether the clip certainly shows other frames than it should."""
        return self.known and self.shift != 0 and self.score - self.at_zero > MIN_GAIN

    @property
    def still(self) -> bool:
        """Whether the clip hardly moves, so that nothing can be said."""
        return self.motion < 0.05

    @property
    def drifts(self) -> bool:
        """Whether the shift changes along the clip, as it does after a wrong frame rate."""
        return self.first is not None and self.last is not None and abs(self.last - self.first) >= 2


def thumbnail(image: np.ndarray) -> np.ndarray:
    """uint8 RGB [H, W, 3] -> float32 grey [48, 48] in [0, 255]."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)


def reference(subject: Subject, ids: Iterable[int]) -> np.ndarray:
    """Thumbnails [T, 48, 48] of the ground truth; NaN where the subject has no such frame."""
    known = {row.img_id for split in ("train", "val") for row in subject.frames(split)}
    absent = np.full((SIDE, SIDE), np.nan, np.float32)
    return np.stack([thumbnail(subject.gt(i)) if i in known else absent for i in ids])


def align(clip: np.ndarray, subject: Subject, first_img_id: int) -> Alignment:
    """Compare thumbnails [T, 48, 48] of a clip, whose first should be `first_img_id`, over shifts of +-12 frames."""
    truth = reference(subject, range(first_img_id - REACH, first_img_id + len(clip) + REACH))
    scores = correlations(clip, truth)
    third = len(clip) // 3
    thirds = [
        correlations(clip[a:b], truth[a:b + 2 * REACH]) for a, b in ((0, third), (len(clip) - third, len(clip)))
    ]
    first, last = (int(s.argmax()) - REACH if s.max() >= 2 * MIN_SCORE else None for s in thirds)
    best = int(scores.argmax())
    own, real = _motion(clip), _motion(truth[REACH:REACH + len(clip)])
    motion = float((own**2).mean() / max(np.nanmean(real**2), 1e-9)) if np.isfinite(real).any() else 0.0
    return Alignment(best - REACH, float(scores[best]), float(scores[REACH]), first, last, motion)


def search(clip: np.ndarray, subject: Subject) -> tuple[int | None, int | None]:
    """The img_ids of the frames that a clip, thumbnails [T, 48, 48], starts and ends with in the video; None where unsure."""
    ids = sorted({row.img_id for split in ("train", "val") for row in subject.frames(split)})
    truth = reference(subject, range(ids[0], ids[-1] + 1))
    window = max(20, len(clip) // 8)
    if window > min(len(clip), len(truth)):
        return None, None
    ends = [correlations(part, truth) for part in (clip[:window], clip[-window:])]
    start, last = (ids[0] + int(s.argmax()) if s.max() >= 2 * MIN_SCORE else None for s in ends)
    return start, None if last is None else last + window - 1


def correlations(clip: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Correlation of the clip's motion [T] with the truth's [T + n] at shifts 0 ... n; -1 where half is absent."""
    moves, real = _motion(clip), _motion(truth)
    there = np.isfinite(real[:, 0])
    real = np.where(there[:, None], real, 0)
    scores = np.full(len(truth) - len(clip) + 1, -1.0)
    for shift in range(len(scores)):
        mask = there[shift:shift + len(moves)]
        if len(moves) == 0 or mask.mean() < 0.5:
            continue
        a, b = moves[mask], real[shift:shift + len(moves)][mask]
        size = np.sqrt(float((a * a).sum()) * float((b * b).sum()))
        scores[shift] = float((a * b).sum()) / size if size > 0 else 0.0
    return scores


def _motion(thumbs: np.ndarray) -> np.ndarray:
    return (thumbs[LAG:] - thumbs[:-LAG]).reshape(max(len(thumbs) - LAG, 0), SIDE * SIDE)
