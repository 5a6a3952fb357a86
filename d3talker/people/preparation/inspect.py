"""`d3talker inspect`: what a subject folder holds, what is missing and what that stops; or what a video says of itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import tyro

from d3talker.errors import UserError
from d3talker.files import read_json, read_npy
from d3talker.people.media.mark import video_facts
from d3talker.people.media.video import FPS, SAMPLE_RATE, read_audio
from d3talker.people.preparation.complete import complete
from d3talker.people.preparation.sheet import write_sheet
from d3talker.people.subject import palette
from d3talker.people.subject.action_units import read_action_units
from d3talker.people.subject.checks import examine
from d3talker.people.subject.layout import FEATURES, TEST_FRAMES, Layout, Subject

FOLDERS = {"ori_imgs": (".jpg", ".png"), "gt_imgs": (".jpg", ".png"), "parsing": (".png",), "torso_imgs": (".png",)}
SAMPLES = 5  # parsing images that the palette is judged by


@dataclass(frozen=True)
class InspectConfig:
    """Say what a subject folder holds, or whether a video says that it is synthetic."""

    folder: Annotated[Path, tyro.conf.Positional]
    """A folder in the layout of RAD-NeRF, ER-NeRF, TalkingGaussian, InsTaG, GaussianTalker or d3talker; or a video."""
    complete: bool = False
    """First make what training here needs and the folder lacks: tracked expression, au.csv, mel or speech content."""
    json: bool = False
    """Print JSON instead of lines to read."""
    sheet: Path | None = None
    """Also draw masks, tracked mesh and landmarks over 12 frames of a folder into this picture, a PNG or JPEG."""


@dataclass
class Report:
    """What was found: `facts` by name, `missing` stops training or testing, `notes` are worth knowing."""

    facts: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def run(config: InspectConfig) -> None:
    """Print the report.  Raises UserError for a path that is neither a subject folder nor a video."""
    video = config.folder.is_file()
    if config.complete and not video:
        made = complete(config.folder)
        print(f"made {', '.join(made) or 'nothing: all is there'}", file=sys.stderr)
    report = Report(video_facts(config.folder)) if video else inspect(config.folder)
    if config.sheet is not None and not video:
        write_sheet(Subject(config.folder), config.sheet)
        print(f"drew {config.sheet}", file=sys.stderr)
    if config.json:
        print(json.dumps(vars(report), indent=1, ensure_ascii=False))
        return
    width = max(map(len, report.facts))
    for name, value in report.facts.items():
        print(f"{name:<{width}}  {value}")
    for title, lines in (("missing", report.missing), ("note", report.notes)):
        for line in lines:
            print(f"{title}: {line}")
    if not report.missing and not video:
        print("ready for training and testing")


def inspect(folder: Path) -> Report:
    """Look at everything that a subject folder may hold.  Raises UserError for a path that is none."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give a subject folder")
    layout, report = Layout(folder), Report()
    if not any((folder / name).is_dir() for name in FOLDERS) and not layout.transforms("train").exists():
        raise UserError(f"{folder} is no subject folder: it has neither transforms_train.json nor ori_imgs")
    for look in (_pictures, _split, _palette, _sound, _features, _action_units, _tracking, _extras):
        _guard(look, layout, report)
    _examine(layout, report)
    report.facts = {"made by": _maker(layout, report), **report.facts}
    return report


def _examine(layout: Layout, report: Report) -> None:
    """What a training would read, row by row; what another look found already is not said again."""
    try:
        found = examine(Subject(layout.root))
    except UserError:
        return
    known = "\n".join(report.missing)
    report.missing += [fault for fault in found.faults if fault not in known and not _said(fault, known)]
    report.notes += [note for note in found.notes if note not in report.notes]


def _said(fault: str, known: str) -> bool:
    """Whether a fault that a file is missing was said of that file before."""
    name, missing, _ = fault.partition(" is missing")
    return bool(missing) and Path(name).name in known


def _guard(look: Callable[[Layout, Report], None], layout: Layout, report: Report) -> None:
    """A broken file is a finding, not a failure."""
    try:
        look(layout, report)
    except UserError as error:
        report.missing.append(str(error))


def _pictures(layout: Layout, report: Report) -> None:
    for name, suffixes in FOLDERS.items():
        folder = layout.root / name
        count = sum(path.suffix in suffixes for path in folder.iterdir()) if folder.is_dir() else 0
        report.facts[name] = count
        if not count and name != "ori_imgs":
            report.missing.append(f"{name}/ (make it with: d3talker prepare VIDEO, or the official process.py)")
    report.facts["landmarks"] = len(list((layout.root / "ori_imgs").glob("*.lms")))
    if not report.facts["landmarks"]:
        report.notes.append("no .lms landmarks: LMD detects its own, but motion cannot be tracked")
    if not layout.background.exists():
        report.missing.append("bc.jpg, the background")


def _split(layout: Layout, report: Report) -> None:
    subject = Subject(layout.root)
    train, test = subject.frames("train"), subject.frames("val")
    total = len(train) + len(test)
    report.facts["size"] = f"{subject.size[1]} x {subject.size[0]}"
    report.facts["split"] = f"{len(train)} train, {len(test)} test: {_rule(total, len(test))}"
    if max(f.img_id for f in train) >= min(f.img_id for f in test):
        report.notes.append("train and test frames overlap or are out of order: the test would see training frames")
    if len(test) != TEST_FRAMES:
        report.notes.append(f"the protocol tests {TEST_FRAMES} frames (InsTaG): with this split results are a variant")


def _rule(total: int, test: int) -> str:
    if test == TEST_FRAMES:
        return "the last 301 frames (InsTaG)"
    if test == total - total * 10 // 11:
        return "the last 1/11 (AD-NeRF, RAD-NeRF, ER-NeRF, TalkingGaussian, GaussianTalker)"
    return "the last half (DFRF)" if test == total - total // 2 else "no rule of the official codes"


def _palette(layout: Layout, report: Report) -> None:
    paths = sorted((layout.root / "parsing").glob("*.png"))
    if not paths:
        return
    picked = [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, SAMPLES).round().astype(int))]
    images = [cv2.imread(str(path), cv2.IMREAD_COLOR) for path in picked]
    broken = [path for path, image in zip(picked, images) if image is None]
    if broken:
        raise UserError(f"{broken[0]} is not a readable image")
    family = palette.detect([cv2.cvtColor(image, cv2.COLOR_BGR2RGB) for image in images if image is not None])
    report.facts["palette"] = {"talkinggaussian": "TalkingGaussian, InsTaG: hair and inner mouth apart"}.get(
        family, "AD-NeRF, RAD-NeRF, ER-NeRF, GaussianTalker: hair and inner mouth in the face's colour"
    )
    if family == "adnerf" and not (layout.root / "teeth_mask").is_dir():
        report.notes.append("this palette has no inner mouth: what the inner lips enclose is taken for it")


def _sound(layout: Layout, report: Report) -> None:
    if not layout.audio.exists():
        report.missing.append("aud.wav, the sound")
        return
    seconds, frames = len(read_audio(layout.audio)) / SAMPLE_RATE, report.facts.get("gt_imgs", 0)
    report.facts["sound"] = f"{seconds:.2f} s"
    if frames and abs(seconds - frames / FPS) > 0.1:
        lengths = f"sound lasts {seconds:.2f} s, {frames} pictures at 25 fps last {frames / FPS:.2f} s"
        report.notes.append(f"{lengths}: was the video 25 fps?")


def _features(layout: Layout, report: Report) -> None:
    found = []
    for name, files in FEATURES.items():
        path = next((layout.root / file for file in files if (layout.root / file).exists()), None)
        if path is not None:
            values = read_npy(path)
            found.append(f"{name} {list(values.shape)} ({path.name})")
    report.facts["audio features"] = ", ".join(found) or "none"
    if not found:
        report.missing.append(f"audio features (one of {', '.join(files[0] for files in FEATURES.values())})")


def _action_units(layout: Layout, report: Report) -> None:
    if not layout.action_units.exists():
        report.notes.append("no au.csv: eyes cannot be controlled; OpenFace or d3talker inspect --complete makes it")
        return
    report.facts["au.csv"] = f"{len(read_action_units(layout.action_units))} rows"


def _tracking(layout: Layout, report: Report) -> None:
    tracked = layout.expression.exists() and layout.identity.exists()
    report.facts["motion"] = "expression and identity" if tracked else "none"
    if not tracked:
        report.missing.append("motion/, the tracked expression; d3talker inspect --complete makes it")
    if layout.track.exists():
        import torch

        try:
            values = torch.load(layout.track, map_location="cpu", weights_only=True)
            report.facts["track_params.pt"] = ", ".join(f"{key} {list(value.shape)}" for key, value in values.items())
        except Exception as error:
            raise UserError(f"{layout.track} is not a readable file of tensors ({type(error).__name__})") from error


def _extras(layout: Layout, report: Report) -> None:
    for name in ("teeth_mask", "sapiens/depth", "sapiens/normal", "truth"):
        files = [path for path in (layout.root / name).rglob("*") if path.is_file()]
        if files:
            report.facts[name] = f"{len(files)} files"


def _maker(layout: Layout, report: Report) -> str:
    meta = read_json(layout.meta) if layout.meta.exists() else None
    if isinstance(meta, dict):
        return f"d3talker ({meta.get('kind', 'real')})"
    if layout.meta.exists():
        report.missing.append(f"{layout.meta} is no JSON object; remove it, or prepare the subject again")
    if "vertices" in report.facts.get("track_params.pt", ""):
        return "GaussianTalker's process.py"
    if "sapiens/depth" in report.facts or "sapiens/normal" in report.facts:
        return "InsTaG"
    if "hair and inner mouth apart" in report.facts.get("palette", ""):
        return "TalkingGaussian or InsTaG"
    return "the AD-NeRF family (RAD-NeRF, ER-NeRF, ...)"
