"""Numba kernels: take the gradients of splats back to the Gaussians and the cameras; float64 inside."""

from __future__ import annotations

import numpy as np
from numba import prange

from d3talker.graphics.render.projection_kernels import LOG2E, QXX, QXY, QYY, REACH_X, footprint, lens, load3, load_rotation
from d3talker.jit import inner, parallel_kernel

# one splat gradient, PARTS floats: sums over pixels of q = dL/dlog(alpha) times moments of the offset, then of the channels
PARTS = 16
G0, GX, GY, GXX, GXY, GYY, GDEPTH, GRED, GNORMAL = 0, 1, 2, 3, 4, 5, 6, 7, 10
BLOCKS = 64  # camera gradients are summed in this many fixed pieces, so that threads do not change them
CAMERA = 16  # rows of the viewmat (12), then fx, fy, cx, cy


@inner
def rotation_gradient(turned, g):
    """Gradient of the raw quaternion from that of the matrix (nine entries, row by row)."""
    length, w, x, y, z = turned[:5]
    gw = 2 * (z * (g[3] - g[1]) + y * (g[2] - g[6]) + x * (g[7] - g[5]))
    gx = 2 * (y * (g[1] + g[3]) + z * (g[2] + g[6]) + w * (g[7] - g[5]) - 2 * x * (g[4] + g[8]))
    gy = 2 * (x * (g[1] + g[3]) + z * (g[5] + g[7]) + w * (g[2] - g[6]) - 2 * y * (g[0] + g[8]))
    gz = 2 * (x * (g[2] + g[6]) + y * (g[5] + g[7]) + w * (g[3] - g[1]) - 2 * z * (g[0] + g[4]))
    along = w * gw + x * gx + y * gy + z * gz
    return (gw - w * along) / length, (gx - x * along) / length, (gy - y * along) / length, (gz - z * along) / length


@inner
def plane_gradient(splat, total):
    """Gradients of the 2D centre and of the 2D covariance's entries xx, xy (each of the two), yy."""
    a, b, c = -2 * splat[QXX] / LOG2E, -splat[QXY] / LOG2E, -2 * splat[QYY] / LOG2E
    gmx, gmy = a * total[GX] + b * total[GY], b * total[GX] + c * total[GY]
    # dL/dcov = -Q G Q with G the gradient of the conic Q
    gaa, gab, gbb = 0.5 * total[GXX], 0.5 * total[GXY], 0.5 * total[GYY]
    la, lb, ma, mb = a * gaa + b * gab, a * gab + b * gbb, b * gaa + c * gab, b * gab + c * gbb
    return gmx, gmy, la * a + lb * b, la * b + lb * c, ma * b + mb * c


@inner
def lens_gradient(K, view, jacobian_gradient, gmx, gmy, gdepth):
    """Gradients of the camera-space centre and of fx, fy, cx, cy."""
    _, _, z, xz, yz, tx, ty = view
    gjx, gjxz, gjy, gjyz = jacobian_gradient
    fx, fy = K[0, 0], K[1, 1]
    gfx, gfy, gcx, gcy = gmx * xz + (gjx - gjxz * tx) / z, gmy * yz + (gjy - gjyz * ty) / z, gmx, gmy
    gxz, gyz = fx * gmx, fy * gmy
    gtx, gty = -gjxz * fx / z, -gjyz * fy / z
    if tx == xz:
        gxz += gtx
    else:  # both limits are (constant - cx) / fx
        gcx -= gtx / fx
        gfx -= gtx * tx / fx
    if ty == yz:
        gyz += gty
    else:
        gcy -= gty / fy
        gfy -= gty * ty / fy
    gz = gdepth - (fx * (gjx - gjxz * tx) + fy * (gjy - gjyz * ty)) / (z * z) - (gxz * xz + gyz * yz) / z
    return (gxz / z, gyz / z, gz), (gfx, gfy, gcx, gcy)


@inner
def turn(R, v):
    """Matrix (nine entries, row by row) times vector."""
    return (
        R[0] * v[0] + R[1] * v[1] + R[2] * v[2],
        R[3] * v[0] + R[4] * v[1] + R[5] * v[2],
        R[6] * v[0] + R[7] * v[1] + R[8] * v[2],
    )


@inner
def unproject_one(V, K, centre, turned, scale, splat, total, width, height):
    """Gradients of mean, quaternion, scale and camera of one Gaussian, from the sums over its slots."""
    R = turned[5:]
    view = lens(V, K, centre, width, height)
    j, a, b, e, h = footprint(V, K, view[2], view[5], view[6], R)
    gmx, gmy, gxx, gxy, gyy = plane_gradient(splat, total)
    s0, s1, s2 = scale
    ge0, gh0 = 2 * (gxx * e[0] + gxy * h[0]), 2 * (gxy * e[0] + gyy * h[0])
    ge1, gh1 = 2 * (gxx * e[1] + gxy * h[1]), 2 * (gxy * e[1] + gyy * h[1])
    ge2, gh2 = 2 * (gxx * e[2] + gxy * h[2]), 2 * (gxy * e[2] + gyy * h[2])
    gscale = ((ge0 * e[0] + gh0 * h[0]) * s0, (ge1 * e[1] + gh1 * h[1]) * s1, (ge2 * e[2] + gh2 * h[2]) * s2)
    q0, q1, q2 = s0 * s0, s1 * s1, s2 * s2
    ge0, ge1, ge2, gh0, gh1, gh2 = ge0 * q0, ge1 * q1, ge2 * q2, gh0 * q0, gh1 * q1, gh2 * q2
    gR = (
        a[0] * ge0 + b[0] * gh0, a[0] * ge1 + b[0] * gh1, a[0] * ge2 + b[0] * gh2,
        a[1] * ge0 + b[1] * gh0, a[1] * ge1 + b[1] * gh1, a[1] * ge2 + b[1] * gh2,
        a[2] * ge0 + b[2] * gh0, a[2] * ge1 + b[2] * gh1, a[2] * ge2 + b[2] * gh2,
    )  # fmt: skip
    ga, gb = turn(R, (ge0, ge1, ge2)), turn(R, (gh0, gh1, gh2))
    gj = (
        ga[0] * V[0, 0] + ga[1] * V[0, 1] + ga[2] * V[0, 2],
        ga[0] * V[2, 0] + ga[1] * V[2, 1] + ga[2] * V[2, 2],
        gb[0] * V[1, 0] + gb[1] * V[1, 1] + gb[2] * V[1, 2],
        gb[0] * V[2, 0] + gb[1] * V[2, 1] + gb[2] * V[2, 2],
    )
    g, gK = lens_gradient(K, view, gj, gmx, gmy, total[GDEPTH])
    px, py, pz = centre
    gmean = (
        V[0, 0] * g[0] + V[1, 0] * g[1] + V[2, 0] * g[2],
        V[0, 1] * g[0] + V[1, 1] * g[1] + V[2, 1] * g[2],
        V[0, 2] * g[0] + V[1, 2] * g[1] + V[2, 2] * g[2],
    )
    gcamera = (
        g[0] * px + j[0] * ga[0], g[0] * py + j[0] * ga[1], g[0] * pz + j[0] * ga[2], g[0],
        g[1] * px + j[2] * gb[0], g[1] * py + j[2] * gb[1], g[1] * pz + j[2] * gb[2], g[1],
        g[2] * px + j[1] * ga[0] + j[3] * gb[0], g[2] * py + j[1] * ga[1] + j[3] * gb[1],
        g[2] * pz + j[1] * ga[2] + j[3] * gb[2], g[2],
        gK[0], gK[1], gK[2], gK[3],
    )  # fmt: skip
    return gmean, rotation_gradient(turned, gR), gscale, gcamera


@inner
def add_row(grads, c, n, first, values):
    """Add a tuple into row n of [B, N, W], from column first on."""
    row = grads[min(c, grads.shape[0] - 1), n]
    for k in range(len(values)):
        row[first + k] += values[k]


@parallel_kernel
def unproject(means, quats, scales, opacities, viewmats, Ks, width, height, splats, slot_start, parts, out):
    """Add into out = (means, quats, scales, opacities [B, N, 1], colors, normals, cameras [BLOCKS, C, CAMERA])."""
    gmeans, gquats, gscales, gopacities, gcolors, gnormals, gcameras = out
    cameras, count = splats.shape[0], splats.shape[1]
    for block in prange(BLOCKS):
        total = np.empty(PARTS, np.float64)
        for n in range(block * count // BLOCKS, (block + 1) * count // BLOCKS):
            for c in range(cameras):
                begin, end = slot_start[c * count + n], slot_start[c * count + n + 1]
                if not splats[c, n, REACH_X] > 0 or begin == end:
                    continue
                total[:] = 0.0
                for slot in range(begin, end):
                    for k in range(PARTS):
                        total[k] += parts[slot, k]
                centre, scale, turned = load3(means, c, n), load3(scales, c, n), load_rotation(quats, c, n)
                gmean, gquat, gscale, gcamera = unproject_one(
                    viewmats[c], Ks[c], centre, turned, scale, splats[c, n], total, width, height
                )
                add_row(gmeans, c, n, 0, gmean)
                add_row(gquats, c, n, 0, gquat)
                add_row(gscales, c, n, 0, gscale)
                add_row(gopacities, c, n, 0, (total[G0] / opacities[min(c, opacities.shape[0] - 1), n],))
                add_row(gcolors, c, n, 0, (total[GRED], total[GRED + 1], total[GRED + 2]))
                if gnormals.shape[0] > 0:
                    add_row(gnormals, c, n, 0, (total[GNORMAL], total[GNORMAL + 1], total[GNORMAL + 2]))
                for k in range(CAMERA):
                    gcameras[block, c, k] += gcamera[k]
