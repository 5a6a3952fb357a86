"""The grid encoder's level geometry: scales, resolutions, table offsets, and which levels hash."""

from __future__ import annotations

import math
from dataclasses import dataclass

from d3talker.errors import UserError


@dataclass(frozen=True)
class Level:
    """One level of one plane, or of one grid."""

    scale: float  # cells a side, less one: positions are x * scale + 0.5 for x in [0, 1]
    side: int  # vertices a side of the dense table, ceil(scale) + 2
    start: int  # first row in the plane's table
    rows: int  # rows of this level, a multiple of 8
    dims: int = 2

    @property
    def dense(self) -> bool:
        """Whether every vertex has its own row, so that nothing is hashed."""
        return self.side**self.dims <= self.rows


def make_levels(
    levels: int, base_resolution: float, desired_resolution: float, log2_table: int, dims: int = 2
) -> tuple[Level, ...]:
    """Levels as torch-ngp's GridEncoder lays them out for inputs of `dims` numbers, align_corners=False (gridencoder/grid.py).

    scale_l = base * s^l - 1, s = (desired / base)^(1 / (levels - 1)); side_l = ceil(base * s^l) + 1;
    rows_l = min(2^log2_table, side_l^dims) rounded up to a multiple of 8.
    """
    if levels < 1 or base_resolution < 2 or desired_resolution < 2 or not 3 <= log2_table <= 24:
        raise UserError(
            f"the grid encoder got levels={levels}, resolutions {base_resolution} to {desired_resolution}, "
            f"log2_table={log2_table}; use at least 1 level, resolutions of at least 2 and a table of 2^3 to 2^24 rows"
        )
    growth = math.log2(desired_resolution / base_resolution) / max(levels - 1, 1)
    result, start = [], 0
    for level in range(levels):
        resolution = base_resolution * 2.0 ** (level * growth)
        side = math.ceil(round(resolution, 9)) + 1  # round: 16 * 2^(k log2 1.2 ...) may miss an integer by one bit
        rows = -(-min(2**log2_table, side**dims) // 8) * 8
        result.append(Level(resolution - 1.0, side, start, rows, dims))
        start += rows
    return tuple(result)
