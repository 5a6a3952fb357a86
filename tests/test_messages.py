"""No message names a flag that its command lacks: every text in the sources that does, against the commands that can print it."""

from __future__ import annotations

import ast
import contextlib
import io
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from d3talker import cli

ROOT = Path(__file__).parents[1]
PACKAGES = ("d3talker", "eval", "baselines", "reports")
FLAG = re.compile(r"(?<![\w-])--[a-z][\w.-]*[a-z0-9]")
FOREIGN = re.compile(r"(pip install|ffmpeg) .*|--(use_train|test_train|test)\b")  # other programs' flags
# Where the imports tell too little.  demo and the methods' commands write the options of bench, import and training themselves;
# a module of `motion` is asked by one of its sub-commands.
ASKED_BY: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("eval.plan", "eval.imports", "eval.executors", "eval.stages", "eval.sweep"), ("bench",)),
    **dict.fromkeys(("d3talker.method.adapt", "d3talker.method.refine"), ("pretrain", "adapt", "bench", "demo")),
    "d3talker.checkpoint": ("pretrain", "adapt", "bench", "demo", "motion train"),
    **dict.fromkeys(("reports.load", "reports.tables"), ("report", "compare")),
    **dict.fromkeys(("baselines.official.work", "baselines.official.running"), ("run",)),
    "reports.serve": ("report",), "d3talker.learning.motion.commands": ("motion",), "d3talker.people.preparation.speakers": ("motion speakers",),
    "d3talker.learning.motion.training": ("motion train",), "d3talker.learning.motion.network": ("motion train",),
    "baselines.commands": ("adapt",),  # the one of the module's three that names flags
}


@cache
def modules() -> dict[str, Path]:
    files = (path.relative_to(ROOT) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return {".".join(path.with_suffix("").parts).removesuffix(".__init__"): ROOT / path for path in files}


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


@cache
def reached(module: str) -> frozenset[str]:
    """All modules that this one imports, at once or lazily, itself included."""
    seen, waiting = set[str](), [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for node in ast.walk(tree(name)):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names if alias.name in modules()]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
                waiting += [found for found in names if found in modules()]
    return frozenset(seen)


def askers(module: str) -> Iterable[str]:
    """The commands that can print a message of this module."""
    if module in ASKED_BY:
        return ASKED_BY[module]
    own = {name for name, (home, _, _) in cli.COMMANDS.items() if home == module}
    return own or {name for name, (home, _, _) in cli.COMMANDS.items() if module in reached(home)}


@cache
def helped(command: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        cli.main([*command.split(), "--help"])
    return out.getvalue()


@cache
def options(command: str) -> frozenset[str]:
    """The flags of a command, and of its sub-commands where it has some."""
    below = re.search(r"\[-h\] \{([\w,]+)\}", helped(command))
    texts = [helped(command), *(helped(f"{command} {name}") for name in (below[1].split(",") if below else []))]
    return frozenset(flag for text in texts for flag in FLAG.findall(text))


def messages(module: str) -> Iterator[tuple[int, str]]:
    """Line and text of every string that is no docstring; what is filled in later stands as X."""
    nodes = list(ast.walk(tree(module)))
    skipped = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    skipped |= {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes:
        if id(node) in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(str(p.value) if isinstance(p, ast.Constant) else "X" for p in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def lacking(text: str, commands: Iterable[str]) -> list[str]:
    """The flags in `text` that a command lacks: the command that it names before the flag, or else one of `commands`."""
    text, found = FOREIGN.sub("", text), []
    names = "|".join(sorted(cli.COMMANDS, key=len, reverse=True))
    for match in FLAG.finditer(text):
        named = re.findall(rf"(?:d3talker ({names})\b|\b({names})(?= --))", text[:match.end()])
        if named:
            lack = match[0] not in options("".join(named[-1]))
        else:
            lack = any(match[0] not in options(command) for command in commands)
        if lack:
            found.append(match[0])
    return found


@pytest.mark.parametrize("module", [name for name in modules() if any(
    " " in text and FLAG.search(text) for _, text in messages(name)
)])
def test_the_command_has_every_flag_that_a_message_names(module: str) -> None:
    wrong = [
        f"line {line}: {' '.join(flags)}, asked of {', '.join(sorted(askers(module)))}: {text}"
        for line, text in messages(module) if " " in text and (flags := lacking(text, askers(module)))
    ]
    assert not wrong, "\n".join(wrong)


def test_a_flag_of_another_command_is_found() -> None:
    assert lacking("fetch it with --download", {"evaluate"}) == []
    assert lacking("fetch it with --download", {"evaluate", "prepare"}) == ["--download"]
    assert lacking("d3talker prepare VIDEO --size 64", {"inspect"}) == []
    assert lacking("d3talker prepare VIDEO --budgets 5, or inspect --complete", {"bench"}) == ["--budgets"]
    assert lacking("pip install --force-reinstall av", {"doctor"}) == []
