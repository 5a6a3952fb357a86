"""One focal length for a clip: the one that explains the landmarks of its most varied poses best."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from d3talker.people.head.face import FaceModel
from d3talker.people.preparation.tracking import FOCAL, Problem, Track, solve

GRID = np.geomspace(600, 3600, 6)  # pixels at 512; the official trackers sweep 600 to 1400
VARIED = 90  # frames that are looked at
STEPS = 100
PRIOR = 0.33  # weight in a frame's loss of the squared log ratio to the usual lens: decides where landmarks cannot


def find_focal(points: np.ndarray, face: FaceModel, start: Track) -> float:
    """Focal length in pixels at 512: least loss over GRID, refined by a parabola.

    A face is flat against its distance, so that focal length and depth can hardly be told apart, and a fit that may move
    both stops anywhere on the way.  Fits with the focal length held fixed, from the same start, can be compared.
    points [T, 68, 2] as in fit_track, `start` a fit to them.
    """
    picked = varied_frames(start.euler, ~np.isnan(points[:, 0, 0]))
    rows = {name: getattr(start, name)[picked] for name in ("expression", "euler", "translation", "rigid", "errors")}
    track, losses = replace(start, **rows), []
    for focal in GRID:
        problem = Problem(points[picked], face, None, float(focal), smooth=False)
        _, loss = solve(problem, problem.start(track), STEPS)
        losses.append(loss + PRIOR * np.log(focal / FOCAL) ** 2)
    return _lowest(np.log(GRID), np.array(losses))


def varied_frames(euler: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Numbers of up to VARIED usable frames, spread evenly over the ranges of pitch and of yaw; euler [T, 3]."""
    pool = np.flatnonzero(usable)
    chosen: list[int] = []
    for angle in (0, 1):
        values = euler[pool, angle]
        targets = np.linspace(values.min(), values.max(), VARIED // 2)
        chosen += pool[np.abs(values[:, None] - targets).argmin(0)].tolist()
    return np.unique(chosen)


def _lowest(at: np.ndarray, losses: np.ndarray) -> float:
    """exp of where the parabola through the lowest loss and its neighbours is lowest; the ends stay."""
    k = int(losses.argmin())
    if 0 < k < len(at) - 1:
        a, b, _ = np.polyfit(at[k - 1 : k + 2], losses[k - 1 : k + 2], 2)
        return float(np.exp(-b / (2 * a)))
    return float(np.exp(at[k]))
