"""Every command, path, name, flag and link in README and docs is real; what takes seconds is run."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shlex
import shutil
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from small_motion import small_model

from d3talker import cli
from d3talker.files import write_json
from d3talker.people.media.video import write_wav
from d3talker.people.subject.layout import Frame, transforms

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PAGES}
FOREIGN = {"process.py", "mirror.py", "all.md"}  # of the official codes; written by the reader; in a report
FOREIGN_FLAGS = {"--share", "--constraint", "--logdir"}
FLAG = re.compile(r"(?<![\w-])--[a-z][\w.-]*")
FILE = re.compile(r"[\w./{},*-]+\.(?:py|md|toml|sh|txt)|(?:baselines|eval|docs|reports|tests)(?:/[\w-]+)+/?")
PACKAGES = ("d3talker", "baselines", "eval", "reports")


def lines(text: str) -> list[str]:
    """Indented lines of code blocks, with what a backslash continues on one line."""
    return [line.strip() for line in re.sub(r"\\\n\s*", "", text).splitlines() if re.match(r" {4}\S", line)]


def inline(text: str) -> list[str]:
    """What stands in single backticks, outside of fenced blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S))


def commands(text: str) -> list[list[str]]:
    """Arguments of every `d3talker ...` line of a code block, whatever stands before it or behind `#` or `&&`."""
    parts = [part for line in lines(text) for part in line.split("&&")]
    found = [re.match(r"\s*(?:\w+=\S+ )*d3talker (.*)", part) for part in parts]
    return [shlex.split(one[1].replace("bench ...", "bench --subjects data/A --out results/first"), comments=True) for one in found if one]


COMMANDS = [(page, args) for page, text in TEXT.items() for args in commands(text)]
NAMES = [f"{page}: {' '.join(args)[:60]}" for page, args in COMMANDS]


def test_commands_are_found() -> None:
    assert {page for page, _ in COMMANDS} >= {"README.md", "docs/cluster.md", "docs/reproducing.md", "docs/sweeps.md", "docs/report.md"}
    assert commands("    A=1 d3talker run x && d3talker y \\\n        --z 'a b'  # why") == [["run", "x"], ["y", "--z", "a b"]]


@pytest.mark.parametrize(("page", "args"), COMMANDS, ids=NAMES)
def test_command_is_understood(page: str, args: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(cli.COMMANDS[args[0]][0])
    seen: list[object] = []
    monkeypatch.setattr(module, "run", seen.append)
    assert cli.main(args) == 0 and len(seen) == 1


@pytest.mark.parametrize(
    "text", sorted({t for page in TEXT.values() for t in inline(page) if t.startswith("d3talker ")}),
)
def test_inline_command_exists(text: str) -> None:
    name, *rest = shlex.split(text)[1:]
    assert name in cli.COMMANDS or name.startswith("--")
    known = {*flags(name), "--help"} if name in cli.COMMANDS else {"--version"}
    assert {word for word in rest if word.startswith("--")} <= known


@cache
def flags(name: str) -> frozenset[str]:
    """All options in the help of a command and its sub-commands."""
    texts = []
    for words in ([name, "train"], [name, "import"]) if name == "motion" else ([name],):
        with redirect_stdout(StringIO()) as out, pytest.raises(SystemExit), pytest.MonkeyPatch.context() as patch:
            patch.setenv("COLUMNS", "300")
            cli.main([*words, "--help"])
        texts.append(out.getvalue())
    return frozenset(flag for text in texts for flag in FLAG.findall(text))


def test_flags_named_in_the_text_exist() -> None:
    known = {flag for name in cli.COMMANDS for flag in flags(name)} | FOREIGN_FLAGS
    wrong = {
        f"{page}: {flag}" for page, text in TEXT.items() for code in inline(text)
        for flag in FLAG.findall(code) if flag not in known
    }
    assert not wrong


def test_links_lead_somewhere() -> None:
    wrong = set()
    for page, text in TEXT.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            path = (ROOT / page).parent / target.split("#")[0]
            if not target.startswith(("http", "#")) and not path.exists():
                wrong.add(f"{page}: {target}")
    assert not wrong


def test_files_named_in_the_text_exist() -> None:
    wrong = set()
    for page, text in TEXT.items():
        for code in inline(text):
            file, _, names = code.partition(": ")
            if not FILE.fullmatch(file) or file in FOREIGN:
                continue
            before, brace, after = file.partition("{")
            choices = [before + one + after.partition("}")[2] for one in after.partition("}")[0].split(",")] if brace else [file]
            hits = [hit for one in choices for base in (ROOT, ROOT / "docs", ROOT / "d3talker") for hit in base.glob(one)]
            if len(hits) < len(choices) or (names and not defines(hits[0], names)):
                wrong.add(f"{page}: {code}")
    assert not wrong


def defines(path: Path, names: str) -> bool:
    """Whether a Python file defines all of "A, B.c": classes, functions, fields."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    known = {node.name for node in nodes if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    known |= {node.target.id for node in nodes if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)}
    return all(part in known for name in names.split(", ") for part in name.split("."))


def test_python_names_in_the_text_exist() -> None:
    wrong = set()
    for page, text in TEXT.items():
        for code in inline(text):
            dotted = re.match(rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+", code)
            if dotted and not resolves(dotted[0].split(".")):
                wrong.add(f"{page}: {code}")
    assert not wrong


def resolves(parts: list[str]) -> bool:
    try:
        importlib.import_module(".".join(parts))
    except ModuleNotFoundError:
        try:
            return hasattr(importlib.import_module(".".join(parts[:-1])), parts[-1])
        except ModuleNotFoundError:
            return False
    return True


def test_python_blocks_compile() -> None:
    for page, text in TEXT.items():
        for block in re.findall(r"```python\n(.*?)```", text, re.S):
            compile(block, page, "exec")


def test_extras_variables_and_environments_exist() -> None:
    project, tox = (ROOT / "pyproject.toml").read_text(encoding="utf-8"), (ROOT / "tox.ini").read_text(encoding="utf-8")
    source = "\n".join(path.read_text(encoding="utf-8") for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
    for page, text in TEXT.items():
        for extra in {name for group in re.findall(r"'\.\[([\w,]+)\]'", text) for name in group.split(",")}:
            assert re.search(rf"^{extra} = \[", project, re.M), (page, extra)
        for variable in set(re.findall(r"D3TALKER_\w+", text)):
            assert variable in source, (page, variable)
        for environment in set(re.findall(r"`tox -e (\w+)", text)):
            assert f"[testenv:{environment}]" in tox, (page, environment)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where everything lies that the pages speak of: small drawn subjects, sounds, a motion model."""
    from d3talker import checkpoint
    from d3talker.people.motion.model import CHECKPOINT

    root = tmp_path_factory.mktemp("docs")
    sample = long_subject(root / "sample")
    for number, name in enumerate(sorted({n for _, args in COMMANDS for arg in args for n in re.findall(r"\bdata/(\w+)", arg)})):
        (root / "data" / name).mkdir(parents=True)
        for path in sample.iterdir():
            (root / "data" / name / path.name).symlink_to(path)
        (root / "data" / name / "au.csv").write_text(f"frame\n{number}\n")  # so that no two are the same person
    for name in {arg.split("=")[-1] for _, args in COMMANDS for arg in args if arg.endswith(".wav")}:
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(sample / "aud.wav", root / name)
    checkpoint.save(root / "runs" / "motion" / CHECKPOINT, small_model(("may", "macron")).state())
    return root


def long_subject(root: Path) -> Path:
    """A drawn subject of 20 s and the 12 s test, its two dozen frames over and over."""
    from baselines.sample import FOCAL, SIZE, pose, sample_subject

    layout = sample_subject(root, train=12, val=12).layout
    rows = [Frame(i, i, pose(i)) for i in range(801)]
    for split, part in (("train", rows[:500]), ("val", rows[500:])):
        write_json(layout.transforms(split), transforms(FOCAL, SIZE, part))
    for row in rows[24:]:
        for folder in ("gt_imgs", "parsing"):
            os.link(root / folder / f"{row.img_id % 24}.png", root / folder / f"{row.img_id}.png")
    write_wav(layout.audio, np.random.default_rng(0).normal(0, 0.1, 801 * 640).astype(np.float32))
    np.save(root / "aud.npy", np.zeros((801, 16, 29), np.float32))
    return root


def main_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], int]:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("D3TALKER_METHODS", str(folder / "methods"))
    return cli.main


QUICK = [
    (page, args) for page, args in COMMANDS
    if (args[0] in ("doctor", "methods", "inspect") or "--dry-run" in args) and "--complete" not in args
    and page != "docs/adding-a-method.md"  # run by tests/baselines/test_adding_a_method.py
]


@pytest.mark.parametrize(("page", "args"), QUICK, ids=[f"{page}: {' '.join(args)[:40]}" for page, args in QUICK])
def test_quick_command_runs(page: str, args: list[str], place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main_in(place, monkeypatch)(args) == 0


def test_first_example_of_the_readme_runs(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first command and its training are run by tests/test_slice.py; here the floors stand for the model."""
    _, bench, report = commands(TEXT["README.md"].split("## From a video to a row")[1])[:3]
    main = main_in(place, monkeypatch)
    assert (bench[0], report[0]) == ("bench", "report")
    assert main([*bench, "--methods", "ground-truth", "mean-frame", "--metrics", "psnr"]) == 0
    assert main([*report, "--no-figures"]) == 0 and (place / report[-1] / "index.html").is_file()
