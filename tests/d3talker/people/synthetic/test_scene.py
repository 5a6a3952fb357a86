"""People, their motion and their pictures."""

from __future__ import annotations

import numpy as np
import pytest

from d3talker.people.audio.speech import Phoneme
from d3talker.people.head.embedded import embedded_head
from d3talker.people.subject.palette import Label
from d3talker.people.synthetic.acting import Style, perform, rotation
from d3talker.people.synthetic.looks import draw_look
from d3talker.people.synthetic.scene import CAMERA, Scene

FACE = embedded_head()
SIZE = 96
SPEECH = [Phoneme(s, 0.15 * i, 0.15 * (i + 1)) for i, s in enumerate("bˈamilu")]


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A person at a small size."""
    return Scene(FACE, draw_look(3, 1, FACE), SIZE)


def act(frames: int = 50, seed: int = 0) -> object:
    """A short performance."""
    return perform(SPEECH, frames, FACE, Style(), CAMERA, np.random.default_rng(seed))


def test_performance_is_in_range_smooth_and_seeded() -> None:
    p, again = act(200), act(200)
    assert np.array_equal(p.expression, again.expression) and np.array_equal(p.euler, again.euler)
    assert p.expression.min() >= 0 and p.expression.max() <= 1
    assert np.degrees(np.abs(np.diff(p.euler, axis=0))).max() < 4 and np.degrees(np.abs(p.euler)).max() < 40
    assert np.abs(p.translation - CAMERA).max() < 0.08
    blink = p.expression[:, FACE.expression_names.index("blink_left")]
    assert blink.max() > 0.9 and np.median(blink) < 0.3


def test_rotation_follows_the_official_convention() -> None:
    a, b, c = 0.1, -0.2, 0.3
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), np.sin(c), 0], [-np.sin(c), np.cos(c), 0], [0, 0, 1]])
    assert np.allclose(rotation(np.array([[a, b, c]]))[0], x @ y @ z)


def test_pictures_show_all_parts(scene: Scene) -> None:
    pictures = scene.render(act(), slice(10, 14))
    assert pictures.image.shape == (4, SIZE, SIZE, 3) and pictures.image.dtype == np.uint8
    share = {label: float(np.mean(pictures.labels == label)) for label in Label}
    for label, least in (
        (Label.BACKGROUND, 0.2),
        (Label.FACE, 0.08),
        (Label.HAIR, 0.02),
        (Label.NECK, 0.01),
        (Label.TORSO, 0.03),
    ):
        assert share[label] > least, label.name
    assert (pictures.labels == Label.MOUTH).any()
    assert not pictures.teeth[pictures.labels != Label.MOUTH].any()


def test_depth_normals_and_labels_agree(scene: Scene) -> None:
    p = scene.render(act(), slice(0, 2))
    seen = p.labels != Label.BACKGROUND
    assert np.array_equal(seen, p.depth > 0)
    assert np.allclose(np.linalg.norm(p.normals[seen], axis=-1), 1, atol=1e-3)
    assert 0.6 < p.depth[seen].min() < p.depth[seen].max() < 1.1
    assert p.normals[p.labels == Label.FACE][:, 2].mean() > 0.5  # the face looks at the camera


def test_depth_at_the_nose_is_the_projected_vertex(scene: Scene) -> None:
    performance = act()
    p = scene.render(performance, slice(5, 6))
    vertices = FACE.vertices(scene.look.identity, performance.expression[5])
    nose = performance.rotation[5] @ vertices[FACE.landmarks[30]] + performance.translation[5]
    x, y, depth = scene.project(nose, SIZE)
    assert np.allclose(p.landmarks[0, 30], (x, y), atol=1e-3)
    assert abs(p.depth[0, round(y), round(x)] - depth) < 0.003


def test_torso_picture_matches_where_no_head_is(scene: Scene) -> None:
    p = scene.render(act(), slice(0, 1))
    inner = (p.labels[0] == Label.TORSO) & (p.torso[0, ..., 3] == 255)
    assert inner.mean() > 0.02
    assert np.abs(p.image[0][inner].astype(int) - p.torso[0][inner][:, :3]).max() <= 60  # frayed hair may cross it
    assert np.median(np.abs(p.image[0][inner].astype(int) - p.torso[0][inner][:, :3])) <= 1
    assert (p.torso[0][p.labels[0] == Label.BACKGROUND][:, 3] < 255).mean() > 0.99


def test_background_is_where_nothing_is(scene: Scene) -> None:
    p = scene.render(act(), slice(0, 1))
    corner = (slice(0, 8), slice(0, 8))
    assert np.array_equal(p.image[0][corner], scene.background[corner])


def test_frames_do_not_depend_on_the_batch(scene: Scene) -> None:
    performance = act()
    together, alone = scene.render(performance, slice(3, 8)), scene.render(performance, slice(6, 7))
    assert np.array_equal(together.image[3], alone.image[0]) and np.array_equal(together.labels[3], alone.labels[0])


def test_people_of_a_group_differ() -> None:
    looks = [draw_look(0, i, FACE) for i in range(7)]
    assert len({look.voice for look in looks}) == 7 and len({look.voice.language.split("-")[0] for look in looks}) >= 4
    assert len({look.skin for look in looks}) == 7 and {look.feminine for look in looks} == {True, False}
    distances = [np.linalg.norm(a.identity - b.identity) for i, a in enumerate(looks) for b in looks[:i]]
    assert min(distances) > 2
    assert draw_look(0, 2, FACE).voice == looks[2].voice and draw_look(1, 2, FACE).voice != looks[2].voice
