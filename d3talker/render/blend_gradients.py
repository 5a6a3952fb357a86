"""Numba kernels, backward: walk each tile front to back again and leave every splat's gradient in a slot of its own.

What a pixel still has behind it is one scalar, v . (image over background) less what was passed, so nothing a splat
contributed need be kept (dL/dalpha_i = T_i v.c_i - behind_i / (1 - alpha_i)).
"""

from __future__ import annotations

import numpy as np
from numba import prange

from d3talker.jit import kernel, parallel_kernel
from d3talker.render.binning_kernels import TILE
from d3talker.render.projection_gradients import G0, GDEPTH, GNORMAL, GRED, GX, GXX, GXY, GY, GYY
from d3talker.render.projection_kernels import BLUE, DEPTH, GREEN, LOG_OPACITY, MX, MY, NORMAL, QXX, QXY, QYY, RED
from d3talker.render.row_kernels import CAP, FLOOR, HALF, LOG_MAX, LOG_MIN, ONE, STOP, ZERO, exp2, f32, tile_box, u64

# planes of one value a pixel: transmittance (negative where stopped), what is still behind, the gradients of depth,
# red, green, blue and the normal, then the pixel's column and row.  One flat loop over whole rows keeps all sums of a
# splat in vector registers.
PLANE = u64(TILE * TILE)
_BEHIND, _DEPTH, _RED, _GREEN, _BLUE, _N0, _N1, _N2, _X, _Y = (u64(k) * PLANE for k in range(1, 11))
SIZE = u64(11) * PLANE


@kernel
def unblend_splat(splat, buffer, left, top, first, last, normal, out):
    """Pass one splat in tile rows [first, last) and write its gradient; q below is dL/dlog(alpha)."""
    if first >= last:
        out[:] = ZERO
        return
    dx0, dy0 = left + HALF - splat[MX], top + HALF - splat[MY]
    offset, qxx, qxy, qyy = splat[LOG_OPACITY], splat[QXX], splat[QXY], splat[QYY]
    red, green, blue, depth = splat[RED], splat[GREEN], splat[BLUE], splat[DEPTH]
    n0, n1, n2 = splat[NORMAL], splat[NORMAL + 1], splat[NORMAL + 2]
    g0, gx, gy, gxx, gxy, gyy = ZERO, ZERO, ZERO, ZERO, ZERO, ZERO
    gdepth, gred, ggreen, gblue, gn0, gn1, gn2 = ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO
    for i in range(u64(first) * u64(TILE), u64(last) * u64(TILE)):
        dx, dy = dx0 + buffer[i + _X], dy0 + buffer[i + _Y]
        power = offset + qyy * dy * dy + dx * (qxy * dy + qxx * dx)
        alpha = min(exp2(max(power, FLOOR)), CAP)
        t = buffer[i]
        after = t - t * alpha
        counts = power >= LOG_MIN
        weight = t * alpha if counts and after > STOP else ZERO
        vd, vr, vg, vb = buffer[i + _DEPTH], buffer[i + _RED], buffer[i + _GREEN], buffer[i + _BLUE]
        value = vd * depth + vr * red + vg * green + vb * blue
        if normal is not None:
            value += buffer[i + _N0] * n0 + buffer[i + _N1] * n1 + buffer[i + _N2] * n2
        behind = buffer[i + _BEHIND] - weight * value
        buffer[i + _BEHIND] = behind
        buffer[i] = (after if after > STOP else -abs(t)) if counts else t
        slope = weight * value - alpha / (ONE - alpha) * behind
        q = slope if counts and after > STOP and power < LOG_MAX else ZERO
        qx, qy = q * dx, q * dy
        g0 += q
        gx += qx
        gy += qy
        gxx += qx * dx
        gxy += qx * dy
        gyy += qy * dy
        gdepth += weight * vd
        gred += weight * vr
        ggreen += weight * vg
        gblue += weight * vb
        if normal is not None:
            gn0 += weight * buffer[i + _N0]
            gn1 += weight * buffer[i + _N1]
            gn2 += weight * buffer[i + _N2]
    out[G0], out[GX], out[GY], out[GXX], out[GXY], out[GYY] = g0, gx, gy, gxx, gxy, gyy
    out[GDEPTH], out[GRED], out[GRED + 1], out[GRED + 2] = gdepth, gred, ggreen, gblue
    if normal is not None:
        out[GNORMAL], out[GNORMAL + 1], out[GNORMAL + 2] = gn0, gn1, gn2


@kernel
def load_gradient(buffer, i, image, gradient):
    """Store one channel's gradient; return its share of what is behind the first splat."""
    buffer[i] = gradient
    return image * gradient


@kernel
def load_tile(buffer, box, images, gradients, normal):
    """Fill the planes from the final images and their gradients; pixels outside the image are stopped at once."""
    c, left, right, top, bottom = box
    through, rgb, depths = images
    galpha, grgb, gdepths, gnormal = gradients
    buffer[:_X] = ZERO
    for y in range(top, bottom):
        for x in range(left, right):
            i = u64(y - top) * u64(TILE) + u64(x - left)
            total = ZERO
            if galpha.shape[0] > 0:
                total -= through[c, y, x] * galpha[c, y, x]
            if gdepths.shape[0] > 0:
                total += load_gradient(buffer, i + _DEPTH, depths[c, y, x], gdepths[c, y, x])
            for k in range(3):
                if grgb.shape[0] > 0:
                    total += load_gradient(buffer, i + _RED + u64(k) * PLANE, rgb[c, y, x, k], grgb[c, y, x, k])
                if normal is not None:  # noqa: SIM102 - numba prunes this test only when it stands alone
                    if gnormal.shape[0] > 0:
                        j = i + _N0 + u64(k) * PLANE
                        total += load_gradient(buffer, j, normal[c, y, x, k], gnormal[c, y, x, k])
            buffer[i], buffer[i + _BEHIND] = ONE, total


@parallel_kernel
def unblend(workers, splats, tile_start, ids, slots, spans, images, normal, gradients, parts):
    """Fill parts [slots, 10 or 13] from images = (through, rgb, depths) and normal, and from the gradients of
    (alpha, rgb, depths, normal), each of which is empty where nothing depends on it."""
    cameras, height, width = images[0].shape
    columns, rows = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    for worker in prange(workers):
        buffer = np.empty(SIZE, np.float32)
        for i in range(PLANE):
            buffer[i + _X], buffer[i + _Y] = f32(i % u64(TILE)), f32(i // u64(TILE))
        for tile in range(worker, cameras * rows * columns, workers):
            if tile_start[tile] == tile_start[tile + 1]:
                continue
            box = tile_box(tile, columns, rows, width, height)
            c, left, _, top, _ = box
            load_tile(buffer, box, images, gradients, normal)
            for k in range(tile_start[tile], tile_start[tile + 1]):
                splat, out = splats[c, ids[k]], parts[slots[k]]
                unblend_splat(splat, buffer, f32(left), f32(top), spans[k, 0], spans[k, 1], normal, out)
