"""One drawn region of a head, and how regions are laid over each other."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from d3talker.graphics.render import rasterize


class Camera(NamedTuple):
    """viewmat [4, 4] world to camera, OpenCV axes; K [3, 3] and size in pixels."""

    viewmat: Tensor
    K: Tensor
    width: int
    height: int


class Posed(NamedTuple):
    """Gaussians as a rasteriser takes them: means [N, 3], quats [N, 4], scales [N, 3], opacities [N], colors [N, 3]."""

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor


class Layer(NamedTuple):
    """One drawn region: rgb and normals [H, W, 3] and depth [H, W, 1], all weighted by alpha [H, W, 1]; see render.Rendering."""

    rgb: Tensor
    alpha: Tensor
    depth: Tensor
    normals: Tensor | None


def draw(posed: Posed, camera: Camera, normals: bool = False, check_values: bool = True) -> Layer:
    """Rasterise Gaussians over nothing; check_values: look for NaN in them, which on CUDA waits for the card."""
    picture = rasterize(
        *posed, camera.viewmat[None], camera.K[None], camera.width, camera.height, normals=normals, check_values=check_values,
    )
    return Layer(picture.rgb[0], picture.alpha[0], picture.depth[0], None if picture.normals is None else picture.normals[0])


def compose(face: Layer, mouth: Layer, background: Tensor) -> Tensor:
    """Face over mouth over background [H, W, 3], as InsTaG fuses them; the coarse image of paper 3.4."""
    return face.rgb + (1 - face.alpha) * (mouth.rgb + (1 - mouth.alpha) * background)
