"""What every rasteriser backend takes and gives: one checked set of tensors in, one named tuple out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from d3talker.errors import UserError

EPS2D = 0.3  # px², added to the diagonal of every projected covariance
NEAR = 0.01  # Gaussians whose camera z is not beyond this are culled
ALPHA_MAX = 0.999
ALPHA_MIN = 1.0 / 255.0
T_STOP = 1e-4  # a pixel stops before the Gaussian that would take its transmittance to this or below


class Rendering(NamedTuple):
    """Images of C cameras; every field is float, on the inputs' device.

    rgb [C, H, W, 3]: sum_i w_i c_i + T * background, with w_i = alpha_i * prod_{j<i} (1 - alpha_j).
    alpha [C, H, W, 1]: sum_i w_i = 1 - T, in [0, 1).
    depth [C, H, W, 1]: sum_i w_i z_i, the accumulated camera z of the centres (gsplat's "D"); it is not divided by
        alpha, so rgb-like compositing holds: depth / alpha is the expected depth where alpha > 0.
    normals [C, H, W, 3] or None: sum_i w_i n_i, n_i the unit shortest axis in camera axes (x right, y down,
        z forward), turned towards the camera.
    """

    rgb: Tensor
    alpha: Tensor
    depth: Tensor
    normals: Tensor | None


@dataclass(frozen=True)
class Scene:
    """Checked inputs. B is 1 or C for each tensor on its own; background is [Cb, Hb, Wb, 3] with dims 1 or full."""

    means: Tensor  # [B, N, 3]
    quats: Tensor  # [B, N, 4] wxyz, any length
    scales: Tensor  # [B, N, 3]
    opacities: Tensor  # [B, N]
    colors: Tensor  # [B, N, 3]
    viewmats: Tensor  # [C, 4, 4]
    Ks: Tensor  # [C, 3, 3]
    background: Tensor | None
    width: int
    height: int

    @property
    def cameras(self) -> int:
        return self.viewmats.shape[0]

    @property
    def count(self) -> int:
        return self.means.shape[1]


_ROWS = {"means": (3,), "quats": (4,), "scales": (3,), "opacities": (), "colors": (3,)}


def make_scene(
    gaussians: dict[str, Tensor], viewmats: Tensor, Ks: Tensor, width: int, height: int, background: Tensor | None,
    check_values: bool = True,
) -> Scene:
    """Check shapes, dtypes, devices and, if asked for, finiteness; raise UserError that names the first offender."""
    if width < 1 or height < 1:
        raise UserError(f"rasterize got an image of {width}x{height} pixels; both sides must be at least 1")
    if viewmats.ndim != 3 or viewmats.shape[1:] != (4, 4):
        raise UserError(f"rasterize got viewmats of shape {tuple(viewmats.shape)}; pass [C, 4, 4], world to camera")
    cameras = viewmats.shape[0]
    if Ks.shape != (cameras, 3, 3):
        raise UserError(f"rasterize got Ks of shape {tuple(Ks.shape)} for {cameras} cameras; pass [{cameras}, 3, 3]")
    count = gaussians["means"].shape[-2] if gaussians["means"].ndim >= 2 else -1
    batched = {name: _batch(name, value, count, cameras) for name, value in gaussians.items()}
    if background is not None:
        background = _batch_background(background, cameras, height, width)
    scene = Scene(**batched, viewmats=viewmats, Ks=Ks, background=background, width=width, height=height)
    _check_kinds(scene)
    if check_values:
        _check_values(scene)
    return scene


def _batch(name: str, value: Tensor, count: int, cameras: int) -> Tensor:
    row = _ROWS[name]
    if value.ndim == len(row) + 1:
        value = value[None]
    if value.ndim != len(row) + 2 or value.shape[1:] != (count, *row) or value.shape[0] not in (1, cameras):
        want = ", ".join(["N", *map(str, row)])
        raise UserError(
            f"rasterize got {name} of shape {tuple(value.shape)} for {max(count, 0)} Gaussians and {cameras} cameras; "
            f"pass [{want}] or [C, {want}]"
        )
    return value


def _batch_background(value: Tensor, cameras: int, height: int, width: int) -> Tensor:
    if value.shape == (3,):
        return value.view(1, 1, 1, 3)
    if value.shape == (cameras, 3):
        return value.view(cameras, 1, 1, 3)
    if value.shape in ((cameras, height, width, 3), (1, height, width, 3)):
        return value
    raise UserError(
        f"rasterize got a background of shape {tuple(value.shape)}; pass [3], [{cameras}, 3] or "
        f"[{cameras}, {height}, {width}, 3]"
    )


def _tensors(scene: Scene) -> dict[str, Tensor]:
    tensors = {name: getattr(scene, name) for name in (*_ROWS, "viewmats", "Ks")}
    return tensors if scene.background is None else {**tensors, "background": scene.background}


def _check_kinds(scene: Scene) -> None:
    dtype, device = scene.means.dtype, scene.means.device
    for name, value in _tensors(scene).items():
        if value.dtype != dtype or value.device != device or not value.is_floating_point():
            raise UserError(
                f"rasterize got {name} as {value.dtype} on {value.device} beside means as {dtype} on {device}; "
                "convert all inputs to one floating dtype and device"
            )


def _check_values(scene: Scene) -> None:
    tensors = _tensors(scene)
    with torch.no_grad():
        # a sum is the cheapest test of finiteness, and on CUDA all of them share one synchronisation
        if torch.isfinite(torch.stack([value.sum() for value in tensors.values()])).all():
            return
        for name, value in tensors.items():
            bad = int((~torch.isfinite(value)).sum())
            if bad:
                raise UserError(
                    f"rasterize got {bad} NaN or infinite values in {name} {tuple(value.shape)}; "
                    "lower the learning rate or find the step that made them"
                )
