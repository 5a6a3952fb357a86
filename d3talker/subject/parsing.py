"""Masks of a clip by a parser that learns its own colours and places: no weights, the same judgement in every frame.

A few frames get first labels (seeds.py).  From them the parser learns a colour histogram for each label, how likely each label is at
each place (relative to the head and in the picture), and the static background's colour at each pixel, and relabels the frames with
what it learnt until it agrees with itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

from d3talker.subject.palette import Label

LABELS = (Label.BACKGROUND, Label.FACE, Label.HAIR, Label.NECK, Label.TORSO)
BINS = (24, 32, 32)  # of L, a, b
ROUNDS = 3
GRID, REACH = 96, 3.0  # head-fixed map: pixels a side, and half side in units of the landmarks' rms radius
FLOOR = 1e-3  # no place is impossible
COLOUR_TRUST = 0.6  # neighbouring pixels are not independent, so colour counts less than naive Bayes would have it


@dataclass(frozen=True)
class Placement:
    """Where the head is in a picture: centre [2] and rms radius of its rigid landmarks in pixels, roll in radians."""

    centre: np.ndarray
    radius: float
    roll: float

    @staticmethod
    def of(rigid: np.ndarray) -> Placement:
        centre = rigid.mean(0)
        eyes = rigid[42:48].mean(0) - rigid[36:42].mean(0)
        return Placement(centre, float(np.sqrt(((rigid - centre) ** 2).sum(-1).mean())), float(np.arctan2(eyes[1], eyes[0])))

    def matrix(self) -> np.ndarray:
        """Picture -> head-fixed map, [2, 3]."""
        scale = GRID / (2 * REACH * self.radius)
        turn = scale * np.array([[np.cos(self.roll), np.sin(self.roll)], [-np.sin(self.roll), np.cos(self.roll)]])
        return np.c_[turn, np.full(2, GRID / 2) - turn @ self.centre]


class Parser:
    """Learn from a few frames with first labels, then label any frame of the clip.

    images [K, S, S, 3] uint8, labels [K, S, S] of seeds.seed_labels, places: K placements.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, places: list[Placement]) -> None:
        self.size = images.shape[1]
        lab = [cv2.cvtColor(image, cv2.COLOR_RGB2LAB) for image in images]
        for _ in range(ROUNDS):
            self._learn(lab, labels, places)
            labels = np.stack([np.array(LABELS)[self._posterior(l, p).argmax(0)] for l, p in zip(lab, places)]).astype(np.uint8)
        self._learn(lab, labels, places)

    def probabilities(self, image: np.ndarray, place: Placement) -> np.ndarray:
        """float32 [5, S, S] in the order of LABELS, edges drawn to those of the picture."""
        raw = self._posterior(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), place)
        guide = image.astype(np.float32) / 255
        return np.stack([_guided(guide, p, max(2, self.size // 64), 1e-3) for p in raw])

    def _learn(self, lab: list[np.ndarray], labels: np.ndarray, places: list[Placement]) -> None:
        bins = np.stack([_bins(image) for image in lab])
        self.histogram = np.stack([_density(bins[labels == label]) for label in LABELS])
        one_hot = np.stack([labels == label for label in LABELS], 1).astype(np.float32)
        blur = self.size / 40
        self.static = np.stack([gaussian_filter(one_hot[:, k].mean(0), blur, mode="nearest") for k in range(len(LABELS))]) + FLOOR
        moved = [np.stack([cv2.warpAffine(m, p.matrix(), (GRID, GRID), borderMode=cv2.BORDER_REPLICATE) for m in hot])
                 for hot, p in zip(one_hot, places)]
        self.headed = gaussian_filter(np.mean(moved, 0), (0, GRID / 48, GRID / 48), mode="nearest").astype(np.float32) + FLOOR
        self._learn_background(np.stack(lab), labels == Label.BACKGROUND)

    def _learn_background(self, lab: np.ndarray, seen: np.ndarray) -> None:
        samples = np.where(seen[..., None], lab.astype(np.float32), np.nan)
        known = seen.sum(0) >= 3
        safe = np.where(known[..., None], samples, 0.0)
        self.background = np.nanmedian(safe, 0)
        off = np.abs(safe - self.background)[seen & known[None]]
        self.spread = np.maximum(2.5 * np.median(off, 0), 3.0) if len(off) else np.full(3, 3.0)
        self.known = known

    def _posterior(self, lab: np.ndarray, place: Placement) -> np.ndarray:
        likelihood = self.histogram[:, _bins(lab)]
        squared = (((lab - self.background) / self.spread) ** 2).sum(-1)
        exact = np.exp(-0.5 * np.minimum(squared, 60)) / (np.prod(self.spread) * (2 * np.pi) ** 1.5)
        likelihood[0] = np.where(self.known, 0.8 * exact + 0.2 * likelihood[0], likelihood[0])
        back = cv2.invertAffineTransform(place.matrix())
        headed = np.stack([
            cv2.warpAffine(m, back, (self.size, self.size), borderMode=cv2.BORDER_REPLICATE) for m in self.headed
        ])
        log = COLOUR_TRUST * np.log(likelihood + 1e-9) + 0.7 * np.log(headed) + 0.5 * np.log(self.static)
        log -= log.max(0)
        out = np.exp(log)
        return (out / out.sum(0)).astype(np.float32)


def label_image(probabilities: np.ndarray, place: Placement, lips: np.ndarray, size: int) -> np.ndarray:
    """Labels uint8 [size, size]: clean regions, and the inside of the lips as MOUTH.

    probabilities [5, S, S]; lips: inner lip landmarks [8, 2] in pixels of the output.
    """
    method = cv2.INTER_AREA if size <= probabilities.shape[1] else cv2.INTER_LINEAR
    scaled = np.stack([cv2.resize(p, (size, size), interpolation=method) for p in probabilities])
    person = _main_part(scaled[0] < 0.5, place.centre * size / probabilities.shape[1])
    scaled[0] = np.where(person, -1.0, 2.0)
    labels = np.array(LABELS, np.uint8)[scaled.argmax(0)]
    head = _main_part(np.isin(labels, (Label.FACE, Label.HAIR)), place.centre * size / probabilities.shape[1])
    stray = np.isin(labels, (Label.FACE, Label.HAIR)) & ~head
    scaled[1:3, stray] = -1.0
    labels[stray] = np.array(LABELS, np.uint8)[scaled.argmax(0)][stray]
    labels[_inside(lips, size)] = Label.MOUTH
    return labels


def _inside(polygon: np.ndarray, size: int, finer: int = 4) -> np.ndarray:
    """Pixels more than half covered by a polygon."""
    mask = np.zeros((size * finer, size * finer), np.uint8)
    cv2.fillPoly(mask, [np.round(((polygon + 0.5) * finer - 0.5) * 16).astype(np.int32)], 255, shift=4)
    return cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA) > 127


def _main_part(mask: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """The connected region around `centre` (or the largest), its holes filled."""
    count, regions, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count == 1:
        return mask
    x, y = np.clip(np.round(centre).astype(int), 0, mask.shape[0] - 1)
    chosen = regions[y, x] or 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    kept = (regions == chosen).astype(np.uint8)
    outlines, _ = cv2.findContours(kept, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(kept, outlines, -1, 1, cv2.FILLED)
    return kept > 0


def _bins(lab: np.ndarray) -> np.ndarray:
    """uint8 Lab [.., 3] -> bin number [..]."""
    scaled = [(lab[..., c].astype(np.int32) * n) >> 8 for c, n in enumerate(BINS)]
    return (scaled[0] * BINS[1] + scaled[1]) * BINS[2] + scaled[2]


def _density(bins: np.ndarray) -> np.ndarray:
    """Smoothed colour density over bins, per unit of Lab volume."""
    counts = np.bincount(bins, minlength=int(np.prod(BINS))).reshape(BINS).astype(np.float64)
    smooth = gaussian_filter(counts, (1.0, 0.7, 0.7))
    volume = np.prod([256 / n for n in BINS])
    return ((smooth + 1e-4) / (smooth + 1e-4).sum() / volume).ravel()


def _guided(guide: np.ndarray, values: np.ndarray, radius: int, eps: float) -> np.ndarray:
    """Guided filter (He et al. 2010) with a grey guide: smooths `values` but not across the picture's edges."""
    grey = guide.mean(-1)
    box = (2 * radius + 1, 2 * radius + 1)
    mean_g, mean_v = cv2.blur(grey, box), cv2.blur(values, box)
    slope = (cv2.blur(grey * values, box) - mean_g * mean_v) / (cv2.blur(grey * grey, box) - mean_g**2 + eps)
    return cv2.blur(slope, box) * grey + cv2.blur(mean_v - slope * mean_g, box)
