"""Tri-plane hash-grid encoder of positions, one set of parameters for every backend."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from torch import Tensor, nn

from d3talker.errors import UserError
from d3talker.graphics.encoding import gathered
from d3talker.graphics.encoding.gathered import Cells
from d3talker.graphics.encoding.levels import Level, make_levels

__all__ = ["BACKENDS", "Cells", "Level", "TriPlaneEncoder", "make_levels"]

BACKENDS = ("auto", "reference", "grid", "cpu", "tinycudann")


class TriPlaneEncoder(nn.Module):
    """Three 2D multi-resolution grids over the xy, yz and xz projections of a position (RAD-NeRF, ER-NeRF, InsTaG).

    For each plane and level, with x in [0, 1]² the projected position (mean + bound) / (2 bound):
        position = x * scale + 0.5, cell = floor(position), fraction = position - cell,
        feature = sum over the cell's four corners of (bilinear weight) * table[row(corner)],
        row = corner_x + corner_y * side where side² rows fit the table,
        else (corner_x xor corner_y * 2654435761) mod rows,
    with scale and side as in `make_levels`. A plane whose x leaves [0, 1]² gives zeros, as in torch-ngp's GridEncoder.

    Parameter `table` [3, rows, features]: table[p] is plane p's `embeddings` in official checkpoints, level by level.
    Backends: reference (torch), grid (one gather, any device), cpu (numba, float32), tinycudann (CUDA); auto takes
    D3TALKER_ENCODER if set, else cpu for float32 on the CPU, else grid.
    """

    def __init__(
        self,
        levels: int = 12,
        features: int = 1,
        base_resolution: float = 16,
        desired_resolution: float = 256 * 0.15,
        log2_table: int = 17,
        bound: float = 0.15,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        if backend not in BACKENDS:
            raise UserError(f"the tri-plane encoder got the backend '{backend}'; choose one of {', '.join(BACKENDS)}")
        self.levels, self.features, self.bound, self.backend = levels, features, bound, backend
        self.layout = make_levels(levels, base_resolution, desired_resolution, log2_table)
        self.width = 3 * levels * features
        self.table = nn.Parameter(torch.empty(3, self.layout[-1].start + self.layout[-1].rows, features))
        self.reset_parameters()

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Uniform in ±1e-4, as torch-ngp does."""
        with torch.no_grad():
            self.table.uniform_(-1e-4, 1e-4, generator=generator)

    def forward(self, means: Tensor, cells: Cells | None = None) -> Tensor:
        """means [N, 3] in world units -> [N, 3 * levels * features]: plane, then level, then feature.

        cells: what `cells` gave for these means, here or in another encoder of the same layout and bound.
        """
        if means.ndim != 2 or means.shape[1] != 3:
            raise UserError(f"the tri-plane encoder got means of shape {tuple(means.shape)}; pass [N, 3]")
        if cells is not None:
            return gathered.encode(means, self.bound, self.table, self.layout, cells)
        return self._encode(self._chosen(means))(means, self.bound, self.table, self.layout)

    def cells(self, means: Tensor) -> Cells | None:
        """The cells of means [N, 3], to be looked up by several encoders; None for a backend that finds them by itself."""
        return gathered.cells(means, self.bound, self.layout) if self._chosen(means) == "grid" else None

    def _chosen(self, means: Tensor) -> str:
        chosen = os.environ.get("D3TALKER_ENCODER", "auto") if self.backend == "auto" else self.backend
        if chosen not in BACKENDS:
            raise UserError(f"D3TALKER_ENCODER names the backend '{chosen}'; choose one of {', '.join(BACKENDS)}")
        if chosen == "auto":
            chosen = "cpu" if means.device.type == "cpu" and means.dtype == torch.float32 else "grid"
        return chosen

    @staticmethod
    def _encode(chosen: str) -> Callable[..., Tensor]:
        if chosen == "cpu":
            from d3talker.graphics.encoding.cpu import encode
        elif chosen == "grid":
            from d3talker.graphics.encoding.gathered import encode
        elif chosen == "tinycudann":
            from d3talker.graphics.encoding.tcnn import encode
        else:
            from d3talker.graphics.encoding.reference import encode
        return encode

    def extra_repr(self) -> str:
        hashed = sum(not level.dense for level in self.layout)
        return f"levels={self.levels}, features={self.features}, bound={self.bound}, hashed_levels={hashed}"
