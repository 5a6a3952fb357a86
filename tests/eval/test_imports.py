"""Predictions of other codes: found, placed by budget and sound, copied, and scored as a job like any other."""

from __future__ import annotations

import numpy as np
import pytest
from toys import ToySubject, toy_harness, toy_sweep

from d3talker.errors import UserError
from d3talker.method.config import PAPER
from d3talker.people.media.mark import read_mark
from d3talker.people.media.predictions import PredictionsWriter
from d3talker.people.media.video import write_wav
from eval.imports import find_imports
from eval.plan import Request, plan
from eval.protocol import D3_V1
from eval.sounds import Sound
from eval.stages import ModelStages

TONE = 0.3 * np.sin(np.arange(3 * 640) * 0.2).astype(np.float32)


def write(folder, method="instag", subject="anna", setting="self", audio=TONE):
    with PredictionsWriter(
        folder, method=method, subject=subject, setting=setting, first_img_id=600, torso_mode="gt", source="test",
        audio=audio,
    ) as writer:
        for level in (0, 100, 200):
            writer.write(np.full((32, 32, 3), level, np.uint8))
    return folder


@pytest.fixture
def sound(tmp_path):
    write_wav(tmp_path / "speech.wav", TONE)
    write_wav(tmp_path / "other.wav", TONE[::-1].copy())
    return (Sound("other", tmp_path / "other.wav"), Sound("A", tmp_path / "speech.wav"))


def test_found_at_any_depth_with_their_budget(tmp_path):
    write(tmp_path / "p" / "deep" / "one")
    write(tmp_path / "p" / "two", subject="ben")
    found = find_imports([f"5={tmp_path / 'p'}"], (), ())
    assert [(i.method, i.subject, i.budget, i.setting) for i in found] == [
        ("instag", "anna", 5, "self"), ("instag", "ben", 5, "self"),
    ]
    assert found[0].digest != found[1].digest
    assert find_imports([str(tmp_path / "p")], (10,), ())[0].budget == 10


def test_a_folder_with_an_equals_sign_in_its_name(tmp_path):
    write(tmp_path / "k=1")
    assert find_imports([str(tmp_path / "k=1")], (10,), ())[0].budget == 10


def test_a_sound_is_recognised(tmp_path, sound):
    write(tmp_path / "p", setting="cross")
    assert find_imports([f"10={tmp_path / 'p'}"], (), sound)[0].audio == "A"
    with pytest.raises(UserError, match="none of --audio"):
        find_imports([f"10={tmp_path / 'p'}"], (), sound[:1])


@pytest.mark.parametrize(("text", "budgets", "words"), [
    ("{}/p", (), "SECONDS="), ("{}/p", (5, 10), "SECONDS="), ("ten={}/p", (), "'ten' is no number"),
    ("10={}/absent", (), "holds no predictions"), ("10={}/mute", (), "has no audio.wav"),
])
def test_what_is_refused(tmp_path, text, budgets, words):
    write(tmp_path / "p")
    write(tmp_path / "mute", setting="cross", audio=None)
    with pytest.raises(UserError, match=words):
        find_imports([text.format(tmp_path)], budgets, ())


def test_two_for_one_place_are_refused(tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "b")
    with pytest.raises(UserError, match="are both instag on anna"):
        find_imports([f"10={tmp_path / 'a'}", f"10={tmp_path / 'b'}"], (), ())


def test_it_becomes_a_job_of_its_own(tmp_path, monkeypatch):
    class Stages(type(toy_harness(tmp_path).stages)):
        def render(self, task, run, out):
            ModelStages(D3_V1, "cpu").render(task, run, out)

    def tasks():
        imports = find_imports([f"10={tmp_path / 'p'}"], (), ())
        request = Request(D3_V1, {"d3talker": PAPER}, (ToySubject("anna"),), methods=("mean-frame",), imports=imports)
        return [task for task in plan(request).tasks if task.predictions]

    write(tmp_path / "p")
    harness = toy_harness(tmp_path)
    harness = type(harness)(harness.store, Stages(tmp_path / "log"), ("psnr",), "cpu")
    (task,) = first = tasks()
    assert toy_sweep(harness, first) == 0
    record = harness.store.record(task.job)
    assert record.job.method == "instag" and record.status == "ok" and record.frames == 3
    copied = harness.store.predictions(task.job) / "frames.mkv"
    assert copied.read_bytes() == (tmp_path / "p" / "frames.mkv").read_bytes()
    assert harness.fault(tasks()[0]) is None
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    write(tmp_path / "p")  # imported again, on another day: the same job
    assert read_mark(tmp_path / "p" / "frames.mkv").made.startswith("1970")
    assert harness.fault(tasks()[0]) is None
    write(tmp_path / "p", audio=TONE / 2)  # imported again, with another sound: another job
    assert harness.fault(tasks()[0]) == "not run yet"


def test_damaged_predictions_are_a_failed_job(tmp_path):
    write(tmp_path / "p")
    imports = find_imports([f"10={tmp_path / 'p'}"], (), ())
    (tmp_path / "p" / "frames.mkv").write_bytes(b"cut off")
    request = Request(D3_V1, {"d3talker": PAPER}, (ToySubject("anna"),), methods=(), imports=imports)
    harness = toy_harness(tmp_path)

    class Stages(type(harness.stages)):
        def render(self, task, run, out):
            ModelStages(D3_V1, "cpu").render(task, run, out)

    (task,) = [task for task in plan(request).tasks if task.predictions]
    harness = type(harness)(harness.store, Stages(tmp_path / "log"), ("psnr",), "cpu")
    assert toy_sweep(harness, [task]) == 1
    assert "has changed" in harness.store.record(task.job).reason
