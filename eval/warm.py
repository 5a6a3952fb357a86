"""Compile native code once, before many workers would at the same time: gsplat's loader is not safe against that."""

from __future__ import annotations


def warm_up(device: str) -> None:
    """One tiny forward and backward pass through everything that compiles at first use.  device: "cpu" or "cuda"."""
    import torch

    from d3talker.graphics.encoding import TriPlaneEncoder
    from d3talker.graphics.render import rasterize
    from d3talker.learning.dssim import dssim

    where = torch.device(device)
    means = torch.tensor([[0.0, 0.0, 1.0], [0.1, 0.0, 1.0]], device=where, requires_grad=True)
    ones = torch.ones(2, 3, device=where)
    quats, view = torch.ones(2, 4, device=where), torch.eye(4, device=where)[None]
    K = torch.tensor([[[16.0, 0, 8], [0, 16, 8], [0, 0, 1]]], device=where)
    for normals in (False, True):
        drawn = rasterize(means, quats, ones * 0.1, ones[:, 0] * 0.5, ones, view, K, 16, 16, normals=normals)
        dssim(drawn.rgb, torch.zeros_like(drawn.rgb)).backward()
    TriPlaneEncoder().to(where)(means).sum().backward()
