"""What the expression modes of a fitted head do at each vertex of its mesh: shift, turn and stretch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from d3talker.graphics.options import Region
from d3talker.people.head.embedded import INSIDE, embedded_head

ACROSS, LEAST = 0.1, 1e-6  # weights of no strain across the surface, and of no gradient at all, against the edges' squares
SHIFT, TURN, STRAIN = slice(0, 3), slice(3, 6), slice(6, 12)  # columns: m; radians about x, y, z; xx, yy, zz, xy, xz, yz
COLUMNS = 12


@dataclass(frozen=True)
class MeshModes:
    """The vertices of one region: rest [V, 3] in metres, at the expression `rest_expression`; modes [E, V, 12] per unit of each
    expression coefficient, in the columns SHIFT, TURN and STRAIN.  float32."""

    rest: np.ndarray
    modes: np.ndarray


def mesh_modes(identity: np.ndarray, rest_expression: np.ndarray) -> dict[Region, MeshModes]:
    """Modes of a head with identity coefficients [I] about an expression [E], for each region.

    The gradient G of a mode's displacement is fitted to the edges about each vertex.  Its antisymmetric part is the turn, its
    symmetric part the strain: the polar decomposition of I + G to first order, linear in the coefficients as the displacement is.
    """
    model = embedded_head()
    vertices = model.vertices(identity, rest_expression).astype(np.float64)
    shift = model.expression_basis.astype(np.float64)
    normals = model.normals(vertices).astype(np.float64)
    gradient = _gradients(vertices, shift, normals, model.triangles)
    turn = np.stack([
        gradient[..., 2, 1] - gradient[..., 1, 2], gradient[..., 0, 2] - gradient[..., 2, 0],
        gradient[..., 1, 0] - gradient[..., 0, 1],
    ], -1) / 2
    even = (gradient + gradient.swapaxes(-1, -2)) / 2
    strain = even[..., [0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    modes = np.concatenate([shift, turn, strain], -1).astype(np.float32)
    inside = model.region_mask(*INSIDE)
    rest = vertices.astype(np.float32)
    return {"face": MeshModes(rest[~inside], modes[:, ~inside]), "mouth": MeshModes(rest[inside], modes[:, inside])}


def _gradients(vertices: np.ndarray, shift: np.ndarray, normals: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Displacement gradients [E, V, 3, 3] (row: displacement, column: position) of shifts [E, V, 3].

    Least squares over the edges d about a vertex, |G d - u|^2, and over the strain across the surface, |(G + G') n|^2, which
    edges within it do not tell: a turn of the whole head comes out as it is.
    """
    i, j = np.unique(np.concatenate([triangles[:, [a, b]] for a in range(3) for b in range(3) if a != b]), axis=0).T
    edges, count = vertices[j] - vertices[i], len(vertices)
    gram = _sum_at(i, np.einsum("ma,mb->mab", edges, edges), count)
    size = np.einsum("vaa->v", gram)[:, None, None] + 1e-20
    eye = np.eye(3)
    across = np.einsum("ac,vb->vacb", eye, normals) + np.einsum("ab,vc->vacb", eye, normals)  # (G + G') n of row-major G
    across = across.reshape(count, 3, 9)
    system = np.einsum("ac,vbd->vabcd", eye, gram).reshape(count, 9, 9)
    system = system + size * (ACROSS * across.swapaxes(1, 2) @ across + LEAST * np.eye(9))
    moved = [_sum_at(i, np.einsum("ma,mb->mab", u[j] - u[i], edges), count).reshape(count, 9) for u in shift]
    return np.moveaxis(np.linalg.solve(system, np.stack(moved, -1)), -1, 0).reshape(len(shift), count, 3, 3)


def _sum_at(index: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Sum values [M, 3, 3] into rows `index` of [count, 3, 3]."""
    flat = values.reshape(len(values), -1)
    return np.stack([np.bincount(index, column, count) for column in flat.T], 1).reshape(count, 3, 3)
