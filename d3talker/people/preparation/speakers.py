"""Facial motion and sound of many clips, and nothing else: what audio-to-motion models learn from (`d3talker motion speakers`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from d3talker.errors import UserError
from d3talker.files import atomic_path, read_json, sha256_file, write_json
from d3talker.people.head.embedded import NAME as FACE_MODEL
from d3talker.people.head.embedded import embedded_head
from d3talker.people.media.video import FPS, SAMPLE_RATE, probe, read_audio
from d3talker.people.preparation import clip
from d3talker.people.preparation.tracking import VIEW, fit_track
from d3talker.people.subject.landmarks import LandmarkDetector
from d3talker.progress import say, track

INDEX = "speakers.json"
SCHEMA = 1
SHORTEST = 25  # frames
STEPS = 100  # of the fit; lips' opening as after 250 (r .997)
WORST = 6.0  # pixels at 512, mean reprojection error: a face half in profile, or none
SILENCE = 1e-4
PER_FRAME = SAMPLE_RATE // FPS
VIDEOS = (".mp4", ".mov", ".avi", ".mpg", ".mpeg", ".mkv", ".webm")


@dataclass(frozen=True)
class Source:
    """A clip: its file, who speaks, and, where known, in what language and under which terms."""

    path: Path
    speaker: str
    language: str | None = None
    licence: str | None = None


@dataclass(frozen=True)
class TrackedClip:
    """One clip's motion and sound.  expression [T, E] at 25 fps; seen bool [T]: frames with a face; audio float32 [640 T], 16 kHz.

    video: SHA-256 of its file.
    """

    name: str
    speaker: str
    language: str | None
    licence: str | None
    video: str
    expression: np.ndarray
    seen: np.ndarray
    audio: np.ndarray


def sources(clips: Sequence[Path], listed: Path | None = None) -> list[Source]:
    """The clips to track.

    A file is a speaker of its own, the files of a folder are one.  listed: JSON list of {"name": file, beside the list, "speaker",
    "language", "licence"}, which says more of the clips given, or stands for all of its own where none are.
    Raises UserError for what is not there, and for two clips of one name.
    """
    known = _listed(listed) if listed else {}
    files = list(known) if not clips else [path for place in clips for path in _files(place)]
    found = [known.get(path.resolve()) or Source(path, speaker) for path, speaker in _named(files, clips)]
    names = [source.path.stem for source in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UserError(f"two clips are called {sorted(twice)[0]}; rename one, since results bear the clip's name")
    return found


def track_speakers(found: Sequence[Source], out: Path) -> dict[str, dict[str, Any]]:
    """Track the clips into `out`, passing over those that are done; returns the index, clip name -> what became of it.

    Clips that cannot serve are named there with the reason, under "left_out".
    """
    index = _index(out)
    detector = LandmarkDetector("dlib")
    for source in track(found, "clips"):
        name, digest = source.path.stem, sha256_file(source.path)
        said = {"speaker": source.speaker, "language": source.language, "licence": source.licence}
        before = index.get(name)
        if before is not None and before["sha256"] == digest and ("left_out" in before or _file(out, name).exists()):
            index[name] = {**before, **said}
            continue
        try:
            result = _track(source, detector, _file(out, name))
        except UserError as error:
            say(f"left out: {error}")
            result = {"left_out": str(error)}
        index[name] = {**said, "sha256": digest, **result}
        write_json(out / INDEX, {"schema": SCHEMA, "face_model": FACE_MODEL, "clips": index})
    write_json(out / INDEX, {"schema": SCHEMA, "face_model": FACE_MODEL, "clips": index})
    return index


def read_speakers(out: Path) -> Iterator[TrackedClip]:
    """The tracked clips of a folder in the index's order.  Raises UserError where it is none, or a file is missing or damaged."""
    if not (out / INDEX).exists():
        raise UserError(f"{out} has no {INDEX}; make it with: d3talker motion speakers CLIP... --out {out}")
    for name, row in _index(out).items():
        if "left_out" in row:
            continue
        path = _file(out, name)
        try:
            with np.load(path, allow_pickle=False) as saved:
                expression, seen, sound = saved["expression"], saved["seen"], saved["audio"]
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"{path} is missing or damaged ({error}); delete it and run d3talker motion speakers again") from None
        yield TrackedClip(
            name, row["speaker"], row["language"], row["licence"], row["sha256"], expression, seen, sound.astype(np.float32) / 32767
        )


def _track(source: Source, detector: LandmarkDetector, path: Path) -> dict[str, Any]:
    info = probe(source.path)
    if not info.has_audio:
        raise UserError(f"{source.path} has no sound")
    audio = read_audio(source.path)
    if not np.isfinite(audio).all() or np.abs(audio).max(initial=0) < SILENCE:
        raise UserError(f"the sound of {source.path} is silent, or no numbers")
    found = clip.scan(source.path, detector, clip.QUICK, SHORTEST)
    points = clip.choose_crop(found).map(found.points, round(VIEW)) + 0.5
    fitted = fit_track(points, embedded_head(), steps=STEPS)
    error, total = float(np.nanmean(fitted.errors)), len(points)
    if error > WORST:
        raise UserError(f"{source.path}: no head fits the landmarks better than {error:.1f} px of 512; leave it out, or crop it")
    sound = np.pad(audio.clip(-1, 1), (0, max(0, total * PER_FRAME - len(audio))))[:total * PER_FRAME]
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary, expression=fitted.expression.astype(np.float32), seen=~np.isnan(fitted.errors),
            audio=np.round(sound * 32767).astype(np.int16),
        )
    return {"frames": total, "lost_frames": len(found.lost), "reprojection_px_at_512": round(error, 3)}


def _file(out: Path, name: str) -> Path:
    return out / f"{name}.npz"


def _index(out: Path) -> dict[str, dict[str, Any]]:
    path = out / INDEX
    if not path.exists():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UserError(f"{out} holds something else already; give another --out")
        return {}
    value = read_json(path)
    if (value.get("schema"), value.get("face_model")) != (SCHEMA, FACE_MODEL):
        raise UserError(f"{path} was made by another version of d3talker; give another --out")
    return value["clips"]


def _listed(path: Path) -> dict[Path, Source]:
    found = {}
    for row in read_json(path):
        if not isinstance(row, dict) or not {"name", "speaker"} <= set(row):
            raise UserError(f'{path} must be a list of {{"name": FILE, "speaker": WHO}}, this is in it: {str(row)[:80]}')
        file = (path.parent / row["name"]).resolve()
        found[file] = Source(file, str(row["speaker"]), row.get("language"), row.get("licence"))
    return found


def _files(place: Path) -> list[Path]:
    if not place.exists():
        raise UserError(f"{place} does not exist; give videos, or folders of them")
    if place.is_file():
        return [place]
    files = sorted(path for path in place.iterdir() if path.suffix.lower() in VIDEOS)
    if not files:
        raise UserError(f"{place} holds no video ({', '.join(VIDEOS)})")
    return files


def _named(files: Sequence[Path], clips: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Files with their speakers: the folder's name for those of a folder given, else the file's own."""
    folders = {place.resolve() for place in clips if place.is_dir()}
    for path in files:
        folder = path.resolve().parent
        yield path, folder.name if folder in folders else path.stem
