"""A further column of OpenFace's file is read as the six are, and may be absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from d3talker.errors import UserError
from d3talker.people.subject.action_units import COLUMNS, read_action_units, read_unit

HEADS = ", ".join(["frame", "success", *COLUMNS, "AU25_r"])


def write(path: Path, rows: list[str]) -> Path:
    path.write_text("\n".join([HEADS, *rows]))
    return path


def test_the_opening_of_the_mouth_is_read_where_it_is(tmp_path: Path) -> None:
    rows = [f"{i + 1}, {int(i != 2)}, 0, 0, 0, 0, 0, {3 * (i == 1)}, {0.5 * i}" for i in range(5)]
    path = write(tmp_path / "au.csv", rows)
    opening = read_unit(path, "AU25_r", 6)
    assert opening is not None
    np.testing.assert_allclose(opening, [0, 0.5, 1.0, 1.5, 2.0, 2.0])  # a lost frame interpolated, a missing last one repeated
    assert read_action_units(path, 5)[:, -1].tolist() == [0, 2, 1.5, 0, 0]  # the blink, and it alone, is cut at 2
    assert read_unit(path, "AU26_r", 6) is None


def test_a_column_that_is_no_number_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "au.csv", ["1, 1, 0, 0, 0, 0, 0, 0, wide"])
    assert read_action_units(path, 1).shape == (1, 6)
    with pytest.raises(UserError, match="not a number"):
        read_unit(path, "AU25_r", 1)
