"""From what the user asks for to tasks: the paper's tables, or any product of budgets, ablations and settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from baselines.adapter import Skip
from baselines.recipe import Recipe
from baselines.registry import Registry
from baselines.spec import BUDGETS, TABLE_4_BUDGET
from d3talker.errors import UserError
from d3talker.files import sha256_file
from d3talker.method.ablations import EXTENSIONS, ROWS, ablated, ablation
from d3talker.method.config import Config
from d3talker.people.subject.layout import Subject
from eval.imports import Import
from eval.jobs import METHOD, Task, canonical, needs_pretraining, signature, start_of
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
    """A finished `d3talker motion train`, which our own model hears its facial motion from."""

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
    """One block of a table: these methods, and our own model's rows, at one budget in one setting."""

    setting: Setting
    budget: float
    ablations: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """What `d3talker bench` was asked for.  Empty budgets, ablations or settings mean: as the tables say."""

    protocol: Protocol
    config: Config
    subjects: tuple[Subject, ...]
    tables: tuple[int, ...] = ()
    budgets: tuple[float, ...] = ()
    ablations: tuple[str, ...] = ()
    settings: tuple[Setting, ...] = ()
    methods: tuple[str, ...] = (METHOD,)
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
    methods = tuple(name for name in request.methods if name != METHOD)
    own = METHOD in request.methods
    rows = request.ablations or ("full",)
    if not request.tables:
        return [
            Condition(setting, budget, rows if own else (), methods)
            for setting in request.settings or ("self",) for budget in request.budgets or (PAPER_BUDGET,)
        ]
    whole = ("full", *(name for name in EXTENSIONS if name in (request.ablations or EXTENSIONS))) if own else ()
    usual, most = usual_budget(request.budgets, PAPER_BUDGET), usual_budget(request.budgets, TABLE_4_BUDGET)
    budgets = request.budgets or BUDGETS
    reference = tuple(name for name in methods if name == REFERENCE)
    blocks = {
        1: [Condition("self", usual, whole, methods)],
        2: [Condition("self", budget, whole, reference if budget == min(budgets) else ()) for budget in budgets],
        3: [Condition("cross", usual, whole, ())],
        4: [Condition("self", most, request.ablations or tuple(ROWS), reference)] if own else [],
    }
    chosen = [block for table in request.tables for block in blocks[table]]
    return [block for block in chosen if not request.settings or block.setting in request.settings]


def usual_budget(given: Sequence[float], wanted: float) -> float:
    """The paper's budget unless others were given: then it if it is among them, else the largest."""
    return wanted if not given or wanted in given else max(given)


def _own(request: Request, subject: Subject, block: Condition, where: dict[str, Any]) -> Iterator[Task]:
    """Our own model's tasks; rows of the same setting are one."""
    if block.ablations:
        request.protocol.train(subject, block.budget)
    for name in canonical(block.ablations):
        config = ablated(request.config, name)
        start = start_of(config, request.config, request.pretrain)
        options = signature(config, start, request.motion.digest if request.motion else None)
        for seed in range(request.seeds):
            sounds: tuple[Sound | None, ...] = request.sounds if block.setting == "cross" else (None,)
            for sound in sounds:
                heard: dict[str, Any] = {"audio": sound.name, "source_hash": sound.digest} if sound else {}
                job = Job(method=METHOD, ablation=name, seed=seed, config=options, **where, **heard)
                audio, motion = sound.path if sound else None, request.motion.run if request.motion else None
                yield Task(job, subject, config, audio=audio, pretraining=start, motion=motion)


def _others(request: Request, subject: Subject, block: Condition, where: dict[str, Any]) -> Iterator[Task]:
    """Methods that run in our own process; they know only the self-driven setting."""
    if block.methods and block.setting == "self":
        request.protocol.train(subject, block.budget)
        for name in block.methods:
            yield Task(Job(method=name, **where), subject)


def _imported(request: Request, subject: Subject, block: Condition, where: dict[str, Any]) -> Iterator[Task]:
    """Other codes' predictions of this subject, at this budget, in this setting; Table 4 has none."""
    if set(block.ablations) - {"full", *EXTENSIONS}:
        return
    for found in request.imports:
        if (found.subject, found.setting, found.budget) == (subject.name, block.setting, block.budget):
            job = Job(method=found.method, audio=found.audio, source_hash=found.digest, **where)
            yield Task(job, subject, predictions=found.folder)


def _without_pretraining(request: Request, blocks: Sequence[Condition]) -> tuple[list[Condition], list[str]]:
    """Blocks without the rows that differ from the full model in pre-training alone."""
    rows = [name for name in dict.fromkeys(n for block in blocks for n in block.ablations) if needs_pretraining(name)]
    if not rows:
        return list(blocks), []
    why = f"{', '.join(rows)}: differ from the full model in pre-training alone; give --pretrain SUBJECTS"
    if any(name in request.ablations for name in rows):
        raise UserError(why)
    return [replace(b, ablations=tuple(name for name in b.ablations if name not in rows)) for b in blocks], [why]


def _check(request: Request) -> None:
    if request.seeds < 1:
        raise UserError(f"--seeds is {request.seeds}; give at least 1")
    for name in request.ablations:
        ablation(name)
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


def _check_pretraining(request: Request) -> None:
    if len(request.pretrain) == 1:
        raise UserError("--pretrain has one subject; its losses tell people apart, so give at least two")
    seen = {subject.data_hash for subject in request.pretrain}
    for subject in request.subjects:
        if seen and subject.data_hash in seen:
            raise UserError(f"{subject.root} is both in --subjects and --pretrain; pre-train on other people's videos")


def _check_motion(request: Request) -> None:
    if request.motion is None:
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
        if name != METHOD and isinstance(how, (Skip, Recipe)):
            raise UserError(
                f"'{name}' does not run in this process; make its predictions with `d3talker run {name}` or "
                f"`d3talker import {name}`, and give their folder to bench --predictions SECONDS=FOLDER"
            )
