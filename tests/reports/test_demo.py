"""`d3talker demo`: the order of its stages, who is tested, and what a newcomer is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from d3talker.cli import main
from d3talker.method.config import DEMO, check
from d3talker.people.media.video import SAMPLE_RATE, read_audio, write_wav
from d3talker.people.subject.layout import Layout
from reports.demo import ABLATIONS, SOUND_SECONDS


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, object]]:
    """The configurations that the three stages were called with, in order; people are only their sounds."""
    calls: list[tuple[str, object]] = []

    def people(config) -> None:
        calls.append(("synth", config))
        for index in range(config.identities):
            layout = Layout(config.out / f"synth{index:02d}")
            layout.root.mkdir(parents=True, exist_ok=True)
            write_wav(layout.audio, np.full(10 * SAMPLE_RATE, (index + 1) / 10, np.float32))

    monkeypatch.setattr("d3talker.people.synthetic.subjects.run", people)
    for name, target in (("bench", "eval.bench.run"), ("report", "reports.report.run")):
        monkeypatch.setattr(target, lambda config, name=name: calls.append((name, config)) or 0)
    return calls


def test_the_one_who_is_tested_teaches_nothing(stages, tmp_path: Path) -> None:
    assert main(["demo", "--out", str(tmp_path), "--people", "3", "--size", "64"]) == 0
    assert [name for name, _ in stages] == ["synth", "bench", "report"]
    synth, bench, report = (config for _, config in stages)
    people = [tmp_path / "people" / f"synth{index:02d}" for index in range(4)]
    assert (synth.identities, synth.size) == (4, 64)
    assert bench.subjects == (people[3],) and bench.pretrain == tuple(people[:3])
    assert bench.tables == "all" and set(ABLATIONS) == set(bench.ablations) and bench.motion == "prior"
    assert bench.model == DEMO and report.results == bench.out
    check(bench.model)


def test_the_foreign_sounds_are_other_peoples_and_short(stages, tmp_path: Path) -> None:
    main(["demo", "--out", str(tmp_path)])
    bench = dict(stages)["bench"]
    assert bench.audio == tuple(f"{name}={tmp_path / name}.wav" for name in ("synth00", "synth01"))
    for index in range(2):
        heard = read_audio(tmp_path / f"synth{index:02d}.wav")
        assert len(heard) == SOUND_SECONDS * SAMPLE_RATE and np.allclose(heard, (index + 1) / 10, atol=1e-3)


def test_the_end_says_where_to_look_and_what_it_is(stages, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["demo", "--out", str(tmp_path)])
    said = " ".join(capsys.readouterr().err.split())
    assert str(tmp_path / "report" / "index.html") in said and "no result of the paper" in said


def test_failed_jobs_are_told(stages, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("eval.bench.run", lambda config: 1)
    assert main(["demo", "--out", str(tmp_path)]) == 1


def test_one_person_is_too_few(stages, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--out", str(tmp_path), "--people", "1"]) == 2
    assert "--people is 1" in capsys.readouterr().err and not stages
