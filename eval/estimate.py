"""How long a plan takes and how much disk it needs: from what lies in the results folder, else from marked guesses."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median

from baselines.registry import trained_here
from d3talker.errors import UserError
from d3talker.options import from_dict
from d3talker.people.media.predictions import FRAMES
from eval.jobs import Unit
from eval.protocol import Protocol
from eval.records import Record, read_record
from eval.store import Store

READ_AT_MOST = 200
REFERENCE_PIXELS = {"cpu": 128 * 128, "cuda": 512 * 512}


@dataclass(frozen=True)
class Rates:
    """Seconds a step, a rendered and a scored frame; bytes a frame and a training.

    known: which were measured.  steps_s: seconds a step of the methods that were; for others step_s is a guess.
    """

    step_s: float
    render_s: float
    score_s: float
    frame_bytes: float
    run_bytes: float
    known: frozenset[str] = frozenset()
    steps_s: Mapping[str, float] = field(default_factory=dict)


# Guesses, for pictures of REFERENCE_PIXELS.  cpu: preset mini on two quiet cores, as measured.  cuda: the paper's 32
# minutes for InsTaG's 22000 steps; scoring is then bound by landmarks and SyncNet on the processor.
GUESSES = {"cpu": Rates(0.04, 0.025, 0.04, 18e3, 8e6), "cuda": Rates(0.087, 0.05, 0.5, 300e3, 60e6)}


@dataclass(frozen=True)
class Cost:
    """What a task takes."""

    seconds: float = 0.0
    bytes: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.seconds + other.seconds, self.bytes + other.bytes)


class Estimator:
    """Costs of tasks on this kind of device, from this folder's records where there are some of that picture size."""

    def __init__(self, store: Store, protocol: Protocol, device: str) -> None:
        self.store, self.protocol, self.device = store, protocol, device
        self._rates: dict[tuple[int, int], Rates] = {}
        self._frames: dict[str, int] = {}

    def total(self, open_: Iterable[Unit]) -> Cost:
        """Of all units; a pre-training counts once, a training only where it is not done."""
        cost, started = Cost(), set()
        for unit in open_:
            cost += self.unit(unit)
            start = unit.tasks[0].pretraining
            if start and start.key not in started and not self.store.pretraining(start.key).exists():
                started.add(start.key)
                size, steps = start.subjects[0].size, trained_here(start.method).pretraining_steps(start.config)
                cost += Cost(steps * self.step_s(size, start.method), self.rates(size).run_bytes * len(start.subjects))
        return cost

    def unit(self, unit: Unit) -> Cost:
        """Of one unit, without its pre-training."""
        first, cost = unit.tasks[0], Cost()
        rates = self.rates(first.subject.size)
        if first.config is not None and not self.store.run(first.job).exists():
            steps = trained_here(first.job.method).steps(first.config)
            cost += Cost(steps * self.step_s(first.subject.size, first.job.method), rates.run_bytes)
        name = first.subject.name
        if name not in self._frames:
            self._frames[name] = len(self.protocol.test(first.subject))
        frames = self._frames[name]
        for task in unit.tasks:
            made = self.store.predictions(task.job).exists()
            cost += Cost(frames * rates.score_s) if made else Cost(
                frames * (rates.score_s + rates.render_s), frames * rates.frame_bytes
            )
        return cost

    def rates(self, size: tuple[int, int]) -> Rates:
        """For pictures of (height, width)."""
        if size not in self._rates:
            self._rates[size] = self._measured(size)
        return self._rates[size]

    def step_s(self, size: tuple[int, int], method: str) -> float:
        """Seconds of a step of a method."""
        rates = self.rates(size)
        return rates.steps_s.get(method, rates.step_s * trained_here(method).pace)

    def _measured(self, size: tuple[int, int]) -> Rates:
        found, paces = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
        for record in self._records(size):
            frames = record.frames or 1
            for name, stage, share in (("render_s", "render", frames), ("score_s", "evaluate", frames)):
                if stage in record.stages:
                    found[name].append(record.stages[stage].seconds / share)
            if "train" in record.stages and (steps := _steps(record)):
                train = record.stages["train"]
                paces[record.job.method].append((train.seconds if train.steps is None else train.steps) / steps)
                found["run_bytes"].append(_size(self.store.run(record.job)))
            found["frame_bytes"].append(_size(self.store.predictions(record.job), FRAMES) / frames)
        values = {name: median(own) for name, rates in found.items() if (own := [rate for rate in rates if rate])}
        guess = GUESSES[self.device]
        pixels = size[0] * size[1] / REFERENCE_PIXELS[self.device]
        scaled = {name: getattr(guess, name) * pixels for name in ("step_s", "render_s", "score_s", "frame_bytes")}
        steps_s = {method: median(own) for method, own in paces.items()}
        return Rates(**{"run_bytes": guess.run_bytes, **scaled, **values}, known=frozenset(values), steps_s=steps_s)

    def _records(self, size: tuple[int, int]) -> Iterable[Record]:
        for path in islice((self.store.root / "records").glob("*.json"), READ_AT_MOST):
            try:
                record = read_record(path)
            except UserError:
                continue
            if record.status == "ok" and record.size == size:
                yield record


class Clock:
    """Time left, from how long the finished part of the units took in relation to its estimate."""

    def __init__(self, seconds: Callable[[Unit], float] = lambda unit: float(len(unit.tasks))) -> None:
        self._seconds = seconds
        self._began, self._done, self._left = time.monotonic(), 0.0, 0.0
        self._costs: dict[str, float] = {}

    def start(self, open_: Sequence[Unit]) -> None:
        """Begin to count."""
        self._costs = {unit.name: self._seconds(unit) for unit in open_}
        self._began, self._done, self._left = time.monotonic(), 0.0, sum(self._costs.values())

    def finish(self, unit: Unit) -> None:
        """A unit has come to its end."""
        seconds = self._costs.pop(unit.name)
        self._done += seconds
        self._left -= seconds

    def left(self, template: str) -> str:
        """`template` with the time left in words, or nothing before the first unit is done."""
        if self._done <= 0:
            return ""
        rate = (time.monotonic() - self._began) / self._done
        return template.format(duration(rate * max(self._left, 0)))


def _steps(record: Record) -> int:
    """Steps of a record's training; 0 where its method is not installed or says nothing."""
    try:
        how = trained_here(record.job.method)
        options = {name: value for name, value in record.job.config.items() if not isinstance(value, str)}  # no keys of others
        return how.steps(from_dict(type(how.presets["paper"]), options)) if options else 0
    except (UserError, TypeError):
        return 0


def duration(seconds: float) -> str:
    """Two digits that matter: 40 s, 12 min, 3.5 h, 2.1 days."""
    for unit, length, limit in (("s", 1, 100), ("min", 60, 100), ("h", 3600, 48)):
        if seconds < limit * length:
            return f"{seconds / length:.2g} {unit}" if seconds < 10 * length else f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86400:.2g} days"


def _size(path: Path, name: str = "") -> int:
    """Bytes of one file of a folder, or of all; 0 where there is none."""
    files = [path / name] if name else path.glob("*") if path.is_dir() else []
    return sum(file.stat().st_size for file in files if file.is_file())
