"""Everything that a training or a test will read of a subject folder, looked at before any work: rows, poses, pictures, sound."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from d3talker.errors import UserError
from d3talker.files import read_npy
from d3talker.people.media.opening import FPS
from d3talker.people.media.soundtrack import sound_seconds
from d3talker.people.subject.action_units import FEW_ROWS, read_action_units
from d3talker.people.subject.image_header import image_size
from d3talker.people.subject.layout import FEATURES, Frame, Subject
from d3talker.progress import say

SHORT_SOUND = 0.5  # seconds that may be silence at the end
ROUGH_TURN = 0.02  # a rotation's rows are this near to orthonormal


@dataclass
class Findings:
    """faults: what makes a number wrong or stops a run, each with its file and what to do.  notes: what was mended, and how."""

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check(subject: Subject, training: bool = True) -> list[str]:
    """The notes on a folder that can serve.  Raises UserError with the first fault, and how many more there are.

    training: also what adaptation and rendering read; else what a comparison with the ground truth reads.
    """
    found = examine(subject, training)
    if found.faults:
        more = len(found.faults) - 1
        raise UserError(found.faults[0] + (f" (and {more} more: d3talker inspect {subject.root})" if more else ""))
    return found.notes


def say_notes(subject: Subject) -> None:
    """Check a folder before any work and print what was mended.  Raises UserError for one that cannot serve."""
    for note in check(subject):
        say(f"note: {subject.root}: {note}")


def examine(subject: Subject, training: bool = True) -> Findings:
    """All faults and notes; a file that is absent is a fault only where it is read by every training."""
    found = Findings()
    frames: list[Frame] = []
    _try(found, lambda: frames.extend(_poses(subject, found)))
    if not frames:
        return found
    looks: list[Callable[[], None]] = [lambda: _truth(subject, frames, found), lambda: _sound(subject, frames, found)]
    if training:
        total = 1 + max(frame.aud_id for frame in frames)
        looks += [
            lambda: _pictures(subject, frames, found), lambda: _features(subject, total, found),
            lambda: _eyes(subject, total, found), lambda: _motion(subject, total, found),
        ]
    for look in looks:
        _try(found, look)
    return found


def _try(found: Findings, look: Callable[[], object]) -> None:
    try:
        look()
    except UserError as error:
        found.faults.append(str(error))


def _poses(subject: Subject, found: Findings) -> list[Frame]:
    """The rows of both splits."""
    subject.K  # noqa: B018  raises where it is no camera
    frames: list[Frame] = []
    for split in ("train", "val"):
        rows = subject.frames(split)
        turns = np.stack([row.c2w[:3, :3] for row in rows])
        rough = np.abs(turns @ turns.transpose(0, 2, 1) - np.eye(3)).max((1, 2)) > ROUGH_TURN
        if rough.any():
            bad = rows[int(rough.argmax())].img_id
            raise UserError(f"{subject.layout.transforms(split)}: the matrix of frame {bad} is no rigid motion; track it again")
        ids = [row.img_id for row in rows]
        if len(set(ids)) < len(ids):
            twice = next(i for i in ids if ids.count(i) > 1)
            found.faults.append(f"{subject.layout.transforms(split)} names frame {twice} twice; remove one of the rows")
        frames += rows
    ids = sorted(row.img_id for row in frames)
    lost = ids[-1] - ids[0] + 1 - len(set(ids))
    if lost > 0:
        found.notes.append(f"{lost} frames are missing between {ids[0]} and {ids[-1]}: sound and masks go by each row's own ids")
    return frames


def _truth(subject: Subject, frames: Sequence[Frame], found: Findings) -> None:
    """gt_imgs of all rows, of one size; parsing of the same size where it is there."""
    size = _sizes(frames, subject.root / "gt_imgs", (".png", ".jpg"))
    if (subject.root / "parsing").is_dir():
        _sizes(frames, subject.root / "parsing", (".png",), size)


def _pictures(subject: Subject, frames: Sequence[Frame], found: Findings) -> None:
    """Torso, background and landmarks of all rows."""
    if not (subject.root / "parsing").is_dir():
        raise UserError(f"{subject.root / 'parsing'} is missing; make it with: d3talker prepare VIDEO")
    size = image_size(subject.gt_path(frames[0].img_id))
    _try(found, lambda: _sizes(frames, subject.root / "torso_imgs", (".png",), size))
    _try(found, lambda: subject.background())
    if subject.layout.background.exists() and image_size(subject.layout.background) != size:
        found.faults.append(f"{subject.layout.background} is of another size than gt_imgs; make it again")
    there = {entry.name for entry in os.scandir(subject.root / "ori_imgs")} if (subject.root / "ori_imgs").is_dir() else set()
    if any(name.endswith(".lms") for name in there):
        absent = [f.img_id for f in frames if f"{f.img_id}.lms" not in there]
        if absent:
            found.faults.append(f"{subject.root / 'ori_imgs'} lacks landmarks {_some(absent, '.lms')}; make them again")
        else:
            _try(found, lambda: _landmarks(subject.root / "ori_imgs", [f.img_id for f in frames]))


def _landmarks(folder: Path, ids: Iterable[int]) -> None:
    place = str(folder)
    for i in ids:
        handle = os.open(f"{place}/{i}.lms", os.O_RDONLY)
        count = len(os.read(handle, 1 << 16).split())
        os.close(handle)
        if count != 136:
            raise UserError(f"{folder / str(i)}.lms holds {count / 2:g} points, not 68 rows of 'x y'; make it again")


def _sizes(frames: Sequence[Frame], folder: Path, suffixes: Sequence[str], size: tuple[int, int] | None = None) -> tuple[int, int]:
    """The one size of a folder's images of all rows; raises UserError for an image that is absent, cut off, or of another."""
    if not folder.is_dir():
        raise UserError(f"{folder} is missing; make it with: d3talker prepare VIDEO, or the official process.py")
    place, names = str(folder), {entry.name for entry in os.scandir(folder)}
    files = [[name for s in suffixes if (name := f"{f.img_id}{s}") in names] for f in frames]
    absent = [f.img_id for f, found in zip(frames, files) if not found]
    if absent:
        raise UserError(f"{folder} lacks {_some(absent)} of the frames that transforms_*.json name; make it again")
    for name, *_ in files:
        own = image_size(f"{place}/{name}")
        size = size or own
        if own != size:
            raise UserError(f"{folder / name} is {own[1]}x{own[0]}, others are {size[1]}x{size[0]}; all images must be of one size")
    assert size is not None
    return size


def _some(numbers: Sequence[int], suffix: str = "") -> str:
    return f"{numbers[0]}{suffix}" + (f" and {len(numbers) - 1} more" if len(numbers) > 1 else "")


def _sound(subject: Subject, frames: Sequence[Frame], found: Findings) -> None:
    if not subject.layout.audio.exists():
        raise UserError(f"{subject.layout.audio} is missing; put the video's sound there")
    heard, needed = sound_seconds(subject.layout.audio), (1 + max(f.aud_id for f in frames)) / FPS
    if heard < needed - SHORT_SOUND:
        raise UserError(
            f"{subject.layout.audio} lasts {heard:.2f} s, the frames need {needed:.2f}; give the whole sound (was it 25 fps?)"
        )


def _features(subject: Subject, total: int, found: Findings) -> None:
    """Every file of features; a few rows too few are mended when they are read (Subject.features)."""
    names = [name for name, files in FEATURES.items() if any((subject.root / file).exists() for file in files)]
    if not names:
        raise UserError(f"{subject.root} has no audio features; make them with: d3talker inspect {subject.root} --complete")
    for name in names:
        _try(found, lambda name=name: _one_feature(subject, name, total, found))  # type: ignore[misc]


def _one_feature(subject: Subject, name: str, total: int, found: Findings) -> None:
    path = subject.features_path(name)
    short = total - len(subject.raw_features(name))
    if short > FEW_ROWS:
        raise UserError(f"{path} has {total - short} rows for {total} frames; make it again from the whole aud.wav")
    if short > 0:
        found.notes.append(f"{path.name} is {short} rows short of {total} frames: the last is repeated, as the official loaders do")


def _eyes(subject: Subject, total: int, found: Findings) -> None:
    if subject.layout.action_units.exists():
        read_action_units(subject.layout.action_units, total, found.notes)


def _motion(subject: Subject, total: int, found: Findings) -> None:
    layout = subject.layout
    for path, rows in ((layout.expression, total), (layout.identity, None), (layout.real3d, total)):
        if not path.exists():
            continue
        values = read_npy(path)
        if values.dtype.kind != "f" or values.ndim != (1 if rows is None else 2):
            raise UserError(f"{path} holds {values.dtype} {list(values.shape)}; make it again")
        if not np.isfinite(values).all():
            raise UserError(f"{path} holds NaN or infinity; make it again")
        if rows is not None and len(values) < rows:
            raise UserError(f"{path} has {len(values)} rows for {rows} frames; make it again with: d3talker inspect --complete")
