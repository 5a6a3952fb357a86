"""Where in a subject's video a clip was rendered, found by how the pictures move: blur and colour do not matter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from d3talker.people.subject.layout import Subject

SIDE = 48
LAG = 2  # two frames of motion: on real clips the true shift scores 0.7-0.9, its neighbours 0.05-0.3 less
REACH = 12
MIN_SCORE = 0.15
MIN_GAIN = 0.02
WINDOW = 40  # frames that must agree on a shift of their own, twice, half a window apart
SLIP_GAIN = 0.05


@dataclass(frozen=True)
class Alignment:
    """Best shift of a clip against the ground truth, in frames; positive: it is ahead.

    score, at_zero: correlation of motion at the best shift and at none.  first, last: best shift of the clip's
    first and last third, None where it fits nowhere near.
    slip: where the shift changes midway, (frame, by how much).  motion: energy of its motion relative to the truth's.
    """

    shift: int
    score: float
    at_zero: float
    first: int | None
    last: int | None
    motion: float
    slip: tuple[int, int] | None = None

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
        """Whether the shift changes along the clip, as it does after a wrong frame rate or a lost frame."""
        if self.slip is not None:
            return True
        return self.first is not None and self.last is not None and abs(self.last - self.first) >= 2


def thumbnail(image: np.ndarray) -> np.ndarray:
    """uint8 RGB [H, W, 3] -> float32 grey [48, 48] in [0, 255]."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)


def reference(subject: Subject, ids: Iterable[int | None]) -> np.ndarray:
    """Thumbnails [T, 48, 48] of the ground truth's frames; NaN where there is none."""
    absent = np.full((SIDE, SIDE), np.nan, np.float32)
    there = {path.stem for path in (subject.root / "gt_imgs").glob("*")}
    return np.stack([thumbnail(subject.gt(i)) if i is not None and str(i) in there else absent for i in ids])


def rows(subject: Subject) -> list[int]:
    """All img_ids of the subject in order; methods render one frame a row, whatever gaps the ids have."""
    return sorted({row.img_id for split in ("train", "val") for row in subject.frames(split)})


def _around(subject: Subject, img_ids: Sequence[int]) -> list[int | None]:
    """The ids with the REACH rows before and after them, None where there are none."""
    known = rows(subject)
    before, after = ([i for i in known if i < img_ids[0]][-REACH:], [i for i in known if i > img_ids[-1]][:REACH])
    return [*[None] * (REACH - len(before)), *before, *img_ids, *after, *[None] * (REACH - len(after))]


def align(clip: np.ndarray, subject: Subject, img_ids: Sequence[int]) -> Alignment:
    """Compare thumbnails [T, 48, 48] of a clip that should show the T frames `img_ids`, over shifts of +-12 rows."""
    truth = reference(subject, _around(subject, img_ids))
    scores = correlations(clip, truth)
    third = len(clip) // 3
    thirds = [
        correlations(clip[a:b], truth[a:b + 2 * REACH]) for a, b in ((0, third), (len(clip) - third, len(clip)))
    ]
    first, last = (int(s.argmax()) - REACH if s.max() >= 2 * MIN_SCORE else None for s in thirds)
    best = int(scores.argmax())
    own, real = _motion(clip), _motion(truth[REACH:REACH + len(clip)])
    motion = float((own**2).mean() / max(np.nanmean(real**2), 1e-9)) if np.isfinite(real).any() else 0.0
    return Alignment(best - REACH, float(scores[best]), float(scores[REACH]), first, last, motion, _slip(clip, truth, best))


def _slip(clip: np.ndarray, truth: np.ndarray, best: int) -> tuple[int, int] | None:
    """Where the clip's shift changes: (frame, by how much); None unless two windows in a row fit elsewhere than the whole does."""
    starts = range(0, len(clip) - WINDOW + 1, WINDOW // 2)
    own = []
    for at in starts:
        scores = correlations(clip[at:at + WINDOW], truth[at:at + WINDOW + 2 * REACH])
        here = int(scores.argmax())
        own.append(here if scores[here] >= 2 * MIN_SCORE and scores[here] - scores[best] > SLIP_GAIN else best)
    if not any(a == b != best for a, b in pairwise(own)):
        return None
    change = next(k for k in range(1, len(own) + 1) if k == len(own) or own[k] != own[k - 1])
    return (starts[change] + WINDOW // 2, own[change] - own[change - 1]) if change < len(own) else (0, own[0] - best)


def search(clip: np.ndarray, subject: Subject) -> tuple[int | None, int | None]:
    """The places among `rows` that a clip, thumbnails [T, 48, 48], starts and ends at in the video; None where unsure."""
    truth = reference(subject, rows(subject))
    window = max(20, len(clip) // 8)
    if window > min(len(clip), len(truth)):
        return None, None
    ends = [correlations(part, truth) for part in (clip[:window], clip[-window:])]
    start, last = (int(s.argmax()) if s.max() >= 2 * MIN_SCORE else None for s in ends)
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
