"""A clip that does not show the test frames is refused with its likely cause; what cannot be verified is said so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.outputs.alignment import align, thumbnail
from baselines.outputs.diagnosis import Counts, wrong_count
from baselines.outputs.importing import ImportConfig, run
from d3talker.errors import UserError
from d3talker.people.media.predictions import Predictions
from d3talker.people.subject.layout import write_image

VAL = range(60, 91)


def protocol_test(subject):
    return subject.frames("val")[:-1]


@pytest.fixture
def refuse(subject, tmp_path, write_h264):
    """refuse(frames, match, **options): importing these frames as a video fails with that, and writes nothing."""

    def refuse(frames, match, fps=25, **options):
        video = write_h264(tmp_path / "clip.mp4", frames, fps=fps)
        config = ImportConfig("video", video, subject.root, tmp_path / "out", name="x", torso_mode="gt", **options)
        with pytest.raises(UserError, match=match) as caught:
            run(config, protocol_test)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out").exists()
        assert {p.name for p in tmp_path.iterdir()} == {"clip.mp4"}

    return refuse


@pytest.fixture
def accept(subject, tmp_path, write_h264):
    def accept(frames, fps=25, **options):
        video = write_h264(tmp_path / "clip.mp4", frames, fps=fps)
        config = ImportConfig("video", video, subject.root, tmp_path / "out", name="x", torso_mode="gt", **options)
        run(config, protocol_test)
        return Predictions(tmp_path / "out").manifest

    return accept


@pytest.mark.parametrize(("shift", "said"), [(1, "1 later"), (-1, "1 earlier"), (-5, "5 earlier")])
def test_shifted(shift, said, rendering, refuse):
    frames = rendering([min(i + shift, 90) for i in VAL[:-1]])
    refuse(frames, f"shows frames {said} than it should .* check its split and origin")


def test_first_frame_mends_a_shift(rendering, accept, subject):
    manifest = accept(rendering(range(57, 91)), first_frame=3)
    assert manifest.frames == 30
    assert "frames 3 to 32 of the 34 rendered" in manifest.checks
    assert manifest.checks[0].startswith("alignment verified: best shift 0")


def test_thirty_fps_by_count(rendering, refuse):
    frames = rendering([60 + k * 25 // 30 for k in range(37)])
    refuse(frames, r"holds 37 frames, .* it seems to be at 30 fps; render at 25 fps")


def test_thirty_fps_in_the_container(rendering, refuse, accept):
    refuse(rendering(VAL)[:20], r"at 30 fps; render at 25 fps", fps=30)


def test_a_wrong_rate_in_the_container_alone_is_a_note(rendering, accept):
    manifest = accept(rendering(VAL), fps=30)
    assert "the container says 30 fps; its frames fit one for one" in manifest.checks


def test_frames_lost_on_the_way(rendering, refuse):
    ids = [*range(60, 75), *range(78, 91), 90, 90]
    refuse(rendering(ids), "(frames were dropped|off by .* some were lost|span|shows frames .* later)")


@pytest.mark.parametrize(
    ("frames", "cause"),
    [
        (9, "split of AD-NeRF's process.py"), (8, "split of AD-NeRF's process.py"), (46, "split of DFRF's"),
        (60, "training frames"), (59, "training frames"), (29, "dropped its last frame, and val was cut already"),
        (20, "rendering stopped early"), (70, "another split or another subject"),
    ],
)
def test_count_names_the_cause(frames, cause):
    assert cause in wrong_count(frames, Counts(60, 31, 30), 25)


def test_a_hundred_frames_are_a_training_time_validation():
    assert "while training; render with --test" in wrong_count(100, Counts(1000, 301, 300), 25)
    assert wrong_count(100, Counts(1000, 101, 100), 25) is None


@given(train=st.integers(60, 3000), val=st.integers(26, 600), found=st.integers(1, 4000))
def test_count_accepts_exactly_the_test_and_val_lengths(train, val, found):
    cause = wrong_count(found, Counts(train, val, val - 1), 25)
    assert (cause is None) == (found in (val - 1, val))


@settings(max_examples=15, deadline=None)
@given(shift=st.integers(-8, 0), noise=st.integers(0, 8), seed=st.integers(0, 9))
def test_alignment_finds_any_shift_through_noise(subject, rendering, shift, noise, seed):
    rng = np.random.default_rng(seed)
    frames = rendering(range(60 + shift, 90 + shift))
    noisy = [np.clip(f + rng.normal(0, noise, f.shape), 0, 255).astype(np.uint8) for f in frames]
    found = align(np.stack([thumbnail(f) for f in noisy]), subject, range(60, 90))
    assert found.shift == shift
    assert found.known and found.shifted == (shift != 0)


def test_a_still_clip_is_taken_with_a_note(rendering, accept):
    manifest = accept(rendering([60] * 30))
    assert manifest.notes[0] == "alignment not verified: the clip hardly moves"


def test_another_subject(subject, refuse, accept, rendering):
    strange = [np.roll(f[::-1, ::-1], 7 * k, axis=1) for k, f in enumerate(rendering(range(0, 60, 2)))]
    refuse(strange, "moves otherwise than the subject: a wrong subject, or free head motion")


def test_free_head_motion_can_be_accepted(subject, accept, rendering):
    strange = [np.roll(f[::-1, ::-1], 7 * k, axis=1) for k, f in enumerate(rendering(range(0, 60, 2)))]
    assert accept(strange, unverified=True).notes[0].startswith("alignment not verified: it moves otherwise")


def test_wrong_split_of_the_right_length(rendering, refuse):
    refuse(rendering(range(20, 50)), "it starts with frame 20, the test with 60: a wrong split")


def test_wrong_size(rendering, refuse):
    refuse([f[:40] for f in rendering(VAL)], r"is 64x40, .* is 64x48; prepare the subject at the size")


def test_images_of_several_sizes(subject, rendering, tmp_path):
    for number, frame in enumerate(rendering(VAL)):
        write_image(tmp_path / "images" / f"{number}.png", frame[:40] if number == 9 else frame)
    config = ImportConfig("folder", tmp_path / "images", subject.root, tmp_path / "out", name="x", torso_mode="gt")
    with pytest.raises(UserError, match="frame 9 is 64x40, the first 64x48"):
        run(config, protocol_test)


def test_hostile_folders(subject, rendering, write_h264, tmp_path):
    def fails(output, match, method="instag"):
        config = ImportConfig(method, output, subject.root, tmp_path / "out", name="x", torso_mode="gt")
        with pytest.raises(UserError, match=match) as caught:
            run(config, protocol_test)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out").exists()

    fails(tmp_path / "absent", "is not a folder; give the output folder")
    fails(tmp_path / "absent", "does not exist; give a video", "video")
    (tmp_path / "empty").mkdir()
    fails(tmp_path / "empty", "holds no InsTaG output")
    fails(tmp_path / "empty", "holds 0 videos and no images", "folder")
    renders = tmp_path / "run" / "test" / "ours_None" / "renders"
    renders.mkdir(parents=True)
    (renders / "out.mp4").write_bytes(b"")
    fails(tmp_path / "run", "cannot be opened")
    whole = write_h264(tmp_path / "whole.mp4", rendering(VAL)).read_bytes()
    (renders / "out.mp4").write_bytes(whole[:len(whole) // 2])
    fails(tmp_path / "run", r"cannot be opened|breaks off|holds \d+ frames")
    (tmp_path / "images").mkdir()
    for number in range(30):
        (tmp_path / "images" / f"{number}.png").write_bytes(b"not an image")
    fails(tmp_path / "images", "is not a readable image", "folder")
    fails(tmp_path / "empty", "nothing can be imported for 'mean-frame': a floor is computed", "mean-frame")
    fails(tmp_path / "empty", "the method 'nobody' is unknown; choose one of ground-truth", "nobody")


def test_nothing_foreign_is_overwritten(subject, rendering, write_h264, tmp_path):
    video = write_h264(tmp_path / "clip.mp4", rendering(VAL))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    config = ImportConfig("video", video, subject.root, tmp_path / "out", name="x", torso_mode="gt")
    with pytest.raises(UserError, match="exists and is no predictions folder"):
        run(config, protocol_test)
    assert (tmp_path / "out" / "thesis.txt").read_text() == "years of work"
