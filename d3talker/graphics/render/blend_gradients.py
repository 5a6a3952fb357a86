"""Numba kernels, backward: walk each tile front to back again and leave every splat's gradient in a slot of its own.

What a pixel still has behind it is one scalar, v . (image over background) less what was passed, so nothing a splat
contributed need be kept (dL/dalpha_i = T_i v.c_i - behind_i / (1 - alpha_i)).
"""

from __future__ import annotations

from numba import prange

from d3talker.graphics.render.binning_kernels import TILE
from d3talker.graphics.render.lanes import above, load, lowest_bit, spread, store, totals
from d3talker.graphics.render.projection_kernels import BLUE, DEPTH, GREEN, MX, MY, NORMAL, RED
from d3talker.graphics.render.tile_kernels import (
    ALPHAS,
    CAP,
    HALF,
    LANES,
    ONE,
    STOP,
    STRIDE,
    ZERO,
    f32,
    offsets,
    opacities,
    place,
    tile_box,
    tile_buffer,
    u64,
)
from d3talker.jit import inner, parallel_kernel

# values of a block: transmittance (0 where stopped), what is still behind, the gradients of depth, red, green, blue and normal
_BEHIND, _DEPTH, _RED, _GREEN, _BLUE, _N0, _N1, _N2 = (u64(k) * LANES for k in range(1, 9))


@inner
def unblend_splat(splat, buffer, left, top, todo, normal, out):
    """Pass one splat in the blocks todo and write its gradient; q below is dL/dlog(alpha)."""
    if todo == u64(0):
        store(out, u64(0), ZERO)
        return
    dx0, dy0 = left + HALF - splat[MX], top + HALF - splat[MY]
    none = spread(ZERO)
    g0, gx, gy, gxx, gxy, gyy = none, none, none, none, none, none
    gdepth, gred, ggreen, gblue, gn0, gn1, gn2 = none, none, none, none, none, none, none
    opacities(splat, dx0, dy0, todo, buffer)
    at = ALPHAS
    while todo != u64(0):
        block = lowest_bit(todo)
        todo &= todo - u64(1)
        i = block * STRIDE
        dx, dy = offsets(block, dx0, dy0)
        alpha = load(buffer, at)
        at += LANES
        t = load(buffer, i)
        weight = t * alpha
        after = t - weight
        weight = above(after, STOP, weight, ZERO)
        store(buffer, i, above(after, STOP, after, ZERO))
        vd, vr, vg, vb = load(buffer, i + _DEPTH), load(buffer, i + _RED), load(buffer, i + _GREEN), load(buffer, i + _BLUE)
        value = vd * splat[DEPTH] + vr * splat[RED] + vg * splat[GREEN] + vb * splat[BLUE]
        if normal is not None:
            v0, v1, v2 = load(buffer, i + _N0), load(buffer, i + _N1), load(buffer, i + _N2)
            value = value + v0 * splat[NORMAL] + v1 * splat[NORMAL + 1] + v2 * splat[NORMAL + 2]
            gn0, gn1, gn2 = gn0 + weight * v0, gn1 + weight * v1, gn2 + weight * v2
        passed = weight * value
        behind = load(buffer, i + _BEHIND) - passed
        store(buffer, i + _BEHIND, behind)
        slope = passed - alpha / (ONE - alpha) * behind
        q = above(after, STOP, above(CAP, alpha, slope, ZERO), ZERO)
        qx, qy = q * dx, q * dy
        g0, gx, gy = g0 + q, gx + qx, gy + qy
        gxx, gxy, gyy = gxx + qx * dx, gxy + qx * dy, gyy + qy * dy
        gdepth, gred, ggreen, gblue = gdepth + weight * vd, gred + weight * vr, ggreen + weight * vg, gblue + weight * vb
    # in the order of G0 to GNORMAL
    sums = g0, gx, gy, gxx, gxy, gyy, gdepth, gred, ggreen, gblue
    if normal is None:
        store(out, u64(0), totals(sums))
    else:
        store(out, u64(0), totals((*sums, gn0, gn1, gn2)))


@inner
def load_gradient(buffer, i, image, gradient):
    """Store one channel's gradient; return its share of what is behind the first splat."""
    buffer[i] = gradient
    return image * gradient


@inner
def load_tile(buffer, box, images, gradients, normal):
    """Fill the buffer from the final images and their gradients; pixels outside the image are stopped at once."""
    c, left, right, top, bottom = box
    through, rgb, depths = images
    galpha, grgb, gdepths, gnormal = gradients
    buffer[:ALPHAS] = ZERO
    for y in range(top, bottom):
        for x in range(left, right):
            i = place(x - left, y - top)
            total = ZERO
            if galpha.shape[0] > 0:
                total -= through[c, y, x] * galpha[c, y, x]
            if gdepths.shape[0] > 0:
                total += load_gradient(buffer, i + _DEPTH, depths[c, y, x], gdepths[c, y, x])
            for k in range(3):
                if grgb.shape[0] > 0:
                    total += load_gradient(buffer, i + _RED + u64(k) * LANES, rgb[c, y, x, k], grgb[c, y, x, k])
                if normal is not None:  # noqa: SIM102 - numba prunes this test only when it stands alone
                    if gnormal.shape[0] > 0:
                        j = i + _N0 + u64(k) * LANES
                        total += load_gradient(buffer, j, normal[c, y, x, k], gnormal[c, y, x, k])
            buffer[i], buffer[i + _BEHIND] = ONE, total


@parallel_kernel
def unblend(workers, splats, tile_start, ids, slots, reached, images, normal, gradients, parts):
    """Fill parts [slots, PARTS] from images = (through, rgb, depths) and normal, and from the gradients of
    (alpha, rgb, depths, normal), each of which is empty where nothing depends on it."""
    cameras, height, width = images[0].shape
    columns, rows = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    for worker in prange(workers):
        buffer = tile_buffer()
        for tile in range(worker, cameras * rows * columns, workers):
            if tile_start[tile] == tile_start[tile + 1]:
                continue
            box = tile_box(tile, columns, rows, width, height)
            c, left, _, top, _ = box
            load_tile(buffer, box, images, gradients, normal)
            for k in range(tile_start[tile], tile_start[tile + 1]):
                unblend_splat(splats[c, ids[k]], buffer, f32(left), f32(top), reached[k], normal, parts[slots[k]])
