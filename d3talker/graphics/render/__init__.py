"""Differentiable Gaussian rasteriser with one interface and three backends."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from torch import Tensor

from d3talker.errors import UserError
from d3talker.graphics.render.geometry import camera_normals
from d3talker.graphics.render.scene import Rendering, Scene, make_scene
from d3talker.graphics.render.sh import eval_sh

__all__ = ["BACKENDS", "Rendering", "eval_sh", "rasterize"]

BACKENDS = ("auto", "reference", "cpu", "gsplat")


def rasterize(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    background: Tensor | None = None,
    *,
    backend: str = "auto",
    normals: bool = False,
    check_values: bool = True,
) -> Rendering:
    """Render N Gaussians with C cameras; differentiable in every tensor, the background included.

    Args:
        means: [N, 3] or [C, N, 3], world units (a frame batch has its own deformed Gaussians per camera).
        quats: [N, 4] or [C, N, 4], wxyz, of any length; normalised inside.
        scales: [N, 3] or [C, N, 3], standard deviations in world units.
        opacities: [N] or [C, N], in [0, 1].
        colors: [N, 3] or [C, N, 3], RGB already evaluated (see `eval_sh`).
        viewmats: [C, 4, 4] world to camera, OpenCV axes. Ks: [C, 3, 3] in pixels; pixel centres lie at .5.
        background: [3], [C, 3], [C, H, W, 3] or None (black).
        backend: auto | reference | cpu | gsplat. auto takes D3TALKER_RENDER if set, else gsplat for CUDA tensors, cpu
            for float32 on the CPU, reference for any other dtype.
        normals: also accumulate each Gaussian's shortest axis.
        check_values: look for NaN and infinity, which on CUDA waits for the card; the CPU's kernels need it.

    Semantics are gsplat's: 0.3 px² added to the projected covariance, alpha capped at 0.999, contributions under 1/255
    skipped, a pixel stops before its transmittance would reach 1e-4, near plane 0.01, x/z and y/z clamped in the
    Jacobian.
    The gsplat backend gives no gradient for Ks. Raises UserError for wrong shapes, mixed dtypes, NaN or infinity, a
    backend that does not fit the tensors, and MissingExtra where gsplat is not installed.
    """
    gaussians = {"means": means, "quats": quats, "scales": scales, "opacities": opacities, "colors": colors}
    scene = make_scene(gaussians, viewmats, Ks, width, height, background, check_values)
    extra = camera_normals(scene.means, scene.quats, scene.scales, scene.viewmats) if normals else None
    return _renderer(backend, scene)(scene, extra)


def _renderer(backend: str, scene: Scene) -> Callable[[Scene, Tensor | None], Rendering]:
    chosen = os.environ.get("D3TALKER_RENDER", "auto") if backend == "auto" else backend
    if chosen not in BACKENDS:
        raise UserError(f"rasterize got the backend '{chosen}'; choose one of {', '.join(BACKENDS)}")
    if chosen == "auto":
        chosen = "gsplat" if scene.means.is_cuda else "cpu" if scene.means.dtype == torch.float32 else "reference"
    if chosen == "gsplat":
        from d3talker.graphics.render.gsplat_backend import rasterize as render
    elif chosen == "cpu":
        from d3talker.graphics.render.cpu import rasterize as render
    else:
        from d3talker.graphics.render.reference import rasterize as render
    return render
