"""One grid in every format, against golden files; and text that would like to be more than text."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from reports.csv_table import FIELDS, to_csv
from reports.grid import Cell, Column, Grid, Row, duration, number
from reports.html import environment
from reports.latex import document, to_latex
from reports.markdown import to_markdown

PSNR = Column("psnr", "psnr", "PSNR", "Visual quality", "up", 3)
LMD = Column("lmd_dlib", "lmd_dlib", "LMD (dlib)", "Lips", "down", 3)
TIME = Column("train_time", "train_time", "Training time", "Cost", "down", 0, "s")
HOSTILE = "<script>alert(1)</script> | $x$ \\input{/etc/passwd} `a` _b_ & 100% #~^ {中文} \"q\"\n=1+1"


def make_grid(title: str = "Ours") -> Grid:
    """A row of each standing, with every kind of cell."""
    ours = Row("ours-10s-full", (title, "3DGS-based"), (
        Cell(30.0625, sd=0.03, published=31.518, mark="best", records=("a" * 64, "b" * 64)),
        Cell(3.25, interval=(3.0, 3.5), mark="second", notes=(2,), records=("a" * 64,)),
        Cell(1920.0, published=1920.0, records=("a" * 64,)),
    ), notes=(1,), synthetic=True, budget=10)
    printed = (Cell(published=29.511), Cell(), Cell(published=21600.0))
    theirs = Row("theirs", ("Theirs", "NeRF-based"), printed, "published")
    floor = Row("mean", ("Mean frame", "floor"), (
        Cell(20.0, records=("c" * 64,)), Cell(notes=(3,)), Cell(notes=(3,)),
    ), "floor")
    truth = Row("gt", ("Ground Truth", "reference"), (
        Cell(100.0, records=("d" * 64,)), Cell(0.0, published=0.0, records=("d" * 64,)), Cell(),
    ), "reference")
    return Grid(
        "table1", "Table 1", "Self-driven setting.", ("Method", "Type"), (PSNR, LMD, TIME),
        (truth, theirs, ours, floor), ("Protocol d3-v2", "subjects: anna"),
        ("no refiner", "2 of 300 frames show no face", title),
    )


def to_html(grid: Grid) -> str:
    return environment().from_string('{% from "table.html" import table %}{{ table(grid) }}').render(grid=grid)


FORMATS = {"md": to_markdown, "tex": to_latex, "csv": to_csv, "html": to_html}


@pytest.mark.parametrize("suffix", FORMATS)
def test_golden(suffix, repo_root):
    golden = repo_root / "tests" / "golden" / "reports" / f"table.{suffix}"
    assert FORMATS[suffix](make_grid()) == golden.read_text("utf-8")


def test_markdown_keeps_hostile_text_in_its_cell():
    lines = to_markdown(make_grid(HOSTILE)).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 6
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} == {6}
    assert not any("<script" in line for line in lines)


def test_html_escapes_hostile_text():
    page = to_html(make_grid(HOSTILE))
    assert "<script" not in page and "&lt;script&gt;" in page


def test_csv_is_no_formula_and_reads_back():
    rows = list(csv.DictReader(io.StringIO(to_csv(make_grid("=1+1")))))
    assert len(rows) == 12 and tuple(rows[0]) == FIELDS
    ours = [row for row in rows if row["row"] == "ours-10s-full"]
    assert ours[0]["label"].startswith("'=1+1")
    assert float(ours[0]["value"]) == 30.0625 and float(ours[0]["sd"]) == 0.03
    assert ours[0]["records"].split() == ["a" * 64, "b" * 64]
    missing = next(row for row in rows if row["row"] == "mean" and row["metric"] == "lmd_dlib")
    assert missing["value"] == "" and missing["notes"] == "'=1+1"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(tmp_path: Path):
    (tmp_path / "all.tex").write_text(document([make_grid(), make_grid(HOSTILE)]), "utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "all.tex"], cwd=tmp_path,
        capture_output=True, text=True, timeout=60, check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "all.pdf").stat().st_size > 10_000


@pytest.mark.parametrize(("seconds", "text"), [
    (0.24, "0.24 s"), (11, "11 s"), (119, "119 s"), (120, "2.0 min"), (1920, "32 min"), (3180, "53 min"), (7200, "2 h"),
    (32400, "9 h"), (9000, "2.5 h"),
])
def test_durations_read_as_in_the_paper(seconds, text):
    assert duration(seconds) == text
    assert number(seconds, TIME) == text


def test_a_row_must_fit_its_table():
    with pytest.raises(ValueError, match="does not fit"):
        Grid("t", "T", "", ("Method",), (PSNR,), (Row("r", ("a", "b"), (Cell(),)),))
