"""The floors are exactly what they say, and their predictions folders are whole."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.floors import FLOORS, floor
from baselines.methods.nearest_pose import nearest_rows
from d3talker.errors import UserError
from d3talker.people.media.predictions import Predictions
from d3talker.people.media.video import read_audio
from d3talker.people.subject.sound import clip_sound


def predict(name, subject, out) -> Predictions:
    floor(name)(subject, subject.frames("train")[:40], subject.frames("val")[:-1], out)
    done = Predictions(out)
    done.verify()
    return done


@pytest.mark.parametrize("name", FLOORS)
def test_folder_is_whole(name, subject, tmp_path):
    test = subject.frames("val")[:-1]
    done = predict(name, subject, tmp_path / name)
    assert (done.manifest.method, done.manifest.subject, done.manifest.setting) == (name, "tiny", "self")
    assert (done.manifest.first_img_id, done.manifest.frames) == (60, 30)
    assert (done.manifest.height, done.manifest.width) == subject.size
    assert done.manifest.lossless == (name != "ground-truth-h264")
    assert done.manifest.torso_mode == ("gt" if name.startswith("ground") else "synthesised")
    assert len(list(done.frames())) == 30
    np.testing.assert_allclose(done.audio(), clip_sound(subject, test), atol=1e-4)


def test_ground_truth_is_the_test_frames(subject, tmp_path):
    done = predict("ground-truth", subject, tmp_path / "p")
    for frame, row in zip(done.frames(), subject.frames("val")[:-1], strict=True):
        np.testing.assert_array_equal(frame, subject.gt(row.img_id))


def test_mean_frame(subject, tmp_path):
    frames = list(predict("mean-frame", subject, tmp_path / "p").frames())
    mean = np.mean([subject.gt(i).astype(float) for i in range(40)], axis=0)
    assert np.abs(frames[0] - mean).max() <= 0.5 + 1e-9
    assert all((f == frames[0]).all() for f in frames)


def test_nearest_pose_is_a_training_frame_of_that_pose(subject, tmp_path):
    train, test = subject.frames("train")[:40], subject.frames("val")[:-1]
    for frame, row in zip(predict("nearest-pose", subject, tmp_path / "p").frames(), test, strict=True):
        angles = [np.arccos(np.clip((np.trace(t.c2w[:3, :3].T @ row.c2w[:3, :3]) - 1) / 2, -1, 1)) for t in train]
        chosen = [t for t in train if (subject.gt(t.img_id) == frame).all()]
        assert len(chosen) == 1, "not a training frame"
        assert angles[train.index(chosen[0])] < min(angles) + 0.03


def test_nearest_rows_by_hand():
    keys, queries = np.array([[0.0, 0], [1, 0], [5, 5]]), np.array([[0.4, 0], [0.6, 0], [9, 9], [0.5, 0]])
    assert nearest_rows(keys, queries).tolist() == [0, 1, 2, 0]


def test_h264_is_close_but_not_equal(subject, tmp_path):
    frames = np.stack(list(predict("ground-truth-h264", subject, tmp_path / "p").frames())).astype(float)
    truth = np.stack([subject.gt(row.img_id) for row in subject.frames("val")[:-1]])
    error = ((frames - truth) ** 2).mean()
    assert 0 < error < 100


def test_clip_sound_starts_with_its_frames(subject):
    whole = read_audio(subject.layout.audio)
    rows = subject.frames("val")
    np.testing.assert_array_equal(clip_sound(subject, rows[5:10]), whole[65 * 640:70 * 640])
    assert clip_sound(subject, rows).size == 31 * 640


def test_not_a_floor():
    with pytest.raises(UserError, match="'instag' is no floor; choose one of ground-truth"):
        floor("instag")
