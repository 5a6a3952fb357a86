"""Numba kernels: what the forward and the backward blending share about one tile of 32x32 pixels.

A tile's pixels lie in 64 blocks of 4x4, block 8 (x // 4) + y // 4, so that a uint64 says which of them a splat reaches.
"""

from __future__ import annotations

import math

import numpy as np

from d3talker.graphics.render.binning_kernels import TILE
from d3talker.graphics.render.lanes import (
    above,
    any_positive,
    byte_spans,
    ceiling,
    least,
    load,
    lowest_bit,
    most,
    nearest,
    power_of_two,
    root,
    store,
)
from d3talker.graphics.render.projection_kernels import BEND, HALF_WIDTH, LOG_OPACITY, MX, MY, QXX, QXY, QYY, REACH_Y, ROOM, TIP
from d3talker.graphics.render.scene import ALPHA_MAX, ALPHA_MIN, T_STOP
from d3talker.jit import inner

f32, u64 = np.float32, np.uint64
ONE, ZERO, HALF = f32(1), f32(0), f32(0.5)
LANES, BLOCKS = u64(16), u64(64)
# floats from one block of a tile's buffer to the next: up to nine values of its 16 pixels, the first the transmittance
STRIDE = u64(9) * LANES
ALPHAS, BUFFER = BLOCKS * STRIDE, BLOCKS * (STRIDE + LANES)  # where one splat's alphas begin and end
LOG_MIN = f32(math.log2(ALPHA_MIN))
CAP, STOP = f32(ALPHA_MAX), f32(T_STOP)
_E1, _E2, _E3 = f32(0.693146966982179), f32(0.24022119732523434), f32(0.0555071340838722)
_E4, _E5 = f32(0.009675540985652736), f32(0.0013276428384321921)

_LANE = np.arange(16)
_X = (4 * np.arange(8)[:, None] + _LANE % 4).astype(np.float32).ravel()  # pixel columns of the blocks in one row of blocks
_Y = (4 * np.arange(8)[:, None] + _LANE // 4).astype(np.float32).ravel()
_EDGE = (4 * (_LANE % 8)).astype(np.float32)  # lanes 0 to 7: first rows of eight columns of blocks; 8 to 15: last rows
_SIDE = np.where(_LANE < 8, -1, 1).astype(np.float32)
_BACK = np.where(_LANE < 8, 3, 0).astype(np.float32)


@inner
def exp2(x):
    """2^x for x in [-126, 1], relative error 1e-7: a minimax polynomial on [-0.5, 0.5] times a power of two."""
    whole = nearest(x)
    r = x - whole
    mantissa = ((((r * _E5 + _E4) * r + _E3) * r + _E2) * r + _E1) * r + ONE
    return power_of_two(mantissa, whole)


@inner
def reached_blocks(splat, left, top):
    """Blocks of a tile that a splat's ellipse touches, as bits; perhaps one too many, as each pixel tests itself."""
    low, side = load(_EDGE, u64(0)) + (left + HALF - splat[MX]), load(_SIDE, u64(0))
    at = least(most(side * splat[TIP], low), low + f32(3))
    room = at * at * splat[BEND] + splat[ROOM]
    dy = (at * splat[QXY] + side * root(most(room, ZERO))) * splat[HALF_WIDTH]
    dy = least(most(dy, -splat[REACH_Y]), splat[REACH_Y])
    row = least(most(ceiling(dy + (splat[MY] - HALF - top)), ZERO), f32(TILE))
    row = ceiling((row - load(_BACK, u64(0))) * f32(0.25))
    return byte_spans(above(ZERO, room, ZERO, row))


@inner
def offsets(block, dx0, dy0):
    """dx, dy of a block's pixels from a splat's centre, of those of the tile's first pixel."""
    return load(_X, (block >> u64(3)) * LANES) + dx0, load(_Y, (block & u64(7)) * LANES) + dy0


@inner
def exponent(splat, dx, dy):
    """log2(alpha)."""
    return dx * (dx * splat[QXX] + dy * splat[QXY]) + (dy * dy * splat[QYY] + splat[LOG_OPACITY])


@inner
def opacities(splat, dx0, dy0, todo, buffer):
    """Leave alpha in the blocks todo, 0 where it does not count, one after the other from ALPHAS on in the buffer.

    A loop of its own: two short chains of dependent instructions overlap further than one long one.
    """
    at = ALPHAS
    while todo != u64(0):
        dx, dy = offsets(lowest_bit(todo), dx0, dy0)
        todo &= todo - u64(1)
        power = exponent(splat, dx, dy)
        store(buffer, at, above(LOG_MIN, power, ZERO, least(exp2(power), CAP)))
        at += LANES


@inner
def live_blocks(buffer):
    """Bit mask of the blocks in which some pixel has not stopped: its transmittance is positive."""
    mask = u64(0)
    for block in range(BLOCKS):
        if any_positive(load(buffer, block * STRIDE)):
            mask |= u64(1) << block
    return mask


@inner
def place(x, y):
    """Where pixel (x, y) of a tile has the first of its values in the buffer."""
    return ((x >> u64(2)) * u64(8) + (y >> u64(2))) * STRIDE + (y & u64(3)) * u64(4) + (x & u64(3))


@inner
def tile_buffer():
    """Uninitialised values of a tile, aligned to a cache line."""
    raw = np.empty(BUFFER + LANES, np.float32)
    start = (-raw.ctypes.data // 4) % 16
    return raw[start : start + BUFFER]


@inner
def tile_box(tile, columns, rows, width, height):
    """Camera, then left, right, top and bottom pixel of a tile (right and bottom past the last)."""
    left, top = tile % columns * TILE, tile // columns % rows * TILE
    right, bottom = min(left + TILE, width), min(top + TILE, height)
    return u64(tile // (rows * columns)), u64(left), u64(right), u64(top), u64(bottom)  # unsigned: no index wraps around
