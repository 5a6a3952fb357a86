"""How sure a number is: block bootstrap over frames, paired differences, and marks for the best of a column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

import numpy as np
from scipy.stats import norm, t

from d3talker.errors import UserError

BLOCK = 25  # frames: one second, beyond which frame scores of a talking head hardly correlate
DRAWS = 2000
LEVEL = 0.95
Mark = Literal["", "best", "second"]


@dataclass(frozen=True)
class Difference:
    """Mean of a - b over subjects and frames, its bootstrap interval, and whether that leaves 0 out."""

    mean: float
    low: float
    high: float

    @property
    def significant(self) -> bool:
        """Whether the interval lies wholly on one side of 0."""
        return self.low > 0 or self.high < 0


def block_indices(n: int, draws: int, rng: np.random.Generator, block: int = BLOCK) -> np.ndarray:
    """Circular block bootstrap (Politis and Romano 1992): int [draws, n], runs of consecutive frame numbers.

    Clips under four blocks are cut into quarters, so that there is something to draw from.
    """
    block = _block(n, block)
    starts = rng.integers(0, n, size=(draws, -(-n // block)))
    return ((starts[..., None] + np.arange(block)) % n).reshape(draws, -1)[:, :n]


def bootstrap(
    n: int, statistic: Callable[[np.ndarray], float], seed: int = 0, draws: int = DRAWS
) -> tuple[float, float] | None:
    """95 % interval of `statistic` (of an index array [n] into frames) over block resamples.

    None under 8 frames, or where the statistic is undefined on more than one resample in twenty.
    """
    if n < 8:
        return None
    indices = block_indices(n, draws, np.random.default_rng(seed))
    values = np.array([statistic(index) for index in indices])
    values = values[np.isfinite(values)]
    return _interval(values, n) if len(values) >= 0.95 * draws else None


def mean_interval(values: np.ndarray, seed: int = 0) -> tuple[float, float] | None:
    """95 % interval of the mean of per-frame values [T]; NaN frames stay in their blocks and count for nothing."""
    values = np.asarray(values, np.float64)
    seen = np.isfinite(values)
    if seen.sum() < 8:
        return None
    filled = np.where(seen, values, 0.0)
    indices = block_indices(len(values), DRAWS, np.random.default_rng(seed))
    with np.errstate(invalid="ignore"):
        means = filled[indices].sum(1) / seen[indices].sum(1)
    return _interval(means[np.isfinite(means)], len(values))


def paired_difference(
    a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray], seed: int = 0, draws: int = DRAWS
) -> Difference:
    """Mean difference a - b with its 95 % interval: subjects are resampled, then blocks of frames within each.

    a, b: subject -> per-frame values [T], NaN where unmeasured; a frame counts where both have a value.
    Raises UserError when subjects or lengths differ, or a subject has no common frame.
    """
    if set(a) != set(b) or not a:
        raise UserError(f"a paired comparison needs the same subjects on both sides, not {sorted(a)} and {sorted(b)}")
    gaps = []
    for name in sorted(a):
        left, right = np.asarray(a[name], np.float64), np.asarray(b[name], np.float64)
        if left.shape != right.shape:
            raise UserError(f"{name} has {len(left)} frames on one side, {len(right)} on the other; score equal clips")
        gap = left - right
        if not np.isfinite(gap).any():
            raise UserError(f"{name} has no frame with a value on both sides; leave the subject out on both")
        gaps.append(gap)
    rng = np.random.default_rng(seed)
    resampled = np.stack([_resampled_means(gap, draws, rng) for gap in gaps], 1)  # [draws, subjects]
    chosen = rng.integers(0, len(gaps), size=(draws, len(gaps)))
    means = np.take_along_axis(resampled, chosen, 1).mean(1)
    shortest = min(len(gap) for gap in gaps)
    return Difference(fmean(float(np.nanmean(gap)) for gap in gaps), *_interval(means, shortest))


def marks(values: Mapping[str, float | None], higher_is_better: bool | None, digits: int = 3) -> dict[str, Mark]:
    """Best and second best of a column, judged on the digits shown; what rounds alike shares a mark.

    Nothing is marked without a direction, and fewer than two values are no ranking.
    """
    shown = {name: round(value, digits) for name, value in values.items() if value is not None}
    result: dict[str, Mark] = dict.fromkeys(values, "")
    if higher_is_better is None or len(shown) < 2:
        return result
    order = sorted(set(shown.values()), reverse=higher_is_better)
    for name, value in shown.items():
        if value == order[0]:
            result[name] = "best"
        elif value == order[1] and sum(v == order[0] for v in shown.values()) == 1:
            result[name] = "second"
    return result


def _resampled_means(values: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    seen = np.isfinite(values)
    indices = block_indices(len(values), draws, rng)
    count = seen[indices].sum(1)
    # A resample that met unmeasured frames alone says nothing; the subject's mean stands in.
    means = np.where(seen, values, 0.0)[indices].sum(1) / np.maximum(count, 1)
    return np.where(count > 0, means, np.nanmean(values))


def _block(n: int, block: int = BLOCK) -> int:
    return max(1, min(block, n // 4))


def _interval(values: np.ndarray, n: int) -> tuple[float, float]:
    """95 % percentiles of bootstrap values, spread as Student's t asks with so few blocks (Hesterberg 2015, 4.4)."""
    blocks = n / _block(n)
    spread = t.ppf((1 + LEVEL) / 2, blocks - 1) / norm.ppf((1 + LEVEL) / 2) * (blocks / (blocks - 1)) ** 0.5
    low, middle, high = np.quantile(values, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2])
    return float(middle + spread * (low - middle)), float(middle + spread * (high - middle))
