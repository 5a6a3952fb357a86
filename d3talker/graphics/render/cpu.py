"""The CPU rasteriser: numba kernels behind one autograd function; float32, the same bits for any thread count."""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor

from d3talker.errors import UserError
from d3talker.graphics.render.scene import Rendering, Scene
from d3talker.jit import compiling


def _array(value: Tensor) -> np.ndarray:
    return value.detach().contiguous().numpy()


def _gradient(value: Tensor | None, dims: int) -> np.ndarray:
    """The array of a gradient, or an empty one where nothing depends on that image."""
    return np.empty((0,) * dims, np.float32) if value is None else _array(value)


class _Rasterize(torch.autograd.Function):
    """(gaussians, normals, cameras, background) -> rgb, alpha, depth, normal; backward by the analytic kernels."""

    @staticmethod
    def forward(ctx, means, quats, scales, opacities, colors, normals, viewmats, Ks, background, width, height):
        from d3talker.graphics.render.binning_kernels import bin_splats
        from d3talker.graphics.render.blend_kernels import blend
        from d3talker.graphics.render.projection_kernels import NORMAL, project

        views, with_normals = len(viewmats), len(normals) > 0
        gaussians = [_array(v) for v in (means, quats, scales, opacities)]
        cameras = [_array(v).astype(np.float64) for v in (viewmats, Ks)]
        splats = np.empty((views, means.shape[1], NORMAL + 3 * with_normals), np.float32)
        project(*gaussians, _array(colors), _array(normals), *cameras, width, height, splats)
        tile_start, ids, slots, slot_start = bin_splats(splats, width, height)
        image, vectors = (views, height, width), (views, height, width, 3)
        through, rgb, depth = np.empty(image, np.float32), np.empty(vectors, np.float32), np.empty(image, np.float32)
        normal = np.empty(vectors, np.float32) if with_normals else None
        reached = np.empty(len(ids), np.uint64)
        blend(numba.get_num_threads(), splats, tile_start, ids, _array(background), reached, through, rgb, depth, normal)
        outputs = [None if v is None else torch.from_numpy(v) for v in (rgb, 1 - through, depth, normal)]
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(means, quats, scales, opacities, colors, normals, background, outputs[0], *outputs[2:])
        ctx.kept = cameras, (width, height), (splats, tile_start, ids, slots, reached, slot_start), through
        return tuple(outputs)

    @staticmethod
    def backward(ctx, grgb, galpha, gdepth, gnormal):
        from d3talker.graphics.render.blend_gradients import unblend
        from d3talker.graphics.render.projection_gradients import BLOCKS, CAMERA, PARTS, unproject

        *gaussians, colors, normals, background, rgb, depth, normal = ctx.saved_tensors
        cameras, size, (splats, tile_start, ids, slots, reached, slot_start), through = ctx.kept
        images, normal = (through, _array(rgb), _array(depth)), None if normal is None else _array(normal)
        grads = (_gradient(galpha, 3), _gradient(grgb, 4), _gradient(gdepth, 3), _gradient(gnormal, 4))
        parts = np.empty((len(ids), PARTS), np.float32)
        unblend(numba.get_num_threads(), splats, tile_start, ids, slots, reached, images, normal, grads, parts)
        shapes = [v.shape for v in gaussians]
        shapes[3] = (*shapes[3], 1)
        out = tuple(np.zeros(shape, np.float32) for shape in (*shapes, colors.shape, normals.shape))
        gcameras = np.zeros((BLOCKS, len(splats), CAMERA))
        arrays = [_array(v) for v in gaussians]
        unproject(*arrays, *cameras, *size, splats, slot_start, parts, (*out, gcameras))
        gmeans, gquats, gscales, gopacities, gcolors, gnormals = (torch.from_numpy(v) for v in out)
        gview, gK = _camera_gradients(gcameras.sum(0))
        gback = None
        if ctx.needs_input_grad[8] and grgb is not None:
            gback = _background_gradient(grgb, torch.from_numpy(through), background.shape)
        return gmeans, gquats, gscales, gopacities[..., 0], gcolors, gnormals, gview, gK, gback, None, None


def _camera_gradients(sums: np.ndarray) -> tuple[Tensor, Tensor]:
    """[C, CAMERA] -> gradients of viewmats [C, 4, 4] and Ks [C, 3, 3]."""
    view, K = np.zeros((len(sums), 4, 4), np.float32), np.zeros((len(sums), 3, 3), np.float32)
    view[:, :3] = sums[:, :12].reshape(-1, 3, 4)
    K[:, 0, 0], K[:, 1, 1], K[:, 0, 2], K[:, 1, 2] = sums[:, 12:].T
    return torch.from_numpy(view), torch.from_numpy(K)


def _background_gradient(grgb: Tensor, through: Tensor, shape: torch.Size) -> Tensor:
    """Gradient of a background [Cb, Hb, Wb, 3] that shows through [C, H, W]."""
    if shape[1:3] == through.shape[1:]:
        return (grgb * through[..., None]).sum_to_size(shape)
    return (through[:, :, None] @ grgb).sum_to_size(shape)  # a product a row: no third image, same bits for any thread count


def rasterize(scene: Scene, normals: Tensor | None) -> Rendering:
    """Render a Scene of float32 CPU tensors; normals [C, N, 3] are composited as further channels where given."""
    if scene.means.is_cuda or scene.means.dtype != torch.float32:
        raise UserError(
            f"the cpu backend needs float32 tensors on the CPU, not {scene.means.dtype} on {scene.means.device}; "
            "convert them or choose backend='reference'"
        )
    background = scene.background if scene.background is not None else scene.means.new_zeros(1, 1, 1, 3)
    extra = scene.means.new_zeros(0, 0, 3) if normals is None else normals
    with compiling("rasteriser"):
        rgb, alpha, depth, normal = _Rasterize.apply(
            scene.means, scene.quats, scene.scales, scene.opacities, scene.colors, extra, scene.viewmats, scene.Ks,
            background, scene.width, scene.height,
        )  # fmt: skip
    return Rendering(rgb, alpha[..., None], depth[..., None], normal)
