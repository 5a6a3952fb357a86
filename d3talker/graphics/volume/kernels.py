"""Numba kernels of the volume renderer: marching, packing, compositing and its gradient; float32 and float64."""

from __future__ import annotations

import numpy as np
from numba import prange

from d3talker.jit import inner, parallel_kernel


@inner
def cell_of(position, half, count):
    """Cell of a coordinate, the nearest where it lies outside."""
    at = (position + half) / (half + half) * count
    return np.int64(min(max(np.floor(at), 0), count - 1))


@parallel_kernel
def march(origins, along, near, far, start, step, occupied, shape, found, counts, after):
    """Lattice indices found [N, limit] of the occupied points; shape: half sides and cells of the grid, float64 [6]."""
    limit = found.shape[1]
    hx, hy, hz = near.dtype.type(shape[0]), near.dtype.type(shape[1]), near.dtype.type(shape[2])
    nx, ny, nz = near.dtype.type(shape[3]), near.dtype.type(shape[4]), near.dtype.type(shape[5])
    for n in prange(len(near)):
        taken, k = 0, start[n]
        while taken < limit:
            t = near[n] + near.dtype.type(k) * step
            if not t < far[n]:
                break
            x = cell_of(origins[n, 0] + t * along[n, 0], hx, nx)
            y = cell_of(origins[n, 1] + t * along[n, 1], hy, ny)
            z = cell_of(origins[n, 2] + t * along[n, 2], hz, nz)
            if occupied[x, y, z]:
                found[n, taken] = k
                taken += 1
            k += 1
        counts[n], after[n] = taken, k


@parallel_kernel
def pack(origins, along, near, step, found, counts, first, positions, distances, rays):
    """Positions, distances and rays of the samples that `march` found, ray by ray."""
    for n in prange(len(near)):
        for s in range(counts[n]):
            t = near[n] + near.dtype.type(found[n, s]) * step
            m = first[n] + s
            distances[m], rays[m] = t, n
            for axis in range(3):
                positions[m, axis] = origins[n, axis] + t * along[n, axis]


@parallel_kernel
def composite(sigma, values, extras, distances, first, counts, before, delta, stop, sums, alpha, depth, extra_sums, left):
    """Front to back; a ray stops after the sample that brings its transmittance under `stop`."""
    for n in prange(len(first)):
        through = before[n]
        for m in range(first[n], first[n] + counts[n]):
            if through < stop:
                break
            passed = np.exp(-sigma[m] * delta)
            w = (1 - passed) * through
            for c in range(values.shape[1]):
                sums[n, c] += w * values[m, c]
            for e in range(extras.shape[1]):
                extra_sums[n, e] += extras[m, e]
            alpha[n] += w
            depth[n] += w * distances[m]
            through *= passed
        left[n] = through


@parallel_kernel
def composite_gradient(
    sigma, values, first, counts, before, delta, stop, sums, left, gsums, galpha, gextra, out_sigma, out_values, out_extras
):
    """d w_i / d sigma_i = delta T_(i+1), d w_j / d sigma_i = -delta w_j for j > i; outputs are zero where a ray had stopped."""
    for n in prange(len(first)):
        through, behind = before[n], galpha[n] * 0
        for c in range(values.shape[1]):
            behind += gsums[n, c] * sums[n, c]
        for m in range(first[n], first[n] + counts[n]):
            if through < stop:
                break
            passed = np.exp(-sigma[m] * delta)
            w = (1 - passed) * through
            through *= passed
            dot = galpha[n] * 0
            for c in range(values.shape[1]):
                dot += gsums[n, c] * values[m, c]
                out_values[m, c] = w * gsums[n, c]
            for e in range(gextra.shape[1]):
                out_extras[m, e] = gextra[n, e]
            behind -= w * dot
            out_sigma[m] = delta * (through * dot - behind + galpha[n] * left[n])
