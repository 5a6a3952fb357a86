"""Multi-resolution grids of 2D and 3D positions, tiled or hashed (RAD-NeRF); and the frequency encoding."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor, nn

from d3talker.errors import UserError
from d3talker.graphics.encoding.grid_index import WHOLE, Index, strides
from d3talker.graphics.encoding.levels import Level, make_levels

BACKENDS = ("auto", "reference", "cpu")
PRIMES = (1, 2654435761, 805459861)  # instant-ngp's hash, in 32 bits
def frequency(values: Tensor, levels: int) -> Tensor:
    """[..., D] -> [..., D (1 + 2 levels)]: x, sin x, cos x, sin 2x, cos 2x, sin 4x ...; no pi (RAD-NeRF freqencoder.cu, NeRF)."""
    scaled = [values * 2.0**level for level in range(levels)]
    return torch.cat([values, *(part for x in scaled for part in (x.sin(), x.cos()))], -1)


class GridEncoder(nn.Module):
    """torch-ngp's GridEncoder for 2D or 3D positions (gridencoder.cu:54-84), align_corners=False, linear interpolation.

    For each level, with x in [0, 1]^D the position (p + bound) / (2 bound): cell and fraction of x * scale + 0.5, and the sum
    over the cell's 2^D corners of weight * table[row(corner)].  A dense level's row is x + y side + z side².  Where that does
    not fit the table, "tiled" wraps it round, leaving out every coordinate whose stride is over the table's rows; "hash" takes
    (x xor y 2654435761 xor z 805459861) mod rows.  A position outside the box gives zeros.
    Parameter `table` [rows, features] is `embeddings` of official checkpoints.
    Backends: reference (torch, any dtype and device), cpu (numba, float32), auto (cpu where it fits).  All give gradients of table
    and position.
    """

    def __init__(
        self,
        dims: int,
        index: Index,
        levels: int = 16,
        features: int = 2,
        base_resolution: float = 16,
        desired_resolution: float = 2048,
        log2_table: int = 16,
        bound: float | Sequence[float] = 1.0,
        backend: str = "auto",
    ) -> None:
        """bound: half side of the box about 0, or one for each axis."""
        super().__init__()
        if backend not in BACKENDS or dims not in (2, 3) or index not in ("tiled", "hash"):
            raise UserError(
                f"the grid encoder got dims={dims}, index='{index}', backend='{backend}'; dims are 2 or 3, index tiled or hash, "
                f"backend one of {', '.join(BACKENDS)}"
            )
        self.dims, self.index, self.backend = dims, index, backend
        self.layout = make_levels(levels, base_resolution, desired_resolution, log2_table, dims)
        self.width = levels * features
        self.bound: Tensor
        self.register_buffer("bound", torch.as_tensor(bound, dtype=torch.float32).expand(dims).clone(), persistent=False)
        self.table = nn.Parameter(torch.empty(self.layout[-1].start + self.layout[-1].rows, features).uniform_(-1e-4, 1e-4))

    def forward(self, positions: Tensor) -> Tensor:
        """positions [N, D] -> [N, levels * features]: level, then feature."""
        if positions.ndim != 2 or positions.shape[1] != self.dims:
            raise UserError(f"the grid encoder got positions of shape {tuple(positions.shape)}; pass [N, {self.dims}]")
        bound = self.bound.to(positions)
        unit = (positions + bound) / (2 * bound)
        if self.backend == "cpu" or (self.backend == "auto" and unit.device.type == "cpu" and unit.dtype == torch.float32):
            from d3talker.graphics.encoding.grid_cpu import encode

            return encode(unit, self.table, self.layout, self.index)
        return encode_reference(unit, self.table, self.layout, self.index)


def rows_of(corner: Tensor, level: Level, index: Index) -> Tensor:
    """Rows in a level's table of integer corners [..., D]."""
    steps = strides(level, index)
    if steps is not None:
        return (corner * torch.tensor(steps, device=corner.device)).sum(-1) % level.rows
    hashed = torch.zeros_like(corner[..., 0])
    for coordinate, prime in zip(corner.unbind(-1), PRIMES):
        hashed = hashed ^ ((coordinate * prime) & WHOLE)
    return hashed % level.rows


def encode_reference(unit: Tensor, table: Tensor, levels: Sequence[Level], index: Index) -> Tensor:
    """unit [N, D] in [0, 1], table [rows, F] -> [N, L * F]."""
    inside = ((unit >= 0) & (unit <= 1)).all(-1, keepdim=True)
    unit = torch.where(inside, unit, 0.0)
    features = []
    for level, part in zip(levels, table.split([level.rows for level in levels])):
        position = unit * level.scale + 0.5
        cell = position.detach().floor()
        after = position - cell
        total = torch.zeros(len(unit), table.shape[1], dtype=table.dtype, device=table.device)
        for corner in product((0, 1), repeat=level.dims):
            step = torch.tensor(corner, device=unit.device)
            weight = torch.where(step == 1, after, 1 - after).prod(-1)
            total = total + weight[:, None] * part.index_select(0, rows_of(cell.long() + step, level, index))
        features.append(torch.where(inside, total, 0.0))
    return torch.cat(features, 1)
