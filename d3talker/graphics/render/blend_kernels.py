"""Numba kernels, forward: blend the splats of each tile front to back, a block of 4x4 pixels at a time.

An argument `normal` that is None compiles the kernels without normals.
"""

from __future__ import annotations

from numba import prange

from d3talker.graphics.render.binning_kernels import TILE
from d3talker.graphics.render.lanes import above, load, lowest_bit, most, size, store
from d3talker.graphics.render.projection_kernels import BLUE, DEPTH, GREEN, MX, MY, NORMAL, RED
from d3talker.graphics.render.tile_kernels import (
    ALPHAS,
    BLOCKS,
    HALF,
    LANES,
    ONE,
    STOP,
    STRIDE,
    ZERO,
    f32,
    live_blocks,
    offsets,
    opacities,
    place,
    reached_blocks,
    tile_box,
    tile_buffer,
    u64,
)
from d3talker.jit import inner, parallel_kernel

BATCH = 16  # splats whose blocks are found together, which is as often as stopped blocks are left out
# values of a block: transmittance (negative where stopped), depth, red, green, blue, three of the normal
_DEPTH, _RED, _GREEN, _BLUE, _N0, _N1, _N2 = (u64(k) * LANES for k in range(1, 8))


@inner
def add(buffer, i, weight, value):
    """Blend one channel of a splat into a block."""
    store(buffer, i, weight * value + load(buffer, i))


@inner
def blend_splat(splat, buffer, left, top, todo, normal):
    """Blend one splat into the blocks todo of a tile."""
    dx0, dy0 = left + HALF - splat[MX], top + HALF - splat[MY]
    opacities(splat, dx0, dy0, todo, buffer)
    at = ALPHAS
    while todo != u64(0):
        i = lowest_bit(todo) * STRIDE
        todo &= todo - u64(1)
        t = load(buffer, i)
        weight = t * load(buffer, at)
        at += LANES
        after = t - weight
        weight = above(after, STOP, weight, ZERO)
        store(buffer, i, above(after, STOP, after, ZERO - size(t)))
        add(buffer, i + _DEPTH, weight, splat[DEPTH])
        add(buffer, i + _RED, weight, splat[RED])
        add(buffer, i + _GREEN, weight, splat[GREEN])
        add(buffer, i + _BLUE, weight, splat[BLUE])
        if normal is not None:
            add(buffer, i + _N0, weight, splat[NORMAL])
            add(buffer, i + _N1, weight, splat[NORMAL + 1])
            add(buffer, i + _N2, weight, splat[NORMAL + 2])


@inner
def clear(buffer, box, reached):
    """Start a tile: nothing blended, nothing reached, pixels outside the image stopped.

    Whole-array stores stay out of prange: numba lost some there.
    """
    _, left, right, top, bottom = box
    buffer[:ALPHAS] = ZERO
    for block in range(BLOCKS):
        beyond_x, beyond_y = offsets(block, f32(left) - f32(right), f32(top) - f32(bottom))
        store(buffer, block * STRIDE, above(ZERO, most(beyond_x, beyond_y), ONE, -ONE))
    reached[:] = u64(0)


@inner
def store_tile(buffer, box, background, through, rgb, depths, normal):
    """Write a tile's pixels, the background behind them."""
    c, left, right, top, bottom = box
    last = u64(background.shape[0] - 1), u64(background.shape[1] - 1), u64(background.shape[2] - 1)
    for y in range(top, bottom):
        for x in range(left, right):
            i = place(x - left, y - top)
            behind = background[min(c, last[0]), min(y, last[1]), min(x, last[2])]
            t = abs(buffer[i])
            through[c, y, x], depths[c, y, x] = t, buffer[i + _DEPTH]
            for k in range(3):
                rgb[c, y, x, k] = buffer[i + _RED + u64(k) * LANES] + t * behind[k]
                if normal is not None:
                    normal[c, y, x, k] = buffer[i + _N0 + u64(k) * LANES]


@parallel_kernel
def blend(workers, splats, tile_start, ids, background, reached, through, rgb, depths, normal):
    """Fill through and depths [C, H, W], rgb and normal [C, H, W, 3] from binned splats.

    reached [ids] uint64 gets the blocks of the tile that each splat reached before they stopped.
    """
    cameras, height, width = through.shape
    columns, rows = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    for worker in prange(workers):
        buffer = tile_buffer()
        for tile in range(worker, cameras * rows * columns, workers):
            box = tile_box(tile, columns, rows, width, height)
            c, left, _, top, _ = box
            first, last = tile_start[tile], tile_start[tile + 1]
            clear(buffer, box, reached[first:last])
            for begin in range(first, last, BATCH):
                end = min(begin + BATCH, last)
                alive = live_blocks(buffer)
                if alive == u64(0):
                    break
                for k in range(begin, end):
                    reached[k] = reached_blocks(splats[c, ids[k]], f32(left), f32(top)) & alive
                for k in range(begin, end):
                    blend_splat(splats[c, ids[k]], buffer, f32(left), f32(top), reached[k], normal)
            store_tile(buffer, box, background, through, rgb, depths, normal)
