"""Compositing of packed samples: weighted sums, opacity, depth, and unweighted sums of what else a sample holds."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from d3talker.graphics.volume.marching import STEP, Samples
from d3talker.graphics.volume.rays import UNIT
from d3talker.jit import compiling

T_STOP = 1e-4  # RAD-NeRF renderer.py:158
DELTA = STEP / UNIT  # a step in the unit of densities


class Composite(NamedTuple):
    """Of N rays: sums [N, C] of w * values; alpha [N] = sum of w; depth [N] = sum of w * distance, in metres and without gradient;
    extras [N, E], plain sums; left [N], the transmittance behind the last sample, without gradient.

    w_i = (1 - exp(-sigma_i delta)) T_i with T_i = before * prod_(j<i) exp(-sigma_j delta).
    """

    sums: Tensor
    alpha: Tensor
    depth: Tensor
    extras: Tensor
    left: Tensor


def composite(
    sigma: Tensor, values: Tensor, samples: Samples, extras: Tensor | None = None, before: Tensor | None = None,
    delta: float = DELTA, stop: float = T_STOP, backend: str = "auto",
) -> Composite:
    """Composite sigma [M] >= 0, in 1 / UNIT, values [M, C] and extras [M, E], whose gradients reach them without weights.

    A ray stops after the sample that brings its transmittance under `stop`: what lies behind counts nowhere, the extras' sums
    included (raymarching.cu:647-676).  before [N]: transmittance at the first sample, 1 if None.
    backend: reference (torch, any device and dtype), cpu (numba), auto (cpu where tensors are there).
    """
    extras = sigma.new_zeros(len(sigma), 0) if extras is None else extras
    before = sigma.new_ones(len(samples.first)) if before is None else before
    if backend == "cpu" or (backend == "auto" and sigma.device.type == "cpu"):
        return Composite(*_Composite.apply(
            sigma, values, extras, samples.distances, samples.first, samples.counts, before, delta, stop
        ))
    return _by_rows(sigma, values, samples, extras, before, delta, stop)


def _by_rows(
    sigma: Tensor, values: Tensor, samples: Samples, extras: Tensor, before: Tensor, delta: float, stop: float
) -> Composite:
    """One row of a padded table a ray, and one cumulative product."""
    count, longest = len(samples.first), int(samples.counts.amax()) if len(samples.counts) else 0
    column = torch.arange(len(sigma), device=sigma.device) - samples.first[samples.rays]
    passed = torch.ones(count, longest + 1, dtype=sigma.dtype, device=sigma.device)
    passed = passed.index_put((samples.rays, column + 1), torch.exp(-sigma * delta))
    through = before[:, None] * passed.cumprod(1)  # [N, longest + 1], T before each sample
    ahead = through[samples.rays, column]
    seen = ahead.detach() >= stop
    w = torch.where(seen, ahead - through[samples.rays, column + 1], 0.0)

    def summed(rows: Tensor) -> Tensor:
        return rows.new_zeros(count, *rows.shape[1:]).index_add(0, samples.rays, rows)

    with torch.no_grad():
        depth = summed(w * samples.distances)
        under = torch.where(through < stop, through, -1.0).amax(1)  # where the ray stopped
        left = torch.where(under < 0, through[:, -1], under)
    return Composite(
        summed(w[:, None] * values), summed(w), depth, summed(torch.where(seen[:, None], extras, 0.0)), left
    )


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(ctx, sigma, values, extras, distances, first, counts, before, delta, stop):
        from d3talker.graphics.volume import kernels

        kind, count = sigma.dtype, len(first)
        sigma, values, extras = sigma.contiguous(), values.contiguous(), extras.contiguous()
        sums, extra_sums = (torch.zeros(count, part.shape[1], dtype=kind) for part in (values, extras))
        alpha, depth, left = (torch.zeros(count, dtype=kind) for _ in range(3))
        number = sigma.detach().numpy().dtype.type
        with compiling("compositing"):
            kernels.composite(
                *(part.detach().numpy() for part in (sigma, values, extras, distances, first, counts, before)), number(delta),
                number(stop), *(part.numpy() for part in (sums, alpha, depth, extra_sums, left)),
            )
        ctx.save_for_backward(sigma, values, extras, first, counts, before, sums, left)
        ctx.numbers = number(delta), number(stop)
        ctx.mark_non_differentiable(depth, left)
        return sums, alpha, depth, extra_sums, left

    @staticmethod
    def backward(ctx, gsums, galpha, _depth, gextra, _left):
        from d3talker.graphics.volume import kernels

        sigma, values, extras, first, counts, before, sums, left = (part.detach().numpy() for part in ctx.saved_tensors)
        out = [torch.zeros(part.shape, dtype=galpha.dtype) for part in (sigma, values, extras)]
        grads = (part.contiguous().numpy() for part in (gsums, galpha, gextra))
        with compiling("compositing's gradient"):
            kernels.composite_gradient(
                sigma, values, first, counts, before, *ctx.numbers, sums, left, *grads, *(part.numpy() for part in out)
            )
        return *out, None, None, None, None, None, None
