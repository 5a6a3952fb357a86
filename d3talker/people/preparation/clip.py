"""Look through a video once: landmarks of its one face in every frame, and the square that holds head and shoulders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from d3talker.errors import UserError
from d3talker.people.media.video import FPS, WHOLE, Span, probe, read_frames
from d3talker.people.preparation.cuts import CutWatch
from d3talker.people.subject.landmarks import LandmarkDetector
from d3talker.progress import track as progress

MIN_FRAMES = 50  # two seconds: less holds neither a budget nor a test
MIN_SIDE = 64  # pixels; dlib's predictor has nothing to hold on to below
PATCH = 480  # side in pixels of the upright enlarged patch that landmarks are fitted in
BOX = (0.006, -0.132, 2.714)  # dlib's box from its own points: centre shift and side in units of their rms radius
SHIFTS = ((0.0, 0.0), (-0.04, -0.04), (0.04, -0.04), (-0.04, 0.04), (0.04, 0.04))  # of the box's side
MAX_SPREAD = 0.025  # landmarks of a real face move less than this share of the box when the box is shifted
LONGEST_UNSEEN = 50  # frames that landmarks may be followed without the detector confirming a face


@dataclass(frozen=True)
class Care:
    """How much work landmarks are worth: frames between two detections on the whole picture; fits before those that count, to
    centre their boxes; sizes of these boxes, each with every one of SHIFTS."""

    detect_every: int
    first_fits: int
    scales: tuple[float, ...]


THOROUGH = Care(5, 1, (0.94, 1.0, 1.06))
QUICK = Care(25, 0, (1.0,))  # a quarter of the work, for motion alone


@dataclass(frozen=True)
class Scan:
    """What one pass over a clip found; coordinates in pixels of the upright source frame."""

    points: np.ndarray  # [T, 68, 2] float64, NaN where the face was lost; the top-left pixel's centre is (0, 0)
    height: int
    width: int
    cuts: tuple[int, ...] = ()  # frames that begin another take of the same scene

    @property
    def lost(self) -> np.ndarray:
        """Numbers of the frames without a face, int [L]."""
        return np.flatnonzero(np.isnan(self.points[:, 0, 0]))


@dataclass(frozen=True)
class Crop:
    """A static square in the source picture, in whole pixels."""

    x: int
    y: int
    side: int

    def apply(self, frame: np.ndarray, size: int) -> np.ndarray:
        """Cut the square out of [H, W, 3] and scale it to `size` pixels a side."""
        patch = frame[self.y:self.y + self.side, self.x:self.x + self.side]
        method = cv2.INTER_AREA if size <= self.side else cv2.INTER_CUBIC
        if size == self.side:
            return np.ascontiguousarray(patch)
        return cv2.resize(patch, (size, size), interpolation=method)

    def map(self, points: np.ndarray, size: int) -> np.ndarray:
        """Source pixel coordinates [..., 2] -> those of the scaled square; pixel edges fall on pixel edges."""
        return (points + 0.5 - (self.x, self.y)) * (size / self.side) - 0.5


def frames(path: Path, crop: Crop, size: int, span: Span = WHOLE) -> Iterator[np.ndarray]:
    """The frames of a part of the clip at 25 fps, cropped and scaled: uint8 RGB [size, size, 3]."""
    for frame in read_frames(path, FPS, span):
        yield crop.apply(frame, size)


def scan(
    path: Path, detector: LandmarkDetector, care: Care = THOROUGH, shortest: int = MIN_FRAMES, span: Span = WHOLE
) -> Scan:
    """Landmarks of the one face in a part of the clip, at 25 fps, from at least `shortest` frames.

    Raises UserError when frames are too few or too small, no face is there in half of them, a second person is, or the
    picture cuts to another take.
    """
    info, watch = probe(path), CutWatch()
    if min(info.width, info.height) < MIN_SIDE:
        raise UserError(f"{path} is {info.width}x{info.height} pixels; give a video of at least {MIN_SIDE} a side")
    follower = _Follower(detector, care)
    total = round(info.duration * FPS) if info.duration and span == WHOLE else None
    points = []
    shape = (info.height, info.width)
    for frame in progress(read_frames(path, FPS, span), "landmarks", total):
        watch.add(frame)
        points.append(follower.next(frame))
        shape = frame.shape[:2]
    if len(points) < shortest:
        raise UserError(f"{path} has {len(points)} frames at {FPS} fps; give at least {shortest}")
    result = Scan(np.stack(points), *shape, tuple(watch.cuts()))
    if scenes := watch.new_scenes():
        raise UserError(f"{path} cuts to another scene at {span.times(scenes)} s; choose one: prepare --from, --to in seconds")
    if len(result.lost) > len(points) / 2:
        where = f"{len(result.lost)} of {len(points)} frames"
        raise UserError(f"{path} shows no face in {where}; give a video of one person's face")
    if follower.crowded > 0.3 * follower.looks:
        share = round(100 * follower.crowded / follower.looks)
        raise UserError(f"{path} shows more than one person in {share} % of its frames; crop it to one of them")
    return result


class _Follower:
    """Follows one face: fits landmarks near the last ones, and looks at the whole picture now and then."""

    def __init__(self, detector: LandmarkDetector, care: Care) -> None:
        self.detector, self.care = detector, care
        self.looks = self.crowded = 0
        self._last: np.ndarray | None = None
        self._unseen = self._index = 0

    def next(self, frame: np.ndarray) -> np.ndarray:
        """Landmarks [68, 2] of the next frame, NaN where the face is lost."""
        due = self._index % self.care.detect_every == 0 or (self._last is None and self._unseen < LONGEST_UNSEEN)
        points = self._look(frame) if due else self._last
        self._index += 1
        self._unseen += 1
        if points is not None and self.detector.backend == "dlib":
            points = _refine(self.detector, frame, points, self.care)
            if points is None and self._last is not None:
                points = self._look(frame)
                points = None if points is None else _refine(self.detector, frame, points, self.care)
        if self._unseen > LONGEST_UNSEEN:
            points = None
        self._last = points
        return np.full((68, 2), np.nan) if points is None else points

    def _look(self, frame: np.ndarray) -> np.ndarray | None:
        """Detect on the whole picture; the last face is kept where the detector is blind (profile, hand, blur)."""
        faces = [face for face in self.detector.detect(frame) if face.confidence > 0.1]
        self.looks += 1
        if not faces:
            return self._last
        self.crowded += any(face.area > 0.3 * faces[0].area and face.confidence > 0.5 for face in faces[1:])
        if self._last is not None:
            near = [f for f in faces if np.abs(f.points.mean(0) - self._last.mean(0)).max() < 0.5 * f.area**0.5]
            faces = near or faces
        self._unseen = 0
        return faces[0].points


def _refine(detector: LandmarkDetector, frame: np.ndarray, guess: np.ndarray, care: Care) -> np.ndarray | None:
    """Sub-pixel landmarks [68, 2], or None where there is no face.

    dlib rounds to whole pixels and follows the jitter of its box: the mean over shifted and scaled boxes in an
    upright, enlarged patch removes most of both, and their spread tells a face from anything else.
    """
    first = guess
    for _ in range(care.first_fits):
        first = _fit_upright(detector, frame, first, SHIFTS[:1], (1.0,))[0]
    fits = _fit_upright(detector, frame, first, SHIFTS, care.scales)
    spread = np.sqrt(fits.var(0).sum(-1)).mean() / _radius(first) / BOX[2]
    return fits.mean(0) if spread < MAX_SPREAD else None


def _radius(points: np.ndarray) -> float:
    return float(np.sqrt(((points - points.mean(0)) ** 2).sum(-1).mean()))


def _fit_upright(
    detector: LandmarkDetector, frame: np.ndarray, guess: np.ndarray,
    shifts: tuple[tuple[float, float], ...], scales: tuple[float, ...],
) -> np.ndarray:
    """Fits [K, 68, 2] in source pixels, one for each box."""
    radius = _radius(guess)
    eyes = guess[42:48].mean(0) - guess[36:42].mean(0)
    roll = np.arctan2(eyes[1], eyes[0])
    side = 0.6 * PATCH  # of the face's box inside the patch
    scale = side / (BOX[2] * radius)
    turn = scale * np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    shift = np.full(2, PATCH / 2) - turn @ guess.mean(0)
    patch = cv2.warpAffine(frame, np.c_[turn, shift], (PATCH, PATCH), borderMode=cv2.BORDER_REPLICATE)
    centre = PATCH / 2 + np.array(BOX[:2]) * radius * scale
    boxes = [
        [*(centre + np.array(s) * side - side * k / 2), *(centre + np.array(s) * side + side * k / 2)]
        for k in scales for s in shifts
    ]
    return (detector.fit(patch, np.array(boxes)) - shift) @ np.linalg.inv(turn).T


def choose_crop(scan: Scan) -> Crop:
    """The square around head and upper torso over the whole clip; nearly the whole frame of a clip already cropped."""
    seen = scan.points[~np.isnan(scan.points[:, 0, 0])]
    height = np.median(seen[:, 8, 1] - seen[:, 17:27, 1].mean(1))  # brows to chin
    low, high = np.percentile(seen.min(1), 2, axis=0), np.percentile(seen.max(1), 98, axis=0)
    centre = (low + high) / 2 - (0, 0.27 * height)  # hair reaches further above the brows than needed below the chin
    moves = np.percentile(seen.mean(1), 98, axis=0) - np.percentile(seen.mean(1), 2, axis=0)
    limit = min(scan.height, scan.width)
    side = 2.5 * height + moves.max()
    side = limit if side > 0.85 * limit else round(side)
    x, y = (int(np.clip(round(c - side / 2), 0, n - side)) for c, n in zip(centre, (scan.width, scan.height)))
    return Crop(x, y, int(side))
