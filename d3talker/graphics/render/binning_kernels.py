"""Numba kernels: one depth sort a camera, then stable binning of splats into 32x32 tiles."""

from __future__ import annotations

import numpy as np

from d3talker.graphics.render.projection_kernels import DEPTH, MX, MY, REACH_X, REACH_Y
from d3talker.jit import inner, kernel

TILE = 32
u64 = np.uint64  # of what indexes arrays: a signed index costs a test for wrapping around
ONE, SIDE = u64(1), u64(TILE)


@inner
def depth_order(splats):
    """Indices of the visible splats [N, SPLAT] of one camera, nearest first (radix sort of float bits)."""
    count = splats.shape[0]
    order, other = np.empty(count, np.uint32), np.empty(count, np.uint32)
    keys = np.empty(count, np.uint32)
    visible = 0
    for n in range(count):
        keys[n] = np.float32(splats[n, DEPTH]).view(np.uint32)  # depths are positive, so their bits sort as they do
        if splats[n, REACH_X] > 0:
            order[visible] = n
            visible += 1
    for shift in (0, 11, 22):
        starts = np.zeros(2049, np.int64)
        for i in range(visible):
            starts[((keys[order[i]] >> shift) & 2047) + 1] += 1
        for b in range(2048):
            starts[b + 1] += starts[b]
        for i in range(visible):
            digit = (keys[order[i]] >> shift) & 2047
            other[starts[digit]] = order[i]
            starts[digit] += 1
        order, other = other, order
    return order[:visible]


@inner
def first_centre(value, low, high):
    """Index of the first pixel centre at or beyond a coordinate, clamped before it is made an integer."""
    return u64(min(max(np.ceil(value - np.float32(0.5)), np.float32(low)), np.float32(high)))


@inner
def tile_span(splat, width, height):
    """First and past-last tile column, then row, of the pixel centres in a splat's box; all 0 where there are none."""
    x0, x1 = first_centre(splat[MX] - splat[REACH_X], 0, width), first_centre(splat[MX] + splat[REACH_X], 0, width)
    y0, y1 = first_centre(splat[MY] - splat[REACH_Y], 0, height), first_centre(splat[MY] + splat[REACH_Y], 0, height)
    if x0 >= x1 or y0 >= y1:
        return u64(0), u64(0), u64(0), u64(0)
    return x0 // SIDE, (x1 - ONE) // SIDE + ONE, y0 // SIDE, (y1 - ONE) // SIDE + ONE


@kernel
def bin_splats(splats, width, height):
    """Tile lists of splats [C, N, SPLAT].

    Returns tile_start [C * tiles + 1] into ids and slots; ids, the splats of a tile nearest first; slots, where each of
    them leaves its gradient; slot_start [C * N + 1], the consecutive slots of each splat. Nothing depends on threads.
    """
    cameras, count = u64(splats.shape[0]), u64(splats.shape[1])
    columns, rows = u64((width + TILE - 1) // TILE), u64((height + TILE - 1) // TILE)
    tile_start = np.zeros(cameras * columns * rows + ONE, np.int64)
    slot_start = np.zeros(cameras * count + ONE, np.int64)
    for c in range(cameras):
        for n in range(count):
            here = c * count + n
            slot_start[here + ONE] = slot_start[here]
            if splats[c, n, REACH_X] > 0:
                x0, x1, y0, y1 = tile_span(splats[c, n], width, height)
                slot_start[here + ONE] += np.int64((x1 - x0) * (y1 - y0))
                for y in range(y0, y1):
                    for x in range(x0, x1):
                        tile_start[(c * rows + y) * columns + x + ONE] += 1
    for t in range(cameras * columns * rows):
        tile_start[t + ONE] += tile_start[t]
    ids, slots = np.empty(tile_start[-1], np.uint32), np.empty(tile_start[-1], np.uint32)
    cursor = tile_start.astype(np.uint64)
    for c in range(cameras):
        for n in depth_order(splats[c]):
            slot = slot_start[c * count + n]
            x0, x1, y0, y1 = tile_span(splats[c, n], width, height)
            for y in range(y0, y1):
                for x in range(x0, x1):
                    tile = (c * rows + y) * columns + x
                    at = cursor[tile]
                    ids[at], slots[at] = n, slot
                    cursor[tile] = at + ONE
                    slot += 1
    return tile_start, ids, slots, slot_start
