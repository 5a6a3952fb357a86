"""The whole report from a tiny results folder."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from d3talker.errors import UserError
from d3talker.people.media.video import probe
from reports.report import ReportConfig, run


class Links(HTMLParser):
    """Collects what a page links to and the ids it has."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.ids: list[str] = []
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value and not value.startswith("data:"):
                self.targets.append(value)
            if name == "id" and value:
                self.ids.append(value)


def check_links(folder: Path) -> int:
    """Every link of every page leads to a file of the report and, with #, to an id in it; returns how many."""
    pages = {page.resolve(): Links(page) for page in folder.rglob("*.html")}
    count = 0
    for page, links in pages.items():
        assert len(links.ids) == len(set(links.ids)), f"{page.name} repeats an id"
        for target in links.targets:
            assert not re.match(r"[a-z]+:|//", target), f"{page.name} needs the network: {target}"
            path, _, anchor = target.partition("#")
            goal = (page.parent / path).resolve() if path else page
            assert goal.is_file() and goal.is_relative_to(folder.resolve()), f"{page.name} -> {target}"
            if anchor and goal in pages:
                assert anchor in pages[goal].ids, f"{page.name} -> {target}"
            count += 1
    return count


def test_the_whole_report(maker, tmp_path):
    record = maker.record(clips=True, budget=5, notes=["no refiner"], synthetic=True)
    maker.record("instag", budget=5, status="failed", reason="out of memory")
    out = tmp_path / "report"
    assert run(ReportConfig(maker.root, out)) == 0
    assert check_links(out) > 50
    page = (out / "index.html").read_text("utf-8")
    assert "synthetic" in page and "no refiner" in page and "failed: out of memory" in page and "Protocol d3-v2" in page
    stored = json.loads((out / "records" / f"{record.key}.json").read_text("utf-8"), parse_constant=pytest.fail)
    assert stored["metrics"]["psnr"]["value"] == pytest.approx(record.metrics["psnr"].value)
    assert sorted(path.suffix for path in (out / "figures").glob("keyframes-*.*")) == [".pdf", ".png", ".svg"]
    for video in (out / "videos").rglob("*.mp4"):
        info = probe(video)
        real = info.metadata["method"] == "ground-truth"  # a copy of footage is not synthetic
        assert info.codec == "h264" and info.has_audio and info.metadata["synthetic"] == ("false" if real else "true")
    assert len(list((out / "videos").rglob("*.mp4"))) == 3


def test_an_older_report_is_replaced_and_nothing_else(maker, tmp_path):
    maker.record()
    out = tmp_path / "report"
    run(ReportConfig(maker.root, out, figures=False))
    (out / "stale.txt").write_text("old")
    run(ReportConfig(maker.root, out, figures=False))
    assert not (out / "stale.txt").exists()
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "chapter1.tex").write_text("...")
    for target in (precious, maker.root, maker.root.parent, precious / "chapter1.tex"):
        with pytest.raises(UserError):
            run(ReportConfig(maker.root, target))
    assert (precious / "chapter1.tex").read_text() == "..."


@pytest.mark.parametrize("prepare", ["nothing", "empty", "damaged"])
def test_without_a_record_there_is_one_clear_sentence(maker, tmp_path, prepare):
    if prepare == "nothing":
        (maker.root / "records").rmdir()
    if prepare == "damaged":
        (maker.root / "records" / "x.json").write_text("{")
    with pytest.raises(UserError, match="records"):
        run(ReportConfig(maker.root, tmp_path / "report"))
    assert not (tmp_path / "report").exists()


HOSTILE = "<script>alert(1)</script>'\"&$x^{2}$ \\input{/etc/passwd} ../../up 中文 {{ 7*7 }}"


def test_hostile_names_stay_text(maker, tmp_path):
    maker.record("evil" + HOSTILE, subject="s" + HOSTILE, clips=False, notes=[HOSTILE], reason=None)
    maker.record("instag", subject="s" + HOSTILE, status="failed", reason=HOSTILE)
    maker.record(subject="s" + HOSTILE, artifacts={"predictions": "../../../etc", "log": "/etc/passwd"})
    (maker.root / "predictions").mkdir()
    out = tmp_path / "report"
    run(ReportConfig(maker.root, out))
    assert check_links(out) > 30
    for page in out.rglob("*.html"):
        text = page.read_text("utf-8")
        assert "<script>alert" not in text and "root:" not in text and "{{ 7*7 }}" in text
    for drawing in out.rglob("*.svg"):
        assert "<script" not in drawing.read_text("utf-8")
    outside = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*") if path.is_file()}
    assert outside == {"results", "report"}


def test_two_reports_of_the_same_results_are_equal(maker, tmp_path):
    maker.record()
    for name in ("a", "b"):
        run(ReportConfig(maker.root, tmp_path / name, videos=False))
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) > 15
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


@pytest.mark.parametrize(("kinds", "warned"), [((True, True), True), ((True, False), False)])
def test_a_report_on_synthetic_people_alone_says_so_at_the_top(maker, tmp_path, kinds, warned):
    for name, synthetic in zip("ab", kinds):
        maker.record(subject=name, synthetic=synthetic)
    run(ReportConfig(maker.root, tmp_path / "report", videos=False, figures=False))
    assert ('id="synthetic"' in (tmp_path / "report" / "index.html").read_text()) == warned
