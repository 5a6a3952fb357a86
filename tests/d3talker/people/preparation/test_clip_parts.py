"""Crop, parser, background, torso strips and eye signal on small hand-made inputs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from d3talker.people.head.embedded import embedded_head
from d3talker.people.preparation.clip import THOROUGH, Crop, Scan, _Follower, choose_crop
from d3talker.people.preparation.parsing import SIDE, Parser, Placement, label_image
from d3talker.people.preparation.torso import ground_truth, static_background, torso_image
from d3talker.people.subject.action_units import BLINK_MAX, COLUMNS
from d3talker.people.subject.eyes import action_units
from d3talker.people.subject.landmarks import LandmarkDetector
from d3talker.people.subject.layout import Subject
from d3talker.people.subject.palette import Label

FRONT = embedded_head().landmark_basis()[0].astype(float)


def landmarks(centre: tuple[float, float], scale: float) -> np.ndarray:
    """The mean face's landmarks [68, 2], frontal; scale in pixels a metre."""
    return np.array(centre) + FRONT[:, :2] * (scale, -scale)


@pytest.mark.parametrize("size", [64, 100, 128, 300])
def test_crop_maps_points_as_it_maps_pictures(size):
    y, x = np.mgrid[:300, :400]
    frame = np.repeat((255 * np.exp(-((x - 190.3) ** 2 + (y - 141.7) ** 2) / 300))[..., None], 3, -1).astype(np.uint8)
    crop = Crop(60, 20, 200)
    cut = crop.apply(frame, size)[..., 0].astype(float)
    assert cut.shape == (size, size)
    v, u = np.mgrid[:size, :size]
    seen = np.array([(u * cut).sum(), (v * cut).sum()]) / cut.sum()
    np.testing.assert_allclose(crop.map(np.array([190.3, 141.7]), size), seen, atol=0.08)


def test_head_crops_stay_whole_and_wide_shots_are_cut():
    head = np.stack([landmarks((256 + 3 * np.sin(t), 300), 1700) for t in range(60)])
    assert choose_crop(Scan(head, 512, 512)) == Crop(0, 0, 512)
    wide = np.stack([landmarks((1300 + t, 400), 1100) for t in range(60)])
    wide[5] = np.nan
    crop = choose_crop(Scan(wide, 1080, 1920))
    assert 300 < crop.side < 700 and crop.x >= 0 and crop.x + crop.side <= 1920 and crop.y >= 0 and crop.y + crop.side <= 1080
    inside = crop.map(wide[~np.isnan(wide[:, 0, 0])], 512)
    assert inside.min() > 0 and inside.max() < 512 and 0.3 < np.ptp(inside[0, :, 0]) / 512 < 0.7


def test_a_face_in_4k_is_found_and_cut_out(person):
    pytest.importorskip("dlib")
    subject = Subject(person)
    small, truth = subject.original(3), subject.landmarks([3])[0]
    frame = np.zeros((2160, 3840, 3), np.uint8)
    frame[600:1800, 1200:2400] = cv2.resize(small, (1200, 1200), interpolation=cv2.INTER_CUBIC)
    points = _Follower(LandmarkDetector(), THOROUGH).next(frame)
    expected = (truth + 0.5) * (1200 / small.shape[0]) - 0.5 + (1200, 600)
    assert np.median(np.linalg.norm(points - expected, axis=-1)) < 0.03 * 1200
    crop = choose_crop(Scan(points[None].repeat(50, 0), 2160, 3840))
    assert 900 < crop.side < 2160 and crop.apply(frame, 128).shape == (128, 128, 3)


def scene(shift: int, seed: int) -> tuple[np.ndarray, np.ndarray, Placement]:
    """A cartoon of a person that moves sideways before a striped wall: picture, truth, placement."""
    rng, grid = np.random.default_rng(seed), np.mgrid[:SIDE, :SIDE]
    y, x = grid[0], grid[1] - shift
    truth = np.full((SIDE, SIDE), Label.BACKGROUND, np.uint8)
    truth[(np.abs(x - 128) < 70 + (y - 200)) & (y > 200)] = Label.TORSO
    truth[(np.abs(x - 128) < 28) & (y > 150) & (y < 215)] = Label.NECK
    truth[((x - 128) / 58) ** 2 + ((y - 95) / 72) ** 2 < 1] = Label.HAIR
    truth[((x - 128) / 46) ** 2 + ((y - 115) / 62) ** 2 < 1] = Label.FACE
    colours = {Label.BACKGROUND: (60, 110, 90), Label.FACE: (205, 160, 135), Label.HAIR: (70, 45, 35), Label.NECK: (185, 140, 118), Label.TORSO: (40, 50, 120)}
    table = np.array([colours.get(label, (0, 0, 0)) for label in Label], float)
    picture = table[truth] + rng.normal(0, 6, (SIDE, SIDE, 3))
    picture[truth == Label.BACKGROUND] += 25 * np.sin(grid[1] / 9)[truth == Label.BACKGROUND, None]
    return picture.clip(0, 255).astype(np.uint8), truth, Placement.of(landmarks((128 + shift, 115), 560))


def test_parser_mends_bad_first_labels_and_follows_the_head():
    images, truths, places = zip(*[scene(shift, k) for k, shift in enumerate(np.linspace(-12, 12, 12).astype(int))])
    rough = np.stack(truths)
    rough[0][:, :110] = Label.BACKGROUND  # a person half lost
    rough[1][180:][rough[1][180:] != Label.BACKGROUND] = Label.HAIR
    rough[2] = cv2.dilate((rough[2] != 0).astype(np.uint8), np.ones((25, 25), np.uint8)) * Label.TORSO  # far too much
    parser = Parser(np.stack(images), rough, list(places))
    picture, truth, place = scene(17, 99)  # further out than any frame it learnt from
    labels = label_image(parser.probabilities(picture, place), place, np.zeros((8, 2)), SIDE)
    for label in (Label.BACKGROUND, Label.FACE, Label.HAIR, Label.TORSO):
        a, b = labels == label, truth == label
        assert (a & b).sum() / (a | b).sum() > 0.9, label
    big = cv2.resize(picture, (2 * SIDE, 2 * SIDE), interpolation=cv2.INTER_LINEAR)
    fine = label_image(parser.probabilities(big, place), place, np.zeros((8, 2)), 2 * SIDE)
    assert (fine[::2, ::2] == labels).mean() > 0.97


def test_mouth_is_what_the_lips_enclose():
    picture, truth, place = scene(0, 0)
    probabilities = np.stack([(truth == label).astype(np.float32) for label in (0, 1, 3, 4, 5)])
    lips = np.array([[110, 140], [120, 134], [128, 133], [136, 134], [146, 140], [136, 148], [128, 149], [120, 148]], float)
    labels = label_image(probabilities, place, lips, SIDE)
    area = 0.5 * abs(np.dot(lips[:, 0], np.roll(lips[:, 1], 1)) - np.dot(lips[:, 1], np.roll(lips[:, 0], 1)))
    assert abs((labels == Label.MOUTH).sum() / area - 1) < 0.08
    outside = labels != Label.MOUTH
    np.testing.assert_array_equal(labels[outside], truth[outside])


def test_background_is_what_stands_still_behind():
    wall = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    images, labels = [], []
    for k in range(9):
        label = np.zeros((64, 64), np.uint8)
        label[20:, 10 + 4 * k:20 + 4 * k] = Label.TORSO
        images.append(np.where(label[..., None] > 0, np.uint8(255), wall))
        labels.append(label)
    np.testing.assert_array_equal(static_background(images, labels), wall)
    truth = ground_truth(images[0], labels[0], wall // 2)
    np.testing.assert_array_equal(truth[labels[0] > 0], 255)
    np.testing.assert_array_equal(truth[labels[0] == 0], (wall // 2)[labels[0] == 0])
    always = [np.full((64, 64), Label.TORSO, np.uint8)] * 3
    assert static_background(images[:3], always).shape == (64, 64, 3)  # nothing seen: no crash


def test_strips_rise_behind_the_head_only():
    labels = np.zeros((128, 128), np.uint8)
    labels[40:80, 40:88] = Label.FACE
    labels[80:95, 50:78] = Label.NECK
    labels[95:, 20:108] = Label.TORSO
    picture = np.zeros((128, 128, 3), np.uint8)
    picture[labels == Label.NECK], picture[labels == Label.TORSO], picture[labels == Label.FACE] = (150, 100, 80), (20, 30, 200), (255, 255, 0)
    torso = torso_image(picture, labels, np.zeros_like(picture))
    alpha = torso[..., 3] > 0
    assert alpha[labels == Label.TORSO].all() and alpha[labels == Label.NECK].all()
    assert not alpha[:, :20].any() and not alpha[:60].any() and not alpha[60:95, 40:50].any()
    strip = alpha & (labels == Label.FACE)
    assert strip[70:80, 50:78].all()  # 53 rows at 512 are 13 here
    assert (torso[..., 0][strip] < 160).all() and (torso[..., 2][strip] < 100).all()  # neck's colour, darkening upwards
    assert torso[79, 64, 0] > torso[70, 64, 0] > 0 and not torso[~alpha].any()


def test_a_blink_is_seen_and_missing_coefficients_are_zero():
    points = np.stack([landmarks((64, 64), 500)] * 40)
    for first in (36, 42):
        points[20:24, first + 1:first + 3, 1] = points[20:24, [first]][:, :, 1]
        points[20:24, first + 4:first + 6, 1] = points[20:24, [first]][:, :, 1]
    expression = np.zeros((40, 2))
    expression[:, 1] = 0.5
    units = action_units(points, expression, ("jaw_open", "brow_down"))
    assert units.shape == (40, len(COLUMNS))
    assert units[21:23, -1].min() == BLINK_MAX and units[:18, -1].max() == units[27:, -1].max() == 0
    np.testing.assert_allclose(units[:, COLUMNS.index("AU04_r")], 2.5)
    assert not units[:, COLUMNS.index("AU01_r")].any()
