"""Face crops as SyncNet expects them, cut from frames as they come, along landmarks."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from eval.metrics.syncnet import SIDE

GAP = 25  # frames without a face that are bridged, as in the official tracker
REACH = 6  # frames either way of the median filter of 13
SCALE = 0.4  # the official crop_scale
GREY = (110, 110, 110)  # what lies outside the frame
# From the extent of 68 landmarks to the box of the official face detector (S3FD): half side and centre, in units of the
# extent's height.  Measured on syncnet_example.avi, whose crop tells where its detector saw the face.
HALF_SIDE, RAISED = 0.603, 0.127


class FaceCropper:
    """Turns frames and their landmarks into crops [224, 224, 3], a few frames late.

    Up to 25 frames without a face are bridged linearly; a longer gap keeps the last box.  A clip whose first 26 frames
    show no face is `lost` and gives no crop.
    """

    def __init__(self) -> None:
        self.lost = False
        self.cut = 0  # frames cropped so far
        self.frames: deque[np.ndarray] = deque()  # seen but not yet cropped
        self.boxes: list[np.ndarray] = []  # half side, centre x, centre y; filled without gaps
        self.missing = 0  # frames that wait for a box
        self.holding = False  # whether the gap has grown too long to be bridged

    def push(self, frame: np.ndarray, points: np.ndarray) -> list[np.ndarray]:
        """Take a frame [H, W, 3] and its landmarks [68, 2] (NaN: no face); returns the crops now certain."""
        if self.lost:
            return []
        self.frames.append(frame)
        if np.isfinite(points).all():
            self._bridge(_box(points))
        else:
            self.missing += 1
            if self.missing > GAP or self.holding:
                self._hold()
        return self._ready(REACH)

    def finish(self) -> list[np.ndarray]:
        """The crops of the last frames."""
        self._hold()
        return self._ready(0)

    def _bridge(self, box: np.ndarray) -> None:
        before = self.boxes[-1] if self.boxes else box
        steps = np.arange(1, self.missing + 2) / (self.missing + 1)
        self.boxes += [before + (box - before) * step for step in steps]
        self.missing, self.holding = 0, False

    def _hold(self) -> None:
        if not self.boxes:
            self.lost = True
            self.frames.clear()
            return
        self.boxes += [self.boxes[-1]] * self.missing
        self.missing, self.holding = 0, True

    def _ready(self, ahead: int) -> list[np.ndarray]:
        crops = []
        while self.frames and len(self.boxes) > self.cut + ahead:
            near = self.boxes[max(self.cut - REACH, 0) : self.cut + REACH + 1]
            crops.append(crop(self.frames.popleft(), *np.median(near, axis=0)))
            self.cut += 1
        return crops


def crop(frame: np.ndarray, half: float, x: float, y: float) -> np.ndarray:
    """The official crop (run_pipeline.py:111-147) of a face box in uint8 [H, W, 3], resized to [224, 224, 3].

    half: half side of the box; x, y: its centre; pixels.
    """
    pad = int(half * (1 + 2 * SCALE))
    padded = cv2.copyMakeBorder(frame, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=GREY)
    top, bottom = int(y + pad - half), int(y + pad + half * (1 + 2 * SCALE))
    left, right = int(x + pad - half * (1 + SCALE)), int(x + pad + half * (1 + SCALE))
    return cv2.resize(padded[max(top, 0) : bottom, max(left, 0) : right], (SIDE, SIDE))


def _box(points: np.ndarray) -> np.ndarray:
    low, high = points.min(0), points.max(0)
    height = high[1] - low[1]
    centre = (low + high) / 2
    return np.array([HALF_SIDE * height, centre[0], centre[1] - RAISED * height])
