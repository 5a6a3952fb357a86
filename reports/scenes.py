"""What can be looked at: for every cast its key frames, its worst frames and its videos, ground truth first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from baselines.registry import DEFAULT
from d3talker.errors import UserError
from d3talker.people.media.predictions import Predictions
from eval.records import Record
from reports.alignment import instants, read_alignment
from reports.casts import Cast
from reports.columns import LMD, LPIPS, PSNR
from reports.curves import series, worst_frames
from reports.grid import number
from reports.keyframes import Strip, draw, pick, save_frame
from reports.load import Results, slug
from reports.videos import write_clip, write_side_by_side

TRUTH = "Ground Truth"


@dataclass(frozen=True)
class FrameRow:
    """One row of a board: its title, its record's key (none for ground truth), and a file for each label."""

    title: str
    record: str | None
    files: tuple[str, ...]


@dataclass(frozen=True)
class Board:
    """A grid of frames.  figure: the same as SVG, PDF and PNG, without suffix."""

    title: str
    labels: tuple[str, ...]
    rows: tuple[FrameRow, ...]
    figure: str


@dataclass(frozen=True)
class Clip:
    """One video: its title, its record's key (none for ground truth), its file and a still of it."""

    title: str
    record: str | None
    file: str
    poster: str


@dataclass(frozen=True)
class Scene:
    """Everything to look at of one cast; all paths are relative to the report."""

    title: str
    kind: str
    synthetic: bool
    fps: float
    boards: tuple[Board, ...]
    clips: tuple[Clip, ...]
    side_by_side: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A clip that is there."""

    title: str
    record: Record | None
    clip: Predictions


def build_scene(results: Results, cast: Cast, out: Path) -> Scene | None:
    """Write frames and videos of one cast below `out`; None when no prediction is there any more."""
    sources, notes = _sources(results, cast)
    if not any(source.record for source in sources):
        return None
    name = slug(f"{cast.kind}-{cast.title}")
    manifest = sources[0].clip.manifest
    frames = min(source.clip.manifest.frames for source in sources)
    segments = []
    try:
        segments = read_alignment(sources[0].clip.root)
    except UserError as error:
        notes.append(str(error))
    boards = [_board(out, f"keyframes-{name}", "", sources, dict(instants(frames, manifest.fps, segments)))]
    if cast.kind == "self":
        worst = _worst(out, name, sources)
        boards += [worst] if worst else []
    clips: list[Clip] = []
    together = ""
    if cast.kind != "ablation":
        clips, together = _videos(out, name, sources, boards[0])
    synthetic = any(record.synthetic for record in cast.members.values())
    return Scene(cast.title, cast.kind, synthetic, manifest.fps, tuple(boards), tuple(clips), together, tuple(notes))


def _sources(results: Results, cast: Cast) -> tuple[list[Source], list[str]]:
    sources: list[Source] = []
    notes: list[str] = []
    if cast.kind != "cross":
        reference = next((c for r in cast.members.values() if (c := results.predictions(r, "reference"))), None)
        if reference is not None:
            sources.append(Source(TRUTH, None, reference))
        else:
            notes.append("The ground truth of this clip is not in the results folder.")
    absent = []
    for title, record in cast.members.items():
        try:
            clip = results.predictions(record)
        except UserError as error:
            notes.append(str(error))
            continue
        if clip is not None:
            sources.append(Source(title, record, clip))
        else:
            absent.append(title)
    if absent:
        notes.append(f"Not in the results folder: the predictions of {', '.join(absent)}.")
    return sources, notes


def _board(out: Path, name: str, title: str, sources: Sequence[Source], times: dict[int, str]) -> Board:
    rows, strips = [], []
    for source in sources:
        frames = pick(source.clip, list(times))
        files = tuple(f"figures/{name}/{slug(source.title)}-{time:04d}.jpg" for time in times)
        for file, frame in zip(files, frames):
            save_frame(out / file, frame)
        rows.append(FrameRow(source.title, source.record.key if source.record else None, files))
        strips.append(Strip(source.title, frames))
    draw(out / "figures" / name, strips, list(times.values()))
    return Board(title, tuple(times.values()), tuple(rows), f"figures/{name}")


def _worst(out: Path, name: str, sources: Sequence[Source]) -> Board | None:
    """The worst frames of this project's own method, or else of the first that has values a frame."""
    if sources[0].record is not None:
        return None
    for source in sorted(sources, key=lambda source: source.record is None or source.record.job.method != DEFAULT):
        for column in (LMD, LPIPS, PSNR):
            record = source.record
            if record is None or not series(record, column):
                continue
            values = series(record, column)
            fps = source.clip.manifest.fps
            times = {i: f"{i / fps:.2f} s: {number(values[i], column)}" for i in worst_frames(record, column)}
            if times:
                title = f"Where {source.title} is worst, by {column.title}"
                return _board(out, f"worst-{name}", title, [sources[0], source], times)
    return None


def _videos(out: Path, name: str, sources: Sequence[Source], stills: Board) -> tuple[list[Clip], str]:
    audio: np.ndarray | None = next((s for source in sources if (s := source.clip.audio()) is not None), None)
    clips = []
    for source, still in zip(sources, stills.rows):
        file = f"videos/{name}/{slug(source.title)}.mp4"
        write_clip(out / file, source.clip, audio)
        clips.append(Clip(source.title, still.record, file, still.files[0]))
    together = f"videos/{name}/side-by-side.mp4"
    write_side_by_side(out / together, [s.clip for s in sources], [s.title for s in sources], audio)
    return clips, together
