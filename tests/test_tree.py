"""The tree keeps its own rules: imports point one way, commands load nothing heavy, files say what they are for."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from d3talker.cli import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {  # package -> those of ours that it may know
    "d3talker": {"d3talker"},
    "baselines": {"d3talker", "baselines"},
    "eval": {"d3talker", "baselines", "eval"},
    "reports": {"d3talker", "baselines", "eval", "reports"},
}
PEOPLE = ("media", "head", "audio", "subject", "motion", "preparation", "synthetic")  # each knows those before it
FOLDERS = {  # folder of d3talker -> those of its folders that it may know, beside the files at its top
    **{f"people.{name}": {f"people.{other}" for other in PEOPLE[:number + 1]} for number, name in enumerate(PEOPLE)},
    "graphics": {"graphics"},
    "learning": {"people", "graphics", "learning"},
    "method": {"people", "graphics", "learning", "method"},
    "export": {"people", "graphics", "learning", "method", "export"},
    "view": {"people", "graphics", "learning", "method", "export", "view"},
}
COMPOSE = {"d3talker.cli", "d3talker.doctor"}  # at the top of d3talker, and they know all of it
OURS = {*MAY_IMPORT, "tests", "benchmarks"}
HEAVY = (  # what no command may load before it runs
    "torch", "torchvision", "gsplat", "tinycudann", "dlib", "syncnet_python", "lpips", "face_alignment", "onnxruntime", "transformers",
    "espeakng_loader", "hama", "pocketsphinx", "ray", "submitit", "matplotlib", "skimage",
)
MAX_LINES, MAX_FUNCTION = 400, 60
FILES = sorted(path.relative_to(ROOT) for package in OURS for path in (ROOT / package).rglob("*.py"))


def parsed(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    """First names of everything that is imported, at the top or inside a function."""
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            names = [str(node.module)]
        yield from (name.split(".")[0] for name in names)


@pytest.mark.parametrize("package", list(MAY_IMPORT))
def test_imports_point_one_way(package: str) -> None:
    wrong = {
        f"{path} imports {name}"
        for path in FILES if path.parts[0] == package
        for name in imported(parsed(path)) if name in OURS - MAY_IMPORT[package]
    }
    assert not wrong


def test_benchmark_and_reports_know_no_method_by_name() -> None:
    named = {"d3talker.method", "baselines.trained", "baselines.methods"}
    wrong = []
    for path in FILES:
        if path.parts[0] in ("eval", "reports"):
            for node in ast.walk(parsed(path)):
                module = node.module if isinstance(node, ast.ImportFrom) else None
                if module and any(f"{module}.".startswith(f"{name}.") for name in named):
                    wrong.append(f"{path} imports {module}")
                if isinstance(node, ast.Compare) and any(isinstance(c, ast.Constant) and c.value == "d3talker" for c in node.comparators):
                    wrong.append(f"{path}:{node.lineno} compares with a method's name")
    assert not wrong


def modules() -> dict[str, Path]:
    """Every module of the packages by its dotted name."""
    return {
        ".".join(path.with_suffix("").parts).removesuffix(".__init__"): path for path in FILES if path.parts[0] in MAY_IMPORT
    }


def knows(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules of ours that a file imports, at the top, inside functions, or for types alone."""
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {full if (full := f"{node.module}.{alias.name}") in known else node.module for alias in node.names}
    return found & set(known)


def within(name: str, folders: Iterable[str]) -> bool:
    """Whether a module of d3talker lies in one of its folders, or at its top."""
    inside = name.removeprefix("d3talker").strip(".")
    return any(f"{inside}.".startswith(f"{folder}.") for folder in folders) or ("." not in inside and inside not in TOPS)


TOPS = {folder.split(".")[0] for folder in FOLDERS}


def test_folders_of_d3talker_know_one_direction() -> None:
    known, wrong = modules(), []
    for name, path in known.items():
        if not name.startswith("d3talker") or name in COMPOSE:
            continue
        folder = next((one for one in FOLDERS if f"{name}.".startswith(f"d3talker.{one}.")), None)
        assert folder or "." not in name.removeprefix("d3talker."), f"{path} lies in no folder that this test knows"
        allowed = FOLDERS[folder] if folder else set()
        others = {other for other in knows(path, known) if other.startswith("d3talker")}
        wrong += [f"{name} imports {other}" for other in others if other in COMPOSE or not within(other, allowed)]
    assert not wrong


def test_no_module_knows_itself_by_way_of_others() -> None:
    known = modules()
    graph = {name: knows(path, known) - {name} for name, path in known.items()}
    while leaves := {name for name, others in graph.items() if not others}:
        graph = {name: others - leaves for name, others in graph.items() if name not in leaves}
    assert not graph, f"imports run in a circle among {sorted(graph)}"


def test_loading_a_command_loads_nothing_heavy() -> None:
    modules = sorted({module for module, _, _ in COMMANDS.values()})
    code = (
        f"import importlib, sys\nfor module in {modules}:\n    importlib.import_module(module)\n"
        f"    found = [name for name in {HEAVY} if name in sys.modules]\n"
        "    if found: sys.exit(f'{module} imports {found}')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_file_says_what_it_is_for_and_stays_short() -> None:
    wrong = []
    for path in FILES:
        text, tree = (ROOT / path).read_text(encoding="utf-8"), parsed(path)
        if not (ast.get_docstring(tree) or "").split("\n")[0].strip() or not text.startswith('"""'):
            wrong.append(f"{path} does not begin with what it is for")
        if len(text.splitlines()) > MAX_LINES:
            wrong.append(f"{path} is longer than {MAX_LINES} lines")
        wrong += [
            f"{path}: {node.name} is longer than {MAX_FUNCTION} lines" for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION
        ]
    assert not wrong
