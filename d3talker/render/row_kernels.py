"""Numba kernels: what the forward and the backward blending share about one row of 16 pixels."""

from __future__ import annotations

import math

import numpy as np

from d3talker.jit import kernel
from d3talker.render.binning_kernels import TILE, first_centre
from d3talker.render.projection_kernels import LOG_OPACITY, MY, QXX, QXY, QYY, REACH_Y, SLOPE
from d3talker.render.scene import ALPHA_MAX, ALPHA_MIN, T_STOP

f32, u64 = np.float32, np.uint64
ONE, ZERO, HALF = f32(1), f32(0), f32(0.5)
LANES = u64(TILE)
LOG_MIN, LOG_MAX = f32(math.log2(ALPHA_MIN)), f32(math.log2(ALPHA_MAX))
CAP, STOP = f32(ALPHA_MAX), f32(T_STOP)
_CUT = f32(math.log2(ALPHA_MIN) - 1e-3)  # a row is skipped only if rounding cannot lift it over LOG_MIN
FLOOR = f32(-40)  # keeps exp2 off denormals
_E1, _E2, _E3 = f32(0.693146966982179), f32(0.24022119732523434), f32(0.0555071340838722)
_E4, _E5 = f32(0.009675540985652736), f32(0.0013276428384321921)
_EXPONENT, _BIAS = f32(8388608), f32(1065353216)  # 2^23 and 127 * 2^23


@kernel
def exp2(x):
    """2^x for x in [-40, 1], relative error 1e-7: a minimax polynomial on [-0.5, 0.5] times a built power of two."""
    whole = np.floor(x + HALF)
    r = x - whole
    mantissa = ONE + r * (_E1 + r * (_E2 + r * (_E3 + r * (_E4 + r * _E5))))
    return mantissa * np.int32(whole * _EXPONENT + _BIAS).view(np.float32)


@kernel
def row_range(splat, top, bottom):
    """Rows [first, last) of an image's rows top..bottom that a splat's box reaches."""
    first = first_centre(splat[MY] - splat[REACH_Y], top, bottom)
    return first, first_centre(splat[MY] + splat[REACH_Y], top, bottom)


@kernel
def row_quadratic(splat, dy, dx0):
    """Coefficients of log2(alpha) = k0 + dx (k1 + k2 dx) along a row, and whether any of its 16 pixels can count."""
    k0, k1, k2 = splat[LOG_OPACITY] + splat[QYY] * dy * dy, splat[QXY] * dy, splat[QXX]
    peak = min(max(splat[SLOPE] * dy, dx0), dx0 + f32(TILE - 1))
    return k0, k1, k2, k0 + peak * (k1 + k2 * peak) >= _CUT


@kernel
def live_rows(buffer, stride, rows):
    """Bit mask of the rows in which some pixel has not stopped: its transmittance, at the row's start, is positive."""
    mask = 0
    for y in range(rows):
        most = f32(-1)
        for lane in range(LANES):
            most = max(most, buffer[u64(y) * stride + lane])
        if most > ZERO:
            mask |= 1 << y
    return mask


@kernel
def tile_box(tile, columns, rows, width, height):
    """Camera, then left, right, top and bottom pixel of a tile (right and bottom past the last)."""
    left, top = tile % columns * TILE, tile // columns % rows * TILE
    return tile // (rows * columns), left, min(left + TILE, width), top, min(top + TILE, height)
