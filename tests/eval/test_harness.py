"""Stages are kept, failures are told, damage is found and mended by running the one job again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from toys import contents, toy_harness, toy_sweep, toy_tasks

from d3talker.errors import UserError
from d3talker.files import read_json, write_json
from d3talker.people.media.predictions import Predictions
from eval.harness import Harness
from eval.jobs import units
from eval.store import Overwrite

TASKS = toy_tasks(2, sounds=("A",))


@pytest.fixture
def finished(tmp_path) -> Harness:
    """A finished sweep whose log starts anew."""
    harness = toy_harness(tmp_path)
    assert toy_sweep(harness, TASKS) == 0
    harness.stages.log.unlink()
    return harness


def again(harness: Harness, tasks=TASKS) -> dict[str, int]:
    """What another run does, by kind."""
    toy_sweep(harness, tasks)
    kinds: dict[str, int] = {}
    for line, count in harness.stages.done().items():
        kind = line.split()[0]
        kinds[kind] = kinds.get(kind, 0) + count
    return kinds


def test_nothing_is_done_twice(finished):
    assert again(finished) == {}


def test_jobs_of_one_training_are_one_unit():
    assert [len(unit.tasks) for unit in units(TASKS)] == [2, 1, 2, 1]


def test_a_new_metric_only_evaluates(finished):
    before = finished.store.record(TASKS[0].job)
    more = replace(finished, metrics=("psnr", "ssim"))
    assert again(more) == {"score": 4}  # the cross-driven two have no ground truth to compare with
    after = finished.store.record(TASKS[0].job)
    assert set(after.metrics) == {"psnr", "ssim", "train_time", "fps"}
    assert after.metrics["fps"] == before.metrics["fps"]
    assert after.stages["train"].seconds == before.stages["train"].seconds
    assert after.stages["train"].cached and not after.stages["evaluate"].cached
    assert again(finished) == {"score": 4}  # asking for less later repeats nothing


def test_a_job_that_crashes_is_a_record_with_its_log(tmp_path):
    harness = toy_harness(tmp_path, wrong={"s0": "crash"})
    assert toy_sweep(harness, TASKS) == 2
    record = harness.store.record(TASKS[0].job)
    assert (record.status, record.reason) == ("failed", "ZeroDivisionError: the toy crashed")
    log = (harness.store.root / record.artifacts["failure"]).read_text()
    assert "Traceback" in log and "toys.py" in log and "ZeroDivisionError" in log
    assert harness.store.record(TASKS[4].job).status == "ok"  # the others ran
    harness.stages.log.unlink()
    assert again(toy_harness(tmp_path)) == {}  # a failure is an end until somebody asks
    healed = toy_harness(tmp_path)
    for task in TASKS:
        healed.store.forget(task.job, Overwrite.failed)
    assert again(healed) == {"train-step-0": 1, "train-step-1": 1, "train-step-2": 1, "render": 2, "fps": 1, "score": 2}
    assert healed.store.record(TASKS[0].job).status == "ok"


@pytest.mark.parametrize("how", ["full", "full, says a library"])
def test_a_full_disk_stops_the_sweep_and_marks_nothing_failed(tmp_path, how):
    harness = toy_harness(tmp_path, wrong={"s1": how})
    with pytest.raises(OSError, match="No space left"):
        toy_sweep(harness, TASKS)
    assert harness.store.record(TASKS[0].job).status == "ok"
    assert harness.store.record(TASKS[3].job) is None
    assert toy_sweep(toy_harness(tmp_path), TASKS) == 0


@pytest.mark.parametrize("text", ["", "{", '{"key": 1}', "[]", "null"])
def test_a_damaged_record_is_named_and_made_again_from_what_is_there(finished, text):
    path = finished.store.record_path(TASKS[0].job)
    path.write_text(text)
    assert str(path) in finished.fault(TASKS[0])
    assert again(finished) == {"score": 1}
    assert finished.store.record(TASKS[0].job).status == "ok"


def test_an_altered_record_is_made_again(finished):
    path = finished.store.record_path(TASKS[0].job)
    value = read_json(path)
    value["job"]["budget"] = 5
    write_json(path, value)
    assert "altered" in finished.fault(TASKS[0])
    assert again(finished) == {"score": 1}


@pytest.mark.parametrize("name", ["frames.mkv", "manifest.json"])
def test_deleted_predictions_are_named_and_rendered_again(finished, name):
    path = finished.store.predictions(TASKS[0].job) / name
    path.unlink()
    assert str(path) in finished.fault(TASKS[0])
    assert again(finished) == {"render": 1, "score": 1}
    assert finished.fault(TASKS[0]) is None


def test_a_deleted_reference_is_named_and_made_again(finished):
    path = finished.store.reference(TASKS[0].job) / "frames.mkv"
    path.unlink()
    assert str(path) in finished.fault(TASKS[0])
    assert again(finished) == {"reference": 1}  # the same ground truth: its numbers stand
    assert finished.fault(TASKS[0]) is None


def test_changed_frames_show_in_their_checksum(finished):
    path = finished.store.predictions(TASKS[0].job) / "frames.mkv"
    path.write_text("other frames")
    assert finished.fault(TASKS[0]) is None  # looking alone does not tell
    assert "has changed" in finished.fault(TASKS[0], checksums=True)
    finished.store.record_path(TASKS[0].job).unlink()
    assert again(finished) == {"render": 1, "score": 1}
    Predictions(path.parent).verify()


def test_a_deleted_training_is_made_again_only_when_needed(finished):
    import shutil

    shutil.rmtree(finished.store.run(TASKS[0].job))
    assert again(finished) == {}
    shutil.rmtree(finished.store.predictions(TASKS[0].job))
    assert again(finished) == {"train-step-0": 1, "train-step-1": 1, "train-step-2": 1, "render": 1, "score": 1}


@pytest.mark.parametrize(("what", "does"), [
    (Overwrite.never, {}),
    (Overwrite.failed, {}),
    (Overwrite.unmeasured, {"score": 6}),
    (Overwrite.metrics, {"score": 6}),
    (Overwrite.frames, {"render": 6, "score": 6, "fps": 2}),
    (Overwrite.always, {
        "train-step-0": 2, "train-step-1": 2, "train-step-2": 2, "render": 6, "score": 6, "fps": 2,
    }),
])
def test_overwrite_policies(tmp_path, what, does):
    harness = toy_harness(tmp_path, metrics=("psnr", "sync_c"))  # the toy cannot measure sync_c
    assert toy_sweep(harness, TASKS) == 0
    first = contents(harness.store.root)
    harness.stages.log.unlink()
    for task in TASKS:
        harness.store.forget(task.job, what)
    assert again(harness) == does
    assert contents(harness.store.root) == first
    assert again(harness) == does  # nothing more


def test_a_good_record_survives_a_new_metric_that_crashes(finished):
    class Worse(type(finished.stages)):
        def score(self, *args):
            raise RuntimeError("no such luck")

    worse = replace(finished, stages=Worse(finished.stages.log), metrics=("psnr", "ssim"))
    assert toy_sweep(worse, TASKS[:1]) == 1
    assert finished.store.record(TASKS[0].job).status == "ok"
    assert "no such luck" in finished.store.log(TASKS[0].job).read_text()


def test_times_are_exclusive_only_while_alone(tmp_path):
    harness = toy_harness(tmp_path)
    with harness.store.presence() as me:
        alone = replace(harness, me=me)
        toy_sweep(alone, TASKS[:3])
        assert alone.store.alone(me)
    record = harness.store.record(TASKS[0].job)
    assert record.stages["train"].exclusive and record.metrics["train_time"].extra["exclusive"]
    assert record.metrics["fps"].extra["exclusive"]
    with harness.store.presence():  # a process that does not call itself "test"
        toy_sweep(harness, TASKS[3:])
    record = harness.store.record(TASKS[3].job)
    assert not record.stages["train"].exclusive and not record.metrics["train_time"].extra["exclusive"]
    assert not record.metrics["fps"].extra["exclusive"]
    # later, alone: the speed is measured again, the training time stays what it is
    harness.stages.log.unlink()
    assert "beside other work" in harness.fault(TASKS[3])
    assert again(harness) == {"fps": 1}
    record = harness.store.record(TASKS[3].job)
    assert record.metrics["fps"].extra["exclusive"] and not record.metrics["train_time"].extra["exclusive"]


def test_a_shared_machine_never_claims_its_times(tmp_path):
    harness = replace(toy_harness(tmp_path), exclusive=False)
    toy_sweep(harness, TASKS[:1])
    record = harness.store.record(TASKS[0].job)
    assert not any(stage.exclusive for stage in record.stages.values())
    assert harness.fault(TASKS[0]) is None


def test_one_seed_for_a_training_whatever_drives_it(tmp_path):
    seeds = []

    class Listening(type(toy_harness(tmp_path).stages)):
        def train(self, task, out, seed, general):
            seeds.append(seed)
            return super().train(task, out, seed, general)

    for name, order in (("one", TASKS[:2]), ("two", TASKS[1::-1])):
        harness = toy_harness(tmp_path / name)
        toy_sweep(replace(harness, stages=Listening(harness.stages.log)), list(order))
    assert len(set(seeds)) == 1


def test_a_claim_keeps_others_out(tmp_path):
    store = toy_harness(tmp_path).store
    with store.claim("x") as mine:
        assert mine
        with store.claim("x") as second:
            assert not second
    with store.claim("x") as free:
        assert free


def test_a_record_that_is_damaged_raises_its_name(finished):
    path = finished.store.record_path(TASKS[0].job)
    path.write_text("{")
    with pytest.raises(UserError, match=path.name):
        finished.store.record(TASKS[0].job)


def test_training_time_is_wall_clock_with_its_steps_beside_it(tmp_path):
    harness = toy_harness(tmp_path)
    toy_sweep(harness, TASKS[:1])
    record = harness.store.record(TASKS[0].job)
    time = record.metrics["train_time"]
    assert time.value == record.stages["train"].seconds and time.extra["steps_s"] == record.stages["train"].steps == 1.5
    note = harness.store.run(TASKS[0].job) / "timing.json"
    assert read_json(note)["wall"] == time.value > 0


def test_a_killed_trainings_wall_clock_is_not_known(tmp_path):
    harness = toy_harness(tmp_path)
    run = harness.store.run(TASKS[0].job)
    write_json(run / "timing.json", {"exclusive": True, "device": "x", "wall": None})  # what a session begins with
    toy_sweep(harness, TASKS[:1])
    time = harness.store.record(TASKS[0].job).metrics["train_time"]
    assert time.value is None and "wall clock is not known; its steps took 2 s" in time.reason


def test_an_older_record_is_refused_with_a_sentence_and_made_again(tmp_path):
    harness = toy_harness(tmp_path)
    toy_sweep(harness, TASKS[:1])
    path = harness.store.record_path(TASKS[0].job)
    write_json(path, {**read_json(path), "schema_version": 1})
    with pytest.raises(UserError, match=r"record schema 1, whose intervals.*run the same `d3talker bench` again"):
        harness.store.record(TASKS[0].job)
    toy_sweep(harness, TASKS[:1])
    assert harness.store.record(TASKS[0].job).schema_version == 2
