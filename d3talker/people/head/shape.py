"""The embedded head's authored surface: anthropometric control points and analytic facial relief, in millimetres.

Coordinates here: x to the image right, y up from the eye line, z out of the face.  All numbers were written for this
project from common anthropometric averages (face width 138, chin to crown 225, inner canthi 34, mouth 51, ...).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.interpolate import PchipInterpolator, RBFInterpolator

EYE_LINE = 20.0  # the eyes' height above the model's origin
EYE_X, EYE_Z = 31.2, 69.0
INNER_CANTHUS, EYE_WIDTH = 17.1, 28.2
MOUTH_X, MOUTH_Y = 25.5, -70.6

# Landmarks 0-8 of the face contour (image-left half is the mirror of these).
CONTOUR = np.array([
    [71, 0, 22], [70, -18, 24], [67, -37, 25], [62, -55.5, 27], [54.5, -74, 33], [44.5, -89.5, 46], [30.5, -103, 64],
    [15.5, -111, 80], [0, -113.5, 88],
], float)
# Landmarks 17-21 (image left) and 27-35.
BROW = np.array([[-55, 14], [-46.5, 19.8], [-36, 22.5], [-25, 22], [-14, 18]], float)
NOSE = np.array([[0, 0.0], [0, -11.5], [0, -23], [0, -35], [-12, -44], [-6, -46.5], [0, -48.5], [6, -46.5], [12, -44]])
MIDLINE = np.array([
    [0, 15, 99], [0, 45, 97.5], [0, 70, 84], [0, 95, 52], [0, 112, -5], [0, 101, -58], [0, 62, -94], [0, 25, -100],
    [0, -10, -90], [0, -50, -64], [0, -90, -56], [0, -130, -58], [0, -170, -60], [0, 0, 91], [0, -25, 92],
    [0, -46, 97.5], [0, -62, 100], [0, -71, 99], [0, -86, 95], [0, -100, 98], [0, -108, 95], [0, -117.5, 72],
    [0, -119, 52], [0, -129, 35], [0, -150, 28], [0, -172, 20],
], float)
SIDE = np.array([
    [20, 45, 94], [22, 15, 95], [20, -25, 86], [20, -47, 91.5], [19, -70, 93], [18, -100, 92], [18, -115, 66],
    [18, -119, 46], [38, 70, 72], [40, 45, 84], [40, 21, 88], [33, 2, 81], [38, -25, 80.5], [37, -48, 80],
    [35, -70, 78], [33, -91, 76], [28, -114, 46], [55, 45, 66], [56, 21, 69], [51.5, 0, 67], [55, -20, 66],
    [53, -45, 58], [49, -70, 52], [40, -107, 36], [68, 30, 36], [58, 75, 30], [67, -45, 8], [59, -69, 6],
    [50, -96, 12], [44, -112, 14], [74, 45, 0], [76, 42, -22], [74, 0, -5], [69, -28, -14], [58, -60, -22],
    [48, -94, -20], [45, -130, -20], [45, -172, -20], [60, 88, -5], [60, 76, -52], [66, 30, -62],
    [58, -15, -64], [43, -55, -54], [39, -95, -48], [38, -130, -50], [38, -172, -52], [34, 104, -10],
    [36, 62, -84], [38, 10, -86], [34, -112, 34], [30, -130, 20], [30, -172, 10],
], float)

_UPPER = PchipInterpolator([0, 5.5, 15, 22, MOUTH_X], [-63.0, -61.6, -65.0, -68.4, MOUTH_Y])
_LOWER = PchipInterpolator([0, 7.5, 15, 22, MOUTH_X], [-81.8, -81.3, -78.4, -74.3, MOUTH_Y])
_STOMION = PchipInterpolator([0, 5, 12, 20, MOUTH_X], [-71.4, -71.0, -70.3, -70.7, MOUTH_Y])
_RIDGE = PchipInterpolator(
    [-55.5, -48.7, -44.2, -40.7, -37.2, -32.7, -23.5, -11.5, 0, 9, 20], [0, 4, 12, 21, 25.5, 25, 18.5, 11.5, 6.5, 3, 0],
)
_RIDGE_WIDTH = PchipInterpolator([-55.5, -46, -38, -30, -19, -8, 2, 12, 20], [11, 11, 11.5, 10.5, 10, 8.5, 8, 12, 16])


@lru_cache(maxsize=1)
def _radius() -> RBFInterpolator:
    half = np.concatenate([CONTOUR, SIDE])
    half = half[half[:, 0] > 0]
    points = np.concatenate([MIDLINE, CONTOUR[-1:], half, half * [-1, 1, 1]]) + np.array([0, EYE_LINE, 0])
    radius = np.linalg.norm(points, axis=1)
    return RBFInterpolator(points / radius[:, None], radius, kernel="thin_plate_spline", smoothing=2e-4)


def base_surface(directions: np.ndarray) -> np.ndarray:
    """Skull-and-skin surface without relief along unit directions [N,3] from the origin -> points [N,3] in mm."""
    return directions * _radius()(directions)[:, None] - [0, EYE_LINE, 0]


def front_directions(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Unit directions [N,3] whose base-surface points project frontally onto (x, y)."""
    z = np.full(np.shape(x), 80.0)
    for _ in range(25):
        point = np.stack([x, y + EYE_LINE, z], -1)
        length = np.linalg.norm(point, axis=-1)
        z = np.clip(z + 0.7 * (_radius()(point / length[:, None]) - length) * length / np.maximum(z, 30), 10, 130)
    return point / length[:, None]


def bump(x: np.ndarray | float, y: np.ndarray | float, cx: float, cy: float, sx: float, sy: float) -> np.ndarray:
    """Gaussian window, in [0, 1], around (cx, cy) of widths (sx, sy) in mm; give 0 for a coordinate that does not matter."""
    return np.exp(-0.5 * (((x - cx) / sx) ** 2 + ((y - cy) / sy) ** 2))


def relief(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Height in mm added along z in front of the base surface: nose, sockets, brow ridge, philtrum, folds, chin."""
    a = np.abs(x)
    yc = np.clip(y, -55.5, 20)
    nose = _RIDGE(yc) * np.exp(-((a / _RIDGE_WIDTH(yc)) ** 2.6))
    ala = 9.5 * bump(a, y, 12.8, -39.2, 4.0, 5.0)
    nostril = -6.0 * bump(a, y, 6.3, -44.5, 2.6, 1.9)
    socket = -5.5 * bump(a, y, 19, -2, 6, 8) - 3.0 * bump(a, y, 31, -9, 13, 5) - 2.0 * bump(a, y, 31, 10, 13, 4)
    brow = 2.2 * bump(a, y, 33, 22, 18, 5)
    philtrum = -1.3 * bump(a, y, 0, -57, 2.2, 4) + 0.6 * bump(a, y, 4.5, -57, 1.8, 4)
    fold = 1.6 * bump(a, y, 33, -44, 9, 10) - 1.2 * bump(a, y, 27, -60, 4, 9)
    chin = 1.2 * bump(a, y, 0, -100, 12, 7) - 1.6 * bump(a, y, 0, -88, 15, 3.5)
    return nose + ala + nostril + socket + brow + philtrum + fold + chin


def eye_opening(s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Heights (upper, lower) of the lid margins at s in [0,1] from the inner to the outer canthus."""
    s = np.clip(s, 0, 1)
    line = -1.4 + 2.4 * s
    return line + 5.9 * np.sin(np.pi * s**0.9) ** 0.75, line - 4.6 * np.sin(np.pi * s**1.15) ** 0.85


def eye_parameter(x: np.ndarray) -> np.ndarray:
    """Position s of |x| between the canthi (0 inner, 1 outer; not clipped)."""
    return (np.abs(x) - INNER_CANTHUS) / EYE_WIDTH


def lid_surface(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """z of the lids' ellipsoid, which lies about one millimetre before the eyeball."""
    dx = np.abs(x) - EYE_X
    inside = np.clip(1 - (dx / 18.0) ** 2 - (y / 14.6) ** 2, 0.02, None)
    return EYE_Z + 13.6 * np.sqrt(inside) - 0.18 * dx


def lip_lines(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heights y in mm of the upper vermilion border, the closed mouth's line, and the lower vermilion border at x in mm."""
    a = np.clip(np.abs(x), 0, MOUTH_X)
    return _UPPER(a), _STOMION(a), _LOWER(a)
