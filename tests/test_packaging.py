"""The wheel holds the four packages with all their data and nothing else, and works where no checkout is."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import d3talker

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("d3talker", "baselines", "eval", "reports")
STRAY = ("tests/test_x.py", "benchmarks/b.py", "shared/clip.mp4", "results/records/a.json", "data/x/bc.jpg", "docs/a.md", "d3talker/x.pth")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what a wheel is made of, with things beside it that do not belong in one."""
    pytest.importorskip("setuptools", minversion="77")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in STRAY:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("")
    code = f"import setuptools.build_meta as build; build.build_wheel({str(out)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(out.glob("*.whl"))


def test_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {
        str(path.relative_to(ROOT)) for name in PACKAGES for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert inside == wanted
    assert {"d3talker/py.typed", "reports/templates/index.html", "baselines/official/environments/instag.sh"} <= inside


def test_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        texts = {name.split("/", 1)[1]: archive.read(name).decode() for name in archive.namelist() if ".dist-info/" in name}
    about, entries = Parser().parsestr(texts["METADATA"]), configparser.ConfigParser()
    entries.read_string(texts["entry_points.txt"])
    assert about["Version"] == d3talker.__version__ and about["Requires-Python"] == ">=3.10" and "licenses/LICENSE" in texts
    assert dict(entries["console_scripts"]) == {"d3talker": "d3talker.cli:main"}
    extras = {"landmarks", "lpips", "sync", "synth", "gpu", "sweep", "test", "dev"}
    assert extras <= set(about.get_all("Provides-Extra") or ())


def test_version_is_said_in_one_place() -> None:
    literal = f'"{d3talker.__version__}"'
    said = [path.name for name in PACKAGES for path in (ROOT / name).rglob("*.py") if literal in path.read_text(encoding="utf-8")]
    assert said == ["version.py"] and literal not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_wheel_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import d3talker, reports.html, sys\nfrom d3talker.cli import main\n"
        "print(d3talker.__file__)\nreports.html.environment().get_template('index.html')\nsys.exit(main(['methods']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith(str(tmp_path)) and "talkinggaussian" in done.stdout
