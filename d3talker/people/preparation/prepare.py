"""`d3talker prepare VIDEO --out DIR`: a video becomes a subject folder; an interrupted run goes on where it was."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro

from d3talker.errors import UserError
from d3talker.files import read_json, sha256_file, write_json
from d3talker.people.audio.features import content
from d3talker.people.head.embedded import NAME as FACE_MODEL
from d3talker.people.media.video import FPS, Span, probe
from d3talker.people.preparation.stages import NAMES, Stages
from d3talker.people.subject.layout import FEATURES, SCHEMA, Layout, test_split
from d3talker.version import __version__

PART = ("start", "stop", "sound_track")  # said only where they choose something
PACKAGES = ("av", "opencv-python-headless", "dlib-bin", "torch", "numpy", "scipy", "onnxruntime")


@dataclass(frozen=True)
class PrepareConfig:
    """Make a subject folder from a video of one talking person."""

    video: Annotated[Path, tyro.conf.Positional]
    """Any video with sound that ffmpeg reads."""
    out: Path
    """Folder to make; an interrupted run of the same video goes on there."""
    size: int = 512
    """Side of the square pictures in pixels."""
    landmarks: Literal["dlib", "fan"] = "dlib"
    """Landmark detector; fan needs face_alignment and its weights."""
    person: Literal["auto", "grabcut", "portrait"] = "auto"
    """What finds the person first: GrabCut, or the portrait network; auto takes the network where its file is."""
    features: tuple[Literal["auto", "mel", "phonemes", "allphone", "deepspeech", "hubert", "wav2vec2"], ...] = ("auto",)
    """Audio features; auto: mel, phonemes and allphone where their extra is installed, deepspeech where its graph is found."""
    weights: Path | None = None
    """Folder with other people's networks; D3TALKER_WEIGHTS is searched too."""
    keep_lag: bool = False
    """Leave the sound as it is; else it is shifted to the lips where a lag of theirs is sure."""
    start: Annotated[float, tyro.conf.arg(name="from")] = 0.0
    """Where the part to use begins, in seconds of the video."""
    stop: Annotated[float | None, tyro.conf.arg(name="to")] = None
    """Where it ends; by default at the video's end."""
    sound_track: int | None = None
    """Which sound track, from 1, where the video has several that differ."""


def run(config: PrepareConfig) -> None:
    """Make the folder and print its errors, lag and r.

    Raises UserError for a video that cannot serve, and then leaves no folder behind.
    """
    _check(config)
    stages = Stages(
        config.video, config.out, config.size, config.landmarks, config.person, config.weights, config.keep_lag,
        config.features, Span(config.start, config.stop), config.sound_track,
    )
    mark = _mark(config)
    if _complete(stages.layout, stages.work, mark):
        print(f"{config.out} is complete already")
        return
    with _removed_on_error(config.out, stages.work):
        for name in NAMES:
            started, worked = time.monotonic(), time.process_time()
            getattr(stages, name)()
            _count(stages.work / "seconds.json", name, time.monotonic() - started)
            _count(stages.work / "cpu_seconds.json", name, time.process_time() - worked)
        summary = _summary(stages, mark)
        write_json(stages.layout.meta, summary)
    shutil.rmtree(stages.work)
    _say(config.out, summary)


def _check(config: PrepareConfig) -> None:
    if not 32 <= config.size <= 2048:
        raise UserError(f"--size is {config.size}; give 32 to 2048 pixels")
    if not config.video.is_file():
        raise UserError(f"{config.video} does not exist or is not a file; give a video")
    if not 0 <= config.start < (math.inf if config.stop is None else config.stop):
        raise UserError(f"--from {config.start:g} --to {config.stop} is no part of a video; give two times in seconds, in order")
    if config.out.exists() and not config.out.is_dir():
        raise UserError(f"--out {config.out} is a file; give a folder")
    if not probe(config.video).has_audio:
        raise UserError(f"{config.video} has no sound; give a video with a sound track")


def _mark(config: PrepareConfig) -> dict[str, Any]:
    """What makes two runs the same."""
    options = {key: value for key, value in asdict(config).items() if key not in ("video", "out", "weights")}
    options = {key: str(value) for key, value in options.items() if key not in PART or value}
    return {"version": __version__, "sha256": sha256_file(config.video), "options": options}


def _complete(layout: Layout, work: Path, mark: dict[str, Any]) -> bool:
    """Whether the folder holds this run's result; else claims it.  Raises UserError if it holds anything else."""
    claim = work / "claim.json"
    if claim.exists() and read_json(claim) == mark:
        return False
    if layout.meta.exists() and not work.exists() and read_json(layout.meta).get("prepare") == mark:
        return True
    if layout.root.exists() and any(layout.root.iterdir()):
        raise UserError(f"{layout.root} holds something else already; give another --out, or remove it first")
    write_json(claim, mark)
    return False


@contextmanager
def _removed_on_error(out: Path, work: Path) -> Iterator[None]:
    """Remove what was made when the video turns out not to serve; an interrupted run stays, to go on later."""
    try:
        yield
    except UserError:
        if work.exists():
            shutil.rmtree(out)
        raise


def _count(path: Path, stage: str, seconds: float) -> None:
    """Add to what a stage took; runs that were interrupted count too."""
    spent = read_json(path) if path.exists() else {}
    write_json(path, {**spent, stage: round(spent.get(stage, 0.0) + seconds, 2)})


def _summary(stages: Stages, mark: dict[str, Any]) -> dict[str, Any]:
    """subject.json"""
    info, track = probe(stages.video), stages.tracked
    test, rule = test_split(len(stages.sounding))
    source: dict[str, Any] = {"file": stages.video.name, "sha256": mark["sha256"]}
    source |= {"width": info.width, "height": info.height, "fps": info.fps}
    return {
        "schema": SCHEMA, "name": stages.layout.root.resolve().name, "kind": "real", "fps": FPS, "size": stages.size,
        "frames": stages.total, "test_frames": test, "test_rule": rule, "palette": "talkinggaussian",
        "features": [name for name, files in FEATURES.items() if (stages.layout.root / files[0]).exists()],
        "face_model": FACE_MODEL, "source": source,
        "crop": asdict(stages.crop), "focal_at_512": round(track.focal, 2), "lost_frames": stages.scan.lost.tolist(),
        "reprojection_px_at_512": round(float(np.nanmean(track.errors)), 4),
        "sound": read_json(stages.work / "lag.json"), "torso_from": stages.plate_frames,
        "notes": stages.notes(), "part_s": [stages.span.start, stages.span.stop],
        "seconds": read_json(stages.work / "seconds.json"), "cpu_seconds": read_json(stages.work / "cpu_seconds.json"),
        "tools": _tools(), "prepare": mark,
    }


def _say(out: Path, summary: dict[str, Any]) -> None:
    sound = summary["sound"]
    if sound["lag"] is None:
        heard = f"sound lag not measured ({sound['reason']})"
    else:
        share = "" if sound["confidence"] is None else f", confidence {sound['confidence']:.2f}"
        doubt = "" if sound["sure"] else ", not to be trusted"
        heard = f"sound lag {sound['lag']:+d} frames (r {sound['r']:.2f}, {sound['r_at_0']:.2f} at 0{share}{doubt})"
    print(
        f"{out}: {summary['frames']} frames, {len(summary['lost_frames'])} without a face, "
        f"reprojection error {summary['reprojection_px_at_512']:.2f} px at 512, {heard}; test: {summary['test_rule']}"
    )
    if "phonemes" not in summary["features"] and (reason := content()[1]):
        print(f"no speech content, log-mel stands in: {reason}")
    for note in summary.get("notes", ()):
        print(f"note: {note}", file=sys.stderr)
    if sound["corrected"]:
        left = summary["frames"] - (sound["frames"][1] - sound["frames"][0])
        out_of = f"; {left} frames that have no sound then are in neither split" if left else ""
        print(f"the sound was shifted by {-sound['corrected']:+d} frames to fit the lips{out_of}; --keep-lag leaves it")
    elif sound["sure"] and sound["lag"]:
        side = "late" if sound["lag"] > 0 else "early"
        frames = "frame" if abs(sound["lag"]) == 1 else "frames"
        print(f"warning: the sound is {abs(sound['lag'])} {frames} {side}, and was left so as asked", file=sys.stderr)


def _tools() -> dict[str, str]:
    found = {"d3talker": __version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
