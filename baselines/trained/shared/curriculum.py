"""Action-unit-guided sampling (TalkingGaussian; InsTaG with other numbers): which frame a step draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from baselines.trained.shared.options import CurriculumConfig
from d3talker.graphics.options import Region

LIPS_START = 0.2  # TG train_face.py:96-103: the window of lip heights moves from here up to 1
LEAST = 5  # frames that a window must hold; the nearest to it join where fewer lie inside


class Measures(NamedTuple):
    """What the windows look at, of T training frames: height of the inner lips in pixels; opening of the mouth (AU25 where the
    subject has it, else that height); blink from 0 to 1; visible pixels of the mouth."""

    lips: NDArray[np.float64]
    opening: NDArray[np.float64]
    blink: NDArray[np.float64]
    pixels: NDArray[np.int64]


class Window(NamedTuple):
    """Frames whose `values` [T] lie between `low` and `high`."""

    values: NDArray[np.float64]
    low: float
    high: float

    def frames(self, among: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which of the frames `among` [T] lie inside, bool [T]; where fewer than LEAST do, the nearest to it as well.

        The official loops go on drawing until a frame fits, which on a clip without a blink is for ever.
        """
        inside = (self.values >= self.low) & (self.values <= self.high) & among
        if inside.sum() >= LEAST:
            return inside
        distance = np.maximum(np.maximum(self.low - self.values, self.values - self.high), 0)
        nearest = np.argsort(np.where(among, distance, np.inf), kind="stable")[:min(LEAST, int(among.sum()))]
        inside[nearest] = True
        return inside


def face_window(config: CurriculumConfig, measures: Measures, step: int, done: float, warm: float) -> Window | None:
    """The face's window at step `step` of which the share `done` is over; None where any frame may come.

    Until the share `warm` by lip height, from closed to open; then by blink.
    """
    if step % config.face_every or done >= config.face_until:
        return None
    along = done / config.face_until
    if done < warm:
        low, high = measures.lips.min(), measures.lips.max()
        middle, half = low + (LIPS_START + (1 - LIPS_START) * along) * (high - low), config.face_lips * (high - low)
        return Window(measures.lips, middle - half, middle + half)
    below, above = config.face_blink
    return Window(measures.blink, along - below, along + above)


def mouth_window(config: CurriculumConfig, measures: Measures, step: int, done: float, warm: float) -> Window | None:
    """The mouth's: the most open frames alone until the share `warm`, then every few steps down to the lower quartile."""
    top, bottom = np.quantile(measures.opening, [config.mouth_top, 0.25])
    if done < warm:
        return Window(measures.opening, float(top), np.inf)
    if step % config.mouth_every or done >= config.mouth_until:
        return None
    return Window(np.minimum(measures.opening, top), float(top - done / config.mouth_until * (top - bottom)), float(top))


class Draw:
    """Frames without replacement until all have come; those that a window refuses count as drawn (TG train_face.py:115-129)."""

    def __init__(
        self, config: CurriculumConfig, measures: Measures, size: tuple[int, int], replacement: bool = False
    ) -> None:
        """size: (height, width) of the pictures; the least number of mouth pixels is for 512 by 512.  replacement: any frame may
        come at any time (InsTaG's pre-training, pretrain_face.py:116-117)."""
        self.config, self.measures, self.left, self.replacement = config, measures, list[int](), replacement
        enough = measures.pixels >= config.mouth_pixels * size[0] * size[1] / 512**2
        self.showing = enough if enough.any() else np.ones(len(enough), bool)

    def state(self) -> list[int]:
        """What a checkpoint must keep."""
        return self.left

    def load(self, state: Sequence[int]) -> None:
        """Inverse of `state`."""
        self.left = list(state)

    def next(self, region: Region, step: int, done: float, warm: float, generator: torch.Generator) -> int:
        """The frame that step `step` of a region's stage learns from."""
        everywhere = np.ones(len(self.showing), bool)
        among, find = (everywhere, face_window) if region == "face" else (self.showing, mouth_window)
        window = find(self.config, self.measures, step, done, warm)
        allowed = among if window is None else window.frames(among)
        while True:  # ends: some frame is allowed, and every frame comes once a round
            if not self.left or self.replacement:
                self.left = list(range(len(allowed)))
            index = self.left.pop(int(torch.randint(len(self.left), (1,), generator=generator)))
            if allowed[index]:
                return index
