"""`d3talker bench --watch`: the jobs of a results folder as a table that keeps itself up to date, from any process or machine."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from d3talker.errors import UserError
from d3talker.files import read_json
from eval.records import Job

if TYPE_CHECKING:
    from rich.table import Table

    from eval.store import Store

EVERY_SECONDS = 2.0
ROWS = 30
LIVE_SECONDS = 90.0  # a log that was written no longer ago belongs to a training that runs
ORDER = ("running", "failed", "waiting", "ok", "skipped")


@dataclass(frozen=True)
class State:
    """Where one job stands.  told: how far it is, its values, or why it failed."""

    job: Job
    status: str
    told: str


def watch(store: Store, once: bool = False) -> None:
    """Show the table until no job waits or runs, or until interrupted.  Raises UserError where no bench was started yet."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    if once or not console.is_terminal:
        console.print(table(store.root, states(store)))
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            found = states(store)
            live.update(table(store.root, found), refresh=True)
            if not any(state.status in ("running", "waiting") for state in found):
                return
            time.sleep(EVERY_SECONDS)


def states(store: Store) -> list[State]:
    """Every job of the last plan."""
    path = store.root / "plan.json"
    if not path.is_file():
        raise UserError(f"{store.root} has no plan.json; start d3talker bench there first")
    jobs = [Job.model_validate({name: value for name, value in job.items() if name != "key"}) for job in read_json(path)["jobs"]]
    return [_state(store, job) for job in jobs]


def _state(store: Store, job: Job) -> State:
    from eval.sweep import summary

    try:
        record = store.record(job)
    except UserError as error:
        return State(job, "failed", str(error))
    if record is not None:
        return State(job, record.status, summary(record).partition(": ")[2])
    log = store.run(job) / "log.json"
    if not log.exists():
        return State(job, "waiting", "")
    try:
        written = read_json(log)
        stage, step = written["stage"][-1], written["step"][-1]
        values = {name: own[-1] for name, own in written["loss"].items() if name in ("l1", "gaussians", "held_out/psnr")}
    except (UserError, KeyError, IndexError, TypeError):
        return State(job, "running", "begins")
    told = ", ".join(f"{name.rpartition('/')[2]} {value:.4g}" for name, value in values.items() if value is not None)
    if time.time() - log.stat().st_mtime > LIVE_SECONDS:
        return State(job, "waiting", f"stands at stage {stage + 1}, step {step}, or is rendered and scored; {told}")
    return State(job, "running", f"stage {stage + 1}, step {step}; {told}")


def table(root: Path, found: list[State]) -> Table:
    """The jobs, those that run first, as many as fit a screen."""
    from rich.table import Table
    from rich.text import Text

    from eval.sweep import label

    counts = Counter(state.status for state in found)
    title = f"{root}: " + ", ".join(f"{counts[name]} {name}" for name in ORDER if counts[name])
    out = Table(title=Text(title), title_justify="left", box=None)
    for heading in ("job", "", "how far, or how it ended"):
        out.add_column(heading, overflow="fold")
    styles = {"ok": "green", "failed": "red", "running": "cyan"}
    for state in sorted(found, key=lambda one: ORDER.index(one.status))[:ROWS]:
        out.add_row(label(state.job), Text(state.status, styles.get(state.status, "")), Text(state.told))
    if len(found) > ROWS:
        out.add_row(f"... and {len(found) - ROWS} more", "", "")
    return out
