"""Face crops for SyncNet: geometry, smoothing, gaps, and that a stream equals the whole."""

from __future__ import annotations

import numpy as np
import pytest

from eval.metrics.crops import GAP, GREY, FaceCropper, _box, crop

SQUARE = np.array([(100, 80), (164, 80), (100, 144), (164, 144)] * 17, float)  # extent 64x64 about (132, 112)
FRAMES = [np.random.default_rng(n).integers(0, 256, (240, 260, 3), dtype=np.uint8) for n in range(60)]
NOBODY = np.full((68, 2), np.nan)


def run(points):
    cropper = FaceCropper()
    crops = [made for frame, here in zip(FRAMES, points) for made in cropper.push(frame, here)]
    return cropper, crops + cropper.finish()


def test_every_frame_gives_one_crop_a_few_frames_late():
    cropper = FaceCropper()
    counts = [len(cropper.push(frame, SQUARE)) for frame in FRAMES[:20]]
    assert counts == [0] * 6 + [1] * 14 and len(cropper.finish()) == 6


def test_crop_is_the_official_rectangle():
    half, x, y = _box(SQUARE)
    assert (half, x, y) == pytest.approx((0.603 * 64, 132, 112 - 0.127 * 64))
    image = np.zeros((300, 300, 3), np.uint8)
    half, x, y = 40.0, 150.0, 140.0  # rows 100 ... 211, columns 94 ... 205: 112 px a side, doubled
    image[100:212, 94:206] = 200
    made = crop(image, half, x, y)
    assert made.shape == (224, 224, 3) and (made == 200).all()
    image[:] = 0
    image[100, 94] = 255
    assert crop(image, half, x, y)[0, 0].tolist() == [255] * 3


def test_outside_the_frame_is_grey():
    made = crop(np.zeros((100, 100, 3), np.uint8), 40, 50, 10)
    assert tuple(made[0, 112]) == GREY and not made[150, 112].any()


def test_a_single_wild_detection_is_filtered():
    points = [SQUARE] * 30
    wild = list(points)
    wild[15] = SQUARE + 40
    assert all(np.array_equal(a, b) for a, b in zip(run(points)[1], run(wild)[1]))


def test_gaps_are_bridged_in_a_line():
    cropper, crops = run([SQUARE] * 10 + [NOBODY] * 10 + [SQUARE + 22] * 20)
    assert len(crops) == 40 and not cropper.lost
    centres = np.array([box[1] for box in cropper.boxes])
    np.testing.assert_allclose(centres[9:21], np.linspace(132, 154, 12))


def test_a_long_gap_keeps_the_last_box():
    cropper, crops = run([SQUARE] * 5 + [NOBODY] * (GAP + 5) + [SQUARE + 22] * 5)
    assert len(crops) == GAP + 15
    assert {box[1] for box in cropper.boxes[:-5]} == {132} and cropper.boxes[-1][1] == 154


def test_a_late_first_face_serves_the_frames_before_it():
    cropper, crops = run([NOBODY] * GAP + [SQUARE] * 3)
    assert len(crops) == GAP + 3 and not cropper.lost


@pytest.mark.parametrize("frames", [3, GAP + 1, 50])
def test_without_a_face_there_is_no_crop(frames):
    cropper, crops = run([NOBODY] * frames)
    assert cropper.lost and crops == [] and not cropper.frames


@pytest.mark.shared
def test_calibration_reproduces_the_official_crop(shared_data):
    """The official crop of its own example is the whole frame: our box must find that rectangle again."""
    pytest.importorskip("dlib")
    from itertools import islice

    from d3talker.people.media.video import read_frames
    from d3talker.people.subject.landmarks import LandmarkDetector

    frames = islice(read_frames(shared_data / "clips" / "syncnet_example.avi"), 0, 300, 30)
    half, x, y = np.median([_box(points) for points in LandmarkDetector().track(frames)], axis=0)
    assert half == pytest.approx(80, rel=0.05) and x == pytest.approx(112, abs=5) and y == pytest.approx(80, abs=6)
