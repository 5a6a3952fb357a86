"""Reading results: what may not be mixed, what is passed over, and what a record may not reach."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from d3talker.errors import UserError
from d3talker.files import write_json
from reports.load import load_results, slug


def test_protocols_are_never_mixed(maker):
    maker.record()
    maker.record(subject="ben", protocol="d3-v2/test-75")
    with pytest.raises(UserError, match=r"mixes the protocols d3-v2, d3-v2/test-75; choose one with --protocol"):
        load_results(maker.root)
    assert [record.job.subject for record in load_results(maker.root, "d3-v2/test-75").records] == ["ben"]
    with pytest.raises(UserError, match="no readable record of protocol d4"):
        load_results(maker.root, "d4")


def test_configurations_are_never_mixed(maker):
    maker.record(config={"loss": {"dssim": 0.2}, "steps": 1})
    maker.record(subject="ben", config={"loss": {"dssim": 0.3}, "steps": 1})
    with pytest.raises(UserError, match=r"differ in loss\.dssim"):
        load_results(maker.root)


def test_the_plan_says_which_configuration_counts(maker):
    maker.record(config={"steps": 1})
    new = maker.record(config={"steps": 2})
    with pytest.raises(UserError, match="differ in steps"):
        load_results(maker.root)
    write_json(maker.root / "plan.json", {"jobs": [{"key": new.key, **new.job.model_dump()}]})
    results = load_results(maker.root)
    assert [record.key for record in results.records] == [new.key] and results.superseded == 1
    write_json(maker.root / "plan.json", {"jobs": "soon"})
    with pytest.raises(UserError, match="differ in steps"):
        load_results(maker.root)


@pytest.mark.parametrize("damage", ["cut", "nan", "altered", "schema", "not-json"])
def test_damaged_records_are_passed_over_and_named(maker, damage):
    good, bad = maker.record(), maker.record("instag")
    path = maker.root / "records" / f"{bad.key}.json"
    value = json.loads(path.read_text("utf-8"))
    if damage == "nan":
        value["metrics"]["psnr"]["extra"] = {"offset": float("nan")}
    if damage == "altered":
        value["job"]["budget"] = 5
    if damage == "schema":
        value["surprise"] = 1
    text = {"cut": json.dumps(value)[:100], "not-json": "\x00\xff"}.get(damage, json.dumps(value))
    path.write_text(text, "utf-8")
    results = load_results(maker.root)
    assert [record.key for record in results.records] == [good.key]
    assert list(results.broken) == [path.name] and str(path) in results.broken[path.name]


@pytest.mark.parametrize("target", ["../outside", "/etc/passwd", "predictions/link", "predictions/gone", ""])
def test_artifacts_stay_inside_the_results(maker, target):
    outside = maker.root.parent / "outside"
    outside.mkdir()
    (maker.root / "predictions").mkdir()
    (maker.root / "predictions" / "link").symlink_to(outside)
    record = maker.record(artifacts={"predictions": target})
    results = load_results(maker.root)
    assert results.artifact(record, "predictions") is None and results.predictions(record) is None


@given(st.text(max_size=100), st.text(max_size=100))
def test_slugs_are_plain_file_names_and_unlike_for_unlike_texts(one, other):
    name = slug(one)
    assert name and len(name) < 80 and name.isascii() and not set(name) & set('/\\:*?"<>| \n') and name[0] != "."
    assert (one == other) == (name == slug(other))


def test_a_folder_called_results_is_titled_after_its_parent(make_results, tmp_path):
    for folder, title in (("demo/results", "demo"), ("results/first", "first")):
        maker = make_results(tmp_path / folder)
        maker.record()
        assert load_results(maker.root).title == title
