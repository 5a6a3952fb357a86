"""`d3talker prepare` end to end on a synthetic talker with known truth, its resumption, and videos that cannot serve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from d3talker.cli import main
from d3talker.errors import UserError
from d3talker.files import read_json
from d3talker.people.head.embedded import embedded_head
from d3talker.people.media.video import VideoWriter, read_audio, read_frames, write_wav
from d3talker.people.preparation import clip, stages
from d3talker.people.preparation.prepare import PrepareConfig, run
from d3talker.people.subject.action_units import read_action_units
from d3talker.people.subject.layout import Subject, write_image
from d3talker.people.subject.palette import Label

FRAMES, SIZE = 60, 96
pytestmark = pytest.mark.timeout(900)  # of a machine that does much else; half a minute of work


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic person's folder, its video in it."""
    pytest.importorskip("espeakng_loader", reason="synthetic people need espeak-ng; install the extra 'synth'")
    from d3talker.people.synthetic.subjects import make_subject

    return make_subject(tmp_path_factory.mktemp("talker") / "anna", seed=1, seconds=FRAMES / 25, size=192)


@pytest.fixture(scope="module")
def prepared(talker: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same person prepared from the video, in two runs: the first is interrupted before the background."""
    out = tmp_path_factory.mktemp("prepared") / "anna"
    config = PrepareConfig(talker / "anna.mp4", out, SIZE, person="grabcut")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages.Stages, "background", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(config)
    (out / "parsing" / f"{FRAMES - 1}.png").unlink()
    assert not (out / "subject.json").exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clip, "scan", interrupt)  # what is done is not done again
        run(config)
    return out


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_folder_is_complete_and_clean(prepared):
    subject = Subject(prepared)
    frames = subject.frames("train") + subject.frames("val")
    assert [f.img_id for f in frames] == list(range(FRAMES)) and len(subject.frames("val")) == 6
    assert subject.size == (SIZE, SIZE) and subject.features("mel").shape == (FRAMES, 16, 29)
    assert subject.expression().shape == (FRAMES, len(embedded_head().expression_names))
    assert read_action_units(subject.layout.action_units).shape == (FRAMES, 6)
    assert len(read_audio(subject.layout.audio)) == FRAMES * 640
    assert subject.torso_over_background(0).shape == subject.gt(0).shape == (SIZE, SIZE, 3)
    assert subject.meta["lost_frames"] == [] and subject.meta["reprojection_px_at_512"] < 4
    assert set(subject.meta["torso_from"]) <= {frame.img_id for frame in subject.frames("train")[:125]}  # the smallest budget's
    assert "1/11" in subject.meta["test_rule"] and not (prepared / ".prepare").exists()


def test_cameras_put_the_face_model_on_the_landmarks(prepared):
    """Independent of the tracker's code: transforms + K + face model against the .lms files."""
    subject, face = Subject(prepared), embedded_head()
    frames = subject.frames("train")
    shape = face.vertices(subject.identity(), subject.expression()[: len(frames)])[:, face.landmarks]
    points = np.einsum("tij,tkj->tki", subject.viewmats(frames)[:, :3], np.concatenate([shape, np.ones_like(shape[..., :1])], -1))
    pixels = np.einsum("ij,tkj->tki", subject.K, points)
    pixels = pixels[..., :2] / pixels[..., 2:] - 0.5
    error = np.linalg.norm(pixels - subject.landmarks([f.img_id for f in frames]), axis=-1)
    assert (points[..., 2] > 0.2).all() and np.median(error) < 0.02 * SIZE
    assert np.abs(shape).max() < 0.15  # the model's grid ends there


def test_pose_follows_the_truth(prepared, talker):
    ours, truth = ([f.c2w[:3, :3] for f in Subject(p).frames("train")] for p in (prepared, talker))
    between = np.einsum("tij,tkj->tik", ours, truth)
    u, _, v = np.linalg.svd(between.sum(0))  # landmarks and model agree on the head's axes up to a constant turn
    left = np.einsum("ji,tjk->tik", u @ v, between)
    degrees = np.degrees(np.arccos(np.clip((np.trace(left, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert degrees.mean() < 1.5 and degrees.max() < 4


def test_expression_focal_length_and_place_follow_the_truth(prepared, talker):
    ours, truth = Subject(prepared), Subject(talker)
    basis = embedded_head().landmark_basis()[2].astype(float)
    moved, true = (np.einsum("te,ekc->tkc", subject.expression().astype(float), basis) for subject in (ours, truth))
    gaps, gaps_true = ((m[:, [61, 62, 63], 1] - m[:, [67, 66, 65], 1]).mean(1) for m in (moved, true))
    assert np.corrcoef(gaps, gaps_true)[0, 1] > 0.9 and 0.8 < np.polyfit(gaps_true, gaps, 1)[0] < 1.3
    assert np.linalg.norm((moved - true)[:, 48:], axis=-1).mean() < 4e-3  # metres
    focal, focal_true = (subject.K[0, 0] / subject.size[1] for subject in (ours, truth))
    assert abs(np.log(focal / focal_true)) < 0.3
    places, places_true = (subject.viewmats(subject.frames("train"))[:, :3, 3] for subject in (ours, truth))
    size, size_true = places[:, 2] / focal, places_true[:, 2] / focal_true  # depth itself goes with the focal length
    assert abs((size / size_true).mean() - 1) < 0.1 and np.corrcoef(size, size_true)[0, 1] > 0.85
    assert np.abs(places - places_true)[:, :2].mean() < 6e-3


def test_masks_agree_with_the_truth(prepared, talker):
    ours, truth = Subject(prepared), Subject(talker)
    for labels, least in (((Label.FACE, Label.HAIR, Label.MOUTH), 0.85), ((Label.NECK, Label.TORSO), 0.85), ((Label.BACKGROUND,), 0.95)):
        scores = []
        for i in range(0, FRAMES, 10):
            a, b = ours.mask(i, *labels), truth.mask(i, *labels)[::2, ::2]
            scores.append((a & b).sum() / (a | b).sum())
        assert np.mean(scores) > least, labels


def test_second_run_has_nothing_to_do(prepared, talker, capsys):
    before = (prepared / "subject.json").stat().st_mtime_ns
    run(PrepareConfig(talker / "anna.mp4", prepared, SIZE, person="grabcut"))
    assert "complete already" in capsys.readouterr().out and (prepared / "subject.json").stat().st_mtime_ns == before


def test_another_run_does_not_touch_the_folder(prepared, talker):
    with pytest.raises(UserError, match="holds something else"):
        run(PrepareConfig(talker / "anna.mp4", prepared, 2 * SIZE))
    assert read_json(prepared / "subject.json")["size"] == SIZE


@pytest.fixture(scope="module")
def hostile(talker: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files that are no video of one talking person."""
    folder = tmp_path_factory.mktemp("hostile")
    whole, good = (talker / "anna.mp4").read_bytes(), list(read_frames(talker / "anna.mp4"))
    sound = read_audio(talker / "anna.mp4")
    (folder / "zero.mp4").write_bytes(b"")
    (folder / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "text.mp4").write_text("not a video")
    write_image(folder / "picture.png", good[0])
    (folder / "picture.png").rename(folder / "picture.mp4")
    write_wav(folder / "sound.wav", sound)

    def video(name: str, frames: list[np.ndarray], audio: np.ndarray | None) -> None:
        with VideoWriter(folder / f"{name}.mp4", codec="h264", audio=audio) as writer:
            for frame in frames:
                writer.write(frame)

    grey = np.full((64, 64, 3), 128, np.uint8)
    video("mute", good, None)
    video("silent", good, np.zeros_like(sound))
    video("single", good[:1], sound)
    video("tiny", [grey[:8, :8]] * FRAMES, sound)
    video("faceless", [grey] * FRAMES, sound)
    video("couple", [np.hstack([frame, frame]) for frame in good], sound)
    return {path.stem: path for path in folder.iterdir()}


@pytest.mark.parametrize(("name", "says"), [
    ("zero", "cannot be opened"), ("truncated", "cannot be opened|breaks off"), ("text", "cannot be opened"),
    ("picture", "no sound|cannot be opened"), ("sound", "no picture"), ("mute", "no sound"), ("silent", "silent"), ("single", "1 frame"), ("tiny", "8x8"),
    ("faceless", "no face"), ("couple", "more than one person"),
])
def test_hostile_video_leaves_nothing_behind(hostile, tmp_path, name, says):
    out = tmp_path / "out"
    with pytest.raises(UserError, match=says) as error:
        run(PrepareConfig(hostile[name], out, SIZE))
    message = str(error.value)
    assert "\n" not in message and len(message) < 400 and hostile[name].name in message
    assert not out.exists() and list(tmp_path.iterdir()) == []


def test_sound_that_is_not_a_number_is_refused(talker, tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "read_audio", lambda path, track=None: np.full(16000, np.nan, np.float32))
    with pytest.raises(UserError, match="NaN"):
        run(PrepareConfig(talker / "anna.mp4", tmp_path / "out", SIZE))
    assert list(tmp_path.iterdir()) == []


def test_read_only_place_is_one_sentence(talker, tmp_path, monkeypatch, capsys):
    def refuse(self: Path, *args: object, **kwargs: object) -> None:  # root may write where others may not
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert main(["prepare", str(talker / "anna.mp4"), "--out", str(tmp_path / "out")]) != 0
    said = capsys.readouterr().err.strip()
    assert "Permission denied" in said and "\n" not in said and "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_folders_of_others_are_not_touched(talker, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="holds something else"):
        run(PrepareConfig(talker / "anna.mp4", tmp_path, SIZE))
    with pytest.raises(UserError, match="is a file"):
        run(PrepareConfig(talker / "anna.mp4", tmp_path / "notes.txt", SIZE))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"] and (tmp_path / "notes.txt").read_text() == "mine"


def test_a_size_without_sense_is_refused(talker, tmp_path):
    with pytest.raises(UserError, match="--size"):
        run(PrepareConfig(talker / "anna.mp4", tmp_path / "out", 8))
