"""Masks of a clip by a parser that learns its own colours and places: no weights, the same judgement in every frame.

A few frames get first labels (seeds.py).  From them the parser learns a colour histogram for each label, how likely
each label is at each place (relative to the head and in the picture), and the static background's colour at each pixel,
and relabels the frames with what it learnt until it agrees with itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

from d3talker.people.preparation import histogram
from d3talker.people.subject.palette import Label

LABELS = (Label.BACKGROUND, Label.FACE, Label.HAIR, Label.NECK, Label.TORSO)
ROUNDS = 3
GRID, REACH = 96, 3.0  # head-fixed map: pixels a side, and half side in units of the landmarks' rms radius
FLOOR = 1e-3  # no place is impossible
SIDE = 256  # pixels of the pictures that the parser judges
COLOUR_TRUST, HEAD_TRUST, PICTURE_TRUST = 0.6, 0.7, 0.5  # exponents below 1, since what the three know overlaps
RADIUS, EDGE = 4, 1e-3  # of the guided filter: pixels, and squared contrast that is an edge


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
        radius = np.sqrt(((rigid - centre) ** 2).sum(-1).mean())
        return Placement(centre, float(radius), float(np.arctan2(eyes[1], eyes[0])))

    def matrix(self) -> np.ndarray:
        """Picture -> head-fixed map, [2, 3]."""
        scale = GRID / (2 * REACH * self.radius)
        turn = scale * np.array([[np.cos(self.roll), np.sin(self.roll)], [-np.sin(self.roll), np.cos(self.roll)]])
        return np.c_[turn, np.full(2, GRID / 2) - turn @ self.centre]


class Parser:
    """Learn from a few frames with first labels, then label any frame of the clip.

    images [K, 256, 256, 3] uint8, labels [K, 256, 256] of seeds.py, places: K placements in those pictures.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, places: list[Placement]) -> None:
        assert images.shape[1:] == (SIDE, SIDE, 3)
        lab = np.stack([histogram.to_lab(image) for image in images])
        for _ in range(ROUNDS):
            self._learn(lab, labels, places)
            best = [self._posterior(picture, place).argmax(0) for picture, place in zip(lab, places)]
            labels = np.array(LABELS, np.uint8)[np.stack(best)]
        self._learn(lab, labels, places)

    def probabilities(self, image: np.ndarray, place: Placement) -> np.ndarray:
        """float32 [5, S, S] in the order of LABELS, edges drawn to those of the picture.

        image: uint8 RGB [S, S, 3] with S at least 256; place: of the head in the picture scaled to 256 x 256.
        """
        small = image if len(image) == SIDE else cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        return _guided(image, small, self._posterior(histogram.to_lab(small), place))

    def _learn(self, lab: np.ndarray, labels: np.ndarray, places: list[Placement]) -> None:
        numbers = histogram.bins(lab)
        self.histogram = np.stack([histogram.density(numbers[labels == label]) for label in LABELS])
        one_hot = np.stack([labels == label for label in LABELS], 1).astype(np.float32)
        self.static = np.log(gaussian_filter(one_hot.mean(0), (0, SIDE / 40, SIDE / 40), mode="nearest") + FLOOR)
        moved = np.stack([_warp(hot, place.matrix(), GRID) for hot, place in zip(one_hot, places)])
        self.headed = np.log(gaussian_filter(moved.mean(0), (0, GRID / 48, GRID / 48), mode="nearest") + FLOOR)
        self._learn_background(lab, labels == Label.BACKGROUND)

    def _learn_background(self, lab: np.ndarray, seen: np.ndarray) -> None:
        self.known = seen.sum(0) >= 3
        samples = np.where(seen[..., None] | ~self.known[..., None], lab.astype(np.float32), np.nan)
        self.background = np.nanmedian(samples, 0)
        off = np.abs(samples - self.background)[seen & self.known[None]]
        self.spread = np.maximum(2.5 * np.median(off, 0), 3.0) if len(off) else np.full(3, 3.0, np.float32)

    def _posterior(self, lab: np.ndarray, place: Placement) -> np.ndarray:
        likelihood = self.histogram[:, histogram.bins(lab)]
        squared = (((lab - self.background) / self.spread).astype(np.float32) ** 2).sum(-1)
        exact = np.exp(-0.5 * np.minimum(squared, 60)) / (np.prod(self.spread) * (2 * np.pi) ** 1.5)
        likelihood[0] = np.where(self.known, 0.8 * exact + 0.2 * likelihood[0], likelihood[0])
        headed = _warp(self.headed, cv2.invertAffineTransform(place.matrix()), SIDE)
        log = COLOUR_TRUST * np.log(likelihood + 1e-9) + HEAD_TRUST * headed + PICTURE_TRUST * self.static
        out = np.exp(log - log.max(0))
        return (out / out.sum(0)).astype(np.float32)


def label_image(probabilities: np.ndarray, place: Placement, lips: np.ndarray, size: int) -> np.ndarray:
    """Labels uint8 [size, size]: clean regions, and the inside of the lips as MOUTH.

    probabilities [5, S, S] with S at least `size`; place: in the picture scaled to 256 x 256; lips: inner lip landmarks
    [8, 2] in pixels of the output.
    """
    scaled = np.stack([cv2.resize(p, (size, size), interpolation=cv2.INTER_AREA) for p in probabilities])
    centre = place.centre * size / SIDE
    person = main_part(scaled[0] < 0.5, centre)
    scaled[0] = np.where(person, -1.0, 2.0)
    labels = np.array(LABELS, np.uint8)[scaled.argmax(0)]
    head = main_part(np.isin(labels, (Label.FACE, Label.HAIR)), centre)
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


def main_part(mask: np.ndarray, centre: np.ndarray) -> np.ndarray:
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


def _warp(maps: np.ndarray, matrix: np.ndarray, side: int) -> np.ndarray:
    """Channels [5, H, W] through an affine map onto [5, side, side]."""
    channels = np.ascontiguousarray(maps.transpose(1, 2, 0))
    moved = cv2.warpAffine(channels, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    return moved.transpose(2, 0, 1)


def _guided(image: np.ndarray, small: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Fast guided filter (He and Sun 2015): smooths `values` [5, s, s], not across edges, and scales up to `image`."""
    guide, fine = (picture.astype(np.float32).mean(-1) / 255 for picture in (small, image))
    box = (2 * RADIUS + 1, 2 * RADIUS + 1)
    mean_g = cv2.blur(guide, box)
    variance = cv2.blur(guide * guide, box) - mean_g**2 + EDGE
    out = []
    for value in values:
        mean_v = cv2.blur(value, box)
        slope = (cv2.blur(guide * value, box) - mean_g * mean_v) / variance
        pair = [cv2.blur(part, box) for part in (slope, mean_v - slope * mean_g)]
        if fine.shape != guide.shape:
            pair = [cv2.resize(part, fine.shape[::-1], interpolation=cv2.INTER_LINEAR) for part in pair]
        out.append(pair[0] * fine + pair[1])
    return np.stack(out)
