"""What DFRF's trainings start from: people, features that all have, the base's nets, references; and what makes a job the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from baselines.trained.dfrf.options import Options
from baselines.trained.dfrf.people import Person, load_person, reference_rows
from baselines.trained.dfrf.training import BASE, CHECKPOINT, DFRFTraining, base_hash, load_base
from baselines.trained.shared.hearing import Hearing
from d3talker.errors import UserError
from d3talker.learning.contract import device_named
from d3talker.learning.loop import finished
from d3talker.options import Options as Unseen
from d3talker.options import without
from d3talker.people.subject.layout import Frame, Subject, common_features

NO_BASE = "Without a base model of other people: everything was learnt from this subject."


def base(options: Options, neutral: Unseen, subjects: Sequence[Subject], out: Path, seed: int) -> tuple[float, bool]:
    """Train the base model on several people; see Method.pretrain; neutral: options that change no number."""
    if not subjects:
        raise UserError("the base model of dfrf needs people; name their folders")
    data = [subject.data_hash for subject in subjects]
    job = {"method": "dfrf base", "options": without(asdict(options), neutral), "data": data}
    before = finished(out / BASE, job, seed)
    if before is not None:
        return before, True
    name, device, people = common_features(subjects, options.features), device_named(options.device), []
    for subject in subjects:
        frames = subject.frames("train")
        frames = frames[:options.pretrain.frames or len(frames)]
        people.append(load_person(subject, frames, Hearing.of(subject, frames, name, no_eyes(frames)), device, 1 / len(subjects)))
    kept = {"features": name, "people": [subject.name for subject in subjects]}
    columns = people[0].drive.audio.shape[-1]
    training = DFRFTraining(options, people, columns, out, seed, device, job, base=True, kept=kept)
    training.run()
    return training.seconds, False


def tuning(
    options: Options, unseen: Unseen, subject: Subject, frames: Sequence[Frame], out: Path, seed: int, general: Path | None
) -> DFRFTraining:
    """Fine-tuning on one person, ready to run; general: folder of a base model."""
    state = None if general is None else load_base(general)
    wanted = options.features if state is None or options.features != "auto" else state["features"]
    if state is not None and wanted != state["features"]:
        raise UserError(f"{general} was trained on {state['features']} features, {wanted} are asked for; train it on these")
    start = None if state is None else _nets(general, state, options)
    device, hearing = device_named(options.device), Hearing.of(subject, frames, wanted, no_eyes(frames))
    person = load_person(subject, frames, hearing, device)
    kept = {**_kept(options, person, hearing), "notes": [NO_BASE] if state is None else []}
    job = tuning_job(options, unseen, subject, frames, general)
    return DFRFTraining(options, [person], hearing.columns, out, seed, device, job, base=False, kept=kept, start=start)


def tuning_job(
    options: Options, unseen: Unseen, subject: Subject, frames: Sequence[Frame], general: Path | None
) -> dict[str, Any]:
    """What makes a fine-tuning the same one; unseen: options that it does not see."""
    return {
        "method": "dfrf", "options": without(asdict(options), unseen), "data": subject.data_hash,
        "frames": [frame.img_id for frame in frames], "general": None if general is None else base_hash(general),
    }


def tune(
    options: Options, unseen: Unseen, subject: Subject, frames: Sequence[Frame], out: Path, seed: int, general: Path | None
) -> tuple[float, bool]:
    """Fine-tune on one person; see Method.train."""
    before = finished(out / CHECKPOINT, tuning_job(options, unseen, subject, frames, general), seed)
    if before is not None:
        return before, True
    training = tuning(options, unseen, subject, frames, out, seed, general)
    training.run()
    return training.seconds, False


def no_eyes(frames: Sequence[Frame]) -> np.ndarray:
    """What stands for the eye signal that DFRF does not have, [T, 1]."""
    return np.zeros((len(frames), 1), np.float32)


def _nets(folder: Path | None, state: dict[str, Any], options: Options) -> dict[str, torch.Tensor]:
    """The base's nets.  Raises UserError where they are of other sizes."""
    own, wanted = state["options"]["net"], without(asdict(options), {})["net"]
    wanted = {name: list(value) if isinstance(value, tuple) else value for name, value in wanted.items()}
    off = [name for name in wanted if name != "references" and own.get(name) != wanted[name]]
    if off:
        name = off[0]
        raise UserError(f"{folder} was trained with net.{name} = {own.get(name)}, here it is {wanted[name]}; give the same")
    return state["field"]


def _kept(options: Options, person: Person, hearing: Hearing) -> dict[str, Any]:
    """What test time needs beside the nets: references, depths, statistics of the sound."""
    rows = reference_rows(len(person.views), options.net.references)
    pictures = torch.stack([person.views.host(row).image for row in rows])
    references = {"pictures": pictures, "viewmats": person.views.viewmats[rows].cpu(), "K": person.views.K.cpu(), "rows": rows}
    return {"references": references, "bounds": [person.near, person.far], "hearing": hearing.state()}
