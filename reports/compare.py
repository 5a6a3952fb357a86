"""`d3talker compare`: a method of your own beside all others of a results folder, on the same frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import tyro

from baselines.registry import methods
from baselines.spec import MethodSpec
from d3talker.errors import UserError
from d3talker.files import atomic_folder, sha256_json, write_json, write_text
from d3talker.people.media.predictions import Predictions
from d3talker.version import __version__
from eval.compare import Scores, Versus, versus
from eval.metrics.registry import METRICS
from eval.metrics.result import MetricResult
from eval.offer import provide
from eval.records import Job, Record
from reports.columns import COSTS
from reports.curves import per_frame
from reports.load import Results, load_results, slug
from reports.origins import split, titled
from reports.report import MARKER, check_target
from reports.tables import usual_budget
from reports.versus_table import to_csv, to_markdown
from reports.videos import write_side_by_side

TRUTH = "ground-truth"


@dataclass(frozen=True)
class CompareConfig:
    """Score predictions of your own on the frames of a results folder, and compare them with each method there."""

    results: tyro.conf.Positional[Path]
    """Folder that `d3talker bench --out` wrote."""
    method: tuple[str, ...]
    """NAME=PREDICTIONS, one for each subject, as in mine=preds/mine-cnn2; all of one name."""
    out: Path
    """Folder for the comparison; an older one there is replaced."""
    budget: float | None = None
    """Seconds of training video of the others; by default the paper's 10 if it was run."""
    protocol: str | None = None
    """Which protocol to compare under, when the results hold more than one."""
    metrics: tuple[str, ...] = ()
    """What is compared; by default whatever the results hold."""
    margin: tuple[str, ...] = ()
    """METRIC=VALUE, as in psnr=0.1: a difference that surely is smaller counts as equivalent. Without, nothing does."""
    weights: Path | None = None
    """Folder with metric weights (LPIPS, SyncNet)."""
    download: bool = False
    """Fetch weights that metrics lack before any work, with a checksum; without it you are asked at a terminal."""
    videos: bool = True
    """Whether to encode side-by-side videos."""


@dataclass(frozen=True, eq=False)
class Rival:
    """A method of the results folder: its name and title, and its records by subject, one a seed.

    floor: whether it is a floor or the ground truth, which side-by-side videos leave out.
    """

    name: str
    title: str
    floor: bool
    records: Mapping[str, tuple[Record, ...]]

    @property
    def scores(self) -> Scores:
        """Its metrics by subject, one run a seed."""
        return {subject: [record.metrics for record in own] for subject, own in self.records.items()}


def run(config: CompareConfig) -> int:
    """Write comparison.md, .csv and .json, per-frame plots and side-by-side videos; print the table.  Returns 0.

    Raises UserError when the predictions are not of the results' test frames.
    """
    check_target(config.out, config.results)
    name, mine = own_predictions(config.method)
    results = load_results(config.results, config.protocol)
    rivals, budget = find_rivals(results, set(mine), config.budget)
    references = {subject: _reference(results, subject) for subject in mine}
    wanted = list(config.metrics) or _measured(rivals)
    provide((name for name in wanted if name in METRICS), config.weights, config.download)
    scores = {s: _score(clip, references[s], wanted, config.weights) for s, clip in mine.items()}
    margins = read_margins(config.margin, wanted)
    unequal = {rival.name: differences(mine, rival) for rival in rivals}
    runs = {subject: [found] for subject, found in scores.items()}
    table = {
        rival: [versus(m, runs, rival.scores, margins.get(m), "; ".join(unequal[rival.name])) for m in wanted]
        for rival in rivals
    }
    remarks = {rival.name: [*unequal[rival.name], *run_remarks(rival)] for rival in rivals}
    facts = [f"protocol {results.protocol}", f"{budget:g} s of training video", "subjects: " + ", ".join(sorted(mine))]
    named = {rival.title: rows for rival, rows in table.items()}
    text = to_markdown(name, named, {r.title: remarks[r.name] for r in rivals}, facts)
    with atomic_folder(config.out) as folder:
        write_text(folder / "comparison.md", text)
        write_text(folder / "comparison.csv", to_csv(name, named))
        write_json(folder / "comparison.json", _document(name, mine, scores, table, remarks, facts))
        for subject, clip in mine.items():
            own = _record(results.protocol, name, subject, budget, clip, scores[subject])
            shown = {name: own, **{r.title: r.records[subject][0] for r in rivals if r.name != TRUTH}}
            per_frame(folder / "figures" / f"frames-{slug(subject)}", shown, clip.manifest.fps)
            if config.videos:
                _video(folder / "videos" / f"{slug(subject)}.mp4", results, clip, name, references[subject], rivals)
        write_json(folder / MARKER, {"written_by": f"d3talker {__version__}", "protocol": results.protocol})
    print(text)
    return 0


def own_predictions(arguments: Sequence[str]) -> tuple[str, dict[str, Predictions]]:
    """The name and the predictions by subject of "NAME=FOLDER" arguments, checked against their checksums."""
    pairs = [argument.partition("=") for argument in arguments]
    if not pairs or not all(name and path for name, _, path in pairs):
        raise UserError("--method needs NAME=PREDICTIONS, as in mine=preds/mine-cnn2")
    names = {name for name, _, _ in pairs}
    if len(names) > 1:
        raise UserError(f"one method at a time, not {', '.join(sorted(names))}; run compare once for each")
    found: dict[str, Predictions] = {}
    for _, _, path in pairs:
        clip = Predictions(path)
        clip.verify()
        subject = clip.manifest.subject
        if clip.manifest.setting != "self":
            raise UserError(f"{path} is cross-driven, so it has no ground truth; give self-driven predictions")
        if subject in found:
            raise UserError(f"{path} and {found[subject].root} are both of {subject}; give one for each subject")
        found[subject] = clip
    return names.pop(), found


def find_rivals(results: Results, subjects: set[str], budget: float | None) -> tuple[list[Rival], float]:
    """All methods measured on every one of `subjects`, in the order of the tables, and the budget they share."""
    done = [r for r in results.records if r.status == "ok" and r.job.setting == "self" and r.job.ablation == "full"]
    done = [r for r in done if r.job.subject in subjects]
    missing = subjects - {r.job.subject for r in done}
    if missing:
        absent = ", ".join(sorted(missing))
        raise UserError(f"{results.root} has no measured record of {absent}; run d3talker bench on it")
    chosen = usual_budget(done) if budget is None else budget
    specs = {spec.name: spec for spec in methods()}
    names = [*specs, *sorted({r.job.method for r in done} - set(specs))]
    rivals = []
    for name in names:
        spec = specs.get(name, MethodSpec(name=name, title=name, kind="other"))
        for whose, own in split(spec, [r for r in done if r.job.method == name and r.job.budget == chosen]):
            by_subject = {s: tuple(r for r in own if r.job.subject == s) for s in sorted(subjects)}
            if all(by_subject.values()):
                plain = spec.kind in ("floor", "reference")
                rivals.append(Rival(f"{name} ({whose})" if whose else name, titled(spec, whose), plain, by_subject))
    if not rivals:
        wanted = ", ".join(sorted(subjects))
        raise UserError(f"{results.root} has no method measured on {wanted} at {chosen:g} s; give another --budget")
    return rivals, chosen


def differences(mine: Mapping[str, Predictions], rival: Rival) -> list[str]:
    """What makes a comparison unequal: torso modes, a lossy source on one side."""
    found = []
    for subject, clip in mine.items():
        record = rival.records[subject][0]
        if record.torso_mode is not None and record.torso_mode != clip.manifest.torso_mode:
            found.append(f"torso: {clip.manifest.torso_mode} against {record.torso_mode}")
        if record.lossless is not None and record.lossless != clip.manifest.lossless:
            found.append("mine is lossy, theirs is not" if record.lossless else "theirs is lossy, mine is not")
    return list(dict.fromkeys(found))


def run_remarks(rival: Rival) -> list[str]:
    """How many runs stand behind a comparison: mine is one for each subject."""
    seeds = {subject: sorted(record.job.seed for record in own) for subject, own in rival.records.items()}
    if rival.floor:
        return []
    same = len({tuple(found) for found in seeds.values()}) == 1
    told = ", ".join(map(str, next(iter(seeds.values())))) if same else "; ".join(
        f"{', '.join(map(str, found))} ({subject})" for subject, found in seeds.items()
    )
    one = {len(found) for found in seeds.values()} == {1}
    if one and len(seeds) == 1:
        return [f"one run of mine against seed {told}: this compares these two runs, not the methods"]
    return [f"one run of mine a subject against theirs of the seeds {told}"]


def read_margins(arguments: Sequence[str], metrics: Sequence[str]) -> dict[str, float]:
    """METRIC=VALUE arguments.  Raises UserError for another metric than those compared, and for a value that is not above 0."""
    margins: dict[str, float] = {}
    for argument in arguments:
        name, _, text = argument.partition("=")
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if name not in metrics or not 0 < value < float("inf"):
            raise UserError(f"--margin {argument} is not METRIC=VALUE with a compared metric and a value above 0, as in psnr=0.1")
        margins[name] = value
    return margins


def _reference(results: Results, subject: str) -> Predictions:
    for record in results.records:
        if record.job.subject == subject and record.job.setting == "self":
            found = results.predictions(record, "reference")
            if found is not None:
                return found
    raise UserError(f"{results.root} has lost the ground truth of {subject}; run d3talker bench on it again")


def _measured(rivals: Sequence[Rival]) -> list[str]:
    """Metrics of frames that some rival has a value for, in the registry's order."""
    have = {
        name for rival in rivals for own in rival.records.values() for record in own
        for name, result in record.metrics.items() if result.value is not None
    }
    return [name for name, metric in METRICS.items() if name in have - COSTS and "masks" not in metric.needs]


def _score(
    clip: Predictions, reference: Predictions, metrics: Sequence[str], weights: Path | None
) -> dict[str, MetricResult]:
    from eval.metrics.score import score_predictions

    return score_predictions(clip, reference, None, metrics, weights=weights)


def _record(
    protocol: str, name: str, subject: str, budget: float, clip: Predictions, metrics: dict[str, MetricResult]
) -> Record:
    """My scores in the form in which the plots take everybody's."""
    from eval.environment import describe

    now, manifest = datetime.now(timezone.utc).isoformat(timespec="seconds"), clip.manifest
    job = Job(
        protocol=protocol, method=name, subject=subject, subject_hash="", budget=budget,
        source_hash=sha256_json(manifest.sha256),
    )
    return Record(
        key=job.key, job=job, status="ok", metrics=metrics, torso_mode=manifest.torso_mode, lossless=manifest.lossless,
        frames=manifest.frames, size=(manifest.height, manifest.width), notes=manifest.notes,
        environment=describe("cpu"), started=now, ended=now,
    )


def _video(
    path: Path, results: Results, mine: Predictions, name: str, reference: Predictions, rivals: Sequence[Rival]
) -> None:
    clips, titles = [reference, mine], ["Ground Truth", name]
    for rival in rivals:
        record = rival.records[mine.manifest.subject][0]
        found = results.predictions(record) if not rival.floor else None
        if found is not None:
            clips.append(found)
            titles.append(rival.title)
    write_side_by_side(path, clips, titles, reference.audio())


def _plain(row: Versus) -> dict[str, Any]:
    gap = row.difference
    return asdict(row) | ({"difference": asdict(gap) | {"interval": gap.interval, "p": gap.p}} if gap else {})


def _document(
    name: str, mine: Mapping[str, Predictions], scores: Mapping[str, Mapping[str, MetricResult]],
    table: Mapping[Rival, Sequence[Versus]],
    remarks: Mapping[str, Sequence[str]], facts: Sequence[str],
) -> dict[str, Any]:
    return {
        "method": name, "facts": list(facts),
        "predictions": {subject: clip.manifest.sha256 for subject, clip in mine.items()},
        "scores": {s: {m: r.model_dump(mode="json") for m, r in own.items()} for s, own in scores.items()},
        "against": {
            rival.name: {
                "remarks": list(remarks[rival.name]), "metrics": [_plain(row) for row in rows],
                "records": {s: [r.key for r in own] for s, own in rival.records.items()},
            }
            for rival, rows in table.items()
        },
    }
