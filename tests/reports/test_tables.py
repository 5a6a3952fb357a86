"""The paper's tables from records: which rows, which published numbers, what is missing."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.registry import methods
from d3talker.errors import UserError
from d3talker.files import write_json
from eval.metrics.result import MetricResult
from eval.records import Job
from reports.differences import build_differences
from reports.grid import Grid, number, spread
from reports.lines import build, build_subjects
from reports.load import load_results
from reports.markdown import to_markdown
from reports.tables import table1, table3, table4, tables

from .conftest import default_metrics


def grids(maker, budget: float | None = None) -> dict[str, Grid]:
    results = load_results(maker.root)
    return {table.name: build(table, results) for table in tables(results, methods(), budget)}


def cell(grid: Grid, title: str, column: str, second: str | None = None):
    row = next(r for r in grid.rows if r.labels[0] == title and (second is None or r.labels[1] == second))
    return row.cells[[c.name for c in grid.columns].index(column)]


def test_table1_sets_measured_beside_published(maker):
    record = maker.record()
    grid = grids(maker)["table1"]
    assert [row.labels[0] for row in grid.rows] == [
        "Ground Truth", "RAD-NeRF", "DFRF", "ER-NeRF", "GaussianTalker", "TalkingGaussian", "InsTaG", "D³-Talker",
    ]
    assert [row.standing for row in grid.rows] == ["reference", *["published"] * 6, "measured"]
    ours = cell(grid, "D³-Talker", "psnr")
    assert ours.value == pytest.approx(record.metrics["psnr"].value) and ours.published == 31.518
    assert ours.records == (record.key,)
    assert cell(grid, "D³-Talker", "lmd_dlib").published == 3.194
    assert cell(grid, "InsTaG", "train_time").published == 16 * 60
    assert cell(grid, "Ground Truth", "sync_c").published == 8.685
    sync = cell(grid, "D³-Talker", "sync_c")
    assert sync.value is None and grid.notes[sync.notes[0] - 1] == "SyncNet's weights are not installed"
    assert any("512×512" in fact for fact in grid.facts) and grid.facts[0] == "Protocol d3-v2"


def test_table1_takes_published_numbers_of_its_own_budget(maker):
    maker.record(budget=5)
    grid = grids(maker)["table1"]
    assert "5 s" in grid.caption
    assert cell(grid, "D³-Talker", "psnr").published == 30.595
    time = cell(grid, "D³-Talker", "train_time")
    assert time.published == 32 * 60 and "10 s" in grid.notes[time.notes[0] - 1]
    other = next(row for row in grid.rows if row.labels[0] == "RAD-NeRF")
    assert "published for 10 s" in grid.notes[other.notes[0] - 1]


def test_the_papers_budget_is_preferred_and_can_be_overruled(maker):
    for budget in (5, 5.5, 10):
        maker.record(budget=budget)
    assert "10 s" in grids(maker)["table1"].caption
    assert "5.5 s" in grids(maker, 5.5)["table1"].caption
    with pytest.raises(UserError, match=r"no record has a budget of 7 s; choose --budget from 5, 5\.5, 10"):
        grids(maker, 7)


def test_a_method_that_nobody_published_gets_its_row(maker):
    maker.record("my-method", torso_mode="synthesised")
    maker.record()
    grid = grids(maker)["table1"]
    assert grid.rows[-1].labels == ("my-method", "other")
    assert not any(cell.mark for row in grid.rows for cell in row.cells), "other torso modes are not ranked together"
    assert any("torso: " in grid.notes[i - 1] for row in grid.rows for i in row.notes)


def test_best_and_second_among_comparable_rows(maker):
    for name, shift in (("instag", 0.0), ("d3talker", 0.5), ("my-method", -0.5), ("mean-frame", 2.0)):
        maker.record(name, shift=shift)
    grid = grids(maker)["table1"]
    assert cell(grid, "D³-Talker", "psnr").mark == "best" and cell(grid, "InsTaG", "psnr").mark == "second"
    assert cell(grid, "my-method", "lmd_dlib").mark == "best" and cell(grid, "my-method", "train_time").mark == ""  # untested
    assert "One seed and one person" in grid.legend
    floor = next(row for row in grid.rows if row.standing == "floor")
    assert not any(c.mark for c in floor.cells)


def test_seeds_that_differ_are_named(maker):
    for name in ("instag", "er-nerf"):
        for seed in (0, 1):
            maker.record(name, seed=seed)
    maker.record("d3talker")
    grid = grids(maker)["table1"]
    told = {row.labels[0]: [grid.notes[i - 1] for i in row.notes] for row in grid.rows}
    assert "seeds: 0; most rows: 0, 1" in told["D³-Talker"]
    assert not any(note.startswith("seeds") for note in told["InsTaG"])


def test_the_published_lmd_is_footnoted_or_stands_beside_fans(maker):
    maker.record("instag")
    grid = grids(maker)["table1"]
    lmd = cell(grid, "InsTaG", "lmd_dlib")
    assert lmd.published is not None and any("FAN" in grid.notes[i - 1] for i in lmd.notes)
    maker.record("d3talker", metrics={"lmd_fan": MetricResult(value=3.0)})
    grid = grids(maker)["table1"]
    assert cell(grid, "InsTaG", "lmd_dlib").published is None
    assert cell(grid, "InsTaG", "lmd_fan").published == lmd.published


def test_a_planned_subject_that_was_not_run_makes_the_mean_missing(maker):
    record = maker.record(subject="anna")
    assert cell(grids(maker)["table1"], "D³-Talker", "psnr").value is not None
    planned = record.job.model_copy(update={"subject": "ben"})
    jobs = [{"key": job.key, **job.model_dump()} for job in (record.job, Job.model_validate(planned.model_dump()))]
    write_json(maker.root / "plan.json", {"jobs": jobs})
    grid = grids(maker)["table1"]
    missing = cell(grid, "D³-Talker", "psnr")
    assert missing.value is None and grid.notes[missing.notes[0] - 1] == "ben: not run"


def test_subjects_behind_the_mean(maker):
    records = {name: maker.record(subject=name, shift=shift) for name, shift in (("anna", 0.0), ("ben", 1.0))}
    maker.record("instag", "anna")
    results = load_results(maker.root)
    plan = tables(results, methods())[0]
    detail = build_subjects(plan, results)
    assert [row.labels[:2] for row in detail.rows] == [("anna", "InsTaG"), ("anna", "D³-Talker"), ("ben", "D³-Talker")]
    assert detail.parent == "table1" and not any(c.published for row in detail.rows for c in row.cells)
    assert detail.rows[2].cells[0].records == (records["ben"].key,)
    assert cell(build(plan, results), "InsTaG", "psnr").value is None


def test_table2_needs_two_budgets(maker):
    maker.record(budget=5)
    assert set(grids(maker)) == {"table1"}
    maker.record(budget=20)
    maker.record("ground-truth", budget=5)
    maker.record("mean-frame", budget=5)
    grid = grids(maker)["table2"]
    labels = [row.labels for row in grid.rows]
    assert labels[0] == ("Ground Truth", "any") and len(labels) == 1 + 3 * 4
    assert cell(grid, "D³-Talker", "psnr", "15 s").published == 32.291
    assert cell(grid, "D³-Talker", "psnr", "15 s").value is None and cell(grid, "D³-Talker", "psnr", "20 s").value
    assert {column.metric for column in grid.columns}.isdisjoint({"fps", "train_time"})


def test_table3_keeps_own_sounds_apart_from_the_papers(maker):
    maker.record(setting="cross", audio="song", metrics={"sync_c": MetricResult(value=5.0)})
    maker.record("instag", setting="cross", audio="A", metrics={"sync_c": MetricResult(value=4.0)})
    grid = grids(maker)["table3"]
    assert [group for group, _ in grid.groups] == ["Audio A (Obama)", "song", "Audio B (May)"]
    own = cell(grid, "D³-Talker", "sync_c-song")
    assert own.value == 5.0 and own.published is None
    theirs = cell(grid, "InsTaG", "sync_c-A")
    assert theirs.value == 4.0 and theirs.published == 3.510
    assert cell(grid, "D³-Talker", "sync_d-B").published == 9.262


def test_table4_has_fourteen_settings_and_equal_settings_share_runs(maker):
    maker.record(budget=20)
    runs = maker.record(budget=20, ablation="audio-only", shift=-0.1)
    grid = grids(maker)["table4"]
    assert len(grid.rows) == 15 and [row.standing for row in grid.rows[:1]] == ["reference"]
    assert cell(grid, "w/o FM", "psnr").records == (runs.key,) == cell(grid, "Audio Only", "psnr").records
    row = next(row for row in grid.rows if row.labels[0] == "w/o FM")
    assert "Audio Only" in grid.notes[row.notes[0] - 1]
    assert cell(grid, "None", "psnr").published == 30.584 and cell(grid, "None", "psnr").value is None


def test_failures_stay_visible(maker):
    maker.record(status="failed", reason="the loss became NaN in stage face")
    grid = grids(maker)["table1"]
    ours = cell(grid, "D³-Talker", "psnr")
    assert ours.value is None and "the loss became NaN" in grid.notes[ours.notes[0] - 1]


def test_synthetic_subjects_are_named(maker):
    maker.record(subject="anna", synthetic=True)
    grid = grids(maker)["table1"]
    assert "subjects: anna (synthetic)" in grid.facts
    assert [row.synthetic for row in grid.rows] == [False] * 7 + [True]


def test_a_foreign_sounds_own_correlation_stands_beside_its_sync_columns(maker):
    maker.record(setting="cross", audio="voice", metrics={"avc_r": MetricResult(value=0.3)})
    maker.record(setting="cross", audio="other", metrics={})
    columns = [(c.audio, c.metric) for c in table3(load_results(maker.root), methods(), None).columns]
    assert ("voice", "avc_r") in columns and ("other", "avc_r") not in columns and ("A", "sync_c") in columns


def test_the_rig_has_a_row_of_its_own_without_published_numbers(maker):
    for budget in (5, 10, 20):
        maker.record(budget=budget)
        maker.record(budget=budget, ablation="rig")
    maker.record(budget=20, ablation="audio-only")
    found = grids(maker)
    for name, second in (("table1", None), ("table2", "5 s"), ("table4", None)):
        ours = cell(found[name], "D³-Talker + rig", "psnr", second)
        assert ours.value is not None and ours.published is None and len(ours.records) == 1
        assert cell(found[name], "D³-Talker", "psnr", second).published is not None
    titles = [row.labels[0] for row in found["table1"].rows]
    assert titles.index("D³-Talker + rig") == titles.index("D³-Talker") + 1
    assert found["table4"].rows[-1].labels == ("D³-Talker + rig",)


def test_the_papers_columns_come_first_and_the_reader_may_choose(maker):
    maker.record(metrics=default_metrics() | {name: MetricResult(value=0.5) for name in ("avc_r", "aperture_r")})
    results = load_results(maker.root)
    paper = ["psnr", "ssim", "lpips_alex", "lmd_dlib", "sync_c", "sync_d", "train_time", "fps"]
    assert [column.metric for column in table1(results, methods(), None).columns] == [*paper, "avc_r", "aperture_r"]
    chosen = tables(results, methods(), None, ("aperture_r", "psnr"))[0]
    assert [column.metric for column in chosen.columns] == ["aperture_r", "psnr"]
    with pytest.raises(UserError, match="no table has a column lpips_vgg; choose columns from psnr, ssim"):
        tables(results, methods(), None, ("lpips_vgg",))


def noisy(shift: float, seed: int, ripple: float = 0.0) -> dict[str, MetricResult]:
    """Runs of one seed share their draws: the same noise, `shift` apart on every frame, give or take `ripple`."""
    shared, own = np.random.default_rng(seed), np.random.default_rng(int(1e6 * (1 + shift)) + seed)
    frames = 30 + shared.normal(size=200) + shift + ripple * own.normal(size=200) + 2 * seed
    return {"psnr": MetricResult(value=float(frames.mean()), per_frame=frames.tolist())}


def test_table_4_has_differences_on_the_same_draws(maker):
    """A hundredth of a decibel shows between paired runs whose seeds lie two decibels apart, and nothing is made of noise."""
    for seed in range(3):
        maker.record(seed=seed, budget=20, metrics=noisy(0.0, seed))
        maker.record(ablation="motion-only", seed=seed, budget=20, metrics=noisy(-0.05, seed, 0.05))
        maker.record(ablation="without-sc-loss", seed=seed, budget=20, metrics=noisy(1e-4, seed, 0.05))
        maker.record(ablation="no-contrast", seed=seed, budget=20, metrics=noisy(2e-4, seed, 0.05))
    results = load_results(maker.root)
    grid = build_differences(table4(results, methods()), results)
    assert grid is not None and grid.heads == ("Setting", "Subject") and grid.parent == "table4"
    titles = [row.labels[0] for row in grid.rows]
    assert titles == ["w/o SCLoss", "Facial Motion Only", "NCLoss (InsTaG) Only", "None", "NCLoss (InsTaG) Only, beside None"]
    lower = cell(grid, "Facial Motion Only", "psnr")
    assert lower.value == pytest.approx(-0.05, abs=0.01) and lower.mark == "best"
    assert lower.interval is not None and lower.interval[1] < 0 < lower.interval[1] - lower.interval[0] < 0.05
    for title in ("None", "NCLoss (InsTaG) Only, beside None"):
        row = next(row for row in grid.rows if row.labels[0] == title)
        assert cell(grid, title, "psnr").mark == "" and "read the two as equal" in grid.notes[row.notes[0] - 1]
    psnr = next(column for column in grid.columns if column.name == "psnr")
    assert number(lower.value, psnr).startswith("-0.0") and " to " in spread(lower, psnr)
    assert "Facial Motion Only" in to_markdown(grid)


def test_differences_need_the_full_model(maker):
    maker.record(ablation="motion-only", budget=20)
    results = load_results(maker.root)
    assert build_differences(table4(results, methods()), results) is None
