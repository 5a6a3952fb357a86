"""How the torso moves between two pictures: corners of it, found again, and the similarity that most of them agree on."""

from __future__ import annotations

import cv2
import numpy as np

from d3talker.people.preparation.flow import lucas_kanade

CORNERS, SPACING = 200, 128  # at most so many, one part in so many of the picture's side apart
LEVELS = 3  # of the pyramid: shifts of a tenth of the picture are found
RETURN, AGREE = 0.5, 1 / 80  # a corner tracked forth and back returns so near in pixels; agrees so near in sides, for cloth folds
LEAST = 8  # corners that must agree, and at least a third of those found


def torso_shift(one: np.ndarray, body: np.ndarray, other: np.ndarray) -> np.ndarray | None:
    """Pixels of `one` -> pixels of `other` for what most of `body` does, [2, 3]; None where too little of it is found again.

    one, other: uint8 RGB [S, S, 3]; body: bool [S, S], where the first shows the torso.
    """
    size = len(body)
    body = cv2.erode(body.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1)
    first, second = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (one, other))
    corners = cv2.goodFeaturesToTrack(first, CORNERS, 0.003, max(2, size / SPACING), mask=body * 255, blockSize=5)
    if corners is None or len(corners) < LEAST:
        return None
    start = corners[:, 0]
    found, good = lucas_kanade(first, second, start, start, LEVELS)
    returned, good_back = lucas_kanade(second, first, found, found, LEVELS)
    kept = good & good_back & (np.linalg.norm(returned - start, axis=-1) < RETURN)
    if kept.sum() < LEAST:
        return None
    shift, agreed = cv2.estimateAffinePartial2D(start[kept], found[kept], ransacReprojThreshold=size * AGREE)
    return None if shift is None or agreed.sum() < max(LEAST, kept.sum() / 3) else shift
