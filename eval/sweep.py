"""Run a plan: claim, run, wait for what others hold, retry, show how far it is; on any executor."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from d3talker.progress import Bar, say
from eval.estimate import Clock
from eval.executors import Died, Executor
from eval.harness import Harness, raise_if_full
from eval.jobs import Pretraining, Task, Unit, units
from eval.records import Job, Record

WAIT_S = 2.0


@dataclass(frozen=True)
class Finished:
    """One job's end, small enough to come back from any worker."""

    text: str
    ok: bool


@dataclass(frozen=True)
class Result:
    """What a worker brings back.  busy: another process has the unit; nothing was done."""

    finished: tuple[Finished, ...] = ()
    busy: bool = False


@dataclass(frozen=True)
class RunUnit:
    """The call that workers make: run a unit's open tasks under its claim.  say: told of a unit as it begins."""

    harness: Harness
    say: Callable[[Unit], None] | None = None

    def __call__(self, unit: Unit) -> Result:
        with self.harness.store.claim(unit.name) as mine:
            if not mine:
                return Result(busy=True)
            if self.say:
                self.say(unit)
            records = (self.harness.run(task) for task in unit.tasks if self.harness.fault(task))
            return Result(tuple(Finished(summary(record), record.status == "ok") for record in records))


@dataclass(frozen=True)
class Pretrain:
    """The call that workers make for a pre-training; the tasks that need it then find it."""

    harness: Harness

    def __call__(self, pretraining: Pretraining) -> str:
        try:
            self.harness.pretrain(pretraining)
        except Exception as error:  # every task that needs it will say why in its own record
            raise_if_full(error, self.harness.store.root)
            return f"failed: {error}"
        return "ready"


@dataclass
class Sweep:
    """One run over the open tasks of a plan.

    prepare: builds what is built once, before workers share it.  may_time: the user says the machine is idle otherwise.
    """

    harness: Harness
    executor: Executor
    prepare: Callable[[], None]
    may_time: bool = True
    clock: Clock = field(default_factory=Clock)
    failed: int = 0
    done: int = 0

    def run(self, tasks: Sequence[Task]) -> int:
        """Run every task that is open; returns how many failed.  An interruption or a full disk stops it."""
        open_ = units(task for task in tasks if self.harness.fault(task))
        if not open_:
            return 0
        if self.executor.parallel:
            if len(open_) > 1:
                self._share(open_)
            self.harness = replace(self.harness, exclusive=False)
        self._work(open_)
        if self.executor.parallel and self.executor.alone and self.may_time:
            self._time(tasks)
        return self.failed

    def _share(self, open_: Sequence[Unit]) -> None:
        """What many workers would otherwise make at the same time: native extensions, and each pre-training."""
        list(self.executor.run(_call, [self.prepare], 1))
        tasks = [task for unit in open_ for task in unit.tasks if task.pretraining]
        shared = {task.pretraining.key: task.pretraining for task in tasks if task.pretraining}
        for _, result in self.executor.run(Pretrain(replace(self.harness, exclusive=False)), list(shared.values())):
            say(f"pre-training {result.reason if isinstance(result, Died) else result}")

    def _work(self, open_: Sequence[Unit]) -> None:
        """Run units until none is left; those of another process are waited for, and taken over if it dies."""
        self.clock.start(open_)
        parallel, said = self.executor.parallel, False
        with _Progress(self.clock, sum(len(unit.tasks) for unit in open_), parallel) as progress:
            call = RunUnit(self.harness, None if parallel else progress.begin)
            while open_:
                busy = []
                for index, result in self.executor.run(call, open_):
                    unit = open_[index]
                    if isinstance(result, Died):
                        result = self._bury(unit, result)
                    if result.busy:
                        busy.append(unit)
                    else:
                        self._note(unit, result, progress)
                if busy and not said:
                    say(f"waiting for {len(busy)} that another process works on; Ctrl-C leaves them to it")
                    said = True
                open_ = self._wait(busy)

    def _wait(self, busy: Sequence[Unit]) -> list[Unit]:
        """The same units, as soon as one can be taken up once more: its process has ended with it, or died."""
        while busy:
            for unit in busy:
                with self.harness.store.claim(unit.name) as free:
                    if free:
                        return list(busy)
            time.sleep(WAIT_S)
        return []

    def _bury(self, unit: Unit, death: Died) -> Result:
        """Failed records for what a lost worker left undone."""
        with self.harness.store.claim(unit.name) as mine:
            if not mine:
                return Result(busy=True)
            records = [self.harness.fail(task, death.reason) for task in unit.tasks if self.harness.fault(task)]
        return Result(tuple(Finished(summary(record), False) for record in records))

    def _note(self, unit: Unit, result: Result, progress: _Progress) -> None:
        self.failed += sum(not one.ok for one in result.finished)
        self.done += len(result.finished)
        progress.finish(unit, result)

    def _time(self, tasks: Sequence[Task]) -> None:
        """Speeds measured while workers ran side by side are measured again, one job at a time."""
        alone = replace(self.harness, exclusive=True)
        open_ = [Unit(task.job.key, (task,)) for task in tasks if alone.fault(task)]
        if open_:
            say(f"measuring the speed of {len(open_)} alone, one after the other")
            for _ in self.executor.run(RunUnit(alone), open_, 1):
                pass


class _Progress:
    """What the user sees: one line a job when they run here (their stages have bars of their own), else one bar."""

    def __init__(self, clock: Clock, total: int, parallel: bool) -> None:
        self.clock, self.total, self.count = clock, total, 0
        self.bar = Bar("jobs", total) if parallel else None

    def __enter__(self) -> _Progress:
        if self.bar:
            self.bar.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar:
            self.bar.__exit__(*error)

    def begin(self, unit: Unit) -> None:
        """Name a unit that runs in this process."""
        names = "; ".join(label(task.job) for task in unit.tasks)
        say(f"[{self.count + 1}/{self.total}{self.clock.left(', {} left')}] {names}")

    def finish(self, unit: Unit, result: Result) -> None:
        """Take a unit as done and print how it ended."""
        self.count += len(unit.tasks)
        self.clock.finish(unit)
        for one in result.finished:
            say(one.text)
        if self.bar:
            self.bar.step(len(unit.tasks), self.clock.left("{} left"))


def _call(function: Callable[[], None]) -> None:
    function()


def label(job: Job) -> str:
    """One line that names a job."""
    seed = f", seed {job.seed}" if job.trained else ""
    ablation = f" {job.ablation}" if job.ablation != "full" else ""
    sound = f", driven by {job.audio}" if job.audio else ""
    return f"{job.method}{ablation} on {job.subject}, {job.budget:g} s{seed}{sound}"


def summary(record: Record) -> str:
    """How a job ended, in one line: its values, or why it failed and where the whole story is."""
    if record.status != "ok":
        return f"{label(record.job)}: {record.status}: {record.reason} ({record.artifacts.get('failure', 'no log')})"
    values = [f"{name} {result.value:.4g}" for name, result in record.metrics.items() if result.value is not None]
    return f"{label(record.job)}: {', '.join(values) or 'ok'}"


def unmeasured(records: Iterable[Record]) -> dict[str, str]:
    """Metrics without a value, each with its reason, once."""
    found: dict[str, str] = {}
    for record in records:
        for name, result in record.metrics.items():
            if result.value is None:
                found.setdefault(name, str(result.reason))
    return found
