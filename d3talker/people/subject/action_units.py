"""Facial action units in OpenFace's CSV: eye control reads six of them (InsTaG scene/dataset_readers.py:165-172)."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from d3talker.errors import UserError
from d3talker.files import atomic_path
from d3talker.people.media.opening import FPS

COLUMNS = ("AU01_r", "AU04_r", "AU05_r", "AU06_r", "AU07_r", "AU45_r")
BESIDE = ("frame", "face_id", "timestamp", "confidence", "success")  # OpenFace's own, where they are there
FEW_ROWS = 8  # at the end that may be missing from a file of one row a frame: extractors differ by some
RATES = (23.976, 24.0, 29.97, 30.0, 50.0, 59.94, 60.0)  # that footage comes in beside 25
BLINK_MAX = 2.0  # InsTaG clips AU45 to 0-2


def read_action_units(path: Path, total: int | None = None, notes: list[str] | None = None) -> np.ndarray:
    """float32 [T, 6] in the order of COLUMNS, one row a 25 fps frame: intensities 0 to 5 as OpenFace gives them, the blink
    clipped to 0-2.

    OpenFace puts a space before its column names, writes a row for every face, and keeps frames where it failed: the surest
    face is taken, failures are interpolated, and time stamps of another rate are read at 25 fps.  total: frames that are
    needed; a few missing at the end repeat the last.  notes: what was mended is appended there.
    Raises UserError when the file, a column or a number is missing, or the rows do not fit the frames.
    """
    values = _read(path, COLUMNS, total, [] if notes is None else notes)
    values[:, -1] = values[:, -1].clip(0, BLINK_MAX)
    return values.astype(np.float32)


def read_unit(path: Path, name: str, total: int | None = None) -> np.ndarray | None:
    """One further column of OpenFace's, float64 [T], read as `read_action_units` reads; None where the file lacks it."""
    with path.open(encoding="latin-1") as stream:
        if name not in [head.strip() for head in stream.readline().split(",")]:
            return None
    return _read(path, (name,), total, [])[:, 0]


def _read(path: Path, columns: tuple[str, ...], total: int | None, said: list[str]) -> np.ndarray:
    """The columns, float64 [T, len(columns)], one row a 25 fps frame."""
    rows = _rows(path, columns)
    values = np.array([[row[name] for name in columns] for row in rows], np.float64)
    failed = np.array([row.get("success", 1.0) == 0 for row in rows])
    if not np.isfinite(values[~failed]).all():
        raise UserError(f"{path} holds NaN or infinity; make it again")
    if "frame" in rows[0]:
        values, failed, rows = _one_a_frame(path, rows, values, failed, said)
    if failed.all():
        raise UserError(f"{path}: OpenFace found a face in no frame (success is 0 throughout); run it again on a larger picture")
    times = np.arange(len(values)) / FPS
    stamps = [row.get("timestamp", np.nan) for row in rows]
    step = float(np.median(np.diff(stamps))) if len(stamps) > 1 else np.nan
    if np.isfinite(stamps).all() and abs(step - 1 / FPS) > 0.002 and step > 0:
        said.append(f"{path.name} is at {1 / step:.3g} fps by its time stamps: it is read at {FPS}")
        times = np.array(stamps) - stamps[0]
        due = np.arange(round((times[-1] + step) * FPS)) / FPS
    else:
        due = times
    if failed.any():
        said.append(f"{path.name}: no face in {int(failed.sum())} frames, which are interpolated")
    values = np.stack([np.interp(due, times[~failed], column[~failed]) for column in values.T], 1)
    return values if total is None else _fitted(path, values, total, said)


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, float]]:
    """The numbers of every row by column; the text is UTF-8 or, as from an old Windows, Latin-1."""
    if not path.exists():
        raise UserError(f"{path} is missing; make it with d3talker prepare, or with OpenFace's FeatureExtraction")
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    try:
        heads, *table = [row for row in csv.reader(text.splitlines()) if row] or [[]]
    except csv.Error as error:
        raise UserError(f"{path} is no CSV ({error}); make it again") from None
    column = {name.strip(): index for index, name in enumerate(heads)}
    missing = [name for name in columns if not table or name not in column]
    if missing:
        raise UserError(f"{path} lacks the columns {', '.join(missing)}; write it with OpenFace's option -aus")
    needed = [(name, column[name]) for name in (*columns, *BESIDE) if name in column]
    try:
        return [{name: float(row[index]) for name, index in needed} for row in table]
    except (IndexError, ValueError):
        raise UserError(f"{path} holds something that is not a number; make it again") from None


def _one_a_frame(
    path: Path, rows: list[dict[str, float]], values: np.ndarray, failed: np.ndarray, said: list[str]
) -> tuple[np.ndarray, np.ndarray, list[dict[str, float]]]:
    """The surest face of each frame, in order; frames without a row count as failed."""
    number = np.array([row["frame"] for row in rows])
    if not (np.isfinite(number).all() and (number == number.round()).all() and (number >= 0).all()):
        raise UserError(f"{path}: its column 'frame' holds something other than frame numbers; make it again")
    number = number.astype(int) - (0 if number.min() == 0 else 1)  # OpenFace counts from 1
    if number.max() > 10 * len(rows) + 1000:
        raise UserError(f"{path}: its column 'frame' goes up to {number.max()} in {len(rows)} rows; make it again")
    sure = np.array([row.get("confidence", 1.0) for row in rows]) - 2.0 * failed
    order = np.lexsort((-sure, number))
    first = order[np.r_[True, np.diff(number[order]) > 0]]
    if len(first) < len(rows):
        said.append(f"{path.name} has {len(rows)} rows for {len(first)} frames, one a face: the surest face is taken")
    count = int(number.max()) + 1
    whole, lost, kept = np.zeros((count, values.shape[1])), np.ones(count, bool), [dict[str, float]()] * count
    whole[number[first]], lost[number[first]] = values[first], failed[first]
    for index in first.tolist():
        kept[int(number[index])] = rows[index]
    return whole, lost, kept


def _fitted(path: Path, values: np.ndarray, total: int, said: list[str]) -> np.ndarray:
    """At least `total` rows.  Raises UserError where many are missing, or their number is that of another rate."""
    nearest = min(RATES, key=lambda rate: abs(len(values) / total - rate / FPS))
    rate = nearest if abs(len(values) / total - nearest / FPS) < 0.004 else None
    if rate is not None or len(values) < total - FEW_ROWS:
        hint = f", as at {rate:.4g} fps" if rate is not None else ""
        raise UserError(f"{path} has {len(values)} rows for {total} frames{hint}; run OpenFace on the 25 fps video")
    if len(values) < total:
        said.append(f"{path.name} is {total - len(values)} rows short of {total} frames: its last row is repeated")
    return values[np.minimum(np.arange(max(total, len(values))), len(values) - 1)]


def write_action_units(path: Path, values: np.ndarray) -> None:
    """Write [T, 6] intensities with OpenFace's own header, leading space and all."""
    with atomic_path(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["frame", *(f" {name}" for name in COLUMNS)])
        writer.writerows([index + 1, *(f" {value:.4f}" for value in row)] for index, row in enumerate(values))
