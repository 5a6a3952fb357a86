"""The torch rasteriser against a pixel-by-pixel transcription of the formulas, closed forms and finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from d3talker.graphics.render import rasterize


def oracle(scene, camera: int, size: int, cut: float = 1 / 255):
    """[size, size, 5] rgb without background, depth, alpha of one camera, one pixel and one Gaussian at a time."""
    view, K = scene["viewmats"][camera].numpy(), scene["Ks"][camera].numpy()
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    splats = []
    rows = zip(*(scene[k].numpy() for k in ("means", "quats", "scales", "opacities", "colors")))
    for mean, quat, scale, opacity, color in rows:
        x, y, z = view[:3, :3] @ mean + view[:3, 3]
        if z <= 0.01:
            continue
        turn = Rotation.from_quat(np.roll(quat, -1)).as_matrix()
        tx = z * np.clip(x / z, -cx / fx - 0.15 * size / fx, (size - cx) / fx + 0.15 * size / fx)
        ty = z * np.clip(y / z, -cy / fy - 0.15 * size / fy, (size - cy) / fy + 0.15 * size / fy)
        J = np.array([[fx / z, 0, -fx * tx / z**2], [0, fy / z, -fy * ty / z**2]])
        cov = J @ view[:3, :3] @ turn @ np.diag(scale**2) @ turn.T @ view[:3, :3].T @ J.T + 0.3 * np.eye(2)
        splats.append((z, np.array([fx * x / z + cx, fy * y / z + cy]), np.linalg.inv(cov), opacity, color))
    splats.sort(key=lambda splat: splat[0])
    image = np.zeros((size, size, 5))
    for row in range(size):
        for column in range(size):
            through = 1.0
            for z, centre, conic, opacity, color in splats:
                d = np.array([column + 0.5, row + 0.5]) - centre
                alpha = min(0.999, opacity * math.exp(-0.5 * d @ conic @ d))
                if alpha < cut:
                    continue
                if through * (1 - alpha) <= 1e-4:
                    break
                image[row, column] += alpha * through * np.array([*color, z, 1.0])
                through *= 1 - alpha
    return image


@pytest.mark.parametrize("seed", [0, 1])
def test_equals_the_formulas(make_scene, seed):
    scene = make_scene(60, 12, seed, views=2)
    scene["scales"] *= 3
    out = rasterize(**scene, width=12, height=12, backend="reference")
    for camera in range(2):
        want = oracle(scene, camera, 12)
        assert want[..., 4].max() > 0.9
        rgb = want[..., :3] + (1 - want[..., 4:]) * scene["background"][camera].numpy()
        np.testing.assert_allclose(out.rgb[camera], rgb, atol=1e-12)
        np.testing.assert_allclose(out.depth[camera, ..., 0], want[..., 3], atol=1e-12)
        np.testing.assert_allclose(out.alpha[camera, ..., 0], want[..., 4], atol=1e-12)


def test_one_isotropic_gaussian_on_the_axis():
    one = torch.ones(1, dtype=torch.float64)
    eye, K = torch.eye(4, dtype=torch.float64)[None], torch.tensor([[[50.0, 0, 8.5], [0, 50, 8.5], [0, 0, 1]]]).double()
    out = rasterize(
        torch.tensor([[0.0, 0, 2]]).double(), torch.tensor([[3.0, 0, 0, 0]]).double(), 0.08 * one.expand(1, 3),
        0.6 * one, torch.tensor([[1.0, 0.5, 0.25]]).double(), eye, K, 17, 17, backend="reference", normals=True,
    )  # fmt: skip
    variance = (50 / 2 * 0.08) ** 2 + 0.3
    expected = 0.6 * math.exp(-0.5 * 9 / variance)
    assert out.alpha[0, 8, 11, 0].item() == pytest.approx(expected, rel=1e-12)
    assert out.rgb[0, 8, 11].tolist() == pytest.approx([expected, expected / 2, expected / 4], rel=1e-12)
    assert out.depth[0, 11, 8, 0].item() == pytest.approx(2 * expected, rel=1e-12)
    # the first of three equal axes counts as the shortest
    assert out.normals[0, 8, 8].abs().tolist() == pytest.approx([0.6, 0, 0], abs=1e-12)


def test_normals_face_the_camera_and_follow_the_short_axis(make_scene):
    scene = make_scene(1, 16)
    scene["means"][:] = 0
    scene["scales"][:] = torch.tensor([0.05, 0.001, 0.05])
    scene["quats"][:] = torch.tensor([1.0, 1, 0, 0])  # y turned onto z
    scene["background"][:] = 0
    out = rasterize(**scene, width=16, height=16, backend="reference", normals=True)
    hit = out.alpha[0, ..., 0] > 0.01
    normals = (out.normals / out.alpha)[0][hit]
    assert torch.allclose(normals, torch.tensor([0.0, 0, -1]).double().expand_as(normals), atol=1e-9)


@pytest.mark.parametrize("field", range(4))
def test_gradients_are_those_of_finite_differences(make_scene, field):
    scene = make_scene(4, 7, seed=3, views=2, batched=True)
    scene["scales"] *= 2
    scene["background"] = scene["background"][:, 0, 0]
    weights = torch.randn(2, 7, 7, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def functional(*values):
        image = rasterize(**dict(zip(scene, values)), width=7, height=7, backend="reference", normals=True)[field]
        return (image * weights[..., : image.shape[-1]]).sum()

    leaves = [value.requires_grad_() for value in scene.values()]
    assert torch.autograd.gradcheck(functional, leaves, eps=1e-7, atol=1e-5, rtol=1e-4)


def test_an_opaque_wall_hides_what_is_behind(make_scene):
    scene = make_scene(2, 16)
    scene["means"] = torch.tensor([[0.0, 0, 0.1], [0, 0, -0.1]], dtype=torch.float64)
    scene["scales"][:] = 10
    scene["opacities"][:] = 1
    out = rasterize(**scene, width=16, height=16, backend="reference")
    want = 0.999 * scene["colors"][0] + 0.001 * scene["background"]
    assert torch.allclose(out.rgb, want, atol=1e-9), "the second wall would take the transmittance to 1e-6"
