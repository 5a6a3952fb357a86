"""What chance gives: the same score for the same clip with another sound, and how far above it the true one lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eval.intervals import COSINES, Estimate

SOUNDS = 9  # other sounds: the clip's own, moved round by at least AWAY frames
AWAY = 50  # frames, beyond every shift that SyncNet or the lag search tries


def offsets(frames: int) -> list[int]:
    """By how many frames the sound is moved round to be another's; empty where a clip is too short for that."""
    if frames < 2 * AWAY + SOUNDS:
        return []
    return [int(offset) for offset in np.linspace(AWAY, frames - AWAY, SOUNDS)]


def above_chance(value: float, error: float, null: Sequence[float]) -> Estimate:
    """The value less the mean of `null`, the scores of other sounds.

    error: the value's own standard error; where that is less than the spread of the null, whose lag was chosen for each
    sound anew, the spread stands in.
    """
    spread = float(np.var(null, ddof=1))
    variance = max(error**2, spread) + spread / len(null)
    return Estimate(value - float(np.mean(null)), variance**0.5, COSINES, "frames")


def chance_facts(estimate: Estimate, null: Sequence[float]) -> dict[str, Any]:
    """What stands beside a value: the mean of shuffled sound, the difference to it, and its 95 % interval."""
    return {
        "shuffled": float(np.mean(null)), "above_shuffled": estimate.mean,
        "above_shuffled_interval": list(estimate.interval),
    }
