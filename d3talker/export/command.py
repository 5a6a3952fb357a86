"""`d3talker export RUN`: a trained head as files that other tools read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from d3talker.errors import UserError
from d3talker.files import atomic_folder, write_json
from d3talker.progress import say, track

if TYPE_CHECKING:
    from d3talker.method.driving import Drive
    from d3talker.method.synthesis import TrainedTalker
    from d3talker.people.subject.layout import Frame, Subject

MARKER = "export.json"
Part = Literal["gaussians", "frames", "cameras", "mesh", "video"]
PARTS: tuple[Part, ...] = ("gaussians", "frames", "cameras", "mesh", "video")
METHOD = "d3talker"
AXES = "metres, head-fixed: x image right, y up, z out of the face; rotations wxyz; cameras: camera to world, OpenGL axes"
APART = (
    "the talker draws the inside of the mouth behind the face: face over mouth; head holds both, face first, and a viewer sorts "
    "them by depth"
)


@dataclass(frozen=True)
class ExportConfig:
    """Write a trained head's Gaussians (.ply), cameras (transforms.json), mesh and motion (.glb, .npz) and a video (.mp4)."""

    run_folder: tyro.conf.Positional[Path]
    """Folder of a finished `d3talker adapt`, or of one training of `bench` (RESULTS/runs/KEY)."""
    out: Path
    """Folder to write; an older export there is replaced."""
    subject: Path | None = None
    """Subject folder it was trained on; without it only the static Gaussians can be written."""
    audio: Path | None = None
    """Any file with sound to speak; by default the subject's own test frames."""
    parts: tuple[Part, ...] = ()
    """gaussians: static; frames: Gaussians of single frames; cameras; mesh; video.  By default all that can be written."""
    every: int = 25
    """Every how many frames one frame's Gaussians are written; 1 writes them all (0.1 kB a Gaussian and frame)."""
    format: Literal["ply", "splat"] = "ply"
    """ply: as 3DGS wrote it first, read by every viewer; splat: a third of the size, no view-dependent colour (needs gsplat)."""
    quality: Literal["draft", "good", "best"] = "good"
    """Of the video: small, hardly to be told from the frames, or nearly lossless."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to render."""


def run(config: ExportConfig) -> int:
    """Write the folder; returns 0.  Raises UserError for a folder that holds something else, and for parts that need a subject."""
    from d3talker.method.adapt import CHECKPOINT
    from d3talker.method.synthesis import TrainedTalker
    from d3talker.people.media.mark import mark_now
    from d3talker.people.subject.checks import say_notes
    from d3talker.people.subject.layout import Subject

    if config.every < 1:
        raise UserError(f"--every is {config.every}; give at least 1")
    if config.out.exists() and (not config.out.is_dir() or (any(config.out.iterdir()) and not (config.out / MARKER).is_file())):
        raise UserError(f"{config.out} is not empty and holds no export; give --out a new folder")
    parts = config.parts or (PARTS if config.subject is not None else PARTS[:1])
    if config.subject is None and set(parts) - {"gaussians"}:
        raise UserError("--subject is missing: all but the static Gaussians need the subject's cameras and sound")
    if not (config.run_folder / CHECKPOINT).is_file():
        raise UserError(f"{config.run_folder} holds no finished training of D³-Talker, whose heads alone can be exported so far")
    trained, mark = TrainedTalker(config.run_folder, config.device), mark_now(METHOD)
    comment = mark.metadata()["comment"]
    facts: dict[str, Any] = {"comment": comment, "made": mark.made, "run": config.run_folder.name, "axes": AXES, "files": {}}
    with atomic_folder(config.out) as folder:
        if "gaussians" in parts:
            facts["files"] |= _static(folder, trained, config.format, comment)
        if config.subject is not None and set(parts) - {"gaussians"}:
            subject = Subject(config.subject)
            trained.check_subject(subject)
            say_notes(subject)
            facts["files"] |= _moving(folder, trained, subject, config, parts, comment)
        write_json(folder / MARKER, facts)
    say(f"{config.out}: {', '.join(facts['files'])}")
    return 0


def _static(folder: Path, trained: TrainedTalker, kind: str, comment: str) -> dict[str, str]:
    from d3talker.export.splats import joined, splats
    from d3talker.graphics.options import REGIONS

    regions = {region: splats(trained.talker, region) for region in REGIONS}
    for name, found in [*regions.items(), ("head", joined(regions))]:
        _write(folder / f"{name}.{kind}", found, comment)
    counts = {region: len(found.means) for region, found in regions.items()}
    return {f"head.{kind}, face.{kind}, mouth.{kind}": f"static Gaussians, {counts}; {APART}"}


def _write(path: Path, found: Any, comment: str) -> None:
    from d3talker.export.ply import write_ply, write_splat

    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".splat":
        write_splat(path, found)
    else:
        write_ply(path, found, comment)


def _moving(
    folder: Path, trained: TrainedTalker, subject: Subject, config: ExportConfig, parts: Sequence[Part], comment: str
) -> dict[str, str]:
    """What depends on time: signals once, then each part of it; what was written, with a word on each."""
    from d3talker.export.cameras import camera_file
    from d3talker.export.splats import joined, of_frame
    from d3talker.learning.rendering import driven

    shot = driven(trained, subject, subject.frames("val"), config.audio)
    told, files = dict[str, str](), dict[int, str]()
    if "frames" in parts:
        for at in track(range(0, len(shot.frames), config.every), "Gaussians of frames"):
            files[at] = f"frames/{at:06d}.{config.format}"
            _write(folder / files[at], joined(of_frame(trained, shot.signals, at)), comment)
        told["frames"] = f"Gaussians of every {config.every}th frame, face first"
    if "cameras" in parts:
        write_json(folder / "transforms.json", camera_file(subject, shot.frames, files))
        told["transforms.json"] = "cameras of all frames"
    if "mesh" in parts:
        _mesh(folder, subject, shot.signals, shot.frames, comment)
        told["head.glb, head.npz"] = "fitted mesh, expressions as morph targets, and the track that drives them"
    if "video" in parts:
        _video(folder, trained, subject, config)
        told["talk.mp4"] = f"video with sound, quality {config.quality}, marked as synthetic"
    return told


def _mesh(folder: Path, subject: Subject, signals: Drive, frames: Sequence[Frame], comment: str) -> None:
    import numpy as np

    from d3talker.export.gltf import write_glb
    from d3talker.files import atomic_path
    from d3talker.people.head.embedded import embedded_head
    from d3talker.people.media.video import FPS

    face, identity, expression = embedded_head(), subject.identity(), signals.expression.cpu().numpy()
    write_glb(folder / "head.glb", face, identity, expression, FPS, comment)
    with atomic_path(folder / "head.npz") as temporary:
        np.savez_compressed(
            temporary, vertices=face.vertices(identity, np.zeros(len(face.expression_names))), triangles=face.triangles,
            expression_basis=np.float32(face.expression_basis), expression_names=np.array(face.expression_names),
            expression=expression, camera_to_world=np.stack([frame.c2w for frame in frames]), landmarks=face.landmarks, fps=FPS,
        )


def _video(folder: Path, trained: TrainedTalker, subject: Subject, config: ExportConfig) -> None:
    import tempfile

    from d3talker.export.video import write_video
    from d3talker.learning.rendering import render
    from d3talker.people.media.predictions import Predictions

    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        frames = Path(name) / "frames"
        render(trained, METHOD, subject, subject.frames("val"), config.audio, frames)
        write_video(Predictions(frames), folder / "talk.mp4", config.quality, config.audio)
