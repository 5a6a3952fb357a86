"""Before any work: network weights without which a column of the tables would stay empty, fetched or offered once."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from d3talker.download import mirrored, reachable
from d3talker.progress import say
from d3talker.weights import FILES, GROUPS, OFFLINE, MissingWeights, find_weights
from d3talker.weights_command import fetch_all
from eval.metrics.registry import METRICS

ANSWER_SECONDS = 20


def missing_weights(metrics: Iterable[str], folder: Path | None) -> dict[str, list[str]]:
    """Weights that these metrics lack here -> titles of the metrics.  Raises UserError for a folder that does not exist."""
    lacking: dict[str, list[str]] = {}
    for metric in metrics:
        entry = METRICS[metric]
        for name in GROUPS["sync"] if metric.endswith("_official") else filter(None, (entry.weights,)):
            try:
                find_weights(name, folder)
            except MissingWeights:
                lacking.setdefault(name, []).append(entry.title)
    return lacking


def provide(metrics: Iterable[str], folder: Path | None = None, download: bool = False, told: bool = False) -> None:
    """Fetch missing weights where `download` says so; else ask once, where somebody sits at a terminal and the network answers.

    Never stops the caller: without an answer, a network or a file, it says what stays empty, and how to mend that.
    told: the caller's own output says it, so that nothing is said where nobody can be asked.
    """
    lacking = missing_weights(metrics, folder)
    if lacking and (download or _attended() or not told):
        _provide(tuple(lacking), tuple("; ".join(titles) for titles in lacking.values()), download)


@cache  # a program that calls another (demo calls bench) asks once
def _provide(names: tuple[str, ...], titles: tuple[str, ...], download: bool) -> None:
    command = f"d3talker weights fetch {' '.join(names)}"
    for name, title in zip(names, titles):
        say(f'without {FILES[name].names[0]} ({FILES[name].megabytes:.0f} MB) there is "-" for {title}')
    if not download and not _wanted(names):
        say(f"going on without; to have them: {command}")
    elif failed := fetch_all(list(names)):
        say(f"going on without {', '.join(failed)}; to try again: {command}")


def _attended() -> bool:
    return not os.environ.get(OFFLINE) and sys.stdin.isatty() and sys.stderr.isatty()


def _wanted(names: tuple[str, ...]) -> bool:
    """Whether the user says yes within some seconds; not asked without a terminal, offline, or where no host answers."""
    if not _attended():
        return False
    if not any(reachable(url) for url in mirrored(FILES[names[0]].url, FILES[names[0]].names[0])):
        say("no network answers")
        return False
    total = sum(FILES[name].megabytes for name in names)
    terms = "; ".join(dict.fromkeys(FILES[name].licence for name in names))
    say(f"fetch them now ({total:.0f} MB; {terms})? y = yes; goes on without in {ANSWER_SECONDS} s")
    ready, _, _ = select.select([sys.stdin], [], [], ANSWER_SECONDS)
    return bool(ready) and sys.stdin.readline().strip().lower() in ("y", "yes")
