"""Make what a folder of the official codes lacks for training here, from what it holds: motion, eyes, audio features."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from d3talker.errors import UserError
from d3talker.files import write_npy
from d3talker.people.audio.features import content, extract
from d3talker.people.head.embedded import embedded_head
from d3talker.people.media.video import read_audio
from d3talker.people.preparation.tracking import VIEW, fit_track
from d3talker.people.subject.action_units import write_action_units
from d3talker.people.subject.eyes import action_units
from d3talker.people.subject.layout import FEATURES, Subject


def complete(folder: Path) -> list[str]:
    """Write the missing files and return their names; what is there stays as it is, the head poses above all.

    Raises UserError when the landmarks or the sound that they are made from are missing.
    """
    subject = Subject(folder)
    total = subject.total
    made = []
    if not any((folder / file).exists() for files in FEATURES.values() for file in files):
        if not subject.layout.audio.exists():
            raise UserError(f"{subject.layout.audio} is missing; put the video's sound there")
        made += _features(subject, ["mel"], total)
    if subject.layout.audio.exists():
        made += _features(subject, content()[0], total)
    tracked = subject.layout.expression.exists() and subject.layout.identity.exists()
    if tracked and subject.layout.action_units.exists():
        return made
    face, points = embedded_head(), _landmarks(subject, total)
    if not tracked:
        scale = VIEW / subject.size[1]
        track = fit_track((points + 0.5) * scale, face, focal=float(subject.K[0, 0]) * scale)
        write_npy(subject.layout.expression, track.expression.astype(np.float32))
        write_npy(subject.layout.identity, track.identity.astype(np.float32))
        made.append("motion/")
    if not subject.layout.action_units.exists():
        units = action_units(points, subject.expression(), face.expression_names)
        write_action_units(subject.layout.action_units, units)
        made.append("au.csv")
    return made


def _landmarks(subject: Subject, total: int) -> np.ndarray:
    """Landmarks [T, 68, 2] of every frame of the video; where the face was lost, on the line between its neighbours."""
    ids = sorted({frame.img_id for split in ("train", "val") for frame in subject.frames(split)})
    points = subject.landmarks(ids).reshape(len(ids), -1)
    return np.stack([np.interp(np.arange(total), ids, column) for column in points.T], 1).reshape(total, 68, 2)


def _features(subject: Subject, names: list[str], total: int) -> list[str]:
    """Make those of the audio features that are not there, and return their files' names."""
    absent = [name for name in names if not (subject.root / FEATURES[name][0]).exists()]
    if not absent:
        return []
    audio = read_audio(subject.layout.audio)
    for name in absent:
        write_npy(subject.root / FEATURES[name][0], extract(name, audio, total))
    return [FEATURES[name][0] for name in absent]
