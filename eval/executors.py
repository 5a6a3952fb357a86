"""Where units run: here one by one (serial), on Ray, or as Slurm jobs (submitit); all give results as they come."""

from __future__ import annotations

import errno
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from d3talker.errors import UserError, require

T = TypeVar("T")
POLL_S = 0.5


@dataclass(frozen=True)
class ExecutorConfig:
    """Where the jobs run, and how many at once."""

    kind: Literal["serial", "ray", "slurm"] = "serial"
    """serial: here, one by one; the only one whose training times may be shown. ray, slurm: pip install '.[sweep]'."""
    workers: int | None = None
    """How many at once; ray: by default as many as there are GPUs (or, without, one); slurm: no limit of ours."""
    gpus: float | None = None
    """GPUs of one job, also a part of one; by default 1 where the model runs on CUDA, else 0."""
    cpus: int = 4
    """Processor cores of one job."""
    retries: int = 1
    """How often a job is started again whose worker died; it goes on from its last checkpoint."""
    address: str | None = None
    """ray: address of a running cluster; by default one is started on this machine."""
    cluster: Literal["slurm", "local", "debug"] = "slurm"
    """slurm: submitit's executor; local runs in sub-processes of this machine, all at once, debug in this process."""
    hours: float = 24
    """slurm: time limit of one job."""
    options: tuple[str, ...] = ()
    """slurm: further sbatch options, each NAME=VALUE (partition=gpu account=lab exclusive=true)."""


@dataclass(frozen=True)
class Died:
    """What stands for the result of a unit whose worker was lost."""

    reason: str


Results = Iterator[tuple[int, T | Died]]


class Executor(Protocol):
    """Runs `call(item)` for every item.  parallel: whether several may run at once, here or elsewhere.

    alone: whether one item at a time has its machine for itself.
    """

    parallel: bool
    alone: bool

    def run(self, call: Callable[[Any], T], items: Sequence[Any], width: int | None = None) -> Results[T]:
        """Yield (index of the item, its result) as they finish, at most `width` at once; raises what `call` raises."""

    def close(self) -> None:
        """Stop what was started."""


class Serial:
    """In this process, one by one."""

    parallel, alone = False, True

    def run(self, call: Callable[[Any], T], items: Sequence[Any], width: int | None = None) -> Results[T]:
        for index, item in enumerate(items):
            yield index, call(item)

    def close(self) -> None:
        return


class Ray:
    """On Ray: a queue with GPU slots, on this machine or on a cluster whose nodes share the results folder."""

    parallel, alone = True, True

    def __init__(self, config: ExecutorConfig, gpus: float) -> None:
        self.ray = require("ray", "sweep", "--executor.kind ray")
        self.retries, self.workers = config.retries, config.workers
        self.cpus, self.gpus = config.cpus, gpus
        # logs of the workers' prints would drown the progress; failures are in the results folder's logs/
        common = {"log_to_driver": False, "logging_level": "error", "include_dashboard": False}
        if config.address:
            del common["include_dashboard"]
            self.ray.init(address=config.address, **common)
        else:
            self.cpus = min(config.cpus, os.cpu_count() or 1)
            self.ray.init(num_cpus=self._slots() * self.cpus, **common)

    def run(self, call: Callable[[Any], T], items: Sequence[Any], width: int | None = None) -> Results[T]:
        remote = self.ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=self.retries)(_apply)
        waiting, running = list(enumerate(items))[::-1], dict[Any, int]()
        width = width or self.workers or len(items)
        while waiting or running:
            while waiting and len(running) < width:
                index, item = waiting.pop()
                running[remote.remote(call, item)] = index
            done, _ = self.ray.wait(list(running), timeout=POLL_S)
            for reference in done:
                yield running.pop(reference), self._get(reference)

    def close(self) -> None:
        self.ray.shutdown()

    def _get(self, reference: Any) -> Any:
        try:
            return self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause or error from None
        except self.ray.exceptions.RayError as error:
            return Died(f"its Ray worker died: {error}")

    def _slots(self) -> int:
        """As many jobs at once as the user says, or as GPUs allow; without GPUs one, for it takes all cores well."""
        if self.workers:
            return self.workers
        if not self.gpus:
            return 1
        import torch

        return max(1, int(torch.cuda.device_count() / self.gpus))


class Slurm:
    """As Slurm jobs through submitit; its own files (pickles that only it reads back) lie in RESULTS/slurm/."""

    parallel = True

    def __init__(self, config: ExecutorConfig, gpus: float, folder: Path) -> None:
        self.submitit = require("submitit", "sweep", "--executor.kind slurm")
        self.workers, self.retries = config.workers, config.retries
        options = dict(_option(text) for text in config.options)
        self.alone = config.cluster != "slurm" or bool(options.get("exclusive"))
        try:
            self.executor = self.submitit.AutoExecutor(folder=folder, cluster=config.cluster)
        except RuntimeError as error:
            raise UserError(f"Slurm cannot be used here ({error}); run this on a node of a Slurm cluster") from None
        if config.cluster == "slurm":
            self.executor.update_parameters(
                slurm_array_parallelism=config.workers or 256, slurm_additional_parameters=options,
            )
        self.executor.update_parameters(
            name="d3talker", timeout_min=int(config.hours * 60), cpus_per_task=config.cpus,
            gpus_per_node=math.ceil(gpus),
        )

    def run(self, call: Callable[[Any], T], items: Sequence[Any], width: int | None = None) -> Results[T]:
        waiting, running, tries = list(enumerate(items))[::-1], dict[int, Any](), dict[int, int]()
        width = width or self.workers or len(items)
        try:
            while waiting or running:
                batch = [waiting.pop() for _ in range(min(len(waiting), width - len(running)))]
                running |= self._submit(call, batch)
                for index, job in [(i, j) for i, j in running.items() if j.done()]:
                    del running[index]
                    result = self._get(job)
                    if isinstance(result, Died) and tries.setdefault(index, 0) < self.retries:
                        tries[index] += 1
                        waiting.append((index, items[index]))
                    else:
                        yield index, result
                time.sleep(POLL_S if running and not batch else 0)
        finally:  # an interruption, a full disk: what is queued would go on without anybody
            for job in running.values():
                job.cancel()

    def close(self) -> None:
        return

    def _submit(self, call: Callable[[Any], T], batch: Sequence[tuple[int, Any]]) -> dict[int, Any]:
        """Index -> job; all of them are one array of Slurm's."""
        if not batch:
            return {}
        with self.executor.batch():
            jobs = [self.executor.submit(Requeued(call), item) for _, item in batch]
        return {index: job for (index, _), job in zip(batch, jobs)}

    def _get(self, job: Any) -> Any:
        utils = self.submitit.core.utils
        try:
            return job.result()
        except utils.FailedJobError as error:  # what `call` raised, as text
            if "No space left on device" in str(error):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.executor.folder)) from None
            return Died(f"its Slurm job {job.job_id} failed: {error}")
        except utils.UncompletedJobError as error:
            return Died(f"its Slurm job {job.job_id} died: {error}")


class Requeued:
    """A call that submitit submits again, as it is, when Slurm preempts or stops its job at the time limit."""

    def __init__(self, call: Callable[[Any], Any]) -> None:
        self.call = call

    def __call__(self, item: Any) -> Any:
        return self.call(item)

    def checkpoint(self, item: Any) -> Any:
        """Called by submitit on preemption: the stages' own checkpoints make the new run go on."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, item)


def executor(config: ExecutorConfig, results: Path, cuda: bool) -> Executor:
    """The executor that `config` names.  Raises MissingExtra where its package is not installed."""
    gpus = config.gpus if config.gpus is not None else float(cuda)
    if config.kind == "ray":
        return Ray(config, gpus)
    if config.kind == "slurm":
        return Slurm(config, gpus, results / "slurm")
    return Serial()


def _apply(call: Callable[[Any], T], item: Any) -> T:
    """Ray takes functions only."""
    return call(item)


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise UserError(f"--executor.options {text}: write NAME=VALUE")
    return name, {"true": True, "false": False}.get(value.lower(), value)
