"""The rasteriser against brute force, and its edge cases."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from d3talker.people.head.zbuffer import rasterize


def brute_force(points: np.ndarray, triangles: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Depth and inclusion margin of the nearest triangle at each pixel by solving for affine barycentrics."""
    depth, margin = np.full((height, width), np.inf), np.full((height, width), np.inf)
    for y in range(height):
        for x in range(width):
            for f in triangles:
                system = np.vstack([points[f, :2].T, np.ones(3)])
                if abs(np.linalg.det(system)) < 1e-9:
                    continue
                w = np.linalg.solve(system, [x, y, 1])
                margin[y, x] = min(margin[y, x], np.abs(w).min())
                if w.min() >= 0:
                    depth[y, x] = min(depth[y, x], w @ points[f, 2])
    return depth, margin


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_matches_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = np.float32(rng.uniform(-4, 12, (9, 3)))
    triangles = rng.permutation(9).reshape(3, 3)
    raster = rasterize(points[None], triangles, 8, 9)
    depth, margin = brute_force(points.astype(float), triangles, 8, 9)
    clear = margin > 1e-6
    assert np.array_equal(np.isinf(raster.depth[0])[clear], np.isinf(depth)[clear])
    seen = clear & np.isfinite(depth)
    assert np.allclose(raster.depth[0][seen], depth[seen], atol=1e-3)
    assert np.array_equal(raster.triangle[0] < 0, np.isinf(raster.depth[0]))


def test_barycentrics_reproduce_the_pixel() -> None:
    points = np.array([[[1.2, 0.7, 1], [14.1, 2.2, 2], [5.5, 13.9, 3]]])
    raster = rasterize(points, [[0, 1, 2]], 16, 16)
    y, x = np.nonzero(raster.triangle[0] == 0)
    at = raster.interpolate(points[0], [[0, 1, 2]])[0]
    assert len(x) > 40
    assert np.allclose(at[y, x, 0], x, atol=1e-4) and np.allclose(at[y, x, 1], y, atol=1e-4)
    assert np.allclose(raster.barycentric[0, y, x].sum(1), 1, atol=1e-5)


def test_no_cracks_in_a_lattice_on_pixel_centres() -> None:
    rng = np.random.default_rng(1)
    x, y = np.meshgrid(np.linspace(-3, 35, 11), np.linspace(-3, 35, 12))
    points = np.stack([x + rng.normal(size=x.shape) * 0.7, y + rng.normal(size=x.shape) * 0.7, 0 * x], -1)
    points[4:6, :, 1] = np.round(points[4:6, :, 1].mean())
    points[:, 5, 0] = 17
    index = np.arange(x.size).reshape(x.shape)
    a, b, c, d = index[:-1, :-1].ravel(), index[:-1, 1:].ravel(), index[1:, 1:].ravel(), index[1:, :-1].ravel()
    triangles = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    raster = rasterize(points.reshape(1, -1, 3), triangles, 32, 32)
    assert (raster.triangle >= 0).all()


def test_perspective_interpolation_matches_the_ray() -> None:
    camera = np.array([[-1.0, -1, 2], [1.5, -0.8, 6], [-0.5, 1.4, 3]])
    focal, centre = 40.0, 15.5
    projected = np.concatenate([camera[:, :2] / camera[:, 2:] * focal + centre, camera[:, 2:]], 1)
    raster = rasterize(projected[None], [[0, 1, 2]], 32, 32, perspective=True)
    y, x = np.nonzero(raster.triangle[0] == 0)
    at = raster.interpolate(camera, [[0, 1, 2]])[0][y, x]
    assert len(x) > 30
    assert np.allclose(at[:, 0] / at[:, 2] * focal + centre, x, atol=1e-3)
    assert np.allclose(at[:, 2], raster.depth[0, y, x], atol=1e-4)


def test_nearer_wins_whatever_the_order_and_winding() -> None:
    points = np.array([[[0, 0, 2], [9, 0, 2], [0, 9, 2], [0, 0, 1], [9, 0, 1], [0, 9, 1]]])
    for triangles, winner in (([[0, 1, 2], [3, 4, 5]], 1), ([[3, 5, 4], [0, 1, 2]], 0)):
        raster = rasterize(points, triangles, 8, 8)
        assert raster.triangle[0, 2, 2] == winner and raster.depth[0, 2, 2] == 1


def test_hostile_vertices_draw_nothing() -> None:
    rest = [[5, 0, 1], [0, 5, 1]]
    bad = np.array([[[np.nan, 0, 1], *rest], [[np.inf, 0, 1], *rest], [[3, 3, 1]] * 3])
    assert (rasterize(bad, [[0, 1, 2]], 6, 6).triangle == -1).all()
    behind = np.array([[[0, 0, -1.0], [5, 0, 1], [0, 5, 1]]])
    assert (rasterize(behind, [[0, 1, 2]], 6, 6, perspective=True).triangle == -1).all()
    huge = np.array([[[-1e18, -1e18, 1.0], [1e18, -1e18, 1], [0, 1e18, 1]]])
    assert rasterize(huge, [[0, 1, 2]], 6, 6).triangle.shape == (1, 6, 6)


def test_per_frame_attributes_and_background() -> None:
    points = np.tile(np.array([[[0, 0, 1], [20, 0, 1], [0, 20, 1.0]]]), (2, 1, 1))
    raster = rasterize(points, [[0, 1, 2]], 12, 12)
    image = raster.interpolate(np.array([np.full((3, 2), 5.0), np.full((3, 2), 7.0)]), [[0, 1, 2]], background=-1)
    assert np.allclose([image[0, 1, 1, 0], image[1, 1, 1, 1], image[0, 11, 11, 0]], [5, 7, -1])
