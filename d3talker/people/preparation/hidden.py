"""The torso's part that the head hides in one frame, out of others that show it (as bc.jpg is the background's)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from d3talker.people.preparation.shift import torso_shift
from d3talker.people.subject.palette import Label

HEAD = (Label.FACE, Label.HAIR, Label.MOUTH)
BODY = (Label.NECK, Label.TORSO)
LEAST = 2  # frames that must show a place


@dataclass(frozen=True)
class Plate:
    """The torso without a head, in the place that it has in one frame.

    picture uint8 [H, W, 3]; body, behind: bool [H, W], where frames showed neck or torso, and where mostly the background; first,
    torso: that frame and where it shows the torso [H, W], from which the torso's motion to other frames is measured.
    """

    picture: np.ndarray
    body: np.ndarray
    behind: np.ndarray
    first: np.ndarray
    torso: np.ndarray

    @classmethod
    def of(cls, images: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> Plate:
        """images uint8 [K, H, W, 3] and labels [K, H, W] of frames of one clip, each laid on the middle one by its torso."""
        middle = len(images) // 2
        first, torso = images[middle], labels[middle] == Label.TORSO
        size, margin = torso.shape[::-1], max(1, len(torso) // 128)
        pictures, shown, clear = [], [], []
        for image, label in zip(images, labels, strict=True):
            shift = torso_shift(first, torso, image)
            if shift is None:
                continue
            ring = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
            head = cv2.dilate(np.isin(label, HEAD).astype(np.uint8), ring)
            person = cv2.dilate((label != Label.BACKGROUND).astype(np.uint8), ring)
            laid = [
                cv2.warpAffine(part, shift, size, flags=how | cv2.WARP_INVERSE_MAP, borderValue=0)
                for part, how in (
                    (image, cv2.INTER_LINEAR), (np.isin(label, BODY).astype(np.uint8) * (1 - head), cv2.INTER_NEAREST),
                    (1 - person, cv2.INTER_NEAREST),
                )
            ]
            pictures.append(laid[0])
            shown.append(laid[1] > 0)
            clear.append(laid[2] > 0)
        if not pictures:
            nothing = np.zeros(torso.shape, bool)
            return cls(np.zeros_like(first), nothing, nothing, first, torso)
        body, behind = np.stack(shown), np.sum(clear, 0)
        often = body.sum(0)
        is_body = (often >= LEAST) & (often >= behind)
        return cls(_median(np.stack(pictures), body, is_body), is_body, (behind >= LEAST) & (behind > often), first, torso)

    def laid_on(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Picture, body and behind where they are in another frame of the clip; None where its torso is not found again."""
        shift = torso_shift(self.first, self.torso, image)
        if shift is None:
            return None
        size = image.shape[1::-1]
        picture = cv2.warpAffine(self.picture, shift, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        body, behind = (
            cv2.warpAffine(mask.astype(np.uint8), shift, size, flags=cv2.INTER_NEAREST) > 0 for mask in (self.body, self.behind)
        )
        return picture, body, behind


def _median(pictures: np.ndarray, shown: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The median colour of each pixel of `wanted` [H, W] over the frames that show it, and the nearest such colour elsewhere.

    pictures uint8 [K, H, W, 3], shown bool [K, H, W].
    """
    values = np.where(shown[:, wanted, None], pictures[:, wanted], 255).astype(np.int16)
    values += ~shown[:, wanted, None]  # 256: behind every colour that counts
    values.sort(0)
    middle = (shown[:, wanted].sum(0) - 1) // 2
    out = np.zeros(pictures.shape[1:], np.uint8)
    out[wanted] = np.take_along_axis(values, middle[None, :, None], 0)[0]
    return spread(out, wanted)


def spread(picture: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The picture [H, W, 3], with each pixel's colour taken from the nearest one of `known` [H, W]."""
    if not known.any():
        return picture
    _, nearest = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colour = np.zeros((nearest.max() + 1, 3), np.uint8)
    colour[nearest[known]] = picture[known]
    return colour[nearest]
