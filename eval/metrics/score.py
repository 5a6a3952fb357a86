"""Score one clip: walk once through its frames, and answer each metric with a value or the reason why there is none."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from d3talker.errors import MissingExtra, UserError
from d3talker.people.audio.mel import check_audio
from d3talker.people.media.predictions import Predictions
from d3talker.people.subject.layout import Subject
from d3talker.people.subject.palette import Label
from d3talker.progress import track
from d3talker.weights import MissingWeights
from eval.intervals import within
from eval.metrics.batches import FramesTooSmall, batches
from eval.metrics.family import Context, Family, Known, Unavailable
from eval.metrics.registry import METRICS, check_names
from eval.metrics.result import MetricResult

HEAD = (Label.FACE, Label.MOUTH, Label.HAIR)
TORSO = (Label.NECK, Label.TORSO)
MEMORY = 4  # references
_memory: dict[str, Known] = {}
ABSENT = {
    "reference": "there is no ground truth to compare with",
    "audio": "there is no sound; give the clip its sound track",
    "masks": "there are no region masks; compare against a subject folder with its parsing",
}


def score(
    predicted: Iterable[np.ndarray], reference: Iterable[np.ndarray] | None, metrics: Sequence[str], *,
    audio: np.ndarray | None = None, masks: Iterable[Mapping[str, np.ndarray]] | None = None,
    reference_landmarks: np.ndarray | None = None, weights: Path | None = None, download: bool = False,
    device: str = "cpu", known: Known | None = None,
) -> dict[str, MetricResult]:
    """Metrics of predicted frames, by name.

    predicted, reference: uint8 RGB frames [H, W, 3] at 25 fps, any iterables; eight at a time are held in memory.
    audio: the sound that drives the lips, float32 [S] at 16 kHz from the first frame on.  masks: for each frame a dict
    of bool [H, W] by region (head, torso, mouth).  reference_landmarks: [T, 68, 2] px, to spare their detection.
    known: what earlier calls detected on the same reference, which this one reads and adds to.
    weights: folder searched first for network weights; download: whether they may be fetched.
    A metric whose weights, package or input are not there gets value None and the reason; wrong input raises UserError.
    """
    check_names(metrics)
    if audio is not None:
        audio = check_audio(audio)
    context = Context(audio, reference_landmarks, weights, download, device, {} if known is None else known)
    given = {"reference": reference is not None, "audio": audio is not None, "masks": masks is not None}
    results: dict[str, MetricResult] = {}
    families: list[Family] = []
    wanted = []
    for name in dict.fromkeys(metrics):
        absent = [need for need in METRICS[name].needs if not given[need]]
        if absent:
            results[name] = MetricResult.missing(ABSENT[absent[0]])
        else:
            wanted.append(name)
    for _, group in groupby(sorted(wanted, key=_family_key), _family_key):
        names = list(group)
        try:
            families.append(_family(names, context))
        except (MissingWeights, MissingExtra, Unavailable) as error:
            results.update(dict.fromkeys(names, MetricResult.missing(str(error))))
    count = 0
    for batch in batches(track(predicted, "frames scored"), reference, masks):
        count += len(batch)
        if reference_landmarks is not None and len(reference_landmarks) < count:
            raise UserError(f"there are landmarks for {len(reference_landmarks)} reference frames, the clip is longer")
        for family in list(families):
            try:
                family.update(batch)
            except FramesTooSmall as error:
                families.remove(family)
                results.update(dict.fromkeys(family.names, MetricResult.missing(str(error))))
    for family in families:
        results.update(family.results())
    return {name: _within(results[name], METRICS[name].range) for name in metrics}


def _within(result: MetricResult, limits: tuple[float | None, float | None]) -> MetricResult:
    """Student's t knows nothing of the metric's range; the interval ends where that does."""
    if result.interval is None:
        return result
    return result.model_copy(update={"interval": within(result.interval, limits)})


def score_predictions(
    predictions: Predictions, reference: Predictions | None, subject: Subject | None, metrics: Sequence[str], *,
    audio: np.ndarray | None = None, weights: Path | None = None, download: bool = False, device: str = "cpu",
) -> dict[str, MetricResult]:
    """Score a predictions folder against a reference's.

    Region masks come from the subject's parsing where it has one, sound from the folder unless `audio` is given.
    Cross-driven predictions are scored without a reference.  Raises UserError when frame counts, sizes or first
    frames differ.
    """
    ours = predictions.manifest
    if ours.setting == "cross":
        reference = None
    masks = None
    if reference is not None:
        theirs = reference.manifest
        for what in ("frames", "width", "height", "first_img_id", "fps"):
            if getattr(ours, what) != getattr(theirs, what):
                raise UserError(
                    f"{predictions.root} and {reference.root} differ in {what} ({getattr(ours, what)} and "
                    f"{getattr(theirs, what)}); make the predictions again for these frames"
                )
        regional = any("masks" in METRICS[name].needs for name in metrics if name in METRICS)
        if regional and subject is not None and _parsed(subject, ours.first_img_id):
            masks = subject_masks(subject, subject.following(ours.first_img_id, ours.frames))
    return score(
        predictions.frames(), None if reference is None else reference.frames(), metrics,
        audio=predictions.audio() if audio is None else audio, masks=masks, weights=weights, download=download,
        device=device, known=None if reference is None else _known(reference),
    )


def _known(reference: Predictions) -> Known:
    """Landmarks that this process detected on a reference before: all jobs of a subject are scored against the same."""
    digest = reference.digest()
    while len(_memory) >= MEMORY and digest not in _memory:
        _memory.pop(next(iter(_memory)))
    return _memory.setdefault(digest, {})


def subject_masks(subject: Subject, img_ids: Iterable[int]) -> Iterator[dict[str, np.ndarray]]:
    """Head and torso masks, bool [H, W], of a subject's frames, from its parsing."""
    for img_id in img_ids:
        labels = subject.labels(img_id)
        yield {"head": np.isin(labels, HEAD), "torso": np.isin(labels, TORSO)}


def _parsed(subject: Subject, img_id: int) -> bool:
    return subject.layout.image("parsing", img_id, ".png").exists()


def _family_key(name: str) -> str:
    """Metrics of one key share one pass: one family, and within it one network or landmark detector."""
    family = METRICS[name].family
    if family.endswith(":Perceptual"):
        return f"{family} {name.split('_')[1]}"
    return f"{family} fan" if "fan" in name.split("_") else family


def _family(names: list[str], context: Context) -> Family:
    module, _, kind = METRICS[names[0]].family.partition(":")
    return getattr(importlib.import_module(module), kind)(names, context)
