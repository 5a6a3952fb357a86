"""`d3talker evaluate` on folders, videos and subjects: what it reads, prints, and refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
from skimage import data

from d3talker import cli
from d3talker.errors import UserError
from d3talker.files import read_json, write_json
from d3talker.people.media.predictions import PredictionsWriter
from d3talker.people.media.video import VideoWriter
from d3talker.people.subject.layout import Frame, transforms, write_image
from d3talker.people.subject.palette import Label, encode
from eval.evaluate import EvaluateConfig, run
from eval.metrics.registry import METRICS

FACE = np.ascontiguousarray(data.astronaut()[0:96, 150:246])
FRAMES = [np.roll(FACE, shift, axis=1) for shift in (0, 1, 2, 1, 0, 3)]
NOISY = [np.clip(frame.astype(int) + 7, 0, 255).astype(np.uint8) for frame in FRAMES]
SOUND = np.random.default_rng(0).normal(0, 0.1, 6 * 640).astype(np.float32)


def video(path, frames=FRAMES, fps=25.0, codec="ffv1", audio=None):
    with VideoWriter(path, codec=codec, fps=fps, audio=audio) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def folder(path, frames=FRAMES, **facts):
    facts = {"method": "m", "subject": "s", "setting": "self", "first_img_id": 20, "torso_mode": "gt", **facts}
    with PredictionsWriter(path, source="test", audio=SOUND, **facts) as writer:
        for frame in frames:
            writer.write(frame)
    return path


@pytest.fixture
def subject(tmp_path):
    """Frames 0-19 to train, 20-26 to test, of which the protocol leaves out the last; the left half is head."""
    root = tmp_path / "subject"
    rows = [Frame(index, index, np.eye(4)) for index in range(27)]
    write_json(root / "transforms_train.json", transforms(100, FACE.shape[:2], rows[:20]))
    write_json(root / "transforms_val.json", transforms(100, FACE.shape[:2], rows[20:]))
    labels = np.full(FACE.shape[:2], Label.TORSO)
    labels[:, :48] = Label.FACE
    for index in range(20, 27):
        write_image(root / "gt_imgs" / f"{index}.png", FRAMES[index - 20] if index < 26 else FACE)
        write_image(root / "parsing" / f"{index}.png", encode(labels))
    return root


def scores(capsys, *args):
    assert cli.main(["evaluate", *map(str, args), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_two_videos_give_json(tmp_path, capsys):
    report = scores(
        capsys, video(tmp_path / "a.mkv", NOISY), "--reference", video(tmp_path / "b.mkv"), "--metrics", "psnr", "ssim",
        "--out", tmp_path / "report.json",
    )  # fmt: skip
    psnr = report["metrics"]["psnr"]
    expected = [10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)) for a, b in zip(NOISY, FRAMES)]
    np.testing.assert_allclose(psnr["per_frame"], expected)
    assert report["lossless"] is True and set(report["metrics"]) == {"psnr", "ssim"}
    assert read_json(tmp_path / "report.json") == report


def test_the_table_says_values_and_reasons(tmp_path, capsys):
    clip = video(tmp_path / "a.mp4", codec="h264")
    assert cli.main(["evaluate", str(clip), "--reference", str(clip), "--metrics", "psnr", "avc_r"]) == 0
    text = capsys.readouterr().out
    assert "100.0000 dB" in text and "there is no sound" in text and "lossy" in text and "↑" in text


def test_a_folder_against_a_folder_a_video_and_a_subject(tmp_path, capsys, subject):
    ours, theirs = folder(tmp_path / "ours", NOISY), folder(tmp_path / "theirs")
    values = [
        scores(capsys, ours, *how, "--metrics", "psnr")["metrics"]["psnr"]["value"]
        for how in (
            ("--reference", theirs), ("--reference", video(tmp_path / "b.mkv")), ("--against", subject),
        )
    ]  # fmt: skip
    assert values[0] == values[1] == values[2] < 40
    regions = scores(capsys, ours, "--against", subject, "--metrics", "psnr_head", "psnr_torso")["metrics"]
    assert all(result["value"] < 40 for result in regions.values())


def test_a_video_against_a_subject_must_hold_its_test_frames(tmp_path, capsys, subject):
    clip = video(tmp_path / "a.mkv")
    assert scores(capsys, clip, "--against", subject, "--metrics", "psnr")["metrics"]["psnr"]["value"] == 100
    assert cli.main(["evaluate", str(video(tmp_path / "c.mkv", FRAMES[:4])), "--against", str(subject)]) == 2
    assert "holds 4 frames, the test of subject has 6; bring it in with d3talker import" in capsys.readouterr().err


def test_cross_driven_clips_have_no_ground_truth(tmp_path, capsys, subject):
    cross = folder(tmp_path / "cross", setting="cross")
    for how in (("--against", subject), ("--reference", folder(tmp_path / "theirs")), ()):
        result = scores(capsys, cross, *how, "--metrics", "psnr")["metrics"]["psnr"]
        assert result["value"] is None and "no ground truth" in result["reason"]


def test_sound_may_come_from_elsewhere(tmp_path, capsys):
    silent, loud = video(tmp_path / "a.mkv"), video(tmp_path / "b.mkv", audio=SOUND)
    reasons = [
        scores(capsys, silent, *how, "--metrics", "avc_r")["metrics"]["avc_r"]["reason"]
        for how in ((), ("--audio", loud))
    ]
    assert "no sound" in reasons[0] and "75 frames" in reasons[1]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: (video(p / "a.mkv"), "--reference", video(p / "b.mkv", FRAMES[:3])), "ends after 3 frames"),
        (lambda p: (video(p / "a.mkv"), "--reference", video(p / "b.mkv", [f[:64] for f in FRAMES])), "px"),
        (lambda p: (video(p / "a.mkv"), "--reference", video(p / "b.mkv", fps=30)), "30"),
        (lambda p: (video(p / "a.mkv", fps=30, audio=SOUND), "--metrics", "sync_c"), "25"),
        (lambda p: (p / "nowhere.mp4",), "does not exist"),
        (lambda p: (p,), "without a manifest"),
        (lambda p: (folder(p / "a"), "--reference", folder(p / "b", first_img_id=3)), "first_img_id"),
        (lambda p: (folder(p / "a"), "--reference", folder(p / "b", FRAMES[:4])), "frames"),
        (lambda p: (video(p / "a.mkv"), "--metrics", "fid"), "no metric"),
        (lambda p: (video(p / "a.mkv"), "--weights", p / "nowhere", "--reference", p / "a.mkv"), "weights folder"),
        (lambda p: (video(p / "a.mkv"), "--against", p / "a.mkv", "--reference", p / "a.mkv"), "not both"),
        (lambda p: (damaged(p, 0.6), "--reference", video(p / "b.mkv"), "--metrics", "psnr"), "frames"),
        (lambda p: (damaged(p, 0.01), "--reference", video(p / "b.mkv")), "a.mkv"),
        (lambda p: (text(p),), "cannot be opened"),
        (lambda p: (unreadable(p), "--reference", video(p / "b.mkv")), "codec"),
        (lambda p: (video(p / "a.mkv"), "--reference", unreadable(p), "--metrics", "psnr"), "codec"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_two(make, words, tmp_path, capsys):
    assert cli.main(["evaluate", *map(str, make(tmp_path))]) == 2
    error = capsys.readouterr().err
    assert words in error and error.startswith("d3talker: ") and error.count("\n") == 1


def damaged(path, share):
    """A video that breaks off after a share of its bytes."""
    noise = np.random.default_rng(0).integers(0, 256, (12, 96, 96, 3), dtype=np.uint8)
    clip = video(path / "a.mkv", noise)
    clip.write_bytes(clip.read_bytes()[: int(share * clip.stat().st_size)])
    return clip


def unreadable(path):
    """A whole container whose pictures are in a codec that nobody knows."""
    clip = video(path / "u.avi")
    clip.write_bytes(clip.read_bytes().replace(b"FFV1", b"QQQQ"))
    return clip


def text(path):
    (path / "a.mp4").write_text("not a video")
    return path / "a.mp4"


def test_help_names_every_metric(capsys):
    with pytest.raises(SystemExit):
        cli.main(["evaluate", "--help"])
    words = "".join(capsys.readouterr().out.replace("│", "").split())
    assert all(name in words for name in METRICS)


def test_from_python_too(tmp_path, capsys):
    config = EvaluateConfig(video(tmp_path / "a.mkv"), reference=tmp_path / "a.mkv", metrics=("ssim",))
    assert run(config) == 0 and "1.0000" in capsys.readouterr().out
    with pytest.raises(UserError):
        run(EvaluateConfig(tmp_path / "a.mkv", metrics=("nonsense",)))


def test_every_metric_at_once(tmp_path, capsys):
    pytest.importorskip("dlib")
    report = scores(capsys, folder(tmp_path / "a"), "--reference", folder(tmp_path / "b"), "--metrics", "all")
    assert len(report["metrics"]) > 30
    assert all((result["value"] is None) == bool(result["reason"]) for result in report["metrics"].values())
