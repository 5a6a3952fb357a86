"""`d3talker evaluate`: score a predictions folder, or any video, against a subject, another folder or a video."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from d3talker.errors import UserError
from d3talker.files import write_json
from eval.metrics.registry import METRICS, check_names
from eval.offer import provide

if TYPE_CHECKING:
    import numpy as np

    from d3talker.people.media.predictions import Predictions
    from d3talker.people.subject.layout import Subject
    from eval.metrics.result import MetricResult

DEFAULT_METRICS = ("psnr", "ssim", "lpips_alex", "lmd_dlib", "lmd_dlib_iod", "sync_c", "sync_d", "avc_r", "avc_lag")
WHICH = f'Which metrics: "all", or any of {", ".join(METRICS)}.'


@dataclass(frozen=True)
class EvaluateConfig:
    """Score one clip; a metric that cannot be measured here says why."""

    predictions: tyro.conf.Positional[Path]
    """A predictions folder, or a video."""
    against: Path | None = None
    """Subject folder whose ground truth is the reference; its parsing gives the regions."""
    reference: Path | None = None
    """Predictions folder or video that is the reference."""
    metrics: Annotated[tuple[str, ...], tyro.conf.arg(help=WHICH)] = DEFAULT_METRICS
    audio: Path | None = None
    """Sound or video file whose sound drives the lips; by default the clip's own."""
    weights: Path | None = None
    """Folder with network weights, searched first."""
    download: bool = False
    """Fetch weights that metrics lack before any work, with a checksum; without it you are asked at a terminal."""
    device: str = "cpu"
    """Where networks run: cpu or cuda."""
    json: bool = False
    """Print JSON, with per-frame values, instead of a table."""
    out: Path | None = None
    """Write the same JSON to this file."""


def run(config: EvaluateConfig) -> int:
    """Print the scores; returns 0, also where a metric has no value but a reason."""
    names = tuple(METRICS) if config.metrics == ("all",) else config.metrics
    check_names(names)
    if config.against is not None and config.reference is not None:
        raise UserError("give either --against SUBJECT or --reference VIDEO, not both")
    provide(names, config.weights, config.download, told=True)
    results = evaluate(config, names)
    report = {
        "predictions": str(config.predictions), "reference": str(config.against or config.reference or "") or None,
        "lossless": _lossless(config.predictions),
        "metrics": {name: result.model_dump(mode="json") for name, result in results.items()},
    }  # fmt: skip
    if config.out is not None:
        write_json(config.out, report)
    if config.json:
        print(json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        _print_table(results, report)
    return 0


def evaluate(config: EvaluateConfig, names: tuple[str, ...]) -> dict[str, MetricResult]:
    """The metrics `names` of the clip that `config` names.  Raises UserError where the two sides do not fit."""
    from d3talker.people.media.predictions import Predictions, is_predictions
    from d3talker.people.media.video import read_audio
    from d3talker.people.subject.layout import Subject
    from eval.metrics.score import score, score_predictions

    for path in (config.predictions, config.reference):
        if path is not None and path.is_dir() and not is_predictions(path):
            raise UserError(f"{path} is a folder without a manifest; make one with: d3talker import")
    options: dict[str, Any] = {
        "weights": config.weights, "device": config.device,
        "audio": read_audio(config.audio) if config.audio is not None else None,
    }  # fmt: skip
    ours = Predictions(config.predictions) if is_predictions(config.predictions) else None
    if config.against is not None:
        subject = Subject(config.against)
        return _against_subject(config.predictions, ours, subject, names, options)
    theirs = Predictions(config.reference) if config.reference and is_predictions(config.reference) else None
    if ours is not None and (theirs is not None or config.reference is None):
        return score_predictions(ours, theirs, None, names, **options)
    rate = _rate(config.predictions)
    if config.reference is not None and _rate(config.reference) != rate:
        raise UserError(
            f"{config.predictions} has {rate:g} frames a second, {config.reference} {_rate(config.reference):g}; "
            "bring both to 25"
        )
    options["audio"] = _sound(config.predictions, ours, names, options["audio"])
    reference = _frames(config.reference, theirs) if config.reference is not None else None
    return score(_frames(config.predictions, ours), reference, names, **options)


def _against_subject(
    path: Path, ours: Predictions | None, subject: Subject, names: tuple[str, ...], options: dict[str, Any]
) -> dict[str, MetricResult]:
    """Frames of a folder are those its manifest names; a video must hold the test frames of the protocol."""
    from eval.metrics.score import score, subject_masks
    from eval.protocol import D3_V1

    options["audio"] = _sound(path, ours, names, options["audio"])
    if ours is not None and ours.manifest.setting == "cross":
        return score(ours.frames(), None, names, **options)
    if ours is not None:
        img_ids = subject.following(ours.manifest.first_img_id, ours.manifest.frames)
    else:
        from baselines.outputs.collecting import verify_in_place

        test = D3_V1.test(subject)
        verify_in_place(path, subject, test)
        img_ids = [frame.img_id for frame in test]
    parsed = all(subject.layout.image("parsing", img_id, ".png").exists() for img_id in img_ids)
    masks = subject_masks(subject, img_ids) if parsed else None
    return score(_frames(path, ours), (subject.gt(img_id) for img_id in img_ids), names, masks=masks, **options)


def _frames(path: Path, folder: Predictions | None) -> Iterator[np.ndarray]:
    from d3talker.people.media.video import read_frames

    return folder.frames() if folder is not None else read_frames(path)


def _rate(path: Path) -> float:
    from d3talker.people.media.predictions import Predictions, is_predictions
    from d3talker.people.media.video import probe

    return Predictions(path).manifest.fps if is_predictions(path) else probe(path).fps


def _sound(
    path: Path, folder: Predictions | None, names: tuple[str, ...], given: np.ndarray | None
) -> np.ndarray | None:
    """The given sound, or the clip's own; metrics that listen are defined at 25 frames a second alone."""
    from d3talker.people.media.video import FPS, probe, read_audio

    listening = [name for name in names if "audio" in METRICS[name].needs]
    if listening and abs(_rate(path) - FPS) > 0.01:
        raise UserError(
            f"{path} has {_rate(path):g} frames a second, but {', '.join(listening)} are defined at {FPS}; "
            "re-encode it, or leave them out"
        )
    if given is not None:
        return given
    if folder is not None:
        return folder.audio()
    return read_audio(path) if listening and probe(path).has_audio else None


def _lossless(path: Path) -> bool:
    from d3talker.people.media.predictions import Predictions, is_predictions, source_is_lossless

    return Predictions(path).manifest.lossless if is_predictions(path) else source_is_lossless(path)


def _print_table(results: dict[str, MetricResult], report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    title = f"{report['predictions']} against {report['reference'] or 'nothing'}"
    title += "" if report["lossless"] else " (from a lossy video)"
    table = Table(title=Text(title), box=None, title_justify="left")
    for heading in ("metric", "", "value", "95 % interval", "beside it"):
        table.add_column(heading, overflow="fold")
    missing: dict[str, list[str]] = {}
    for name, result in results.items():
        metric = METRICS[name]
        if result.value is None:
            missing.setdefault(str(result.reason), []).append(metric.title)
        value = "-" if result.value is None else f"{result.value:.4f} {metric.unit}".strip()
        interval = "" if result.interval is None else "{:.4f} - {:.4f}".format(*result.interval)
        table.add_row(metric.title, metric.arrow, value, interval, Text(_facts(result.extra)))
    console = Console()
    console.print(table)
    for reason, titles in missing.items():
        console.print(f"{', '.join(titles)}: {reason}", highlight=False, markup=False)


def _facts(extra: dict[str, Any]) -> str:
    """What a reader should know beside the value; a face in every frame goes without saying."""
    told = []
    for key, fact in extra.items():
        words = key.replace("_", " ")
        if isinstance(fact, bool):
            told.append(words if fact else f"not {words}")
        elif not (key.endswith("sha256") or isinstance(fact, list) or (key.startswith("detected") and fact == 1)):
            told.append(f"{words} {f'{fact:.3g}' if isinstance(fact, float) else fact}")
    return ", ".join(told)
