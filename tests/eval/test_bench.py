"""The command line of bench: what it plans, says, keeps and refuses; stages are toys, subjects are tiny folders."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from toys import ToyStages

from d3talker.cli import main
from d3talker.errors import UserError
from d3talker.files import read_json
from d3talker.people.media.video import write_wav
from d3talker.people.subject.layout import Frame, transforms, write_image
from eval.bench import BenchConfig, parse_sound, parse_tables
from eval.records import read_record

BUDGET = ["--budgets", "2", "--preset", "mini", "--metrics", "psnr", "sync_c"]


def make_subject(root: Path, level: int) -> Path:
    """As much of a subject folder as planning reads: 60 frames to train on, 11 to test."""
    from d3talker.files import write_json

    rows = [Frame(i, i, np.eye(4)) for i in range(71)]
    write_json(root / "transforms_train.json", transforms(100.0, (16, 16), rows[:60]))
    write_json(root / "transforms_val.json", transforms(100.0, (16, 16), rows[60:]))
    write_wav(root / "aud.wav", np.zeros(71 * 640, np.float32))
    for row in rows:
        write_image(root / "gt_imgs" / f"{row.img_id}.jpg", np.full((16, 16, 3), level, np.uint8))
    return root


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return [make_subject(folder / name, level) for name, level in (("anna", 10), ("p1", 20), ("p2", 30))]


@pytest.fixture
def bench(tmp_path, people, monkeypatch, capfd):
    """Run the command with toy stages; returns its exit code and what it said."""
    out = tmp_path / "results"

    class Stages(ToyStages):
        wrong_names: ClassVar[dict] = {}

        def __init__(self, protocol, device, weights):
            super().__init__(tmp_path / "log", wrong=self.wrong_names)

    monkeypatch.setattr("eval.stages.ModelStages", Stages)
    monkeypatch.setattr("eval.bench.check_subjects", lambda planned: None)  # toy folders have no pictures below the head

    def call(*options, wrong=None):
        Stages.wrong_names = wrong or {}
        code = main(["bench", "--subjects", str(people[0]), "--out", str(out), *options])
        return code, capfd.readouterr().err

    call.out, call.done = out, lambda: Stages(None, None, None).done().total()
    return call


def test_a_folder_that_cannot_serve_is_named_before_any_work(people, tmp_path, capfd):
    assert main(["bench", "--subjects", str(people[0]), "--out", str(tmp_path / "results"), *BUDGET]) == 2
    said = capfd.readouterr().err
    assert "d3talker: " in said and str(people[0]) in said and "d3talker inspect" in said
    assert not (tmp_path / "results").exists()


def test_the_paper_schedule_without_a_gpu_is_warned_of(bench, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "sees no GPU here" in bench("--budgets", "2", "--preset", "paper", "--dry-run")[1]
    assert "sees no GPU here" not in bench(*BUDGET, "--dry-run")[1]


def test_a_dry_run_says_everything_and_leaves_nothing(bench):
    code, said = bench(*BUDGET, "--dry-run")
    assert code == 0 and not bench.out.exists()
    assert "5 jobs, 0 done already, 5 to run" in said
    assert "d3talker on anna, 2 s, seed 0" in said and "mean-frame on anna, 2 s" in said
    assert "a guess" in said and "GB of disk" in said


def test_the_second_run_does_nothing(bench):
    assert bench(*BUDGET)[0] == 0
    done = bench.done()
    code, said = bench(*BUDGET)
    assert code == 0 and bench.done() == done
    assert "5 jobs, 5 done already, 0 to run" in said
    assert "sync_c has no value in some jobs: the toy has no weights" in said
    assert len(read_json(bench.out / "plan.json")["jobs"]) == 5


def test_estimates_come_from_records_once_there_are_some(bench):
    bench(*BUDGET)
    assert "from the records" in bench(*BUDGET, "--seeds", "2", "--dry-run")[1]


def test_failures_are_named_and_retried(bench):
    code, said = bench(*BUDGET, wrong={"anna": "crash"})
    assert code == 1 and "ZeroDivisionError: the toy crashed (logs/" in said and "1 failed" in said
    assert "0 to run" in bench(*BUDGET, "--overwrite", "never", "--dry-run")[1]
    code, said = bench(*BUDGET)
    assert code == 0 and "1 to run" in said and "--overwrite failed" in said
    assert {read_record(path).status for path in (bench.out / "records").glob("*.json")} == {"ok"}


def test_a_full_disk_ends_in_one_sentence(bench):
    code, said = bench(*BUDGET, wrong={"anna": "full"})
    assert code == 2 and said.strip().splitlines()[-1].startswith("d3talker: No space left on device")
    assert bench(*BUDGET)[0] == 0


def test_check_finds_what_looking_does_not(bench):
    bench(*BUDGET)
    victim = next((bench.out / "predictions").glob("*/frames.mkv"))
    victim.write_text("something else")
    assert "0 to run" in bench(*BUDGET)[1]
    done = bench.done()
    code, said = bench(*BUDGET, "--check")
    assert code == 0 and "1 to run" in said and "has changed" in said
    assert bench.done() == done + 2  # rendered and scored


def test_a_corrupt_record_is_named_and_repaired(bench):
    bench(*BUDGET)
    victim = next((bench.out / "records").glob("*.json"))
    victim.write_text(victim.read_text()[:100])
    code, said = bench(*BUDGET)
    assert code == 0 and "1 to run" in said and victim.name in said
    assert read_record(victim).status == "ok"


def test_tables_with_sounds_and_pretraining(bench, people, tmp_path):
    write_wav(tmp_path / "speech.wav", np.zeros(64000, np.float32))
    sound, others = f"A={tmp_path / 'speech.wav'}", map(str, people[1:])
    code, said = bench("--tables", "all", *BUDGET, "--audio", sound, "--pretrain", *others)
    # 12 settings of Table 4, two of them driven by A, and four floors
    assert code == 0 and "18 jobs" in said and "driven by A" in said
    assert len(list((bench.out / "pretrain").iterdir())) == 7  # what a row leaves out later, and what adaptation deforms, is no matter of pre-training
    assert "left out" in bench("--tables", "4", *BUDGET, "--dry-run")[1]


def test_other_people_cannot_be_the_same(bench, people, capfd):
    assert bench(*BUDGET, "--pretrain", *map(str, people[:2]))[0] == 2


@pytest.mark.parametrize(("text", "numbers"), [("", ()), ("all", (1, 2, 3, 4)), ("4,1", (1, 4)), (" 2 ", (2,))])
def test_table_numbers(text, numbers):
    assert parse_tables(text) == numbers


@pytest.mark.parametrize("text", ["5", "1;2", "one", "-1"])
def test_wrong_table_numbers(text):
    with pytest.raises(UserError, match="--tables"):
        parse_tables(text)


def test_sounds_are_named(tmp_path):
    (tmp_path / "x=1.wav").touch()
    (tmp_path / "may.wav").touch()
    assert parse_sound(str(tmp_path / "may.wav")).name == "may"
    assert parse_sound(f"B={tmp_path / 'may.wav'}").name == "B"
    assert parse_sound(str(tmp_path / "x=1.wav")).name == "x=1"
    with pytest.raises(UserError, match="does not exist"):
        parse_sound("B=nowhere.wav")


def test_presets_bring_their_defaults():
    assert BenchConfig.defaults(["--preset", "mini"]).model != BenchConfig.defaults([]).model
    with pytest.raises(UserError, match="preset"):
        BenchConfig.defaults(["--preset=huge"])
