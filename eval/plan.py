"""From what the user asks for to tasks: the paper's tables, or any product of budgets, ablations and settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from baselines.adapter import Skip
from baselines.recipe import Recipe
from baselines.registry import Registry, rows_here, trained_here
from baselines.spec import BUDGETS, TABLE_4_BUDGET, MethodSpec
from d3talker.errors import UserError
from d3talker.files import sha256_file
from d3talker.people.subject.layout import Subject
from eval.imports import Import
from eval.jobs import Task, canonical, signature, start_of
from eval.protocol import Protocol
from eval.records import Job
from eval.sounds import Sound

if TYPE_CHECKING:
    from d3talker.people.motion.model import MotionModel

Setting = Literal["self", "cross"]
TABLES = (1, 2, 3, 4)
REFERENCE = "ground-truth"
PAPER_BUDGET = 10.0


@dataclass(frozen=True)
class HeardMotion:
    """A finished `d3talker motion train`, which some methods hear their facial motion from."""

    run: Path

    @cached_property
    def digest(self) -> str:
        from d3talker.people.motion.model import checkpoint_of

        return sha256_file(checkpoint_of(self.run))

    @cached_property
    def model(self) -> MotionModel:
        """The model.  Raises UserError when it is missing or damaged."""
        from d3talker.people.motion.model import MotionModel

        return MotionModel.load(self.run)


@dataclass(frozen=True)
class Condition:
    """One block of a table, at one budget in one setting.

    rows: (method, row) of what is trained here; methods: what else runs here.  study: an ablation study, which has no imports.
    """

    setting: Setting
    budget: float
    rows: tuple[tuple[str, str], ...] = ()
    methods: tuple[str, ...] = ()
    study: bool = False


@dataclass(frozen=True)
class Request:
    """What `d3talker bench` was asked for.  Empty budgets, ablations or settings mean: as the tables say.

    options: of each method that is trained here.  methods: what else runs here, floors and plug-ins.
    """

    protocol: Protocol
    options: Mapping[str, Any]
    subjects: tuple[Subject, ...]
    tables: tuple[int, ...] = ()
    budgets: tuple[float, ...] = ()
    ablations: tuple[str, ...] = ()
    settings: tuple[Setting, ...] = ()
    methods: tuple[str, ...] = ()
    seeds: int = 1
    sounds: tuple[Sound, ...] = ()
    imports: tuple[Import, ...] = ()
    pretrain: tuple[Subject, ...] = ()
    motion: HeardMotion | None = None


@dataclass(frozen=True)
class Plan:
    """Tasks in the order in which they run.  left_out: what was asked for and cannot be, a sentence each."""

    tasks: tuple[Task, ...]
    left_out: tuple[str, ...] = field(default=())


def plan(request: Request) -> Plan:
    """All tasks, each once.  Raises UserError for unknown names, and wrong budgets, sounds or pre-training subjects."""
    _check(request)
    blocks, left_out = conditions(request), []
    if any(block.setting == "cross" for block in blocks) and not request.sounds:
        blocks = [block for block in blocks if block.setting == "self"]
        left_out.append("Table 3: the cross-driven setting needs a driving sound; give --audio FILE (or NAME=FILE)")
    if not request.pretrain:
        blocks, rows = _without_pretraining(request, blocks)
        left_out += rows
    if not blocks:
        raise UserError("; ".join(left_out) or "nothing is left to do: --tables and --settings exclude each other")
    tasks: dict[str, Task] = {}
    for subject in request.subjects:
        variant = request.protocol.variant(subject)
        whose = {"protocol": variant, "subject": subject.name, "subject_hash": subject.data_hash}
        for block in blocks:
            where = {**whose, "budget": block.budget, "setting": block.setting}
            for kind in (_own, _others, _imported):
                tasks |= {task.job.key: task for task in kind(request, subject, block, where)}
    unused = [i for i in request.imports if not any(task.predictions == i.folder for task in tasks.values())]
    left_out += [f"{i.folder}: {i.text} is in no table that was asked for" for i in unused]
    return Plan(tuple(tasks.values()), tuple(left_out))


def conditions(request: Request) -> list[Condition]:
    """The blocks of the tables, or of the plain product when no table is named."""
    registry = Registry()
    specs = [registry.get(name) for name in request.options]
    if not request.tables:
        rows = tuple((spec.name, name) for spec in specs for name in named(spec, request.ablations))
        return [
            Condition(setting, budget, rows, request.methods)
            for setting in request.settings or ("self",) for budget in request.budgets or (PAPER_BUDGET,)
        ]
    wanted = request.ablations
    whole = tuple(
        (spec.name, name) for spec in specs
        for name in ("full", *(n for n in spec.shown("everywhere") if n in (wanted or (n,))))
    )
    studied = tuple(
        (spec.name, name) for spec in specs if spec.shown("study")
        for name in (named(spec, wanted) if wanted else ("full", *spec.shown("study", "everywhere")))
    )
    usual, most = usual_budget(request.budgets, PAPER_BUDGET), usual_budget(request.budgets, TABLE_4_BUDGET)
    budgets = request.budgets or BUDGETS
    reference = tuple(name for name in request.methods if name == REFERENCE)
    blocks = {
        1: [Condition("self", usual, whole, request.methods)],
        2: [Condition("self", budget, whole, reference if budget == min(budgets) else ()) for budget in budgets],
        3: [Condition("cross", usual, whole, ())],
        4: [Condition("self", most, studied, reference, study=True)] if studied else [],
    }
    chosen = [block for table in request.tables for block in blocks[table]]
    return [block for block in chosen if not request.settings or block.setting in request.settings]


def named(spec: MethodSpec, wanted: Sequence[str]) -> tuple[str, ...]:
    """Those of the wanted rows that a method has; the whole model where it has none of them."""
    return tuple(name for name in wanted if name in spec.rows) or ("full",)


def usual_budget(given: Sequence[float], wanted: float) -> float:
    """The paper's budget unless others were given: then it if it is among them, else the largest."""
    return wanted if not given or wanted in given else max(given)


def _own(request: Request, subject: Subject, block: Condition, where: dict[str, Any]) -> Iterator[Task]:
    """Tasks of what is trained here; rows of the same setting are one."""
    if block.rows:
        request.protocol.train(subject, block.budget)
    for method in dict.fromkeys(method for method, _ in block.rows):
        how, base = trained_here(method), request.options[method]
        for name in canonical(rows_here(method), [row for owner, row in block.rows if owner == method]):
            config = how.ablated(base, name)
            start = start_of(method, config, base, request.pretrain)
            motion = request.motion if how.hears_motion else None
            options = signature(method, config, start, motion.digest if motion else None)
            for seed, sound in product(range(request.seeds), request.sounds if block.setting == "cross" else (None,)):
                heard: dict[str, Any] = {"audio": sound.name, "source_hash": sound.digest} if sound else {}
                job = Job(method=method, ablation=name, seed=seed, config=options, **where, **heard)
                yield Task(
                    job, subject, config, sound.path if sound else None, pretraining=start, motion=motion.run if motion else None
                )


def _others(request: Request, subject: Subject, block: Condition, where: dict[str, Any]) -> Iterator[Task]:
    """Methods that run in our own process; they know only the self-driven setting."""
    if block.methods and block.setting == "self":
        request.protocol.train(subject, block.budget)
        for name in block.methods:
            yield Task(Job(method=name, **where), subject)


def _imported(request: Request, subject: Subject, block: Condition, where: dict[str, Any]) -> Iterator[Task]:
    """Other codes' predictions of this subject, at this budget, in this setting; Table 4 has none."""
    if block.study:
        return
    for found in request.imports:
        if (found.subject, found.setting, found.budget) == (subject.name, block.setting, block.budget):
            job = Job(method=found.method, audio=found.audio, source_hash=found.digest, **where)
            yield Task(job, subject, predictions=found.folder)


def _without_pretraining(request: Request, blocks: Sequence[Condition]) -> tuple[list[Condition], list[str]]:
    """Blocks without the rows that differ from the whole model in pre-training alone."""
    rows = dict.fromkeys(
        (method, name) for block in blocks for method, name in block.rows
        if trained_here(method).told_by_pretraining(rows_here(method)[name])
    )
    if not rows:
        return list(blocks), []
    names = list(dict.fromkeys(name for _, name in rows))
    why = f"{', '.join(names)}: differ from the full model in pre-training alone; give --pretrain SUBJECTS"
    if any(name in request.ablations for name in names):
        raise UserError(why)
    return [replace(b, rows=tuple(row for row in b.rows if row not in rows)) for b in blocks], [why]


def _check(request: Request) -> None:
    if request.seeds < 1:
        raise UserError(f"--seeds is {request.seeds}; give at least 1")
    _check_rows(request)
    names = [subject.name for subject in request.subjects]
    if len(set(names)) < len(names):
        raise UserError(f"two subjects share a name ({', '.join(sorted(names))}); rename one of the folders")
    if "cross" in request.settings and not request.sounds:
        raise UserError("the cross-driven setting needs a driving sound; give --audio FILE (or NAME=FILE)")
    if len({sound.name for sound in request.sounds}) < len(request.sounds):
        raise UserError("two --audio files share a name; give them as NAME=FILE")
    _check_pretraining(request)
    _check_motion(request)
    _check_methods(request)


def _check_rows(request: Request) -> None:
    known = dict.fromkeys(row for name in request.options for row in rows_here(name))
    for name in request.ablations:
        if name not in known:
            raise UserError(f"the ablation '{name}' is unknown; choose one of {', '.join(known) or 'those of a trained method'}")


def _check_pretraining(request: Request) -> None:
    if len(request.pretrain) == 1:
        raise UserError("--pretrain has one subject; its losses tell people apart, so give at least two")
    seen = {subject.data_hash for subject in request.pretrain}
    for subject in request.subjects:
        if seen and subject.data_hash in seen:
            raise UserError(f"{subject.root} is both in --subjects and --pretrain; pre-train on other people's videos")


def _check_motion(request: Request) -> None:
    if request.motion is None or not any(trained_here(name).hears_motion for name in request.options):
        return
    for subject in request.subjects:
        if request.motion.model.knows(subject.name, subject.meta):
            raise UserError(
                f"the audio-to-motion model {request.motion.run} was trained on '{subject.name}', one of --subjects; train "
                "one on other people's videos (d3talker motion train --held-out), or give --motion none"
            )


def _check_methods(request: Request) -> None:
    for found in request.imports:
        if found.method in request.methods:
            raise UserError(
                f"{found.folder} holds predictions of '{found.method}', which also runs here; take it out of --methods"
            )
    registry = Registry()
    for name in request.methods:
        how = registry.adapter(name).run
        if isinstance(how, (Skip, Recipe)):
            raise UserError(
                f"'{name}' does not run in this process; make its predictions with `d3talker run {name}` or "
                f"`d3talker import {name}`, and give their folder to bench --predictions SECONDS=FOLDER"
            )
