"""NeRF's sampler without a grid: stratified depths, more of them where the first found something, the background as the last."""

from __future__ import annotations

import torch
from torch import Tensor

FAR_AWAY = 1e10  # what follows the last sample (NeRF)


def stratified(near: float, far: float, rays: int, count: int, generator: torch.Generator | None, like: Tensor) -> Tensor:
    """Depths [rays, count] from near to far: one in each of equal bins, the last at far; evenly where there is no generator.

    like: a tensor whose dtype and device they take (AD-NeRF, DFRF run_nerf_deform.py:494-516).
    """
    even = torch.linspace(near, far, count, dtype=like.dtype, device=like.device)
    if generator is None:
        return even.expand(rays, count)
    middle = (even[1:] + even[:-1]) / 2
    lower, upper = torch.cat([even[:1], middle]), torch.cat([middle, even[-1:]])
    place = torch.rand(rays, count, generator=generator, dtype=torch.float32).to(like)
    place[:, -1] = 1
    return lower + (upper - lower) * place


def importance(depths: Tensor, weights: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """Depths [N, S + count], sorted: the given [N, S] and `count` drawn by the weights [N, S], first and last left out.

    By the inverse of the cumulative sum over the bins between depths' middles; evenly in it where there is no generator (NeRF
    run_nerf_helpers.py, DFRF helpers:429-473).  No gradient.
    """
    with torch.no_grad():
        bins = (depths[:, 1:] + depths[:, :-1]) / 2
        mass = weights[:, 1:-1] + 1e-5
        whole = torch.cat([torch.zeros_like(mass[:, :1]), (mass / mass.sum(-1, keepdim=True)).cumsum(-1)], -1)
        if generator is None:
            wanted = torch.linspace(0, 1, count, dtype=depths.dtype, device=depths.device).expand(len(depths), count)
        else:
            wanted = torch.rand(len(depths), count, generator=generator, dtype=torch.float32).to(depths)
        above = torch.searchsorted(whole, wanted.contiguous(), right=True)
        low, high = (above - 1).clamp_min(0), above.clamp_max(whole.shape[1] - 1)
        first, last = whole.gather(1, low), whole.gather(1, high)
        width = torch.where(last - first < 1e-5, 1.0, last - first)
        begin, end = bins.gather(1, low), bins.gather(1, high)
        drawn = begin + (wanted - first) / width * (end - begin)
        return torch.cat([depths, drawn], -1).sort(-1).values


def composite_rows(sigma: Tensor, colours: Tensor, depths: Tensor, lengths: Tensor, back: Tensor) -> tuple[Tensor, Tensor]:
    """Colours [N, 3] and weights [N, S] of sigma [N, S], colours [N, S, 3] at depths [N, S] along the camera's axis.

    lengths [N]: of a ray a metre of depth; back [N, 3]: the last sample's colour, which is opaque, so that weights sum to 1
    (AD-NeRF, DFRF run_nerf_deform.py:404-430).
    """
    gaps = torch.cat([depths[:, 1:] - depths[:, :-1], torch.full_like(depths[:, :1], FAR_AWAY)], -1) * lengths[:, None]
    alpha = 1 - torch.exp(-sigma * gaps)
    through = torch.cat([torch.ones_like(alpha[:, :1]), (1 - alpha + 1e-10).cumprod(-1)[:, :-1]], -1)
    weights = alpha * through
    shown = torch.cat([colours[:, :-1], back[:, None]], 1)
    return (weights[..., None] * shown).sum(1), weights
