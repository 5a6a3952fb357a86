"""First labels of a few frames, from landmarks, GrabCut and skin colour: what the clip's own parser learns from."""

from __future__ import annotations

import cv2
import numpy as np

from d3talker.people.preparation import histogram
from d3talker.people.subject.palette import Label

GRABCUT_ROUNDS = 4


def first_labels(images: np.ndarray, points: np.ndarray, persons: list[np.ndarray]) -> np.ndarray:
    """Labels uint8 [K, H, W] without mouth; images [K, H, W, 3], points [K, 68, 2] pixels, persons K bool [H, W]."""
    labels = np.stack([_by_zones(image, at, person) for image, at, person in zip(images, points, persons)])
    return _long_hair(images, points, labels)


def _long_hair(images: np.ndarray, points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Give hair what hangs down from it and has its colours."""
    if not (labels == Label.HAIR).any():
        return labels
    numbers = np.stack([histogram.bins(histogram.to_lab(image)) for image in images])
    hair = histogram.density(numbers[labels == Label.HAIR])
    alike = hair > np.percentile(hair[numbers[labels == Label.HAIR]], 10)
    out = labels.copy()
    for k, at in enumerate(points):
        u, v = _relative(labels[k].shape, at)
        near = (np.abs(u) < 1.0) & (v < 1.2) & (labels[k] == Label.TORSO)
        spots = (near & alike[numbers[k]]).astype(np.uint8)
        grown = cv2.morphologyEx(spots, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
        _, regions = cv2.connectedComponents((grown | (labels[k] == Label.HAIR)).astype(np.uint8))
        hanging = np.unique(regions[labels[k] == Label.HAIR])
        out[k][grown & np.isin(regions, hanging)] = Label.HAIR
    return out


def _by_zones(image: np.ndarray, points: np.ndarray, person: np.ndarray) -> np.ndarray:
    head, below = _zones(image.shape[:2], points)
    skin = _skin(image, points)
    out = np.full(image.shape[:2], Label.BACKGROUND, np.uint8)
    out[person & head] = Label.HAIR
    out[person & head & skin & _face_oval(image.shape[:2], points)] = Label.FACE
    out[person & below] = Label.TORSO
    out[person & _neck(image, points, below)] = Label.NECK
    out[_polygon(image.shape[:2], _face_outline(points))] = Label.FACE
    return out


def grabcut_person(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """bool [H, W]: the person, by GrabCut from where a head and shoulders must and may be."""
    height, width = image.shape[:2]
    u, v = _relative((height, width), points)
    mask = np.full((height, width), cv2.GC_BGD, np.uint8)
    mask[((u / 1.1) ** 2 + ((v + 0.2) / 1.35) ** 2) < 1] = cv2.GC_PR_BGD
    mask[v > 0.3] = cv2.GC_PR_BGD
    mask[v > 0.45 + 0.1 * np.abs(u)] = cv2.GC_PR_FGD
    mask[((u / 0.7) ** 2 + ((v + 0.25) / 0.95) ** 2) < 1] = cv2.GC_PR_FGD
    mask[(v > 0.4) & (v < 1.2) & (np.abs(u) < 0.25)] = cv2.GC_FGD
    mask[_polygon((height, width), _face_outline(points))] = cv2.GC_FGD
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    picture = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    cv2.grabCut(picture, mask, None, *models, GRABCUT_ROUNDS, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    return (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)


def _relative(shape: tuple[int, ...], points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each pixel's place right of and below the landmarks' centre, in units of brows to chin."""
    y, x = np.mgrid[:shape[0], :shape[1]]
    centre, unit = points.mean(0), _unit(points)
    return (x - centre[0]) / unit, (y - centre[1]) / unit


def _unit(points: np.ndarray) -> float:
    """Brows to chin in pixels."""
    return float(points[8, 1] - points[17:27, 1].mean())


def _face_outline(points: np.ndarray) -> np.ndarray:
    """Jaw and brows, the brows raised a little: all skin."""
    centre = points[27:36].mean(0)
    jaw = centre + 0.95 * (points[:17] - centre)
    brows = points[17:27] + 0.12 * (points[27] - points[8])
    return np.concatenate([jaw, brows[::-1]])


def _face_oval(shape: tuple[int, int], points: np.ndarray) -> np.ndarray:
    """Where skin may be seen: up to a high hairline, and out to the ears below the eyes; beyond, it is hair."""
    u, v = _relative(shape, points)
    brows = float((points[17:27, 1].mean() - points[:, 1].mean()) / _unit(points))
    middle = float((points[27, 0] - points[:, 0].mean()) / _unit(points))
    half = float(points[16, 0] - points[0, 0]) / 2 / _unit(points)
    forehead = ((u - middle) / (0.9 * half)) ** 2 + ((v - brows) / 0.5) ** 2 < 1
    return forehead | ((v > brows + 0.1) & (np.abs(u - middle) < 1.3 * half))


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
    spread[1:] = np.minimum(spread[1:], 0.2 * np.linalg.norm(middle[1:] - 128))  # grey is never skin
    return (((lab - middle) / spread) ** 2).sum(-1) < 16


def _neck(image: np.ndarray, points: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Skin, shaded or not, that hangs on to the jaw from below."""
    x = np.arange(image.shape[1])
    column = below & (x > points[3, 0]) & (x < points[13, 0])
    skin = (column & _skin(image, points, 1.6)).astype(np.uint8)
    opened = cv2.morphologyEx(skin, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    line = np.round(points[4:13]).astype(np.int32)
    jaw = cv2.polylines(np.zeros_like(skin), [line], False, (1,), max(3, round(_unit(points) / 10)))
    _, regions = cv2.connectedComponents(opened)
    touching = np.unique(regions[(jaw > 0) & (opened > 0)])
    return np.isin(regions, touching[touching > 0])
