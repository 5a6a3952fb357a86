"""What lips and eyes do, in units of the face, free of head motion: measures read off 68 landmarks."""

from __future__ import annotations

import numpy as np

RIGID = [27, 28, 29, 30, 36, 39, 42, 45]  # nose bridge and eye corners: they move with the skull alone


def face_axes(points: np.ndarray) -> np.ndarray:
    """Landmarks [T, 68, 2] in pixels -> the same in each face's own frame, float64 [T, 68, 2].

    A similarity fits the rigid points of each frame to their mean over the clip: origin at their centre, x to the image
    right, y down, unit = mean distance of the outer eye corners.  Frames that hold NaN stay NaN.
    """
    points = np.asarray(points, np.float64)
    out = np.full(points.shape, np.nan)
    ok = np.isfinite(points).all((1, 2))
    if not ok.any():
        return out
    rigid = points[ok][:, RIGID]
    centres = rigid.mean(1, keepdims=True)
    template = (rigid - centres).mean(0)
    z, w = (rigid - centres) @ [1, 1j], template @ [1, 1j]
    turn = (z.conj() @ w) / (np.abs(z) ** 2).sum(1)  # least-squares rotation and scale, as one complex number
    fitted = ((points[ok] - centres) @ [1, 1j]) * turn[:, None]
    eyes = np.abs(w[RIGID.index(45)] - w[RIGID.index(36)])
    out[ok] = np.stack([fitted.real, fitted.imag], -1) / eyes
    return out


def lip_measures(points: np.ndarray) -> np.ndarray:
    """Opening of inner lips, mouth width, heights of lower and of upper lip, float64 [T, 4], in outer-eye distances."""
    face = face_axes(points)
    opening = (face[:, [67, 66, 65], 1] - face[:, [61, 62, 63], 1]).mean(1)
    width = face[:, 54, 0] - face[:, 48, 0]
    lower = face[:, [56, 57, 58, 65, 66, 67], 1].mean(1)
    upper = face[:, [50, 51, 52], 1].mean(1)
    return np.stack([opening, width, lower, upper], -1)


def eye_openness(points: np.ndarray) -> np.ndarray:
    """Eye aspect ratio, mean of both eyes, float64 [T] (Soukupova and Cech 2016): about 0.3 open, below 0.2 shut."""
    points = np.asarray(points, np.float64)

    def ratio(first: int) -> np.ndarray:
        outer, up1, up2, inner, low1, low2 = np.moveaxis(points[:, first : first + 6], 1, 0)
        heights = np.linalg.norm(up1 - low2, axis=-1) + np.linalg.norm(up2 - low1, axis=-1)
        return heights / (2 * np.linalg.norm(outer - inner, axis=-1))

    return (ratio(36) + ratio(42)) / 2
