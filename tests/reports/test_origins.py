"""Rows of one method by two codes: each has its own title, and published numbers stay under both."""

from __future__ import annotations

from baselines.registry import get, methods
from eval.records import Job
from reports.load import load_results
from reports.origins import HERE, THEIRS, origin, titled
from reports.tables import tables

PLAIN = {"protocol": "d3-v2", "subject": "anna", "subject_hash": "b", "budget": 10}


def test_only_a_method_with_official_code_is_a_reimplementation():
    ours, theirs = ({"config": {"steps": 4}}, {"source_hash": "c"})
    assert origin(get("instag"), Job(method="instag", **PLAIN, **ours)) == HERE
    assert origin(get("instag"), Job(method="instag", **PLAIN, **theirs)) == THEIRS
    assert origin(get("d3talker"), Job(method="d3talker", **PLAIN, **ours)) == ""
    assert titled(get("instag"), HERE) == "InsTaG (re-implemented)" and titled(get("d3talker"), "") == "D³-Talker"


def test_both_codes_are_rows_of_one_table(maker):
    maker.record(method="instag", config={"steps": 4})
    maker.record(method="instag", source_hash="c")
    maker.record()
    first, *_ = tables(load_results(maker.root), methods())
    rows = {line.labels[0]: line for line in first.lines}
    assert {"InsTaG (re-implemented)", "InsTaG (official code)", "D³-Talker", "ER-NeRF"} <= set(rows) and "InsTaG" not in rows
    assert len({line.name for line in first.lines}) == len(first.lines)
    assert all(len(rows[f"InsTaG ({whose})"].records) == 1 for whose in (HERE, THEIRS))
