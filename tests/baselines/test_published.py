"""The published numbers are those of the paper, cell by cell, read from the paper's own text where it is at hand."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from baselines.registry import methods
from baselines.spec import Published, table_1
from d3talker.errors import UserError
from d3talker.learning.contract import same_setting
from d3talker.method.ablations import ABLATIONS, ROWS, ablation

PAPER_ORDER = ["ground-truth", "rad-nerf", "dfrf", "er-nerf", "gaussiantalker", "talkinggaussian", "instag", "d3talker"]
SECONDS = {"hours": 3600, "min": 60}


def published(method: str, table: int, **where: object) -> dict[str, float]:
    spec = next(s for s in methods() if s.name == method)
    rows = [p for p in spec.published if p.table == table and all(getattr(p, k) == v for k, v in where.items())]
    assert len({p.metric for p in rows}) == len(rows), "two published numbers for one cell"
    return {p.metric: p.value for p in rows}


@pytest.fixture(scope="module")
def paper(shared_data) -> str:
    path = shared_data.parent / "paper" / "d3-talker.txt"
    if not path.is_file():
        pytest.skip("the paper's text is not at hand")
    return path.read_text()


def rows(paper: str, table: int, count: int) -> list[list[str]]:
    """The last `count` tab-separated lines of a table."""
    lines = paper[paper.index(f"Table {table}:"):].splitlines()[1:]
    block = [line for line in lines[:25] if "\t" in line]
    while not block[-1].strip():
        block.pop()
    return [re.sub(r"</?u>", "", line).split("\t") for line in block[:count]]


def seconds(text: str) -> float | None:
    return None if text == "-" else float(text.split()[0]) * SECONDS[text.split()[1]]


@pytest.mark.shared
def test_table_1_is_the_papers(paper):
    for method, cells in zip(PAPER_ORDER, rows(paper, 1, 10)[2:], strict=True):
        numbers = [None if c in ("N/A", "-") else float(c) for c in (*cells[2:8], cells[9])]
        expected = table_1(*numbers[:6], seconds(cells[8]), numbers[6])
        assert published(method, 1) == {p.metric: p.value for p in expected}, method


@pytest.mark.shared
def test_table_2_is_the_papers(paper):
    lines = rows(paper, 2, 8)[2:]
    for cells, metric in zip(lines, ("psnr", "ssim", "lpips_alex", "lmd", "sync_c", "sync_d"), strict=True):
        numbers = [float(c) for c in cells[1:13]]
        for m, method in enumerate(("dfrf", "instag", "d3talker")):
            got = [published(method, 2, budget=b)[metric] for b in (5, 10, 15, 20)]
            assert got == numbers[4 * m:4 * m + 4], (method, metric)


@pytest.mark.shared
def test_table_3_is_the_papers(paper):
    for method, cells in zip(PAPER_ORDER, rows(paper, 3, 10)[2:], strict=True):
        a, b = published(method, 3, audio="A"), published(method, 3, audio="B")
        assert [a["sync_c"], a["sync_d"], b["sync_c"], b["sync_d"]] == [float(c) for c in cells[1:5]], method
        assert {p.setting for s in methods() for p in s.published if p.table == 3} == {"cross"}


@pytest.mark.shared
def test_table_4_is_the_papers(paper):
    table = rows(paper, 4, 16)
    truth, ours = table[1], table[2:]
    assert published("ground-truth", 4) == {"ssim": float(truth[2]), "lmd": float(truth[3]), "sync_c": float(truth[4])}
    for (name, row), cells in zip(ABLATIONS.items(), ours, strict=True):
        got = published("d3talker", 4, ablation=name)
        assert [got[m] for m in ("psnr", "ssim", "lmd", "sync_c")] == [float(c) for c in cells[1:5]], name
        symbols = row.title.replace("D³", "D ³")
        for greek, tex in (("Δα", r"\Delta\alpha"), ("ΔSH", r"\Delta SH"), ("Δ", r"\Delta"), ("μ", r"\mu")):
            symbols = symbols.replace(greek, tex)
        assert cells[0].replace("$", "").replace(" ", "") == symbols.replace(" ", ""), name


def test_counts_and_shared_cells():
    """8 + 5 + ... cells are there, and what two tables print twice agrees."""
    every = [p for spec in methods() for p in spec.published]
    assert {t: sum(p.table == t for p in every) for t in (1, 2, 3, 4)} == {1: 5 + 7 * 8, 2: 72, 3: 32, 4: 3 + 56}
    for method in ("dfrf", "instag", "d3talker"):
        ten, first = published(method, 2, budget=10), published(method, 1)
        assert all(ten[m] == first[m] for m in ten)
    assert all(isinstance(p, Published) and p.budget == 20 for p in every if p.table == 4)
    twenty = published("d3talker", 2, budget=20)
    assert all(twenty[m] == v for m, v in published("d3talker", 4, ablation="full").items())


def test_rows_with_equal_digits_are_one_setting():
    for one, other in (("without-facial-motion", "audio-only"), ("without-sc-loss", "negative-contrast-only"),
                       ("full", "attributes-mu-r-s")):
        assert published("d3talker", 4, ablation=one) == published("d3talker", 4, ablation=other)
        assert same_setting(ROWS, one) == same_setting(ROWS, other) == [one, other]
    assert same_setting(ROWS, "no-contrast") == ["no-contrast"]
    with pytest.raises(UserError, match=r"'nothing' is unknown; choose one of full, "):
        ablation("nothing")


def test_specs_load_nothing_heavy():
    code = "import sys, baselines.registry as r; r.methods(); print({'torch', 'cv2', 'av'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
