"""Find hard cuts: one crop, one identity and one background hold for a single scene alone; within it they are worth a note."""

from __future__ import annotations

import cv2
import numpy as np

SIDE = 48
NEAR = 6  # frames on either side that a jump is compared with
# fourteen real clips, 6400 frames: no jump above 2.2 times its neighbours but for four true cuts in one of them (4.2 to 12.6)
RATIO = 3.5
LEAST = 6.0  # mean grey levels, of 255
SCENE = 0.3  # correlation below which the picture is another scene; those four cuts, within one scene, have 0.63 to 0.93
JUMP = 0.25  # of the distance from brows to chin: faces move less within 40 ms


class CutWatch:
    """Keeps a small grey copy of every frame: `watch.add(frame)` for each, then `watch.cuts()`."""

    def __init__(self) -> None:
        self._thumbs: list[np.ndarray] = []

    def add(self, frame: np.ndarray) -> None:
        """frame: uint8 RGB [H, W, 3]."""
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        self._thumbs.append(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA))

    def new_scenes(self) -> list[int]:
        """Those of `cuts` after which the picture has little in common with what it was."""
        pairs = {at: (self._thumbs[at - 1].ravel(), self._thumbs[at].ravel()) for at in self.cuts()}
        return [at for at, (before, after) in pairs.items() if np.corrcoef(before, after)[0, 1] < SCENE]

    def cuts(self) -> list[int]:
        """Numbers of the frames that begin another take; a flash, after which all is as before, is none."""
        jumps = np.array([0.0, *(_distance(a, b) for a, b in zip(self._thumbs, self._thumbs[1:]))])
        found = []
        for at in np.flatnonzero(jumps > LEAST).tolist():
            near = np.r_[jumps[max(at - NEAR, 1):at], jumps[at + 1:at + 1 + NEAR]]
            after = self._thumbs[min(at + 1, len(self._thumbs) - 1)]
            stays = _distance(self._thumbs[max(at - 2, 0)], after) > 0.7 * jumps[at]
            if stays and near.size and jumps[at] > RATIO * near.max():
                found.append(at)
        return found


def jumps(points: np.ndarray) -> list[int]:
    """Frames at which a face's landmarks [T, 68, 2] jump further than a head moves: a cut within one scene, or a lost track."""
    height = np.nanmedian(points[:, 8, 1] - points[:, 17:27, 1].mean(1))
    moved = np.linalg.norm(np.diff(points.mean(1), axis=0), axis=-1)
    return (np.flatnonzero(np.nan_to_num(moved) > JUMP * height) + 1).tolist()


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(cv2.absdiff(a, b).mean())
