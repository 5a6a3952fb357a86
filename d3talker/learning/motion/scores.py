"""How well predicted lips follow tracked ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import minimum_filter1d

from d3talker.learning.motion.data import Speaker
from d3talker.people.head.embedded import embedded_head
from d3talker.people.media.video import FPS
from d3talker.people.motion.audio_to_motion import RidgeMotion
from d3talker.people.motion.hearing import hear_subject
from d3talker.people.motion.lips import lip_basis, opening
from d3talker.people.motion.model import CalibratedMotion, MotionModel
from d3talker.people.subject.layout import Subject

Score = Mapping[str, float | None]
NAMES = ("aperture_r", "lips_mm", "aperture_ratio", "closure_recall")
CLOSED, CLOSES = 15, 25  # percentiles of the tracked and of the predicted opening
NEAR = 2  # frames


def score(predicted: Sequence[np.ndarray], tracked: Sequence[np.ndarray]) -> dict[str, float | None]:
    """How predicted expression follows the tracked, both [T, E] of each of a speaker's clips; every clip's mean is taken out.

    aperture_r: correlation of the lips' opening; lips_mm: mean distance of the 20 lip landmarks; aperture_ratio: standard deviation
    of the predicted opening over that of the tracked; closure_recall: share of the frames in which tracked lips are closed (their
    lowest 15 %) that have a frame within two in which the predicted are (their lowest 25 %).  None where lips never move.
    """
    landmarks = lip_basis(embedded_head())
    ours, theirs = ([(part - part.mean(0)) @ landmarks for part in parts] for parts in (predicted, tracked))
    a, b = (np.concatenate([part @ opening() for part in parts]) for parts in (ours, theirs))
    apart = np.concatenate(ours) - np.concatenate(theirs)
    lips = float(np.sqrt(np.square(apart.reshape(len(apart), -1, 3)).sum(-1)).mean())
    if min(a.std(), b.std()) < 1e-6:
        return {"aperture_r": None, "lips_mm": lips, "aperture_ratio": None, "closure_recall": None}
    closed, shut = b <= np.percentile(b, CLOSED), np.percentile(a, CLOSES)
    near = np.concatenate([minimum_filter1d(part @ opening(), 2 * NEAR + 1, mode="nearest") for part in ours])
    return {
        "aperture_r": float(np.corrcoef(a, b)[0, 1]), "lips_mm": lips, "aperture_ratio": float(a.std() / b.std()),
        "closure_recall": float((near[closed] <= shut).mean()),
    }


def evaluate(model: MotionModel, speakers: Sequence[Speaker]) -> dict[str, Score]:
    """`score` on each speaker, by their sound alone: frames in a row with a face."""
    found: dict[str, Score] = {}
    for speaker in speakers:
        heard = zip(by_sound(model, speaker), speaker.pieces)
        runs = [(moves[run], piece.expression[run]) for moves, piece in heard for run in piece.runs()]
        found[speaker.name] = score(*zip(*runs))
    return found


@torch.no_grad()
def by_sound(model: MotionModel, speaker: Speaker) -> list[np.ndarray]:
    """Expression [T, E] of each of a speaker's clips, heard one by one, at the loudness and with the voice of all of them."""
    heard, ends = speaker.heard, np.cumsum([len(piece.seen) for piece in speaker.pieces])[:-1]
    found = []
    for inputs, network in model.chosen(heard):
        parts = np.split(model.ears.rows(heard, inputs), ends)
        found.append([network(torch.from_numpy(part)[None])[0].numpy() for part in parts])
    scale = model.lips.amplitude * model.lips.unit
    return [model.lips.expression(np.mean(parts, 0) * scale, model.lips.mean) for parts in zip(*found)]


def by_budget(motion: Path | None, subject: Subject, budgets: Sequence[float]) -> dict[str, Score]:
    """`score` on a subject's test frames, by seconds of its training video that a model is calibrated on; 0 is the model alone.

    motion: the model; without one, a regression on those seconds.  Budgets that the subject has not, and 0 without a model, are
    None throughout.
    """
    model = None if motion is None else MotionModel.load(motion)
    train, test = (np.array([frame.aud_id for frame in subject.frames(split)]) for split in ("train", "val"))
    expression = subject.expression()
    found: dict[str, Score] = {}
    heard = hear_subject(subject, RidgeMotion.names if model is None else model.hears())
    for seconds in budgets:
        rows = train[:round(seconds * FPS)]
        if len(rows) < round(seconds * FPS) or (model is None and not len(rows)):
            found[f"{seconds:g}"] = dict.fromkeys(NAMES)
            continue
        predictor: MotionModel | CalibratedMotion | RidgeMotion
        if model is None:
            predictor = RidgeMotion.fit(heard, rows, expression[rows], lip_basis(embedded_head()))
        else:
            predictor = model.calibrate(heard, rows, expression[rows]) if len(rows) else model
        predicted = predictor.predict(heard)[test]
        found[f"{seconds:g}"] = score([predicted], [expression[test]])
    return found


def mean(scores: Sequence[Score]) -> dict[str, float | None]:
    """Mean of each measure over the speakers that have it."""
    found = {}
    for name in NAMES:
        values = [value for one in scores if (value := one[name]) is not None]
        found[name] = float(np.mean(values)) if values else None
    return found
