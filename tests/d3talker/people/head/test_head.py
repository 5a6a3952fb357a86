"""The embedded head: topology, proportions, and the promises of its modes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from d3talker.people.head.embedded import embedded_head

MODEL = embedded_head()
MEAN = MODEL.mean * 1000


def landmarks(**coefficients: float) -> np.ndarray:
    """Landmarks [68,3] in mm with named expression coefficients."""
    expression = np.zeros(len(MODEL.expression_names))
    for name, value in coefficients.items():
        expression[MODEL.expression_names.index(name)] = value
    return MODEL.vertices(np.zeros(len(MODEL.identity_names)), expression)[MODEL.landmarks] * 1000


def test_size_and_types() -> None:
    assert MODEL.mean.dtype == np.float32 and MODEL.triangles.dtype == np.int32
    head = ~MODEL.region_mask("neck")
    assert np.abs(MODEL.mean[head]).max() < 0.15
    assert 2000 < len(MODEL.mean) < 12000
    assert np.isfinite(MODEL.expression_basis).all() and np.isfinite(MODEL.identity_basis).all()


def test_manifold_and_consistently_wound() -> None:
    directed = Counter((int(a), int(b)) for f in MODEL.triangles for a, b in zip(f, np.roll(f, -1)))
    assert max(directed.values()) == 1
    names = np.array(MODEL.region_names)[MODEL.region]
    loose = {frozenset((names[a], names[b])) for a, b in directed if (b, a) not in directed}
    # The skin is closed except at the base of the neck; eyes and mouth are joined to it without a gap.
    assert loose <= {frozenset([part]) for part in ("teeth", "eye", "ear", "lid_rim", "tongue", "neck")}


def test_normals_point_outwards() -> None:
    normals = MODEL.normals(MODEL.mean)
    skin = MODEL.region_mask("skin", "scalp")
    outward = MODEL.mean / np.linalg.norm(MODEL.mean, axis=1, keepdims=True)
    assert np.mean(np.sum(normals * outward, 1)[skin] > 0.2) > 0.97
    assert np.allclose(np.linalg.norm(normals[skin], axis=1), 1, atol=1e-4)


def test_normals_of_a_batch_match_single_frames() -> None:
    frames = np.stack([MODEL.mean, MODEL.mean[:, ::-1]])
    assert np.allclose(MODEL.normals(frames)[1], MODEL.normals(frames[1]), atol=1e-6)


def test_symmetric_landmarks() -> None:
    eyes, mouth = [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40], [*range(54, 47, -1), *range(59, 54, -1)]
    nose, inner = [27, 28, 29, 30, *range(35, 30, -1)], [64, 63, 62, 61, 60, 67, 66, 65]
    mirror = np.array([*range(16, -1, -1), *range(26, 16, -1), *nose, *eyes, *mouth, *inner])
    points = landmarks()
    assert np.abs(points[mirror] * [-1, 1, 1] - points).max() < 0.5


def test_proportions_are_anthropometric() -> None:
    p = landmarks()
    outer_eyes = p[45, 0] - p[36, 0]
    assert 85 < outer_eyes < 95 and 30 < p[42, 0] - p[39, 0] < 38  # biocular, intercanthal
    assert 45 < p[54, 0] - p[48, 0] < 56 and 130 < p[16, 0] - p[0, 0] < 150
    assert 100 < p[27, 1] - p[8, 1] < 128  # nasion to chin
    crown = MEAN[:, 1].max()
    assert 0.45 < (crown - p[36, 1]) / (crown - p[8, 1]) < 0.55  # the eyes stand at half height
    assert p[30, 2] == p[:, 2].max()  # the nose tip leads
    assert p[0, 0] < p[36, 0] < p[39, 0] < p[42, 0] < p[45, 0] < p[16, 0]


def test_mouth_closed_at_rest_and_jaw_opens_it() -> None:
    rest, wide = landmarks(), landmarks(jaw_open=1)
    assert abs(rest[62, 1] - rest[66, 1]) < 1
    assert 20 < wide[62, 1] - wide[66, 1] < 50
    assert np.abs((wide - rest)[[30, 33, 36, 45, 27, 51, 62]]).max() < 1.0  # the upper face stays
    assert (rest - wide)[8, 1] > 15


def test_blinks_close_their_own_eye() -> None:
    rest, shut = landmarks(), landmarks(blink_left=1)
    gap = lambda p, up, low: np.mean(p[list(up), 1] - p[list(low), 1])  # noqa: E731
    assert gap(rest, (43, 44), (47, 46)) > 7
    assert abs(gap(shut, (43, 44), (47, 46))) < 1.5  # the person's left eye is at the image right
    assert np.allclose(shut[36:42], rest[36:42])


@pytest.mark.parametrize("name, point, axis, least", [
    ("jaw_left", 8, 0, 5), ("smile_left", 54, 1, 4), ("smile_right", 48, 1, 4), ("mouth_wide", 54, 0, 5),
    ("upper_lip_up", 51, 1, 4), ("brow_up_right", 19, 1, 5), ("brow_inner_up", 21, 1, 4), ("lips_pucker", 62, 2, 4),
    ("lips_pucker", 48, 0, 5), ("lips_funnel", 51, 1, 2),
])
def test_expression_moves_its_landmark_forward(name: str, point: int, axis: int, least: float) -> None:
    assert (landmarks(**{name: 1}) - landmarks())[point, axis] > least


@pytest.mark.parametrize("name, point", [
    ("lower_lip_down", 57), ("brow_down", 21), ("mouth_frown", 48), ("lips_roll", 51), ("lips_press", 51),
])
def test_expression_moves_its_landmark_down(name: str, point: int) -> None:
    assert (landmarks(**{name: 1}) - landmarks())[point, 1] < -0.8


def test_left_and_right_mirror_each_other() -> None:
    left, right = landmarks(smile_left=1), landmarks(smile_right=1)
    assert np.allclose(left[54] * [-1, 1, 1], right[48], atol=0.5)


def test_teeth_follow_the_skull_and_the_jaw() -> None:
    jaw = MODEL.expression_basis[MODEL.expression_names.index("jaw_open")]
    moved = np.linalg.norm(jaw[MODEL.region_mask("teeth")], axis=1)
    assert (moved < 1e-6).sum() == (moved > 0.01).sum() == len(moved) // 2
    pucker = MODEL.expression_basis[MODEL.expression_names.index("lips_pucker")]
    assert np.abs(pucker[MODEL.region_mask("teeth")]).max() == 0


def test_vertices_are_linear_and_broadcast() -> None:
    rng = np.random.default_rng(0)
    identity, expression = rng.normal(size=len(MODEL.identity_names)), rng.random((3, len(MODEL.expression_names)))
    out = MODEL.vertices(identity, expression)
    expected = MODEL.mean + np.tensordot(identity, MODEL.identity_basis, 1)
    expected += np.tensordot(expression[1], MODEL.expression_basis, 1)
    assert out.shape == (3, *MODEL.mean.shape) and np.allclose(out[1], expected, atol=1e-5)
    mean, ids, exps = MODEL.landmark_basis()
    small = mean + np.tensordot(identity, ids, 1) + np.tensordot(expression[2], exps, 1)
    assert np.allclose(small, out[2][MODEL.landmarks], atol=1e-5)


@pytest.mark.parametrize("basis", [MODEL.identity_basis, MODEL.expression_basis])
def test_modes_are_independent(basis: np.ndarray) -> None:
    flat = basis.reshape(len(basis), -1)
    singular = np.linalg.svd(flat / np.linalg.norm(flat, axis=1, keepdims=True), compute_uv=False)
    assert singular[-1] > 0.004  # the least: jaw_left and jaw_right, nearly opposed


def test_ncc_colours_span_the_face() -> None:
    colours = MODEL.ncc_colors()
    face = ~MODEL.region_mask("scalp", "neck", "ear")
    assert np.allclose(colours[face].min(0), 0) and np.allclose(colours[face].max(0), 1)
    assert colours[MODEL.landmarks[16], 0] > 0.9 > 0.1 > colours[MODEL.landmarks[0], 0]


def test_same_head_every_time() -> None:
    again = embedded_head.__wrapped__()
    assert np.array_equal(again.mean, MODEL.mean) and np.array_equal(again.triangles, MODEL.triangles)
    assert np.array_equal(again.expression_basis, MODEL.expression_basis)
