"""By how many frames sound and lips are apart, by what a network that knows other speakers hears in the sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from d3talker.errors import UserError
from d3talker.people.audio.lag import MAX_SHIFT, estimate_lag

BLOCK = 25  # frames: neighbouring frames are much alike, so that seconds are drawn anew
DRAWS = 400
SHORTEST = 75  # frames that must be left
GAIN = 0.08  # by which a lag's r must beat that of none (the rule that found the lags of unseen speakers best)
CLEAR = 0.25  # least r of a lag that is corrected
CONFIDENT = 0.9


@dataclass(frozen=True)
class Lag:
    """Positive = the sound comes that many frames (40 ms each) late for the picture.

    r and r_at_0: correlation of predicted and seen lip opening at the lag, and at none.  confidence: share of resampled clips
    (seconds drawn with replacement) whose best lag is this one or a frame beside it; None where it was not found with the prior.
    sure: whether correcting it is right by default.  heard_with: "prior", or "own frames" where it could not be used.
    """

    lag: int
    r: float
    r_at_0: float
    confidence: float | None
    sure: bool
    heard_with: str


def find_lag(audio: np.ndarray, lips: np.ndarray) -> Lag:
    """Lag of mono 16 kHz sound [S] for lip measures [T, D] at 25 fps, opening first, NaN where unseen.

    By the prior that ships, or where that cannot be used by regression on these frames.  Raises UserError for too few frames.
    """
    from d3talker.people.motion.model import MotionModel

    try:
        predicted = MotionModel.load().aperture(audio)
    except UserError:
        found = estimate_lag(audio, lips)
        none = float(found.curve[MAX_SHIFT])
        return Lag(found.lag, found.r, none, None, found.trustworthy and found.r - none >= GAIN, "own frames")
    return lag_of(predicted, lips[:, 0])


def lag_of(predicted: np.ndarray, seen: np.ndarray, max_shift: int = MAX_SHIFT) -> Lag:
    """Lag at which predicted lip opening [T] agrees best with the seen one [T], NaN where unseen; units do not matter.

    Every shift is scored on the same frames.  Raises UserError when fewer than 75 of them can be shifted that far.
    """
    frames = min(len(predicted), len(seen))
    there = np.isfinite(seen[:frames])
    there[:max_shift] = there[max(frames - max_shift, 0):] = False
    times = np.flatnonzero(there)
    if len(times) < SHORTEST:
        raise UserError(
            f"a lag needs {SHORTEST} frames with a face, {max_shift} frames away from both ends; there are {len(times)}"
        )
    shifts = np.arange(-max_shift, max_shift + 1)
    heard = predicted[times[:, None] + shifts]
    sums = _block_sums(heard - heard.mean(0), seen[times] - seen[times].mean(), times // BLOCK)
    curve = _correlations(sums.sum(0))
    drawn = np.random.default_rng(0).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), DRAWS)
    bests = _correlations(np.einsum("db,bsk->dsk", drawn, sums)).argmax(-1)
    best = int(curve.argmax())
    confidence = float((np.abs(bests - best) <= 1).mean())
    r, none = float(curve[best]), float(curve[max_shift])
    sure = best not in (0, len(curve) - 1) and r >= CLEAR and confidence >= CONFIDENT
    return Lag(int(shifts[best]) if r - none >= GAIN else 0, r, none, confidence, bool(sure), "prior")


def _block_sums(heard: np.ndarray, seen: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Sums over each second of what a correlation is made of, [B, S, 6]: one, x, x^2, x y, y, y^2 of [n, S] and [n]."""
    y = np.broadcast_to(seen[:, None], heard.shape)
    parts = np.stack([np.ones_like(heard), heard, heard**2, heard * y, y, y**2], -1)
    return np.stack([parts[blocks == block].sum(0) for block in np.unique(blocks)])


def _correlations(sums: np.ndarray) -> np.ndarray:
    """Pearson correlations from such sums [..., 6]; 0 where one side never moves."""
    n, x, xx, xy, y, yy = np.moveaxis(sums, -1, 0)
    spread = np.sqrt(np.maximum((xx - x * x / n) * (yy - y * y / n), 0))
    return np.where(spread > 1e-12, (xy - x * y / n) / np.maximum(spread, 1e-12), 0.0)
