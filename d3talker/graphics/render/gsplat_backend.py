"""The CUDA rasteriser: gsplat's kernels behind our interface."""

from __future__ import annotations

import time
from functools import cache
from types import ModuleType

import torch
from torch import Tensor

from d3talker.errors import UserError, require
from d3talker.graphics.render.scene import EPS2D, NEAR, Rendering, Scene
from d3talker.jit import add_compiled


@cache
def _gsplat() -> ModuleType:
    """gsplat with its kernels, compiled at first use: minutes that count as compiling, not as training."""
    gsplat = require("gsplat", "gpu", "rendering on CUDA")
    began = time.perf_counter()
    try:
        backend = require("gsplat.cuda._backend", "gpu", "rendering on CUDA")
    except RuntimeError as error:  # torch's word for a compiler that failed or is not there
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"gsplat's kernels could not be compiled ({reason}); `d3talker doctor` says what the build needs, and VERBOSE=1 "
            "before the command shows the compiler's words"
        ) from error
    add_compiled(time.perf_counter() - began)
    if backend._C is None:
        raise UserError("gsplat found no CUDA toolkit to compile its kernels with; `d3talker doctor` says what the build needs")
    return gsplat


def rasterize(scene: Scene, normals: Tensor | None) -> Rendering:
    """Render a Scene on CUDA; normals [C, N, 3] are composited as further channels where given.

    packed=False: a head fills the frame, so nearly every Gaussian is visible and packing only adds its index kernels.
    rasterize_mode="classic": antialiasing would change opacities and break parity with the CPU and with published runs.
    """
    if not scene.means.is_cuda or scene.means.dtype != torch.float32:
        raise UserError(
            f"the gsplat backend needs float32 CUDA tensors, not {scene.means.dtype} on {scene.means.device}; "
            "move them or choose backend='cpu'"
        )
    gsplat = _gsplat()
    cameras, count = scene.cameras, scene.count
    features = scene.colors if normals is None else torch.cat([scene.colors.expand(cameras, -1, -1), normals], -1)
    # each camera is its own batch entry with one view, so that every frame may bring its own Gaussians
    values = (scene.means, scene.quats, scene.scales, scene.opacities, features)
    means, quats, scales, opacities, features = (v.expand(cameras, *v.shape[1:]).contiguous() for v in values)
    if count == 0:
        image = means.new_zeros(cameras, scene.height, scene.width, features.shape[-1] + 1)
        alpha = image[..., :1]
    else:
        image, alpha, _ = gsplat.rasterization(
            means, quats, scales, opacities, features[:, None], scene.viewmats[:, None], scene.Ks[:, None],
            scene.width, scene.height, near_plane=NEAR, eps2d=EPS2D, packed=False, render_mode="RGB+D",
            rasterize_mode="classic",
        )  # fmt: skip
        image, alpha = image[:, 0], alpha[:, 0]
    rgb = image[..., :3]
    if scene.background is not None:
        rgb = rgb + (1 - alpha) * scene.background
    return Rendering(rgb, alpha, image[..., -1:], None if normals is None else image[..., 3:6])
