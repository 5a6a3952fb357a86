"""Facial action units in OpenFace's CSV: eye control reads six of them (InsTaG scene/dataset_readers.py:165-172)."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from d3talker.errors import UserError
from d3talker.files import atomic_path

COLUMNS = ("AU01_r", "AU04_r", "AU05_r", "AU06_r", "AU07_r", "AU45_r")
BLINK_MAX = 2.0  # InsTaG clips AU45 to 0-2


def read_action_units(path: Path) -> np.ndarray:
    """float32 [T, 6] in the order of COLUMNS, intensities 0 to 5 as OpenFace gives them, the blink clipped to 0-2.

    OpenFace puts a space before its column names.  Raises UserError when the file, a column or a number is missing.
    """
    if not path.exists():
        raise UserError(f"{path} is missing; make it with d3talker prepare, or with OpenFace's FeatureExtraction")
    with path.open(newline="") as stream:
        rows = [{(key or "").strip(): value for key, value in row.items()} for row in csv.DictReader(stream)]
    missing = [name for name in COLUMNS if not rows or name not in rows[0]]
    if missing:
        raise UserError(f"{path} lacks the columns {', '.join(missing)}; write it with OpenFace's option -aus")
    try:
        values = np.array([[float(row[name]) for name in COLUMNS] for row in rows], np.float32)
    except (TypeError, ValueError):
        raise UserError(f"{path} holds something that is not a number; make it again") from None
    if not np.isfinite(values).all():
        raise UserError(f"{path} holds NaN or infinity; make it again")
    values[:, -1] = values[:, -1].clip(0, BLINK_MAX)
    return values


def write_action_units(path: Path, values: np.ndarray) -> None:
    """Write [T, 6] intensities with OpenFace's own header, leading space and all."""
    with atomic_path(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["frame", *(f" {name}" for name in COLUMNS)])
        writer.writerows([index + 1, *(f" {value:.4f}" for value in row)] for index, row in enumerate(values))
