"""Budget copies hold exactly the frames of the budget, in the form that each code reads."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baselines.methods.dfrf_data import REFERENCES, bounds, copy_dfrf, with_boxes
from baselines.official.budget import copy_family, copy_gaussiantalker, copy_talkinggaussian_colours, cut
from baselines.sample import sample_subject
from d3talker.errors import UserError
from d3talker.files import read_json
from d3talker.people.media.video import read_audio
from d3talker.people.subject import palette
from d3talker.people.subject.layout import Frame, Label, Subject, write_image, write_landmarks
from d3talker.people.subject.sound import clip_sound


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Subject:
    subject = sample_subject(tmp_path_factory.mktemp("budget") / "tiny", train=260, val=3)
    rng = np.random.default_rng(0)
    write_image(subject.root / "bc.jpg", np.full((48, 64, 3), 120, np.uint8))
    for row in subject.frames("train") + subject.frames("val"):
        write_landmarks(subject.root / "ori_imgs" / f"{row.img_id}.lms", rng.uniform((10, 8), (54, 40), (68, 2)))
        write_image(subject.root / "torso_imgs" / f"{row.img_id}.png", np.full((48, 64, 4), 200, np.uint8))
    return subject


def ids(path):
    return [row["img_id"] for row in json.loads(path.read_text())["frames"]]


@given(st.integers(1, 40), st.integers(1, 40))
def test_cut_keeps_the_first_frames_and_unknown_keys(total, wanted):
    content = {"cx": 1, "more": "kept", "frames": [{"img_id": i, "face_rect": [i]} for i in range(total)]}
    train = [Frame(i, i, np.eye(4)) for i in range(wanted)]
    if wanted > total:
        with pytest.raises(UserError, match=f"has {total} of the budget's {wanted} frames"):
            cut(content, train)
        return
    done = cut(content, train)
    assert done["frames"] == content["frames"][:wanted] and done["more"] == "kept"
    assert len(content["frames"]) == total


def test_family_copy(source, tmp_path):
    (source.root / "fused.ply").write_text("stale")
    copy_family(source, source.frames("train")[:125], tmp_path / "copy")
    copy = tmp_path / "copy"
    assert ids(copy / "transforms_train.json") == list(range(125))
    assert ids(copy / "transforms_val.json") == [260, 261, 262]
    assert not (copy / "fused.ply").exists() and not (copy / "fused.ply").is_symlink()
    for name in ("aud.npy", "aud_ds.npy"):
        np.testing.assert_array_equal(np.load(copy / name), source.features("deepspeech"))
    for img_id in (0, 124, 262):
        jpeg = cv2.imread(str(copy / "gt_imgs" / f"{img_id}.jpg"))[..., ::-1]
        assert np.abs(jpeg.astype(int) - source.gt(img_id)).max() <= 12
        landmarks = f"ori_imgs/{img_id}.lms"
        assert (copy / landmarks).read_text() == (source.root / landmarks).read_text()
    assert not (copy / "gt_imgs" / "125.jpg").exists(), "a frame beyond the budget was copied"
    assert Subject(copy).frames("train")[7].c2w == pytest.approx(source.frames("train")[7].c2w)


def test_gaussiantalker_copy(source, tmp_path):
    copy = tmp_path / "copy"
    copy_gaussiantalker(source, source.frames("train")[:30], copy)
    for img_id in (0, 29, 261):
        before = palette.decode(cv2.imread(str(source.root / "parsing" / f"{img_id}.png"))[..., ::-1])
        image = cv2.imread(str(copy / "parsing" / f"{img_id}.png"))
        head = (image == (255, 0, 0)).all(-1)  # as its scene/dataset.py:70 asks, BGR
        np.testing.assert_array_equal(head, np.isin(before, (Label.FACE, Label.HAIR, Label.MOUTH)))
    heard, meant = read_audio(copy / "aud_novel.wav"), clip_sound(source, source.frames("val"))
    np.testing.assert_allclose(heard, meant, atol=1e-4)
    assert read_audio(copy / "aud_train.wav").size == 30 * 640


def test_wrong_palette_is_refused_before_training(source, tmp_path):
    copy_gaussiantalker(source, source.frames("train")[:30], tmp_path / "adnerf")
    with pytest.raises(UserError, match="is in AD-NeRF's colours, which hide hair and mouth"):
        copy_talkinggaussian_colours(
            Subject(tmp_path / "adnerf"), source.frames("train")[:25], tmp_path / "copy"
        )
    assert copy_talkinggaussian_colours(source, source.frames("train")[:25], tmp_path / "copy") == []


def test_deepspeech_is_needed(source, tmp_path):
    copy_family(source, source.frames("train")[:25], tmp_path / "copy")
    for name in ("aud.npy", "aud_ds.npy"):
        (tmp_path / "copy" / name).unlink()
    with pytest.raises(UserError, match="deepspeech"):
        copy_family(Subject(tmp_path / "copy"), source.frames("train")[:25], tmp_path / "again")


@pytest.mark.parametrize(("frames", "shown"), [(125, [50, 100, 25, 75]), (150, [50, 100, 0, 50]), (250, None)])
def test_dfrf_copy(frames, shown, source, tmp_path):
    notes = copy_dfrf(source, source.frames("train")[:frames], tmp_path / "copy")
    train, render = tmp_path / "copy" / "train", tmp_path / "copy" / "render" / "0"
    assert [p.name for p in train.iterdir()] == ["0"]
    assert ids(train / "0" / "transforms_train.json") == list(range(frames))
    looked_at = [ids(render / "transforms_train.json")[k] for k in REFERENCES]
    assert looked_at == (shown or list(REFERENCES)) and max(looked_at) < frames
    assert bool(notes) == (shown is not None)
    assert ids(render / "transforms_val.json") == [260, 261, 262]
    assert (render / "com_imgs" / "262.jpg").is_file() and (render / "torso_imgs" / "0.jpg").is_file()
    options = dict(line.split(" = ") for line in (tmp_path / "copy" / "render.txt").read_text().splitlines())
    assert options["with_test"] == "1" and options["N_importance"] == "64"
    assert float(options["far"]) - float(options["near"]) == pytest.approx(0.6)


def test_dfrf_planes_are_around_the_heads_distance():
    """The head sits at the origin, the camera 0.75 away from it."""
    turn = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    frames = []
    for rotation in (np.eye(3), turn):
        c2w = np.eye(4)
        c2w[:3, :3], c2w[:3, 3] = rotation, rotation @ (0, 0, 0.75)
        frames.append(Frame(0, 0, c2w))
    assert bounds(frames) == pytest.approx((0.55, 1.15))


def test_dfrf_boxes_by_hand(source, tmp_path):
    points = np.full((68, 2), 30.0)
    points[0], points[16], points[27], points[8] = (20, 25), (40, 25), (30, 20), (30, 40)
    points[54], points[66], points[57] = (35, 30), (30, 31), (30, 36)
    path = source.root / "ori_imgs" / "0.lms"
    before = path.read_text()
    write_landmarks(path, points)
    content = with_boxes({"frames": read_json(source.layout.transforms("train"))["frames"][:1]}, source)
    path.write_text(before)
    row = content["frames"][0]
    # centre 30; half width int(10 * 1.5) = 15; from the nose root 20, half height int(20 * 1.15) = 23, cut at the top
    assert row["face_rect"] == [15, 0, 30, 46]
    # half width int(5 * 1.2) = 6; from the lip's point 31, half height int(5 * 1.2) = 6
    assert row["lip_rect"] == [24, 25, 12, 12]
    assert row["img_id"] == 0 and "transform_matrix" in row
