"""Numba kernels: blend the splats of each 16x16 tile front to back, a row of 16 pixels at a time.

A row's pixels are lanes of one interleaved buffer indexed with uint64, which is what lets LLVM turn the inner loops
into vector code (tests/d3talker/render/test_vectorised.py holds it to that).
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from d3talker.jit import kernel, parallel_kernel
from d3talker.render import projection_gradients as G
from d3talker.render import projection_kernels as P
from d3talker.render.binning_kernels import TILE
from d3talker.render.scene import ALPHA_MAX, ALPHA_MIN, T_STOP

f32, u64 = np.float32, np.uint64
ONE, ZERO, HALF = f32(1), f32(0), f32(0.5)
LANES = u64(TILE)
LOG_MIN, LOG_MAX = f32(math.log2(ALPHA_MIN)), f32(math.log2(ALPHA_MAX))
CUT = f32(math.log2(ALPHA_MIN) - 1e-3)  # a row is skipped only if rounding cannot lift it over LOG_MIN
CAP, STOP = f32(ALPHA_MAX), f32(T_STOP)
FLOOR = f32(-40)  # keeps exp2 off denormals
E0, E1, E2, E3, E4, E5 = (
    f32(c)
    for c in (1.0, 0.693146966982179, 0.24022119732523434, 0.0555071340838722, 0.009675540985652736, 0.0013276428384321921)
)
EXPONENT, BIAS = f32(8388608), f32(1065353216)  # 2^23 and 127 * 2^23


@kernel
def exp2(x):
    """2^x for x in [-40, 1], relative error 1e-7: a minimax polynomial on [-0.5, 0.5] times a built power of two."""
    whole = np.floor(x + HALF)
    r = x - whole
    mantissa = E0 + r * (E1 + r * (E2 + r * (E3 + r * (E4 + r * E5))))
    return mantissa * np.int32(whole * EXPONENT + BIAS).view(np.float32)


@kernel
def row_range(splat, top, bottom):
    """Rows [first, last) of a tile's rows top..bottom that a splat's box reaches."""
    first = max(int(math.ceil(splat[P.MY] - splat[P.REACH_Y] - HALF)), top)
    last = min(int(math.floor(splat[P.MY] + splat[P.REACH_Y] - HALF)) + 1, bottom)
    return first, last


@kernel
def row_quadratic(splat, dy, dx0):
    """Coefficients of log2(alpha) = k0 + dx (k1 + k2 dx) along a row, and whether any of its 16 pixels can count."""
    k0, k1, k2 = splat[P.LOG_OPACITY] + splat[P.QYY] * dy * dy, splat[P.QXY] * dy, splat[P.QXX]
    peak = min(max(splat[P.SLOPE] * dy, dx0), dx0 + f32(TILE - 1))
    return k0, k1, k2, k0 + peak * (k1 + k2 * peak) >= CUT


@kernel
def live_rows(buffer, stride, rows):
    """Bit mask of the rows in which some pixel has not stopped; its transmittance, at the row's start, is positive."""
    mask = 0
    for y in range(rows):
        most = f32(-1)
        for lane in range(LANES):
            most = max(most, buffer[u64(y) * stride + lane])
        if most > ZERO:
            mask |= 1 << y
    return mask


def build(normals: bool):
    """The forward and backward kernels with 4 channels (rgb, depth), or with 7 (and normals)."""
    channels = 7 if normals else 4
    stride = u64((1 + channels) * TILE)  # forward: transmittance, then the channels
    back_stride = u64((2 + channels) * TILE)  # backward: transmittance, what is still behind, then their gradients
    sums = u64((2 + channels) * TILE * TILE)  # backward: after all rows, column sums of one splat
    L1, L2, L3, L4, L5, L6, L7, L8, L9 = (u64(k * TILE) for k in range(1, 10))

    @kernel
    def blend_splat(splat, buffer, left, top, bottom, alive):
        first, last = row_range(splat, top, bottom)
        dx0 = left + HALF - splat[P.MX]
        red, green, blue, depth = splat[P.RED], splat[P.GREEN], splat[P.BLUE], splat[P.DEPTH]
        n0, n1, n2 = splat[P.NORMAL], splat[P.NORMAL + 1], splat[P.NORMAL + 2]
        for y in range(first, last):
            k0, k1, k2, reaches = row_quadratic(splat, f32(y) + HALF - splat[P.MY], dx0)
            if not reaches or not (alive >> (y - top)) & 1:
                continue
            row = u64(y - top) * stride
            for lane in range(LANES):
                i = row + lane
                dx = dx0 + f32(lane)
                power = k0 + dx * (k1 + k2 * dx)
                alpha = min(exp2(max(power, FLOOR)), CAP)
                t = buffer[i]
                after = t - t * alpha
                counts = power >= LOG_MIN
                weight = t * alpha if counts and after > STOP else ZERO
                # a stopped pixel keeps its transmittance with a minus sign
                buffer[i] = (after if after > STOP else -abs(t)) if counts else t
                buffer[i + L1] += weight * depth
                buffer[i + L2] += weight * red
                buffer[i + L3] += weight * green
                buffer[i + L4] += weight * blue
                if normals:
                    buffer[i + L5] += weight * n0
                    buffer[i + L6] += weight * n1
                    buffer[i + L7] += weight * n2

    @parallel_kernel
    def forward(workers, splats, tile_start, ids, background, through, rgb, depths, normal):
        """Fill through, depths [C, H, W], rgb (over the background) and, where built with it, normal [C, H, W, 3]."""
        cameras, height, width = through.shape
        columns, rows = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
        for worker in prange(workers):
            buffer = np.empty(TILE * stride, np.float32)
            for tile in range(worker, cameras * rows * columns, workers):
                c, top, left = tile // (rows * columns), tile // columns % rows * TILE, tile % columns * TILE
                bottom, right = min(top + TILE, height), min(left + TILE, width)
                buffer[:] = ZERO
                for y in range(TILE):
                    buffer[y * stride : y * stride + LANES] = ONE
                alive = (1 << (bottom - top)) - 1
                for k in range(tile_start[tile], tile_start[tile + 1]):
                    blend_splat(splats[c, ids[k]], buffer, f32(left), top, bottom, alive)
                    if (k - tile_start[tile]) & 15 == 15:
                        alive = live_rows(buffer, stride, bottom - top)
                        if alive == 0:
                            break
                bc = min(c, background.shape[0] - 1)
                for y in range(top, bottom):
                    for x in range(left, right):
                        i = u64(y - top) * stride + u64(x - left)
                        behind = background[bc, min(y, background.shape[1] - 1), min(x, background.shape[2] - 1)]
                        t = abs(buffer[i])
                        through[c, y, x], depths[c, y, x] = t, buffer[i + L1]
                        for k in range(3):
                            rgb[c, y, x, k] = buffer[i + u64(k + 2) * LANES] + t * behind[k]
                            if normals:
                                normal[c, y, x, k] = buffer[i + u64(k + 5) * LANES]

    @kernel
    def unblend_splat(splat, buffer, left, top, bottom, alive):
        first, last = row_range(splat, top, bottom)
        dx0 = left + HALF - splat[P.MX]
        red, green, blue, depth = splat[P.RED], splat[P.GREEN], splat[P.BLUE], splat[P.DEPTH]
        n0, n1, n2 = splat[P.NORMAL], splat[P.NORMAL + 1], splat[P.NORMAL + 2]
        touched = False
        for y in range(first, last):
            dy = f32(y) + HALF - splat[P.MY]
            k0, k1, k2, reaches = row_quadratic(splat, dy, dx0)
            if not reaches or not (alive >> (y - top)) & 1:
                continue
            touched = True
            row = u64(y - top) * back_stride
            for lane in range(LANES):
                i, j = row + lane, sums + lane
                dx = dx0 + f32(lane)
                power = k0 + dx * (k1 + k2 * dx)
                alpha = min(exp2(max(power, FLOOR)), CAP)
                t = buffer[i]
                after = t - t * alpha
                counts = power >= LOG_MIN
                weight = t * alpha if counts and after > STOP else ZERO
                value = buffer[i + L2] * depth + buffer[i + L3] * red + buffer[i + L4] * green + buffer[i + L5] * blue
                if normals:
                    value += buffer[i + L6] * n0 + buffer[i + L7] * n1 + buffer[i + L8] * n2
                behind = buffer[i + L1] - weight * value
                buffer[i + L1] = behind
                buffer[i] = (after if after > STOP else -abs(t)) if counts else t
                slope = weight * value - alpha / (ONE - alpha) * behind
                q = slope if counts and after > STOP and power < LOG_MAX else ZERO
                buffer[j] += q
                buffer[j + L1] += q * dy
                buffer[j + L2] += q * dy * dy
                buffer[j + L3] += weight * buffer[i + L2]
                buffer[j + L4] += weight * buffer[i + L3]
                buffer[j + L5] += weight * buffer[i + L4]
                buffer[j + L6] += weight * buffer[i + L5]
                if normals:
                    buffer[j + L7] += weight * buffer[i + L6]
                    buffer[j + L8] += weight * buffer[i + L7]
                    buffer[j + L9] += weight * buffer[i + L8]
        return touched

    @kernel
    def collect(buffer, dx0, out):
        """Add up the column sums of one splat into its slot and clear them."""
        g0, gx, gy, gxx, gxy, gyy = ZERO, ZERO, ZERO, ZERO, ZERO, ZERO
        for lane in range(LANES):
            j, dx = sums + lane, dx0 + f32(lane)
            q, qy = buffer[j], buffer[j + L1]
            g0 += q
            gx += q * dx
            gxx += q * dx * dx
            gy += qy
            gxy += qy * dx
            gyy += buffer[j + L2]
        out[G.G0], out[G.GX], out[G.GY], out[G.GXX], out[G.GXY], out[G.GYY] = g0, gx, gy, gxx, gxy, gyy
        for channel in range(channels):
            total = ZERO
            for lane in range(LANES):
                total += buffer[sums + L3 + u64(channel) * LANES + lane]
            out[G.GDEPTH + channel] = total
        for i in range(sums, sums + L3 + u64(channels) * LANES):
            buffer[i] = ZERO

    @kernel
    def load_pixel(buffer, i, channel, image, grad):
        """Store one channel's gradient; return its share of what is behind the first splat."""
        buffer[i + u64(channel + 2) * LANES] = grad
        return image * grad

    @kernel
    def load_tile(buffer, images, grads, c, top, bottom, left, right):
        """Fill the rows from the final images and their gradients; pixels outside the image are stopped from the start."""
        through, rgb, depths, normal = images
        galpha, grgb, gdepths, gnormal = grads
        buffer[:] = ZERO
        for y in range(top, bottom):
            for x in range(left, right):
                i = u64(y - top) * back_stride + u64(x - left)
                total = ZERO
                if galpha.shape[0] > 0:
                    total -= through[c, y, x] * galpha[c, y, x]
                if gdepths.shape[0] > 0:
                    total += load_pixel(buffer, i, 0, depths[c, y, x], gdepths[c, y, x])
                for k in range(3):
                    if grgb.shape[0] > 0:
                        total += load_pixel(buffer, i, 1 + k, rgb[c, y, x, k], grgb[c, y, x, k])
                    if normals and gnormal.shape[0] > 0:
                        total += load_pixel(buffer, i, 4 + k, normal[c, y, x, k], gnormal[c, y, x, k])
                buffer[i], buffer[i + L1] = ONE, total

    @parallel_kernel
    def backward(workers, splats, tile_start, ids, slots, images, grads, parts):
        """Fill parts [slots, 6 + channels] from images = (through, rgb, depths, normal) and the gradients of
        (alpha, rgb, depths, normal), each of which is empty where nothing depends on it."""
        cameras, height, width = images[0].shape
        columns, rows = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
        for worker in prange(workers):
            buffer = np.empty(sums + L3 + u64(channels) * LANES, np.float32)
            for tile in range(worker, cameras * rows * columns, workers):
                c, top, left = tile // (rows * columns), tile // columns % rows * TILE, tile % columns * TILE
                bottom, right = min(top + TILE, height), min(left + TILE, width)
                if tile_start[tile] == tile_start[tile + 1]:
                    continue
                load_tile(buffer, images, grads, c, top, bottom, left, right)
                alive = (1 << (bottom - top)) - 1
                for k in range(tile_start[tile], tile_start[tile + 1]):
                    splat, out = splats[c, ids[k]], parts[slots[k]]
                    if alive and unblend_splat(splat, buffer, f32(left), top, bottom, alive):
                        collect(buffer, f32(left) + HALF - splat[P.MX], out)
                    else:
                        out[:] = ZERO
                    if (k - tile_start[tile]) & 15 == 15 and alive:
                        alive = live_rows(buffer, back_stride, bottom - top)

    return forward, backward
