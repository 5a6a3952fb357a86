"""The test clip's alignment: cut from the whole video's, in seconds from its first frame, readable by the reports."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from d3talker.errors import UserError
from d3talker.files import read_json, write_json
from d3talker.people.subject.layout import Subject
from eval.alignment import write_alignment
from reports.alignment import read_alignment


def test_a_synthetic_persons_phonemes_are_cut_to_the_clip(person: Path, tmp_path: Path) -> None:
    subject = Subject(person)
    test = subject.frames("val")
    write_alignment(subject, test, tmp_path)
    first = test[0].img_id / 25
    wanted = [row for row in read_json(person / "truth" / "phonemes.json") if row["end"] > first]
    got = read_json(tmp_path / "alignment.json")
    assert [row["phoneme"] for row in got] == [row["symbol"] for row in wanted]
    assert got[-1]["end"] == pytest.approx(wanted[-1]["end"] - first)
    assert read_alignment(tmp_path)


def test_the_users_own_alignment_comes_first_and_faults_are_named(person: Path, tmp_path: Path) -> None:
    folder = tmp_path / "subject"
    shutil.copytree(person, folder)
    subject = Subject(folder)
    test = subject.frames("val")
    start = test[0].img_id / 25
    write_json(folder / "alignment.json", [
        {"start": 0.0, "end": 0.1, "word": "before"}, {"start": start + 0.04, "end": start + 0.12, "word": "sure", "phoneme": "ʃ"},
    ])
    write_alignment(subject, test, tmp_path)
    (segment,) = read_alignment(tmp_path)
    assert segment.label == "sure /ʃ/" and segment.start == pytest.approx(0.04)
    write_json(folder / "alignment.json", {"start": 1})
    with pytest.raises(UserError, match="must be a list"):
        write_alignment(subject, test, tmp_path)


def test_no_alignment_writes_nothing(person: Path, tmp_path: Path) -> None:
    folder = tmp_path / "subject"
    shutil.copytree(person, folder, ignore=shutil.ignore_patterns("truth"))
    out = tmp_path / "out"
    out.mkdir()
    write_alignment(Subject(folder), Subject(folder).frames("val"), out)
    assert not list(out.iterdir())
