"""`d3talker bench`: plan the jobs, say what they cost, run what is not done yet."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import tyro

from baselines.choosing import by_method, chosen, everyone, options_of, preset_options, trained
from baselines.floors import FLOORS
from baselines.registry import DEFAULT, trained_here
from d3talker.errors import UserError
from d3talker.files import write_json
from d3talker.learning.contract import Preset
from d3talker.people.motion.options import PRIOR, motion_model
from d3talker.progress import say
from eval.executors import ExecutorConfig, executor
from eval.jobs import Task, units
from eval.offer import provide
from eval.plan import TABLES, HeardMotion, Plan, Request, Setting, plan
from eval.protocol import D3_V1
from eval.sounds import Sound
from eval.store import Overwrite, Store

if TYPE_CHECKING:
    from eval.estimate import Estimator
    from eval.harness import Harness

DEFAULT_METRICS = ("psnr", "ssim", "lpips_alex", "lmd_dlib", "sync_c", "sync_d", "avc_r")
SHOWN = 40


O = TypeVar("O")  # noqa: E741  the options of the methods


@dataclass(frozen=True)
class BenchConfig(Generic[O]):
    """Train on each subject and budget, render the test frames, score them; run again to go on where it stopped."""

    subjects: tuple[Path, ...]
    """Subject folders, made by `d3talker prepare`."""
    out: Path
    """Results folder; what is in it already is kept and not repeated.  Several processes may work on one."""
    preset: Preset = "paper"
    """mini: 128x128 on a CPU, minutes. paper: the published schedule, CUDA."""
    tables: str = ""
    """The paper's tables to fill: all, or numbers such as 1,4.  Without, the product of the options below."""
    budgets: tuple[float, ...] = ()
    """Seconds of training video; by default 10, or what the tables have (5 10 15 20 in Table 2, 20 in Table 4)."""
    ablations: tuple[str, ...] = ()
    """Rows of an ablation study, by name; by default the full model, in Table 4 all fourteen and `rig`, which the other tables
    show, too.  A method without such rows runs whole."""
    settings: tuple[Setting, ...] = ()
    """self: the test clip's own sound; cross: each --audio; by default self, or what the tables have."""
    audio: tuple[str, ...] = ()
    """Driving sounds of the cross setting: FILE, or NAME=FILE (A and B are the paper's)."""
    pretrain: tuple[Path, ...] = ()
    """Subjects to pre-train on, once for each method that can; none of --subjects.  Without, everything is learnt in adaptation."""
    motion: str = PRIOR
    """What predicts motion from sound: prior (comes with d3talker, calibrated on each subject's frames), none (those frames alone),
    or the folder of a finished `d3talker motion train` on other people."""
    seeds: int = 1
    """How many times each training is repeated with another seed."""
    methods: tuple[str, ...] = (DEFAULT, *FLOORS)
    """What runs here: methods that are trained, the floors that every table shows, plug-ins with a `run` of their own; all: all of
    these."""
    predictions: tuple[str, ...] = ()
    """Predictions of other codes (`d3talker import`, `run`), any depth of folders: SECONDS=FOLDER, for their budget."""
    metrics: tuple[str, ...] = DEFAULT_METRICS
    """What is measured; asking for more later scores the frames again, and trains nothing."""
    weights: Path | None = None
    """Folder with metric weights (LPIPS, SyncNet); others are looked for in the cache, see `d3talker weights`."""
    download: bool = False
    """Fetch weights that metrics lack before any work, with a checksum; without it you are asked at a terminal."""
    shared_machine: bool = False
    """Other work runs on this machine meanwhile: times are then recorded, but not shown."""
    overwrite: Overwrite = Overwrite.failed
    """What an earlier run left that is made anew: nothing but what is damaged, failed jobs, metrics without a value,
    all metrics, all frames and metrics, everything but pre-training."""
    check: bool = False
    """Compare all frames and sounds that are there with their checksums, before anything runs."""
    dry_run: bool = False
    """Print the plan with an estimate of time and disk, and stop."""
    watch: bool = False
    """Run nothing: show the jobs of --out as a live table, beside a bench that works there on this or another machine."""
    executor: ExecutorConfig = field(default_factory=ExecutorConfig)
    """Where jobs run."""
    model: O = None  # type: ignore[assignment]
    """Every option of the trained method, over the preset's; of several, each under its name: --model.NAME."""

    @classmethod
    def defaults(cls, args: Sequence[str]) -> BenchConfig[Any]:
        """The defaults that the methods and the preset named in `args` bring."""
        preset, model = chosen(args, "--methods", cls.methods, cls.preset)
        return cls(subjects=tyro.MISSING, out=tyro.MISSING, preset=preset, model=model)

    def options(self) -> dict[str, Any]:
        """The options of each trained method.  Raises UserError for options that cannot train, and for different devices."""
        names = trained(self.methods)
        model = self.model
        if model is None:
            model = options_of(names, {name: preset_options(name, self.preset) for name in names})
        found = by_method(names, model)
        for name, options in found.items():
            trained_here(name).check(options)
        if len({options.device for options in found.values()}) > 1:
            raise UserError("the methods have different devices, one benchmark has one; give the option device of all the same")
        return found


def run(config: BenchConfig) -> int:
    """Returns 0 when every job is done, 1 when some failed."""
    from d3talker.learning.contract import device_named
    from eval.estimate import Clock, Estimator
    from eval.harness import Harness
    from eval.metrics.registry import check_names
    from eval.stages import ModelStages
    from eval.sweep import Sweep
    from eval.warm import warm_up
    from eval.watch import watch

    if config.watch:
        watch(Store(config.out))
        return 0
    check_names(config.metrics)
    options = config.options()
    planned, store = plan(request(config, options)), Store(config.out)
    device = device_named(next((one.device for one in options.values()), "auto")).type
    alone = config.executor.kind == "serial" and not config.shared_machine
    harness = Harness(store, ModelStages(D3_V1, device, config.weights), config.metrics, device, alone)
    estimator = Estimator(store, D3_V1, device)
    faults = find_faults(harness, planned, config)
    print_plan(config, planned, faults, estimator)
    if config.dry_run:
        return 0
    check_subjects(planned)
    if faults:
        provide(config.metrics, config.weights, config.download)
    write_json(config.out / "plan.json", {"jobs": [{"key": t.job.key, **t.job.model_dump()} for t in planned.tasks]})
    _overwrite(harness, planned.tasks, config, faults)
    with store.presence() as me, closing(executor(config.executor, config.out, device == "cuda")) as where:
        clock = Clock(lambda unit: estimator.unit(unit).seconds)
        sweep = Sweep(replace(harness, me=me), where, partial(warm_up, device), not config.shared_machine, clock)
        failed = sweep.run(planned.tasks)
    print_end(harness, planned, failed)
    return 1 if failed else 0


def check_subjects(planned: Plan) -> None:
    """Look at every folder before any work, and print what was mended.  Raises UserError for one that cannot serve."""
    from d3talker.people.subject.checks import check as check_subject
    from d3talker.people.subject.layout import Subject

    trained = {subject.root for task in planned.tasks if task.pretraining for subject in task.pretraining.subjects}
    trained |= {task.subject.root for task in planned.tasks if task.config is not None}
    for root in sorted(trained | {task.subject.root for task in planned.tasks}):
        for note in check_subject(Subject(root), root in trained):
            say(f"note: {root}: {note}")


def request(config: BenchConfig, options: Mapping[str, Any]) -> Request:
    """The command line's words as the planner reads them."""
    from d3talker.people.subject.layout import Subject
    from eval.imports import find_imports

    sounds = tuple(parse_sound(text) for text in config.audio)
    others = tuple(name for name in everyone(config.methods) if name not in options)
    return Request(
        D3_V1, options, tuple(Subject(path) for path in config.subjects), parse_tables(config.tables),
        config.budgets, config.ablations, config.settings, others, config.seeds, sounds,
        find_imports(config.predictions, config.budgets, sounds), tuple(Subject(path) for path in config.pretrain),
        None if (motion := motion_model(config.motion)) is None else HeardMotion(motion),
    )


def parse_tables(text: str) -> tuple[int, ...]:
    """ "all" or "1,4" as numbers.  Raises UserError."""
    if text == "all":
        return TABLES
    numbers = [part.strip() for part in text.split(",") if part.strip()]
    if any(number not in map(str, TABLES) for number in numbers):
        raise UserError(f"--tables {text}: give all, or some of {', '.join(map(str, TABLES))} with commas between")
    return tuple(sorted({int(number) for number in numbers}))


def parse_sound(text: str) -> Sound:
    """ "NAME=FILE", or "FILE" which is called as the file without its suffix.  Raises UserError when there is none."""
    name, equals, tail = text.partition("=")
    path = Path(text) if not equals or Path(text).exists() else Path(tail)
    if not path.is_file():
        raise UserError(f"the driving sound {path} does not exist; give --audio FILE or NAME=FILE")
    return Sound(path.stem if path == Path(text) else name, path)


def find_faults(harness: Harness, planned: Plan, config: BenchConfig) -> dict[str, str]:
    """Job key -> why it must run."""
    faults = {}
    for task in planned.tasks:
        fault = harness.fault(task, config.check)
        if fault is None and harness.store.is_stale(task.job, config.overwrite):
            fault = f"--overwrite {config.overwrite.value}"
        if fault:
            faults[task.job.key] = fault
    return faults


def print_plan(config: BenchConfig, planned: Plan, faults: dict[str, str], estimator: Estimator) -> None:
    """What will run, why where that is not plain, and what it takes."""
    from eval.estimate import GUESSES, duration
    from eval.sweep import label

    open_ = [task for task in planned.tasks if task.job.key in faults]
    done = len(planned.tasks) - len(open_)
    say(f"{len(planned.tasks)} jobs, {done} done already, {len(open_)} to run in {config.out}")
    for task in open_[:None if config.dry_run else SHOWN]:
        why = faults[task.job.key]
        say(f"  {label(task.job)}{'' if why == 'not run yet' else f' ({why})'}")
    if not config.dry_run and len(open_) > SHOWN:
        say(f"  ... and {len(open_) - SHOWN} more; --dry-run lists them all")
    for text in planned.left_out:
        say(f"left out: {text}")
    if not open_:
        return
    cost = estimator.total(units(open_))
    known = estimator.rates(open_[0].subject.size).known
    trust = "from the records that are there" if {"render_s", "score_s"} <= known else f"a guess for {estimator.device}"
    untimed = {task.job.method for task in open_ if task.config} - set(estimator.rates(open_[0].subject.size).steps_s)
    if untimed:
        step = GUESSES[estimator.device].step_s * max(trained_here(name).pace for name in untimed)
        trust = f"a guess: {step:g} s a step at its usual size on {estimator.device}"
    say(f"about {duration(cost.seconds)} of work one by one ({trust}), {cost.bytes / 1e9:.2g} GB of disk")
    if config.preset == "paper" and estimator.device == "cpu":
        say("warning: torch sees no GPU here, so every job, on any node, will run on a CPU; start this where a GPU is seen")
    free = shutil.disk_usage(next(p for p in (config.out, *config.out.resolve().parents) if p.exists())).free
    if cost.bytes > free:
        say(f"warning: the disk of {config.out} has {free / 1e9:.2g} GB left")


def print_end(harness: Harness, planned: Plan, failed: int) -> None:
    """What stands in the folder now, and what could not be measured."""
    from eval.sweep import unmeasured

    records = (harness.store.record(task.job) for task in planned.tasks if harness.store.record_path(task.job).exists())
    for name, reason in unmeasured(record for record in records if record).items():
        say(f"{name} has no value in some jobs: {reason} (then: --overwrite unmeasured)")
    if failed:
        say(f"{failed} failed; their logs are in {harness.store.root / 'logs'}; the same command again retries them")


def _overwrite(harness: Harness, tasks: Sequence[Task], config: BenchConfig, faults: dict[str, str]) -> None:
    """Forget what the policy says, unless another process works on it."""
    for unit in units(task for task in tasks if task.job.key in faults):
        with harness.store.claim(unit.name) as mine:
            if mine:
                for task in unit.tasks:
                    harness.store.forget(task.job, config.overwrite)
                    if config.check and harness.fault(task) is None:  # only a checksum shows the damage
                        harness.store.record_path(task.job).unlink(missing_ok=True)
