"""How a corner of a grid's cell finds its row in the level's table."""

from __future__ import annotations

from typing import Literal

from d3talker.graphics.encoding.levels import Level

WHOLE = 0xFFFFFFFF

Index = Literal["tiled", "hash"]


def strides(level: Level, index: Index) -> tuple[int, ...] | None:
    """What each coordinate is multiplied with to give a row, 0 where it is left out; None for a level that is hashed."""
    if not level.dense and index == "hash":
        return None
    return tuple(level.side**d if level.side**d <= level.rows else 0 for d in range(level.dims))
