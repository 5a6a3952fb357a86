"""d3talker methods: a table of all methods with abilities, status and published numbers; `add` declares a new one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from baselines import declared
from baselines.adapter import ABILITIES, Skip
from baselines.registry import Registry
from baselines.spec import MethodSpec, Metric, TorsoMode
from d3talker.errors import UserError

COLUMNS: tuple[Metric, ...] = ("psnr", "ssim", "lpips_alex", "lmd", "sync_c", "sync_d", "fps")


@dataclass(frozen=True)
class MethodsConfig:
    """List all methods, show one in full, or add one that is read by the pattern of its output files."""

    action: tyro.conf.Positional[Literal["list", "show", "add"]] = "list"
    """list: the table. show NAME: everything known of one. add NAME --outputs PATTERN: declare a new one."""
    name: tyro.conf.Positional[str] = ""
    """The method, for show and add."""
    outputs: str = ""
    """Where the new method's output lies in a run's folder: one video, or numbered images, as in renders/*.png."""
    title: str = ""
    """Name in the tables; the method's own name by default."""
    torso_mode: TorsoMode = "gt"
    """What stands below the new method's head."""
    url: str = ""
    """Where its code is."""
    plugin: tuple[Path, ...] = ()
    """Python files that define more methods."""


def run(config: MethodsConfig) -> int:
    """Print what was asked for.  Returns 0; raises UserError for an unknown or unusable method."""
    if config.action == "add":
        return _add(config)
    registry = Registry(config.plugin)
    if config.action == "show":
        print("\n".join(describe(registry, registry.get(config.name))))
    else:
        print("\n".join(table(registry)))
    for broken in registry.broken:
        print(f"not loaded: {broken.source}: {broken.reason}")
    return 0


def _add(config: MethodsConfig) -> int:
    if not config.name or not config.outputs:
        raise UserError("a new method needs a name and a pattern: d3talker methods add NAME --outputs 'renders/*.png'")
    if any(spec.name == config.name for spec in Registry(config.plugin)):
        raise UserError(f"the method '{config.name}' exists already; choose another name")
    path = declared.add(MethodSpec(
        name=config.name, title=config.title or config.name, kind="other", outputs=config.outputs, url=config.url,
        torso_mode=config.torso_mode, status="declared by pattern",
    ))
    print(f"{path}\nnow: d3talker import {config.name} RUN_FOLDER --subject SUBJECT --out PREDICTIONS")
    return 0


def table(registry: Registry) -> list[str]:
    """Lines of a Markdown table: abilities, and the published numbers of Table 1."""
    head = ("method", "year", "type", *ABILITIES, *COLUMNS, "status")
    rows = [head, tuple("---" for _ in head)]
    for spec in registry:
        adapter = registry.adapter(spec.name)
        marks = ["-" if isinstance(adapter.can(ability), Skip) else "yes" for ability in ABILITIES]
        first = {p.metric: f"{p.value:g}" for p in spec.published if p.table == 1}
        rows.append((
            spec.name, spec.year, spec.kind, *marks, *(first.get(column, "-") for column in COLUMNS), spec.status,
        ))
    widths = [max(len(row[k]) for row in rows) for k in range(len(head) - 1)] + [0]
    rows[1] = tuple("-" * max(width, 3) for width in widths)
    return ["| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(row, widths)) + " |" for row in rows]


def describe(registry: Registry, spec: MethodSpec) -> list[str]:
    """Everything known of one method, a line each."""
    adapter = registry.adapter(spec.name)
    facts = {
        "title": spec.title, "paper": spec.paper, "year": spec.year, "code": spec.url, "commit": spec.commit,
        "licence": spec.licence, "outputs": spec.outputs, "torso": spec.torso_mode, "status": spec.status,
    }
    lines = [f"{key}: {value}" for key, value in facts.items() if value]
    for ability in ABILITIES:
        answer = adapter.can(ability)
        lines.append(f"{ability}: " + (f"no, {answer.reason}" if isinstance(answer, Skip) else answer.how))
    for number in spec.published:
        where = f"{number.setting}-driven" + (f" audio {number.audio}" if number.audio else "")
        what = "" if number.ablation == "full" else f", {number.ablation}"
        cell = f"Table {number.table}, {number.budget:g} s, {where}{what}"
        lines.append(f"published: {number.metric} {number.value:g} ({cell})")
    return lines
