"""Hair that rests on the shoulders: what lies below the chin and does not move with the head belongs to the torso.

For pairs of frames, each pixel of hair below the chin is looked for twice: where the head's motion puts it, and where the
torso's does.  Which of the two finds it is kept on a map that moves with the head, blurred, and asked in every frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

from d3talker.people.preparation import histogram
from d3talker.people.preparation.parsing import GRID, Placement, main_part
from d3talker.people.preparation.shift import torso_shift
from d3talker.people.subject.palette import Label

EARS, CHIN = [0, 1, 15, 16], 8  # landmarks; hair below the chin hangs from about where the ears are
PARTNERS = 4  # frames that each is compared with
APART, FULL = 1.5, 6.0  # pixels at 256: motions nearer than this tell nothing, further apart no more
NOISE = 12.0  # summed Lab levels by which the same place differs between two frames
WINDOW = 9  # pixels over which a difference is averaged
BLUR = GRID / 24  # of the map
LITTLE = 0.02  # of the picture: a smaller torso's motion is told from all of the person below the chin
ENOUGH = 0.02  # weight below which nothing is known, and hair stays with the head


@dataclass(frozen=True)
class Face:
    """Where the head is in a picture of 256 pixels: its placement, ears [2] and chin [2]."""

    place: Placement
    ears: np.ndarray
    chin: np.ndarray

    @staticmethod
    def of(rigid: np.ndarray) -> Face:
        """rigid: landmarks without expression [68, 2] in pixels."""
        return Face(Placement.of(rigid), rigid[EARS].mean(0), rigid[CHIN])

    def motion_to(self, other: Face) -> np.ndarray:
        """This frame's pixels -> the other's, [2, 3], for what turns with the head at the depth of its ears."""
        scale, turn = other.place.radius / self.place.radius, other.place.roll - self.place.roll
        linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        return np.c_[linear, other.ears - linear @ self.ears]


class Resting:
    """A map fixed to the head, float32 [GRID, GRID]: above 0, hair below the chin rests on the torso."""

    def __init__(self, evidence: np.ndarray) -> None:
        self.evidence = evidence

    @classmethod
    def learn(cls, images: Sequence[np.ndarray], labels: Sequence[np.ndarray], faces: Sequence[Face]) -> Resting:
        """images uint8 [K, 256, 256, 3] and their labels [K, 256, 256], varied in pose."""
        lab = [cv2.GaussianBlur(histogram.to_lab(image), (3, 3), 0).astype(np.float32) for image in images]
        sums = np.zeros((2, GRID, GRID))
        for i in range(len(images)):
            if not _hanging(labels[i], faces[i].chin[1]).any():
                continue
            body = labels[i] == Label.TORSO
            if body.mean() < LITTLE:
                body = (labels[i] != Label.BACKGROUND) & (np.arange(len(body))[:, None] > faces[i].chin[1])
            for step in range(1, PARTNERS + 1):
                j = (i + step * len(images) // (PARTNERS + 1)) % len(images)
                torso = torso_shift(images[i], body, images[j])
                if torso is not None:
                    sums += _compare(lab[i], lab[j], labels[i], faces[i], faces[i].motion_to(faces[j]), torso)
        weight, told = (gaussian_filter(part, BLUR) for part in sums)
        return cls(np.where(weight > ENOUGH, told / np.maximum(weight, ENOUGH), -1.0).astype(np.float32))

    def to_torso(self, labels: np.ndarray, face: Face) -> np.ndarray:
        """The same labels [S, S], with hair at rest, and hair that this cuts off the head, as TORSO.

        face: of the picture scaled to 256 x 256.
        """
        size = len(labels)
        to_picture = cv2.invertAffineTransform(face.place.matrix()) * (size / 256)
        told = cv2.warpAffine(self.evidence, to_picture, (size, size), borderMode=cv2.BORDER_REPLICATE)
        hanging = _hanging(labels, face.chin[1] * size / 256)
        rests = np.maximum.accumulate(hanging & (told > 0), 0)  # and with it what hangs further down
        out = np.where(hanging & rests, Label.TORSO, labels).astype(np.uint8)
        head = np.isin(out, (Label.FACE, Label.HAIR, Label.MOUTH))
        out[hanging & (out == Label.HAIR) & ~main_part(head, face.place.centre * size / 256)] = Label.TORSO
        return out


def _hanging(labels: np.ndarray, chin: float) -> np.ndarray:
    """Hair below the chin's row, bool [S, S]."""
    return (labels == Label.HAIR) & (np.arange(len(labels))[:, None] > chin)


def _compare(
    one: np.ndarray, other: np.ndarray, labels: np.ndarray, face: Face, head: np.ndarray, torso: np.ndarray
) -> np.ndarray:
    """Weight, and weight times (error by the head's motion - by the torso's) / their sum, on the head's map [2, GRID, GRID]."""
    size = labels.shape[::-1]
    by_head, by_torso = (
        cv2.blur(np.abs(cv2.warpAffine(other, motion, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                                       borderMode=cv2.BORDER_REPLICATE) - one).sum(-1), (WINDOW, WINDOW))
        for motion in (head, torso)
    )
    y, x = np.indices(labels.shape)
    apart = np.hypot(*np.einsum("kc,c...->k...", head - torso, np.stack([x, y, np.ones_like(x)])))
    weight = np.clip((apart - APART) / (FULL - APART), 0, 1) * _hanging(labels, face.chin[1])
    told = weight * (by_head - by_torso) / (by_head + by_torso + NOISE)
    return np.stack([
        cv2.warpAffine(part.astype(np.float32), face.place.matrix(), (GRID, GRID), flags=cv2.INTER_AREA) for part in (weight, told)
    ])
