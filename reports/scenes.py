"""What can be looked at: for every test clip its key frames and videos, ground truth first, then every method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from baselines.spec import MethodSpec
from d3talker.predictions import Predictions
from eval.records import Record
from reports.keyframes import Strip, draw, instants, pick, save_frame
from reports.load import Results, slug
from reports.videos import write_clip, write_side_by_side


@dataclass(frozen=True)
class View:
    """One method's rendering of a scene: file names relative to the report."""

    title: str
    record: str | None
    frames: tuple[str, ...]
    video: str


@dataclass(frozen=True)
class Scene:
    """One test clip.  labels: what stands above its key frames.  figure: the key-frame grid, without suffix."""

    title: str
    name: str
    synthetic: bool
    fps: float
    labels: tuple[str, ...]
    views: tuple[View, ...]
    figure: str
    side_by_side: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Source:
    title: str
    record: Record | None
    clip: Predictions


def build_scene(
    results: Results, records: Sequence[Record], specs: Sequence[MethodSpec], out: Path
) -> Scene | None:
    """Write frames, grid and videos of one subject (`records`: one a method) below `out`; None without any clip."""
    titles = {spec.name: spec.title for spec in specs}
    sources, notes = _sources(results, records, titles)
    if not any(source.record for source in sources):
        return None
    job = records[0].job
    name = slug("-".join(filter(None, [job.subject, job.audio, f"{job.budget:g}s"])))
    fps = sources[0].clip.manifest.fps
    times = instants(min(source.clip.manifest.frames for source in sources))
    audio = next((sound for source in sources if (sound := source.clip.audio()) is not None), None)
    views, strips = [], []
    for source in sources:
        frames = pick(source.clip, times)
        files = [f"figures/keyframes-{name}/{slug(source.title)}-{time:04d}.jpg" for time in times]
        for file, frame in zip(files, frames):
            save_frame(out / file, frame)
        video = f"videos/{name}/{slug(source.title)}.mp4"
        write_clip(out / video, source.clip, audio)
        strips.append(Strip(source.title, frames))
        views.append(View(source.title, source.record.key if source.record else None, tuple(files), video))
    labels = tuple(f"{time / fps:.2f} s" for time in times)
    draw(out / f"figures/keyframes-{name}", strips, labels)
    together = f"videos/{name}/side-by-side.mp4"
    write_side_by_side(out / together, [s.clip for s in sources], [s.title for s in sources], audio)
    title = f"{job.subject}, {job.budget:g} s of training" + (f", driven by {job.audio}" if job.audio else "")
    return Scene(
        title, name, any(record.synthetic for record in records), fps, labels, tuple(views),
        f"figures/keyframes-{name}", together, tuple(notes),
    )


def _sources(
    results: Results, records: Sequence[Record], titles: dict[str, str]
) -> tuple[list[_Source], list[str]]:
    sources: list[_Source] = []
    notes: list[str] = []
    reference = next((clip for record in records if (clip := results.predictions(record, "reference"))), None)
    if reference is not None:
        sources.append(_Source("Ground Truth", None, reference))
    else:
        notes.append("the ground truth of this clip is not in the results folder")
    for record in records:
        title = titles.get(record.job.method, record.job.method)
        clip = results.predictions(record) if record.status == "ok" else None
        if clip is not None:
            sources.append(_Source(title, record, clip))
        elif record.status == "ok":
            notes.append(f"{title}: its predictions are no longer in the results folder")
    return sources, notes
