"""The tracker against landmarks projected from a known head, and the corner tracks that steady it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from d3talker.people.head.embedded import embedded_head
from d3talker.people.preparation.flow import choose_references, find_tracks
from d3talker.people.preparation.focal import find_focal, varied_frames
from d3talker.people.preparation.tracking import RigidTracks, Track, fit_track, rotations

FRAMES, FOCAL = 60, 1300.0


@pytest.fixture(scope="module")
def truth() -> Track:
    face, rng, t = embedded_head(), np.random.default_rng(0), np.arange(FRAMES)
    euler = 0.12 * np.stack([np.sin(t / 9), np.sin(t / 13 + 1), 0.4 * np.sin(t / 17 + 2)], 1)
    move = np.stack([0.02 * np.sin(t / 11), 0.01 * np.cos(t / 14), -0.9 + 0.03 * np.sin(t / 20)], 1)
    expression = np.zeros((FRAMES, len(face.expression_names)))
    expression[:, 0] = 0.3 + 0.25 * np.sin(t / 2.0)
    return Track(
        FOCAL, 0.7 * rng.normal(size=len(face.identity_names)), np.zeros((68, 3)), expression, euler, move,
        np.zeros((FRAMES, 68, 2)), np.zeros(FRAMES),
    )


def project(places: np.ndarray, truth: Track) -> np.ndarray:
    """[T or 1, K, 3] metres -> [T, K, 2] pixels."""
    camera = np.einsum("tij,tkj->tki", truth.rotation, np.broadcast_to(places, (FRAMES, *places.shape[1:])))
    camera = camera + truth.translation[:, None]
    return 256 + FOCAL * camera[..., :2] * (1, -1) / -camera[..., 2:]


@pytest.fixture(scope="module")
def landmarks(truth: Track) -> np.ndarray:
    face = embedded_head()
    clean = project(face.vertices(truth.identity, truth.expression)[:, face.landmarks].astype(float), truth)
    return clean + np.random.default_rng(1).normal(0, 0.6, clean.shape)


def turn_error(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angles in degrees between rotations, their constant part removed."""
    between = np.einsum("tij,tkj->tik", a, b)
    u, _, v = np.linalg.svd(between.sum(0))
    left = np.einsum("ji,tjk->tik", u @ v, between)
    return np.degrees(np.arccos(np.clip((np.trace(left, axis1=1, axis2=2) - 1) / 2, -1, 1)))


def test_pose_and_expression_are_found(truth, landmarks):
    track = fit_track(landmarks, embedded_head())
    assert track.errors.mean() < 1.0 and turn_error(track.rotation, truth.rotation).mean() < 1.2
    assert np.corrcoef(track.expression[:, 0], truth.expression[:, 0])[0, 1] > 0.9  # the jaw
    distance, true = -track.translation[:, 2] / track.focal, -truth.translation[:, 2] / truth.focal
    assert np.corrcoef(distance, true)[0, 1] > 0.98 and abs(distance.mean() / true.mean() - 1) < 0.06
    c2w = track.c2w
    np.testing.assert_allclose(c2w[:, :3, :3] @ track.translation[..., None] + c2w[:, :3, 3:], 0, atol=1e-9)


def test_focal_length_is_found_whatever_the_start(truth):
    """The same head filmed from 0.5 and 1.8 m with lenses that make it equally large."""
    face = embedded_head()
    shape = face.vertices(truth.identity, truth.expression)[:, face.landmarks].astype(float)
    noise = np.random.default_rng(4).normal(0, 0.6, (FRAMES, 68, 2))
    found = []
    for focal, start in ((750.0, 1600.0), (2600.0, 1600.0), (2600.0, 900.0)):
        away = truth.translation * (1, 1, focal / FOCAL)
        camera = np.einsum("tij,tkj->tki", truth.rotation, shape) + away[:, None]
        points = 256 + focal * camera[..., :2] * (1, -1) / -camera[..., 2:] + noise
        found.append(find_focal(points, face, fit_track(points, face, steps=60, focal=start)))
    assert abs(np.log(found[1] / found[2])) < 0.15
    assert np.abs(np.log(np.array(found) / (750, 2600, 2600))).max() < 0.5  # flat beyond: the prior pulls to 1200


def test_a_lasting_shape_is_no_expression(truth, landmarks):
    """Lips that always stand 4 mm higher belong to the face's shape."""
    higher = landmarks.copy()
    higher[:, 48:, 1] -= 0.004 * FOCAL / 0.9
    track = fit_track(higher, embedded_head(), steps=120)
    moved = np.einsum("te,ekc->tkc", track.expression, embedded_head().landmark_basis()[2].astype(float))
    true = np.einsum("te,ekc->tkc", truth.expression, embedded_head().landmark_basis()[2].astype(float))
    assert np.linalg.norm((moved - true)[:, 48:].mean(0), axis=-1).mean() < 1.5e-3


def test_varied_frames_hold_the_extremes_and_only_usable_ones():
    euler = 0.3 * np.random.default_rng(5).normal(size=(400, 3))
    usable = np.arange(400) % 3 > 0
    chosen = varied_frames(euler, usable)
    assert usable[chosen].all() and len(set(chosen)) == len(chosen) <= 90
    for angle in (0, 1):
        assert {euler[usable, angle].argmin(), euler[usable, angle].argmax()} <= set(np.searchsorted(np.flatnonzero(usable), chosen))


def test_lost_frames_are_bridged(truth, landmarks):
    holed = landmarks.copy()
    holed[20:26] = np.nan
    track = fit_track(holed, embedded_head())
    assert np.isnan(track.errors[20:26]).all() and np.isfinite(track.errors[:20]).all()
    assert turn_error(track.rotation, truth.rotation)[20:26].max() < 2.5


def test_corners_catch_motion_that_landmarks_alone_would_smooth_away(truth):
    face, rng, nod = embedded_head(), np.random.default_rng(2), 0.015 * np.sin(2.0 * np.arange(FRAMES))
    nodding = replace(truth, euler=truth.euler + nod[:, None] * (1, 0, 0))
    clean = project(face.vertices(truth.identity, truth.expression)[:, face.landmarks].astype(float), nodding)
    front = face.vertices(truth.identity, np.zeros(len(face.expression_names)))
    front = front[face.region_mask("skin") & (front[:, 2] > 0.05) & (front[:, 1] > 0)][::14].astype(float)
    seen = project(front[None], nodding) + rng.normal(0, 0.1, (FRAMES, len(front), 2))
    frame, point = np.divmod(np.arange(FRAMES * len(front)), len(front))
    corners = RigidTracks(frame, point, seen.reshape(-1, 2), front + rng.normal(0, 0.003, front.shape))
    alone = fit_track(clean + rng.normal(0, 0.6, clean.shape), face, steps=100, focal=FOCAL)
    both = fit_track(clean + rng.normal(0, 0.6, clean.shape), face, corners, alone, steps=200, focal=FOCAL)
    fast = np.diff(nod, 2)
    gains = [np.diff(track.euler[:, 0], 2) @ fast / (fast @ fast) for track in (alone, both)]
    assert gains[0] < 0.3 and 0.65 < gains[1] < 1.2
    assert turn_error(both.rotation, nodding.rotation).mean() < 0.6


def test_rotations_are_those_of_the_official_codes():
    a, b, c = 0.3, -0.2, 0.5
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), np.sin(c), 0], [-np.sin(c), np.cos(c), 0], [0, 0, 1]])
    np.testing.assert_allclose(rotations(np.array([[a, b, c]]))[0], x @ y @ z, atol=1e-12)


def test_references_cover_the_poses():
    yaw = np.linspace(-0.4, 0.4, 100)
    turn = rotations(np.stack([np.zeros(100), yaw, np.zeros(100)], 1))
    chosen = choose_references(turn, np.ones(100, bool))
    assert 2 <= len(chosen) <= 8 and np.abs(yaw[:, None] - yaw[chosen]).min(1).max() < 0.18
    assert choose_references(turn, yaw < 0) and max(choose_references(turn, yaw < 0)) < 50


def test_tracks_follow_the_picture(truth):
    """A picture glued to the image plane, moved by known amounts: corners are found there, not where the pose says."""
    face = embedded_head()
    noise = cv2.GaussianBlur(np.random.default_rng(3).integers(0, 255, (512, 512), dtype=np.uint8), (0, 0), 3)
    noise = cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX)
    shifts = np.array([[0, 0], [1.5, -0.75], [-2.25, 3.0], [0.5, 0.5]])
    frames = [
        cv2.cvtColor(cv2.warpAffine(noise, np.array([[1, 0, x], [0, 1, y]]), (512, 512), flags=cv2.INTER_CUBIC), cv2.COLOR_GRAY2RGB)
        for x, y in shifts
    ]
    still = Track(FOCAL, truth.identity, np.zeros((68, 3)), truth.expression[:4], np.zeros((4, 3)),
                  np.tile([0.0, 0, -0.9], (4, 1)), np.zeros((4, 68, 2)), np.zeros(4))
    points = np.tile(project(face.vertices(truth.identity, truth.expression[0])[face.landmarks][None].astype(float), truth)[:1], (4, 1, 1))
    points[3] = np.nan  # no face seen: nothing is tracked there
    tracks = find_tracks(frames, {0: frames[0]}, still, face, points)
    assert set(tracks.frame) == {0, 1, 2} and (np.bincount(tracks.frame) > 20).all()
    home = np.full((len(tracks.start), 2), np.nan)
    home[tracks.point[tracks.frame == 0]] = tracks.seen[tracks.frame == 0]
    moved = tracks.seen - home[tracks.point]
    error = np.linalg.norm(moved - shifts[tracks.frame], axis=-1)
    assert np.nanmedian(error) < 0.05 and np.nanmax(error) < 0.5
