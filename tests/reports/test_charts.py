"""Charts: drawn from what the tables hold, well-formed in every format, and absent where there is nothing to draw."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from baselines.registry import methods
from d3talker.files import write_json
from reports import charts, curves
from reports.figures import draw_all
from reports.html import inline_svg
from reports.lines import build
from reports.load import load_results
from reports.plots import INK, drawing
from reports.tables import tables


def grid(maker, number: int):
    results = load_results(maker.root)
    return next(build(table, results) for table in tables(results, methods()) if table.number == number)


def texts(path) -> str:
    return " ".join(ET.parse(path).getroot().itertext())


def test_budgets_show_measured_and_published_lines(maker, tmp_path):
    for seed in range(2):
        for budget in (5, 20):
            maker.record(budget=budget, seed=seed, shift=budget / 20)
    assert charts.budgets(tmp_path / "budgets", grid(maker, 2))
    words = texts(tmp_path / "budgets.svg")
    assert all(word in words for word in ("PSNR ↑", "D³-Talker", "DFRF (published)", "seconds of training video"))
    assert (tmp_path / "budgets.pdf").read_bytes()[:4] == b"%PDF"
    assert (tmp_path / "budgets.png").read_bytes()[1:4] == b"PNG"


def test_tradeoff_has_every_method_once_in_its_legend(maker, tmp_path):
    maker.record()
    maker.record("mean-frame")
    assert charts.tradeoff(tmp_path / "tradeoff", grid(maker, 1))
    words = texts(tmp_path / "tradeoff.svg")
    assert words.count("D³-Talker") == 1 and words.count("RAD-NeRF (published)") == 1
    assert "Mean training frame" not in words and "30 min" in words and "mathdefault" not in words


def test_ablations_are_differences_from_the_whole_model(maker, tmp_path):
    maker.record(budget=20, ablation="without-c2f")
    assert not charts.ablations(tmp_path / "none", grid(maker, 4)), "without the whole model there is no difference"
    maker.record(budget=20)
    assert charts.ablations(tmp_path / "ablations", grid(maker, 4))
    words = texts(tmp_path / "ablations.svg")
    assert "Δ PSNR ↑" in words and "w/o C2F" in words and not (tmp_path / "none.svg").exists()


def test_curves_need_values(maker, tmp_path):
    assert not curves.per_frame(tmp_path / "a", {"x": maker.record(metrics={})}, 25)
    assert not curves.losses(tmp_path / "b", {"x": tmp_path / "no.json"})
    assert curves.per_frame(tmp_path / "c", {"x": maker.record("instag")}, 25)
    assert not list(tmp_path.glob("[ab].*")) and len(list(tmp_path.glob("c.*"))) == 3


def test_a_drawing_inside_a_page_follows_its_colours_and_keeps_its_ids_to_itself(tmp_path):
    for name in ("one", "two"):
        with drawing(tmp_path / name, 3, 2) as figure:
            figure.subplots().plot([1, 2], [3, 4], "o", label="</svg><script>alert(1)</script>")
            figure.legend()
    pages = [inline_svg(tmp_path / f"{name}.svg") for name in ("one", "two")]
    ids = [set(re.findall(r' id="([^"]+)"', page)) for page in pages]
    assert ids[0] and not ids[0] & ids[1]
    for page in pages:
        ET.fromstring(page)
        assert page.startswith("<svg") and INK not in page and "currentColor" in page
        assert "<script" not in page and "<style" not in page and "matplotlib.org" not in page


def test_an_error_while_drawing_leaves_no_file(tmp_path):
    with pytest.raises(ZeroDivisionError), drawing(tmp_path / "x", 3, 2):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_each_pretraining_is_drawn_once(maker, tmp_path):
    """Both branches' spread and the contrastive losses' gradients, where they were measured, of every pre-training."""
    names = ("l1", "similarity", "gradient/similarity", "gradient/image", "spread/face_individual_mm")
    for key in ("one", "two"):
        write_json(maker.root / "pretrain" / key / "log.json", {"step": [25, 50, 25], "loss": {n: [0.1, 0.2, None] for n in names}})
    for ablation, key in (("full", "one"), ("without-c2f", "one"), ("no-contrast", "two")):
        maker.record(ablation=ablation, artifacts={"pretrain_log": f"pretrain/{key}/log.json"})
    figure, = [f for f in draw_all(tmp_path, load_results(maker.root), [], []) if f.title == "Pre-training"]
    shown = texts(tmp_path / f"{figure.path}.svg")
    assert [name for name in (*names, "None") if name not in shown] == [] and "w/o C2F" not in shown
