"""Numba kernels of D-SSIM: value and gradient in two passes over the rows, channels interleaved as they lie in memory.

A row is worked in chunks: planes a constant distance apart in one scratch buffer are what lets LLVM vectorise.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor
from torch.nn.functional import pad

from d3talker.jit import compiling, inner, parallel_kernel
from d3talker.learning.ssim_window import C1, C2, WINDOW, window_weights

HALF = WINDOW // 2
STEP = 3  # floats from a pixel to its neighbour
MARGIN = STEP * HALF
CHUNK = 384
PLANE = np.uint64(CHUNK + 2 * MARGIN)
_P1, _P2, _P3, _P4 = (np.uint64(k) * PLANE for k in range(1, 5))
_WEIGHTS = np.array(window_weights(), np.float32)
_W0, _W1, _W2, _W3, _W4, _W5 = (np.float32(w) for w in _WEIGHTS[: HALF + 1])
_O1, _O2, _O3, _O4, _O5, _O6, _O7, _O8, _O9, _O10 = (np.uint64(STEP * k) for k in range(1, WINDOW))
ONE, TWO, K1, K2 = np.float32(1), np.float32(2), np.float32(C1), np.float32(C2)


@inner
def across(rows, i):
    """Horizontal window over scratch floats i, i + 3, ..., i + 30."""
    return (
        _W0 * (rows[i] + rows[i + _O10]) + _W1 * (rows[i + _O1] + rows[i + _O9]) + _W2 * (rows[i + _O2] + rows[i + _O8])
        + _W3 * (rows[i + _O3] + rows[i + _O7]) + _W4 * (rows[i + _O4] + rows[i + _O6]) + _W5 * rows[i + _O5]
    )  # fmt: skip


@inner
def average_products(x, y, top, start, rows):
    """Vertical window over x, y, x², y² and xy from row `top` on, columns start - MARGIN on, to five planes."""
    first, last = max(start - MARGIN, 0), min(start + CHUNK + MARGIN, x.shape[1])
    shift = np.uint64(first - start + MARGIN)
    rows[:] = np.float32(0)
    for k in range(WINDOW):
        w, xs, ys = _WEIGHTS[k], x[top + k, first:last], y[top + k, first:last]
        for i in range(np.uint64(last - first)):
            a, b, j = xs[i], ys[i], shift + i
            wa, wb = w * a, w * b
            rows[j] += wa
            rows[j + _P1] += wb
            rows[j + _P2] += wa * a
            rows[j + _P3] += wb * b
            rows[j + _P4] += wa * b


@inner
def similarity(rows, by_mean, by_square, by_product):
    """SSIM summed over one chunk; its derivatives by the means of x, x² and xy fill three arrays."""
    total = np.float32(0)
    for i in range(np.uint64(len(by_mean))):
        mx, my = across(rows, i), across(rows, i + _P1)
        mxx, myy, mxy = across(rows, i + _P2), across(rows, i + _P3), across(rows, i + _P4)
        a1, a2 = TWO * mx * my + K1, TWO * (mxy - mx * my) + K2
        b1, b2 = mx * mx + my * my + K1, mxx - mx * mx + myy - my * my + K2
        inverse = ONE / (b1 * b2)
        value = a1 * a2 * inverse
        total += value
        by_mean[i] = TWO * (my * (a2 - a1) * inverse + mx * value * (ONE / b2 - ONE / b1))
        by_square[i] = -value / b2
        by_product[i] = TWO * a1 * inverse
    return total


@parallel_kernel
def ssim_rows(workers, x, y, partials, sums):
    """sums [B * H] of SSIM and partials [3, B * (H + 10), W * 3] from x and y [B * (H + 10), W * 3] with zero rows."""
    height, width = len(sums), x.shape[1]
    images = (len(x) - height) // (2 * HALF)  # each has HALF zero rows above and below
    for worker in prange(workers):
        rows = np.empty(5 * (CHUNK + 2 * MARGIN), np.float32)
        for job in range(worker, height, workers):
            top = job + job // (height // images) * 2 * HALF
            total = 0.0
            for start in range(0, width, CHUNK):
                average_products(x, y, top, start, rows)
                end = min(start + CHUNK, width)
                p, q, r = partials[0, top + HALF], partials[1, top + HALF], partials[2, top + HALF]
                total += similarity(rows, p[start:end], q[start:end], r[start:end])
            sums[job] = total


@inner
def average_partials(partials, top, start, rows):
    """Vertical window over the partials from row `top` on, columns start - MARGIN on, into three scratch planes."""
    first, last = max(start - MARGIN, 0), min(start + CHUNK + MARGIN, partials.shape[2])
    shift = np.uint64(first - start + MARGIN)
    rows[:] = np.float32(0)
    for k in range(WINDOW):
        w = _WEIGHTS[k]
        p, q, r = partials[0, top + k, first:last], partials[1, top + k, first:last], partials[2, top + k, first:last]
        for i in range(np.uint64(last - first)):
            j = shift + i
            rows[j] += w * p[i]
            rows[j + _P1] += w * q[i]
            rows[j + _P2] += w * r[i]


@inner
def combine(rows, x, y, out, factor):
    """Gradient by x of one chunk: windows of the partials, chained through x, x² and xy."""
    for i in range(np.uint64(len(out))):
        out[i] = factor * (across(rows, i) + TWO * x[i] * across(rows, i + _P1) + y[i] * across(rows, i + _P2))


@parallel_kernel
def gradient_rows(workers, x, y, partials, factor, out):
    """out [B * H, W * 3] = factor times the gradient by x of the sum of SSIM."""
    height, width = out.shape
    images = (len(x) - height) // (2 * HALF)
    for worker in prange(workers):
        rows = np.empty(3 * (CHUNK + 2 * MARGIN), np.float32)
        for job in range(worker, height, workers):
            top = job + job // (height // images) * 2 * HALF
            for start in range(0, width, CHUNK):
                average_partials(partials, top, start, rows)
                end, middle = min(start + CHUNK, width), top + HALF
                combine(rows, x[middle, start:end], y[middle, start:end], out[job, start:end], factor)


class _Dssim(torch.autograd.Function):
    @staticmethod
    def forward(ctx, pred, target):
        batch, height, width, channels = pred.shape
        x, y = (_padded(value) for value in (pred, target))
        partials, sums = np.zeros((3, *x.shape), np.float32), np.empty(batch * height)
        ssim_rows(numba.get_num_threads(), x, y, partials, sums)
        if pred.requires_grad:
            gradient = np.empty((batch * height, width * channels), np.float32)
            gradient_rows(numba.get_num_threads(), x, y, partials, np.float32(-1 / pred.numel()), gradient)
            ctx.save_for_backward(torch.from_numpy(gradient).view(pred.shape))
        return pred.new_tensor(1 - sums.sum() / pred.numel())

    @staticmethod
    def backward(ctx, grad):
        return ctx.saved_tensors[0] * grad, None


def _padded(value: Tensor) -> np.ndarray:
    """[B, H, W, 3] -> [B * (H + 10), W * 3] with HALF rows of zeros above and below each image."""
    return pad(value.detach().flatten(2), (0, 0, HALF, HALF)).flatten(0, 1).numpy()


def fused_dssim(pred: Tensor, target: Tensor) -> Tensor:
    """`d3talker.learning.dssim.dssim` for float32 CPU tensors, no gradient for the target; the same bits for any threads."""
    with compiling("D-SSIM"):
        return _Dssim.apply(pred, target)
