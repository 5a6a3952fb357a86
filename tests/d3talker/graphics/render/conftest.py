"""Scenes for the rasteriser's tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from d3talker.graphics.render import Rendering, rasterize

Scene = dict[str, Tensor]
GAUSSIANS = ("means", "quats", "scales", "opacities", "colors")


def cameras(count: int, size: int) -> tuple[Tensor, Tensor]:
    """Cameras half a metre in front of the origin, turned a little further about y each."""
    views = []
    for k in range(count):
        angle = torch.tensor(0.3 * k, dtype=torch.float64)
        c, s = torch.cos(angle), torch.sin(angle)
        turn = torch.tensor([[c, 0, s], [0, -1, 0], [s, 0, -c]], dtype=torch.float64)
        view = torch.eye(4, dtype=torch.float64)
        view[:3, :3], view[:3, 3] = turn, torch.tensor([0.01 * k, 0.02, 0.5], dtype=torch.float64)
        views.append(view)
    K = torch.tensor([[1.6 * size, 0, size / 2 + 1], [0, 1.5 * size, size / 2 - 1], [0, 0, 1]], dtype=torch.float64)
    return torch.stack(views), K.expand(count, 3, 3).clone()


@pytest.fixture
def make_scene() -> Callable[..., Scene]:
    """A float64 cloud of Gaussians about the origin; batched=True gives every camera its own."""

    def build(count: int, size: int, seed: int = 0, views: int = 1, batched: bool = False) -> Scene:
        g = torch.Generator().manual_seed(seed)
        shape = (views, count) if batched else (count,)

        def uniform(*last: int, low: float = 0.0, high: float = 1.0) -> Tensor:
            return low + (high - low) * torch.rand(*shape, *last, generator=g, dtype=torch.float64)

        viewmats, Ks = cameras(views, size)
        return {
            "means": uniform(3, low=-0.12, high=0.12),
            "quats": uniform(4, low=-1, high=1),
            "scales": torch.exp(uniform(3, low=-6.0, high=-3.5)),
            "opacities": uniform(low=0.05, high=0.95),
            "colors": uniform(3),
            "viewmats": viewmats,
            "Ks": Ks,
            "background": torch.rand(views, size, size, 3, generator=g, dtype=torch.float64),
        }

    return build


@pytest.fixture
def render() -> Callable[..., tuple[Rendering, dict[str, Tensor]]]:
    """Render a scene with a backend and dtype; also the gradients of a fixed random functional of every image."""

    def run(scene: Scene, size: int, backend: str, dtype: torch.dtype, normals: bool = True, device: str = "cpu"):
        leaves = {name: value.detach().to(device, dtype).requires_grad_() for name, value in scene.items()}
        out = rasterize(**leaves, width=size, height=size, backend=backend, normals=normals)
        g = torch.Generator().manual_seed(99)
        images = [image for image in out if image is not None]
        total = sum((image * torch.randn(image.shape, generator=g).to(image)).sum() for image in images)
        grads = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
        found = {n: torch.zeros_like(leaf) if g is None else g for (n, leaf), g in zip(leaves.items(), grads)}
        return out, found

    return run
