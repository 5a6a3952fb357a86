"""Folders and videos of predictions as people leave them: right with every frame in place, or refused with the cause."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from baselines.outputs.importing import ImportConfig, run
from baselines.sample import picture, pose, sample_subject
from d3talker.errors import UserError
from d3talker.people.media.predictions import Predictions
from d3talker.people.media.video import VideoWriter
from d3talker.people.subject import palette
from d3talker.people.subject.layout import Frame, Layout, Subject, transforms, write_image

VAL = range(60, 90)


def protocol_test(subject):
    return subject.frames("val")[:-1]


def images(folder: Path, frames: list[np.ndarray], name: str = "{:04d}.png", numbers=None) -> Path:
    folder.mkdir(parents=True)
    for k, frame in zip(numbers or range(len(frames)), frames):
        path = str(folder / name.format(k))
        order = cv2.COLOR_RGBA2BGRA if frame.ndim == 3 and frame.shape[2] == 4 else cv2.COLOR_RGB2BGR
        cv2.imwrite(path, frame if frame.ndim == 2 else cv2.cvtColor(frame, order), [cv2.IMWRITE_WEBP_QUALITY, 101])
    return folder


def bring(folder: Path, subject: Subject, kind: str = "folder", **options) -> Predictions:
    out = folder.parent / "out"
    run(ImportConfig(kind, folder, subject.root, out, name="x", torso_mode="gt", **options), protocol_test)
    return Predictions(out)


def refuse(folder: Path, subject: Subject, match: str, kind: str = "folder") -> None:
    with pytest.raises(UserError, match=match) as caught:
        bring(folder, subject, kind)
    assert "\n" not in str(caught.value) and not (folder.parent / "out").exists()


@pytest.mark.parametrize(("suffix", "lossless"), [("png", True), ("bmp", True), ("webp", False), ("tif", False)])
def test_any_kind_of_image(tmp_path, subject, rendering, suffix, lossless):
    frames = rendering(VAL)
    made = bring(images(tmp_path / "r", frames, "{:04d}." + suffix), subject)
    assert made.manifest.lossless == lossless
    np.testing.assert_array_equal(next(made.frames()), frames[0])


def test_sixteen_bits_and_an_opaque_alpha_are_read_right(tmp_path, subject, rendering):
    frames = rendering(VAL)
    deep = bring(images(tmp_path / "a" / "r", [f.astype(np.uint16) * 257 for f in frames]), subject)
    np.testing.assert_array_equal(next(deep.frames()), frames[0])
    opaque = [np.dstack([f, np.full(f.shape[:2], 255, np.uint8)]) for f in frames]
    np.testing.assert_array_equal(next(bring(images(tmp_path / "b" / "r", opaque), subject).frames()), frames[0])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda f: np.dstack([f, np.full(f.shape[:2], 90, np.uint8)]), "transparent parts; lay it over the background"),
        (lambda f: f.mean(-1).astype(np.uint8), "is grey"),
        (lambda f: f.astype(np.uint16) * 4, "16 bits a channel but no value above"),
    ],
)
def test_what_is_no_colour_picture_is_refused(tmp_path, subject, rendering, change, match):
    refuse(images(tmp_path / "r", [change(f) for f in rendering(VAL)]), subject, match)


def test_numbers_that_are_missing_mixed_or_double(tmp_path, subject, rendering):
    frames = rendering(range(60, 91))
    numbers = [k for k in range(32) if k != 15]
    refuse(images(tmp_path / "a" / "r", frames, numbers=numbers), subject, "lacks image 15: all that follow")
    mixed = images(tmp_path / "b" / "r", frames[:30])
    images(tmp_path / "b" / "x", frames[:1], "depth_{:03d}.png")
    (tmp_path / "b" / "x" / "depth_000.png").rename(mixed / "depth_000.png")
    refuse(mixed, subject, r"named like 0000.png and like depth_000.png|named like depth_000.png and like 0000.png")
    double = images(tmp_path / "c" / "r", frames[:30])
    images(tmp_path / "c" / "x", frames[:1], "{:02d}.png")
    (tmp_path / "c" / "x" / "00.png").rename(double / "00.png")
    refuse(double, subject, "twice the same number")
    bare = images(tmp_path / "d" / "r", frames[:30])
    (bare / "0000.png").rename(bare / "first.png")
    refuse(bare, subject, "no number in its name")


def test_an_encoder_that_goes_up_to_sixteen(tmp_path, rendering):
    odd = sample_subject(tmp_path / "odd")
    for row in odd.frames("train") + odd.frames("val"):
        image, parts = picture(row.img_id)
        write_image(odd.layout.image("gt_imgs", row.img_id, ".png"), image[:45, :60])
        write_image(odd.layout.image("parsing", row.img_id, ".png"), palette.encode(parts)[:45, :60])
    clip = images(tmp_path / "r", [cv2.resize(picture(i)[0][:45, :60], (64, 48)) for i in VAL])
    refuse(clip, odd, "multiples of 16")


@pytest.fixture(scope="module")
def long_subject(tmp_path_factory) -> Subject:
    """200 frames to test, so that a slip midway leaves enough on both sides."""
    return sample_subject(tmp_path_factory.mktemp("long") / "long", 60, 201)


@pytest.mark.parametrize("at", [60, 100, 140])
def test_a_frame_lost_midway_in_a_video(tmp_path, long_subject, at):
    """One frame is lost and the last one doubled, so that the count fits."""
    ids = [i for i in range(60, 260) if i != 60 + at]
    video = tmp_path / "clip.mkv"
    with VideoWriter(video, codec="ffv1") as writer:
        for i in [*ids, ids[-1]]:
            writer.write(picture(i)[0])
    refuse(video, long_subject, r"goes off by \+1: a frame is missing or doubled there", "video")


def test_a_right_import_of_a_folder_with_gaps(tmp_path, rendering):
    """The face was lost in five frames of the test: one picture a row, named by place or by id."""
    gaps = sample_subject(tmp_path / "gaps", 60, 41)
    ids = [i for i in range(101) if i not in range(75, 80)]
    for split, part in (("train", ids[:60]), ("val", ids[60:])):
        rows = [Frame(i, i, pose(i)) for i in part]
        Layout(gaps.root).transforms(split).write_text(json.dumps(transforms(120.0, (48, 64), rows)))
    test = [row.img_id for row in protocol_test(gaps)]
    frames = [picture(i)[0] for i in test]
    for place, numbers in (("a", range(len(test))), ("b", test)):
        made = bring(images(tmp_path / place / "r", frames, numbers=numbers), gaps)
        assert any("alignment verified: best shift 0" in text for text in made.manifest.checks)
        assert any("5 frames are missing" in note for note in made.manifest.notes)
        np.testing.assert_array_equal(list(made.frames())[20], gaps.gt(test[20]))


def test_ten_bit_video(tmp_path, subject):
    """Ten bits a channel come back within a grey level or two of the eight-bit picture."""
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p10le"
        for k, i in enumerate(VAL):
            frame = av.VideoFrame.from_ndarray(picture(i)[0], format="rgb24").reformat(format="yuv444p10le")
            frame.pts, frame.time_base = k, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    made = bring(path, subject, "video")
    assert np.abs(next(made.frames()).astype(int) - picture(60)[0]).max() <= 3
