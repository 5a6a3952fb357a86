"""Marks: only among equals, and no finer than the paired bootstrap allows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.rank import Entry, rank

RNG = np.random.default_rng(7)
CLIP = RNG.normal(30, 2, 200)


def entry(name: str, shift: float, noise: float = 0.1, group: str = "gt", frames: bool = True) -> Entry:
    values = CLIP + shift + noise * np.random.default_rng(len(name) + ord(name[0])).normal(size=200)
    return Entry(name, group, float(values.mean()), {"anna": values} if frames else None)


def test_clear_differences_rank():
    rows = [entry("a", 0.0), entry("b", 1.0), entry("c", 2.0)]
    assert rank(rows, True, 3) == {"c": "best", "b": "second"}
    assert rank(rows, False, 3) == {"a": "best", "b": "second"}


def test_what_noise_could_explain_shares_the_mark():
    rows = [entry("a", 0.0), entry("b", 2.0, noise=1.0), entry("c", 2.0, noise=1.0)]
    assert rank(rows, True, 3) == {"b": "best", "c": "best", "a": "second"}
    assert rank(rows[1:], True, 3) == {}


def test_groups_are_ranked_apart_and_single_rows_not_at_all():
    rows = [entry("a", 0.0), entry("b", 1.0), entry("c", 9.0, group="synthesised")]
    assert rank(rows, True, 3) == {"b": "best", "a": "second"}


def test_without_frames_the_shown_digits_decide():
    rows = [entry("a", 0.0, frames=False), entry("b", 1.0), entry("c", 2.0)]
    assert rank(rows, True, 3) == {"c": "best", "b": "second"}
    alike = [Entry("a", "", 1.0001, None), Entry("b", "", 1.0002, None), Entry("c", "", 0.5, None)]
    assert rank(alike, True, 3) == {"a": "best", "b": "best"}


def test_clips_that_cannot_be_paired_are_ranked_by_value():
    rows = [entry("a", 0.0), Entry("b", "gt", 50.0, {"ben": CLIP + 20})]
    assert rank(rows, True, 3) == {"b": "best", "a": "second"}


@given(order=st.permutations(["a", "b", "c", "d"]), higher=st.booleans())
@settings(max_examples=15, deadline=None)
def test_order_of_rows_does_not_matter(order, higher):
    rows = {name: entry(name, shift) for name, shift in zip("abcd", (0.0, 0.01, 1.0, 3.0))}
    expected = rank(list(rows.values()), higher, 3)
    assert rank([rows[name] for name in order], higher, 3) == expected
    best = [name for name, mark in expected.items() if mark == "best"]
    value = (max if higher else min)(row.value for row in rows.values())
    assert any(rows[name].value == pytest.approx(value) for name in best)
