"""Eye and brow signal from landmarks and the tracked face, as OpenFace's action units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from d3talker.people.subject.action_units import BLINK_MAX, COLUMNS
from d3talker.people.subject.lips import eye_openness

CLOSED = 0.4  # share of a person's usual eye opening at which dlib's landmarks show a closed eye
FROM_FACE = {  # coefficients of the embedded head that mean the same as an action unit
    "AU01_r": ("brow_inner_up",), "AU04_r": ("brow_down",), "AU05_r": ("eyes_wide",),
    "AU06_r": ("cheek_raise_left", "cheek_raise_right"), "AU07_r": ("squint",),
}


def action_units(points: np.ndarray, expression: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Estimates [T, 6] in the order of COLUMNS, 0 to 5 and the blink 0 to 2: not OpenFace's own measurement.

    points [T, 68, 2] pixels; expression [T, E] of a face model whose coefficients are called `names`; an action unit
    that the model has no coefficient for is 0 throughout.
    """
    opening = eye_openness(points)
    opening = np.convolve(np.pad(opening, 1, mode="edge"), (0.25, 0.5, 0.25), "valid")
    usual = np.percentile(opening, 75)
    blink = BLINK_MAX * np.clip((0.9 - opening / usual) / (0.9 - CLOSED), 0, 1)
    columns = []
    for column in COLUMNS[:-1]:
        rows = [names.index(name) for name in FROM_FACE[column] if name in names]
        columns.append(np.clip(5 * expression[:, rows].mean(1), 0, 5) if rows else np.zeros(len(points)))
    return np.stack([*columns, blink], 1)
