"""Each official code's output, built from the written facts with its traps, is collected pixel for pixel."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.outputs.importing import ImportConfig, run
from d3talker.errors import UserError
from d3talker.people.media.predictions import Predictions
from d3talker.people.media.video import read_frames
from d3talker.people.subject.layout import write_image
from d3talker.people.subject.sound import clip_sound

VAL = range(60, 91)


def protocol_test(subject):
    return subject.frames("val")[:-1]


@pytest.fixture
def take(subject, tmp_path):
    """take(method, output, **options) -> the imported predictions, verified."""

    def take(method, output, **options) -> Predictions:
        out = tmp_path / "predictions"
        run(ImportConfig(method, output, subject.root, out, **options), protocol_test)
        done = Predictions(out)
        done.verify()
        return done

    return take


def assert_same(done: Predictions, frames) -> None:
    for got, expected in zip(done.frames(), frames, strict=True):
        np.testing.assert_array_equal(got, expected)


def assert_sound(done: Predictions, subject) -> None:
    np.testing.assert_allclose(done.audio(), clip_sound(subject, protocol_test(subject)), atol=1e-4)


def decoded(path, count=30):
    return list(read_frames(path))[:count]


def gaussian_tree(root, frames, truth, write_h264):
    """InsTaG / TalkingGaussian: the composite, the traps beside it, and the method's own ground truth."""
    base = root / "test" / "ours_None"
    write_h264(base / "renders" / "out_face.mp4", [f // 2 for f in frames])
    write_h264(base / "renders" / "out_mouth.mp4", [f // 3 for f in frames])
    write_h264(base / "gt" / "out.mp4", truth)
    return write_h264(base / "renders" / "out.mp4", frames)


def test_instag_drops_its_last_frame(subject, rendering, write_h264, take, tmp_path):
    video = gaussian_tree(tmp_path / "run", rendering(VAL[:-1]), [subject.gt(i) for i in VAL[:-1]], write_h264)
    done = take("instag", tmp_path / "run")
    assert_same(done, decoded(video))
    assert_sound(done, subject)
    assert (done.manifest.method, done.manifest.torso_mode, done.manifest.lossless) == ("instag", "gt", False)
    assert (done.manifest.first_img_id, done.manifest.frames) == (60, 30)
    assert any("as its code does" in check for check in done.manifest.checks)
    assert any(check.startswith("alignment verified: best shift 0") for check in done.manifest.checks)
    assert any("its own ground truth is at" in check for check in done.manifest.checks)
    assert done.manifest.notes == []


def test_talkinggaussian_keeps_all_frames(subject, rendering, write_h264, take, tmp_path):
    video = gaussian_tree(tmp_path / "run", rendering(VAL), [subject.gt(i) for i in VAL], write_h264)
    assert_same(take("talkinggaussian", tmp_path / "run"), decoded(video))


@pytest.mark.parametrize("given", ["", "test", "test/ours_None", "test/ours_None/renders"])
def test_any_level_of_the_tree_may_be_given(given, rendering, write_h264, take, subject, tmp_path):
    video = gaussian_tree(tmp_path / "run", rendering(VAL[:-1]), [subject.gt(i) for i in VAL[:-1]], write_h264)
    assert_same(take("instag", tmp_path / "run" / given), decoded(video))


def test_gt_folder_is_not_mistaken_for_a_rendering(rendering, write_h264, take, subject, tmp_path):
    gaussian_tree(tmp_path / "run", rendering(VAL[:-1]), [subject.gt(i) for i in VAL[:-1]], write_h264)
    with pytest.raises(UserError, match="holds no InsTaG output"):
        take("instag", tmp_path / "run" / "test" / "ours_None" / "gt")


def test_stray_out_face_is_refused(rendering, write_h264, take, tmp_path):
    write_h264(tmp_path / "run" / "test" / "ours_None" / "renders" / "out_face.mp4", rendering(VAL))
    with pytest.raises(UserError, match=r"only out_face.mp4, the face without mouth and torso; render"):
        take("instag", tmp_path / "run")


def test_several_runs_in_one_folder(rendering, write_h264, take, subject, tmp_path):
    for name in ("a", "b"):
        gaussian_tree(tmp_path / "runs" / name, rendering(VAL[:-1]), [subject.gt(i) for i in VAL[:-1]], write_h264)
    with pytest.raises(UserError, match=r"outputs of several runs \(a, b\)"):
        take("instag", tmp_path / "runs")


def nerf_pngs(root, frames, epoch=28, first=1):
    for number, frame in enumerate(frames, first):
        name = f"ngp_ep{epoch:04d}_{number:04d}"
        write_image(root / "validation" / f"{name}_rgb.png", frame)
        write_image(root / "validation" / f"{name}_depth.png", frame // 2)


@pytest.mark.parametrize("method", ["rad-nerf", "er-nerf"])
def test_one_based_pngs_of_the_newest_epoch(method, subject, rendering, write_h264, take, tmp_path):
    frames = rendering(VAL)
    nerf_pngs(tmp_path / "run", [f // 2 for f in frames], epoch=9)
    nerf_pngs(tmp_path / "run", frames, epoch=28)
    write_h264(tmp_path / "run" / "results" / "ngp_ep0028.mp4", frames)
    write_h264(tmp_path / "run" / "results" / "ngp_ep0028_depth.mp4", [f // 2 for f in frames])
    done = take(method, tmp_path / "run")
    assert done.manifest.lossless
    assert_same(done, frames[:30])
    assert_sound(done, subject)


def test_pngs_of_a_training_time_validation_give_way_to_the_video(rendering, write_h264, take, tmp_path):
    frames = rendering(VAL)
    nerf_pngs(tmp_path / "run", frames[:10])
    video = write_h264(tmp_path / "run" / "results" / "ngp_ep0028.mp4", frames)
    done = take("er-nerf", tmp_path / "run")
    assert not done.manifest.lossless
    assert_same(done, decoded(video))


def test_a_missing_png_is_named(rendering, take, tmp_path):
    nerf_pngs(tmp_path / "run", rendering(VAL))
    (tmp_path / "run" / "validation" / "ngp_ep0028_0007_rgb.png").unlink()
    with pytest.raises(UserError, match=r"lacks image 7 \(numbers start at 1\)"):
        take("rad-nerf", tmp_path / "run")


def test_synthesised_torso_is_declared_and_doubted(subject, rendering, take, tmp_path):
    nerf_pngs(tmp_path / "run", rendering(VAL))
    assert take("rad-nerf", tmp_path / "run", torso_mode="synthesised").manifest.torso_mode == "synthesised"
    shifted = [np.where(np.arange(48)[:, None, None] > 40, 255 - f, f).astype(np.uint8) for f in rendering(VAL)]
    nerf_pngs(tmp_path / "other", shifted)
    notes = take("rad-nerf", tmp_path / "other").manifest.notes
    assert any("too far for the real torso" in note for note in notes)


def test_dfrf_zero_based_pngs_in_numeric_order(subject, rendering, take, tmp_path):
    frames = rendering(VAL)
    for step, scale in ((300000, 1), (50000, 2)):
        folder = tmp_path / "finetune_models" / "tiny_val" / f"renderonly_path_{step:06d}"
        for number, frame in enumerate(frames):
            write_image(folder / f"{number:03d}.png", frame // scale)
        np.save(folder / "last_weight.npy", np.zeros(3))
    done = take("dfrf", tmp_path / "finetune_models" / "tiny_val")
    assert done.manifest.lossless
    assert_same(done, frames[:30])


def gaussiantalker_tree(root, frames, truth, sound, write_h264, step=10000):
    base = root / "test" / f"ours_{step}"
    for kind in ("audio", "eye", "null", "cam"):
        write_h264(base / "renders" / f"tiny_test_{step}iter_{kind}.mov", [f // 2 for f in frames])
    write_h264(base / "gt" / f"tiny_test_{step}iter_gt.mov", truth, sound)
    return write_h264(base / "renders" / f"tiny_test_{step}iter_renders.mov", frames, sound)


def test_gaussiantalker_mov_with_sound_cut_by_time(subject, rendering, write_h264, take, tmp_path):
    """Its sound starts at 10/11 of the clip, not at the first test frame, and runs longer than the picture."""
    late = clip_sound(subject, subject.frames("train") + subject.frames("val"))[64 * 640:]
    late = np.pad(late, (0, 8000))
    truth = [subject.gt(i) for i in VAL]
    video = gaussiantalker_tree(tmp_path / "run", rendering(VAL), truth, late, write_h264)
    done = take("gaussiantalker", tmp_path / "run")
    assert_same(done, decoded(video))
    assert_sound(done, subject)
    assert any("its own sound track was 0.16 s early; replaced" in check for check in done.manifest.checks)


def test_gaussiantalker_with_the_wrong_palette(subject, rendering, write_h264, take, tmp_path):
    """With TalkingGaussian's colours only the face is head: its ground truth shows background in hair and mouth."""
    from d3talker.people.subject.layout import Label

    background = np.full((48, 64, 3), (250, 250, 250), np.uint8)
    truth = [np.where(subject.mask(i, Label.HAIR, Label.MOUTH)[..., None], background, subject.gt(i)) for i in VAL]
    gaussiantalker_tree(tmp_path / "run", rendering(VAL), truth, None, write_h264)
    with pytest.raises(UserError, match="read parsing/ in the wrong palette"):
        take("gaussiantalker", tmp_path / "run")


def test_gaussiantalker_lost_its_last_batch(subject, rendering, write_h264, take, tmp_path):
    """A bare except in its renderer drops a batch in silence."""
    gaussiantalker_tree(tmp_path / "run", rendering(VAL[:16]), [subject.gt(i) for i in VAL[:16]], None, write_h264)
    with pytest.raises(UserError, match=r"holds 16 frames, tiny needs 30 .*rendering stopped early"):
        take("gaussiantalker", tmp_path / "run")


def test_d3talker_predictions_are_read_without_loss(subject, rendering, take, tmp_path):
    from baselines.floors import floor

    floor("ground-truth")(subject, [], protocol_test(subject), tmp_path / "run")
    done = take("d3talker", tmp_path / "run")
    assert done.manifest.lossless
    assert_same(done, [subject.gt(i) for i in VAL[:-1]])


def test_folder_and_video_of_anybody(subject, rendering, write_h264, take, tmp_path):
    frames = rendering(VAL[:-1])
    for number, frame in enumerate(frames, 8):
        write_image(tmp_path / "images" / f"frame{number}.png", frame)  # 8, 9, 10: natural, not alphabetical, order
    done = take("folder", tmp_path / "images", name="mine", torso_mode="none")
    assert (done.manifest.method, done.manifest.torso_mode) == ("mine", "none")
    assert_same(done, frames)
    video = write_h264(tmp_path / "mine.mov", frames)
    assert_same(take("video", video, name="mine", torso_mode="gt"), decoded(video))
    with pytest.raises(UserError, match="give --name NAME"):
        take("video", video)
    with pytest.raises(UserError, match="give --torso-mode"):
        take("video", video, name="mine")


def test_cross_driven_clip(subject, rendering, write_h264, take, tmp_path):
    from d3talker.people.media.video import write_wav

    sound = np.random.default_rng(1).standard_normal(40 * 640).astype(np.float32) * 0.1
    write_wav(tmp_path / "b.wav", sound)
    frames = rendering([i % 60 for i in range(40)])
    base = tmp_path / "run" / "train" / "ours_None"
    video = write_h264(base / "renders" / "out.mp4", frames)
    write_h264(base / "gt" / "out.mp4", [f // 4 for f in frames])  # meaningless when cross-driven
    done = take("instag", tmp_path / "run", setting="cross", audio=tmp_path / "b.wav")
    assert (done.manifest.setting, done.manifest.frames) == ("cross", 40)
    assert_same(done, decoded(video, 40))
    np.testing.assert_allclose(done.audio(), sound, atol=1e-4)
    with pytest.raises(UserError, match="give --audio FILE"):
        take("instag", tmp_path / "run", setting="cross")
    write_wav(tmp_path / "short.wav", sound[:20 * 640])
    with pytest.raises(UserError, match=r"holds 40 frames, .*short.wav lasts 20: it was driven by another sound"):
        take("instag", tmp_path / "run", setting="cross", audio=tmp_path / "short.wav")
