"""First labels of a few frames, from landmarks, GrabCut and skin colour: what the clip's own parser learns from."""

from __future__ import annotations

import cv2
import numpy as np

from d3talker.subject.palette import Label

GRABCUT_ROUNDS = 4


def seed_labels(image: np.ndarray, points: np.ndarray, person: np.ndarray | None = None) -> np.ndarray:
    """Labels uint8 [H, W] of one frame without the mouth; `person`, bool [H, W], replaces GrabCut where a network gave it.

    points: [68, 2] pixels.
    """
    person = grabcut_person(image, points) if person is None else person
    head, below = _zones(image.shape[:2], points)
    skin = _skin(image, points)
    out = np.full(image.shape[:2], Label.BACKGROUND, np.uint8)
    out[person & head] = Label.HAIR
    out[person & head & skin] = Label.FACE
    out[person & below] = Label.TORSO
    out[person & _neck(image, points, below)] = Label.NECK
    out[_polygon(image.shape[:2], _face_outline(points))] = Label.FACE
    return out


def grabcut_person(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """bool [H, W]: the person, by GrabCut from where a head and shoulders must and may be."""
    height, width = image.shape[:2]
    unit, centre = _unit(points), points.mean(0)
    y, x = np.mgrid[:height, :width]
    u, v = (x - centre[0]) / unit, (y - centre[1]) / unit
    mask = np.full((height, width), cv2.GC_BGD, np.uint8)
    mask[((u / 1.1) ** 2 + ((v + 0.2) / 1.35) ** 2) < 1] = cv2.GC_PR_BGD
    mask[v > 0.3] = cv2.GC_PR_BGD
    mask[v > 0.45 + 0.1 * np.abs(u)] = cv2.GC_PR_FGD
    mask[((u / 0.7) ** 2 + ((v + 0.25) / 0.95) ** 2) < 1] = cv2.GC_PR_FGD
    mask[(v > 0.4) & (v < 1.2) & (np.abs(u) < 0.25)] = cv2.GC_FGD
    mask[_polygon((height, width), _face_outline(points))] = cv2.GC_FGD
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), mask, None, *models, GRABCUT_ROUNDS, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    return (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)


def _unit(points: np.ndarray) -> float:
    """Brows to chin in pixels."""
    return float(points[8, 1] - points[17:27, 1].mean())


def _face_outline(points: np.ndarray) -> np.ndarray:
    """Jaw and brows, the brows raised a little: all skin."""
    centre = points[27:36].mean(0)
    jaw = centre + 0.95 * (points[:17] - centre)
    brows = points[17:27] + 0.12 * (points[27] - points[8])
    return np.concatenate([jaw, brows[::-1]])


def _polygon(shape: tuple[int, int], points: np.ndarray) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], 1, shift=4)
    return mask > 0


def _zones(shape: tuple[int, int], points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Head and what lies below it, divided along the jaw and, beside it, at the height of the ear lobes."""
    y, x = np.mgrid[:shape[0], :shape[1]]
    order = np.argsort(points[:17, 0])
    lobes = points[[3, 13], 1].mean()
    jaw = np.interp(x[0], points[:17, 0][order], points[:17, 1][order], left=lobes, right=lobes)
    below = y > np.maximum(jaw, 0)[None]
    return ~below, below


def _skin(image: np.ndarray, points: np.ndarray, looser: float = 1.0) -> np.ndarray:
    """Pixels whose colour lies close to that of cheeks and nose."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float64)
    samples = lab[_polygon(image.shape[:2], points[[1, 3, 5, 48, 31, 27, 35, 54, 11, 13, 15, 28]])]
    middle = np.median(samples, 0)
    spread = looser * np.maximum(1.5 * np.median(np.abs(samples - middle), 0), (18, 4, 4))
    return (((lab - middle) / spread) ** 2).sum(-1) < 16


def _neck(image: np.ndarray, points: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Skin, shaded or not, that hangs on to the jaw from below."""
    x = np.arange(image.shape[1])
    column = below & (x > points[3, 0]) & (x < points[13, 0])
    skin = (column & _skin(image, points, 1.6)).astype(np.uint8)
    opened = cv2.morphologyEx(skin, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    jaw = cv2.polylines(np.zeros_like(skin), [np.round(points[4:13]).astype(np.int32)], False, 1, max(3, round(_unit(points) / 10)))
    _, regions = cv2.connectedComponents(opened)
    touching = np.unique(regions[(jaw > 0) & (opened > 0)])
    return np.isin(regions, touching[touching > 0])
