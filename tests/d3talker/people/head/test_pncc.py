"""PNCC images of the embedded head."""

from __future__ import annotations

import numpy as np

from d3talker.people.head.embedded import embedded_head
from d3talker.people.head.pncc import canonical, pncc, project_frontal

MODEL = embedded_head()
IDENTITY = np.zeros(len(MODEL.identity_names))


def expression(**coefficients: float) -> np.ndarray:
    """A coefficient row [1,E]."""
    return np.array([[coefficients.get(name, 0.0) for name in MODEL.expression_names]])


def test_range_background_and_rest() -> None:
    images = pncc(MODEL, IDENTITY, np.concatenate([expression(), expression(jaw_open=0.8)]), 48)
    assert images.shape == (2, 48, 48, 3) and images.dtype == np.float32
    assert images.min() == 0 and images.max() <= 1
    assert (images[0, 0, 0] == 0).all()  # a corner is background
    assert np.array_equal(images[0], canonical(MODEL, IDENTITY, 48))


def test_colour_at_a_landmark_is_its_mean_position() -> None:
    size = 256
    image = canonical(MODEL, IDENTITY, size)
    colours = MODEL.ncc_colors()
    at = project_frontal(MODEL, MODEL.mean[None], size)[0]
    for index in MODEL.landmarks[[28, 30, 51, 57, 8]]:
        x, y = np.round(at[index, :2]).astype(int)
        assert np.allclose(image[y, x], colours[index], atol=0.03)


def test_identity_moves_pixels_but_not_colours() -> None:
    wide = IDENTITY.copy()
    wide[MODEL.identity_names.index("face_width")] = 3
    rest, other = canonical(MODEL, IDENTITY, 64), canonical(MODEL, wide, 64)
    assert (other.any(-1)).sum() > (rest.any(-1)).sum()
    assert np.allclose(other[32, 32], rest[32, 32], atol=0.03)  # the midline keeps its colour


def test_jaw_moves_only_the_lower_half() -> None:
    rest, moved = pncc(MODEL, IDENTITY, np.concatenate([expression(), expression(jaw_open=0.5)]), 64)
    change = np.abs(moved - rest).max(-1)
    assert change[44:58].max() > 0.2 and change[:32].max() < 0.03


def test_frames_are_independent_of_the_batch() -> None:
    rng = np.random.default_rng(0)
    rows = rng.random((131, len(MODEL.expression_names))) * 0.3
    images = pncc(MODEL, IDENTITY, rows, 16)
    assert np.allclose(images[130], pncc(MODEL, IDENTITY, rows[130:], 16)[0], atol=1e-5)
