"""Budget copies: a subject folder as an official code reads it, with the first N training frames and no others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from d3talker.errors import UserError
from d3talker.files import read_json, write_json
from d3talker.people.media.video import write_wav
from d3talker.people.subject import palette
from d3talker.people.subject.layout import Frame, Label, Layout, Subject, write_image
from d3talker.people.subject.sound import clip_sound

STALE = {"fused.ply", "points3d.ply"}  # written by TalkingGaussian; GaussianTalker refuses to start beside fused.ply
FEATURES = ("aud.npy", "aud_ds.npy")  # one content, two names (protocol 1.5)


def copy_family(subject: Subject, train: Sequence[Frame], out: Path) -> list[str]:
    """The layout of RAD-NeRF and ER-NeRF, which do not read parsing/ after preparation."""
    write_copy(subject, train, out)
    return []


def copy_talkinggaussian_colours(subject: Subject, train: Sequence[Frame], out: Path) -> list[str]:
    """The layout of TalkingGaussian and InsTaG; raises UserError when parsing/ hides hair and mouth in the face."""
    if subject.palette != "talkinggaussian":
        raise UserError(f"{subject.root / 'parsing'} is in AD-NeRF's colours, which hide hair and mouth; make it again")
    write_copy(subject, train, out)
    return []


def copy_gaussiantalker(subject: Subject, train: Sequence[Frame], out: Path) -> list[str]:
    """The same with parsing/ in AD-NeRF's colours, where hair and inside-mouth are head (protocol 1.3), and two sounds.

    Its own preparation cuts aud_novel.wav by time; here it starts with the first val frame.
    """
    sounds = {"aud_train.wav": train, "aud_novel.wav": subject.frames("val")}
    write_copy(subject, train, out, replaced=("parsing", *sounds))
    for name, rows in sounds.items():
        write_wav(out / name, clip_sound(subject, rows))
    for row in [*train, *subject.frames("val")]:
        labels = subject.labels(row.img_id)
        labels[np.isin(labels, (Label.HAIR, Label.MOUTH))] = Label.FACE
        write_image(Layout(out).image("parsing", row.img_id, ".png"), palette.encode(labels))
    return []


def write_copy(subject: Subject, train: Sequence[Frame], out: Path, replaced: Iterable[str] = ()) -> None:
    """Link what is large, write what changes: the cut train split, both feature names, JPEG where the code wants JPEG.

    `out` is a real folder, so what a code writes beside its data never reaches the subject.  replaced: names that the
    caller writes itself.  Raises UserError when DeepSpeech features are absent (the paper's setting).
    """
    source, target = subject.layout, Layout(out)
    own = {*STALE, *FEATURES, *replaced, source.transforms("train").name}
    out.mkdir(parents=True, exist_ok=True)
    rows = [*train, *subject.frames("val")]
    for folder in ("gt_imgs", "ori_imgs"):
        if not any(source.image(folder, row.img_id).exists() for row in rows[:1]):
            own.add(folder)
            _write_jpegs(subject, folder, rows, target)
    for path in subject.root.iterdir():
        if path.name not in own and not path.name.startswith("."):
            (out / path.name).symlink_to(path.resolve())
    write_json(target.transforms("train"), cut(read_json(source.transforms("train")), train))
    features = subject.features("deepspeech")
    for name in FEATURES:
        np.save(out / name, features)


def cut(content: dict[str, Any], train: Sequence[Frame]) -> dict[str, Any]:
    """A transforms file with the rows of `train` alone, unknown keys kept; raises UserError when a row is absent."""
    wanted = {row.img_id for row in train}
    frames = [row for row in content["frames"] if int(row["img_id"]) in wanted]
    if len(frames) != len(train):
        raise UserError(f"the train split has {len(frames)} of the budget's {len(train)} frames; prepare it again")
    return {**content, "frames": frames}


def _write_jpegs(subject: Subject, folder: str, rows: Sequence[Frame], target: Layout) -> None:
    read = subject.gt if folder == "gt_imgs" else subject.original
    for row in rows:
        if folder == "ori_imgs":
            landmarks = subject.layout.image(folder, row.img_id, ".lms")
            if not landmarks.exists():
                return
            link = target.image(folder, row.img_id, ".lms")
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(landmarks.resolve())
            if not subject.layout.image(folder, row.img_id, ".png").exists():
                continue
        write_image(target.image(folder, row.img_id), read(row.img_id))
