"""Run one foreign command in its own process group, with a log, a time limit, and no way to outlive us unnoticed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from d3talker.files import write_text

GRACE_S = 10.0


@dataclass(frozen=True)
class Ended:
    """How a command ended.  code: its exit code, negative for a signal; None when it ran out of time."""

    code: int | None
    seconds: float


def execute(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path, timeout_s: float, pid: Path
) -> Ended:
    """Run `argv` without a shell, its output appended to `log`; its whole process group ends with it.

    pid: file that holds the group's number while it runs; it stays when we ourselves are killed, see `survivor`.
    Raises OSError when the program cannot be started.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with log.open("ab") as stream:
        process = subprocess.Popen(  # noqa: S603  an argument list from a recipe, no shell
            argv, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            write_text(pid, str(process.pid))
            code: int | None = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            stop(process)
            pid.unlink(missing_ok=True)
    return Ended(code, time.monotonic() - began)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the process group: first politely, after ten seconds by force."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        deadline = time.monotonic() + GRACE_S
        while time.monotonic() < deadline and _alive(process):
            time.sleep(0.02)
        if not _alive(process):
            return


def _alive(process: subprocess.Popen[bytes]) -> bool:
    process.poll()  # reaps the leader
    return group_lives(process.pid)


def group_lives(number: int) -> bool:
    """Whether a process of the group still runs; one that ended and waits to be reaped does not count."""
    try:
        os.killpg(number, 0)
    except OSError:
        return False
    stats = list(Path("/proc").glob("[0-9]*/stat"))
    return not stats or any(_runs_in(stat, number) for stat in stats)  # no /proc: believe the signal


def _runs_in(stat: Path, group: int) -> bool:
    try:
        state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
    except (OSError, ValueError):
        return False
    return state != "Z" and int(pgrp) == group


def survivor(pid: Path) -> int | None:
    """The number of a process group that an earlier call left running when it was killed, or None."""
    try:
        number = int(pid.read_text())
    except (OSError, ValueError):
        return None
    return number if group_lives(number) else None


def environment(gpu: str | None) -> dict[str, str]:
    """Our environment without what would leak our Python into theirs, and with CUDA_VISIBLE_DEVICES if asked."""
    env = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}}
    env["PYTHONUNBUFFERED"] = "1"
    if gpu is not None:
        env["CUDA_VISIBLE_DEVICES"] = gpu
    return env


def tail(log: Path, lines: int = 3) -> str:
    """The last lines of a log in one line of text, for an error message."""
    if not log.exists():
        return ""
    with log.open("rb") as stream:
        stream.seek(max(log.stat().st_size - 4000, 0))
        text = stream.read().decode("utf-8", "replace")
    return " | ".join(line.strip() for line in text.splitlines()[-lines:] if line.strip())
