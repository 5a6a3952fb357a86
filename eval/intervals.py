"""How sure a number is: a clip's frames, a method's runs, a benchmark's people, and Holm's correction for many questions.

docs/statistics.md says why these estimators, and what their intervals covered in simulations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import t

from d3talker.errors import UserError

LEVEL = 0.95
FEWEST = 8  # frames
PIECE, PIECES = 5, 8  # frames whose mean counts as one value; a short clip is cut into at least PIECES
COSINES = 6  # of the residuals' slow variation; also the degrees of freedom
MEMORY = 0.95  # the most that is believed of the correlation of neighbouring pieces
BLOCK = 10  # frames that a jackknife leaves out at once
Basis = Literal["frames", "runs", "people"]
Runs = Mapping[str, Sequence[np.ndarray]]
"""subject -> for each run (seed) its values [T], NaN where unmeasured; [1] where a clip has one value alone."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error and degrees of freedom (Student's t).

    basis: what was drawn.  "frames": one run (or one pair of runs) on one clip, so it speaks of these runs alone; "runs":
    frames and seeds of one person; "people": the subjects' means.
    """

    mean: float
    error: float
    freedom: float
    basis: Basis

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval."""
        half = float(t.ppf((1 + LEVEL) / 2, self.freedom)) * self.error
        return self.mean - half, self.mean + half

    @property
    def p(self) -> float:
        """Two-sided probability of a mean this far from 0, were the truth 0."""
        if self.error == 0:
            return float(self.mean == 0)
        return float(2 * t.sf(abs(self.mean) / self.error, self.freedom))

    @property
    def significant(self) -> bool:
        """Whether the interval lies wholly on one side of 0."""
        return self.p < 1 - LEVEL


def of_frames(values: np.ndarray) -> Estimate | None:
    """Mean of one clip's per-frame values [T], which correlate in time; None where fewer than 8 have a value.

    Means of five frames are freed of their memory by a first-order autoregression whose coefficient is corrected for its bias
    (Kendall 1954); what is left varies as its first six cosines do (Andrews and Monahan 1992; Lazarus et al. 2018).
    """
    values = np.asarray(values, np.float64)
    seen = np.isfinite(values)
    if seen.sum() < FEWEST:
        return None
    mean = float(values[seen].mean())
    piece = max(1, min(PIECE, len(values) // PIECES))
    padded = -len(values) % piece
    centred = np.pad(np.where(seen, values - mean, 0.0), (0, padded)).reshape(-1, piece).sum(1)  # unseen frames weigh nothing
    error = (_long_run_variance(centred) * len(centred)) ** 0.5 / seen.sum()
    return Estimate(mean, float(error), COSINES, "frames")


def of_people(means: Sequence[float]) -> Estimate | None:
    """Mean over people: Student's t, the people being the unit; None for fewer than two."""
    values = np.asarray(means, np.float64)
    if len(values) < 2:
        return None
    return Estimate(float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5), len(values) - 1, "people")


def mean_over(runs: Runs) -> Estimate | None:
    """Mean of a method: people where there are two, else frames and, from two seeds on, runs; None where neither tells.

    Raises UserError where a subject has no value, or clips of different lengths.
    """
    return _combine({subject: (_stack(subject, own), None) for subject, own in runs.items()})


def paired_difference(a: Runs, b: Runs) -> Estimate | None:
    """Mean of a - b over subjects, on the frames for which all runs of both sides have a value; None where nothing tells.

    Raises UserError when subjects or lengths differ, or a subject has no common frame.
    """
    if set(a) != set(b) or not a:
        raise UserError(f"a paired comparison needs the same subjects on both sides, not {sorted(a)} and {sorted(b)}")
    pairs = {}
    for subject in sorted(a):
        left, right = _stack(subject, a[subject]), _stack(subject, b[subject])
        if left.shape[1] != right.shape[1]:
            raise UserError(
                f"{subject} has {left.shape[1]} frames on one side, {right.shape[1]} on the other; score equal clips"
            )
        pairs[subject] = left, right
    return _combine(pairs)  # type: ignore[arg-type]


def shared_difference(a: Runs, b: Runs) -> Estimate | None:
    """`paired_difference` of runs that pair up in their order, since both of a pair made the same random draws.

    Over frames and seeds of one person, it is then the pairs' differences that vary from seed to seed.
    """
    pairs = {}
    for subject in sorted(set(a) | set(b)):
        left, right = (_stack(subject, side.get(subject, ())) for side in (a, b))
        if left.shape != right.shape:
            raise UserError(f"{subject} has {list(left.shape)} runs and frames on one side, {list(right.shape)} on the other")
        pairs[subject] = left - right, None
    return _combine(pairs)


def common_frames(rows: Sequence[Runs]) -> list[dict[str, list[np.ndarray]]]:
    """The same runs, with NaN in every frame that any of them lacks.  All must have the same subjects and lengths."""
    seen = {
        subject: np.isfinite(np.stack([run for row in rows for run in row[subject]])).all(0) for subject in rows[0]
    }
    return [{s: [np.where(seen[s], run, np.nan) for run in own] for s, own in row.items()} for row in rows]


def jackknife(n: int, statistic: Callable[[np.ndarray], float]) -> np.ndarray | None:
    """Pseudo-values of `statistic` (of an index array into n frames), for `of_frames`: blocks of ten frames left out in turn.

    Whatever the statistic fits (lag, regression) is fitted anew each time.  None for fewer than eight blocks, or where it is
    undefined without one of them.
    """
    blocks = np.array_split(np.arange(n), n // BLOCK) if n >= FEWEST * BLOCK else []
    if not blocks:
        return None
    whole, count = statistic(np.arange(n)), len(blocks)
    without = np.array([statistic(np.delete(np.arange(n), block)) for block in blocks])
    values = count * whole - (count - 1) * without
    return values if np.isfinite(values).all() else None


def holm(p: Sequence[float]) -> list[bool]:
    """Which of several questions are answered, with at most a 5 % chance of any false answer among them (Holm 1979)."""
    order = np.argsort(p, kind="stable")
    answered = [False] * len(p)
    for rank, i in enumerate(order.tolist()):
        if p[i] >= (1 - LEVEL) / (len(p) - rank):
            break
        answered[i] = True
    return answered


def within(interval: tuple[float, float], limits: tuple[float | None, float | None]) -> tuple[float, float]:
    """An interval cut where the metric's range ends."""
    low, high = np.clip(interval, *limits).tolist()
    return low, high


def _combine(sides: Mapping[str, tuple[np.ndarray, np.ndarray | None]]) -> Estimate | None:
    """subject -> runs [S, T] of one side, or of two whose difference is asked for."""
    gaps, spreads = [], []
    for subject, pair in sides.items():
        own = [side for side in pair if side is not None]
        seen = np.isfinite(np.concatenate(own)).all(0)
        if not seen.any():
            raise UserError(f"{subject} has no frame with a value in every run; leave the subject out")
        gap = own[0].mean(0) - (own[1].mean(0) if len(own) > 1 else 0.0)
        gaps.append(np.where(seen, gap, np.nan))
        spreads.append([side[:, seen].mean(1) for side in own])
    if len(gaps) > 1:
        return of_people([float(np.nanmean(gap)) for gap in gaps])
    frames = of_frames(gaps[0]) if gaps else None
    return _with_runs(frames, spreads[0]) if frames else None


def _with_runs(frames: Estimate, sides: Sequence[np.ndarray]) -> Estimate:
    """Add what differs from run to run (one spread for both sides), with Satterthwaite's degrees of freedom."""
    freedom = sum(len(means) - 1 for means in sides)
    if freedom == 0:
        return frames
    variance = sum(float(((means - means.mean()) ** 2).sum()) for means in sides) / freedom
    variance *= sum(1 / len(means) for means in sides)
    total = frames.error**2 + variance
    parts = frames.error**4 / frames.freedom + variance**2 / freedom
    return Estimate(frames.mean, total**0.5, total**2 / parts if parts else frames.freedom, "runs")


def _stack(subject: str, runs: Sequence[np.ndarray]) -> np.ndarray:
    arrays = [np.asarray(run, np.float64) for run in runs]
    if not arrays or len({array.shape for array in arrays}) > 1:
        raise UserError(f"{subject} has runs of {sorted({len(array) for array in arrays})} frames; score equal clips")
    return np.stack(arrays)


def _long_run_variance(x: np.ndarray) -> float:
    """n times the variance of the mean of a series [n] of mean 0 that remembers."""
    n, power = len(x), float(x @ x)
    if power <= 1e-24:
        return 0.0
    memory = float(x[1:] @ x[:-1]) / power
    memory = min(max(memory + (1 + 3 * memory) / n, 0.0), MEMORY)
    rest = x[1:] - memory * x[:-1]
    times = (np.arange(len(rest)) + 0.5) / len(rest)
    waves = np.cos(np.pi * np.outer(np.arange(1, COSINES + 1), times)) * (2 / len(rest)) ** 0.5
    return float(((waves @ rest) ** 2).mean()) / (1 - memory) ** 2
