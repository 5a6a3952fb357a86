"""Reading a subject folder: both palettes give a mouth, and what is missing or damaged is named with the command that makes it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from d3talker.errors import UserError
from d3talker.people.subject import palette
from d3talker.people.subject.layout import Layout, Subject, common_features, write_image
from d3talker.people.subject.palette import Label


@pytest.fixture
def folder(person: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(person, tmp_path / "subject"))


def repaint_as_adnerf(folder: Path) -> None:
    """Hair and inner mouth in the face's colour, as AD-NeRF, RAD-NeRF, ER-NeRF and GaussianTalker have it; no teeth masks."""
    shutil.rmtree(folder / "teeth_mask", ignore_errors=True)
    layout = Layout(folder)
    for path in (folder / "parsing").glob("*.png"):
        labels = Subject(folder).labels(int(path.stem))
        labels[(labels == Label.HAIR) | (labels == Label.MOUTH)] = Label.FACE
        write_image(layout.image("parsing", int(path.stem), ".png"), palette.encode(labels))


def test_palette_is_told_by_the_images(folder: Path) -> None:
    assert Subject(folder).palette == "talkinggaussian"
    repaint_as_adnerf(folder)
    assert Subject(folder).palette == "adnerf"


def test_the_mouth_is_found_where_the_palette_hides_it(folder: Path, person: Path) -> None:
    truth = {f.img_id: Subject(person).labels(f.img_id) == Label.MOUTH for f in Subject(person).frames("train")}
    widest = max(truth, key=lambda i: truth[i].sum())
    assert truth[widest].sum() > 8
    repaint_as_adnerf(folder)
    found = Subject(folder).labels(widest) == Label.MOUTH
    assert (found & truth[widest]).sum() / truth[widest].sum() > 0.5
    assert not (Subject(folder).labels(widest) == Label.HAIR).any()


def test_teeth_masks_are_mouth(folder: Path) -> None:
    teeth = np.zeros((64, 64), bool)
    teeth[3:5, 3:5] = True
    (folder / "teeth_mask").mkdir(exist_ok=True)
    np.save(folder / "teeth_mask" / "0.npy", teeth)
    assert (Subject(folder).labels(0)[3:5, 3:5] == Label.MOUTH).all()
    np.save(folder / "teeth_mask" / "0.npy", np.zeros((4, 4), bool))
    with pytest.raises(UserError, match="make it again at the frames' size"):
        Subject(folder).labels(0)


@pytest.mark.parametrize("name", ["transforms_train.json", "aud.wav", "gt_imgs/0.jpg", "bc.jpg", "parsing/0.png", "torso_imgs/0.png"])
def test_what_is_missing_is_named_with_the_command_that_makes_it(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(UserError, match=r"is missing; make it with: d3talker prepare"):
        subject = Subject(folder)
        subject.data_hash, subject.torso_over_background(0), subject.labels(0)


def test_damage_is_named(folder: Path) -> None:
    (folder / "parsing" / "0.png").write_bytes(b"not a picture")
    with pytest.raises(UserError, match=r"0\.png is not a readable image"):
        Subject(folder).labels(0)
    (folder / "ori_imgs" / "0.lms").write_text("1 2 3")
    with pytest.raises(UserError, match="does not hold 68 rows"):
        Subject(folder).landmarks([0])
    np.save(folder / "aud_mel.npy", np.full((5, 16, 29), np.nan))
    with pytest.raises(UserError, match="holds NaN"):
        Subject(folder).features("mel")
    np.save(folder / "aud_mel.npy", np.zeros((5, 29)))
    with pytest.raises(UserError, match=r"aud_mel\.npy holds float64 \[5, 29\]"):
        Subject(folder).features("mel")


def test_features_are_windows_and_steps_whatever_the_file_holds(folder: Path) -> None:
    total = Subject(folder).total
    own = np.random.default_rng(0).normal(size=(total, 2, 1024)).astype(np.float32)
    np.save(folder / "aud_hu.npy", own)
    subject = Subject(folder)
    np.testing.assert_array_equal(subject.steps("hubert"), own.reshape(2 * total, 1024))
    windows = subject.features("hubert")
    assert windows.shape == (total, 16, 1024) and not windows[0, :8].any()
    np.testing.assert_array_equal(windows[2, 8:10], own[2])
    np.testing.assert_array_equal(windows[2, 6:8], own[1])
    assert subject.steps("mel").shape == (2 * len(subject.features("mel")), 29)


def test_features_that_all_have_are_the_best_of_them(folder: Path, tmp_path: Path) -> None:
    bare = [shutil.copytree(folder, tmp_path / name) for name in ("first", "second", "third")]
    for root, names in zip(bare, (("aud_ph", "aud_mel", "aud_hu"), ("aud_ds", "aud_mel", "aud_hu"), ())):
        for file in root.glob("aud_*.npy"):
            file.unlink()
        for name in names:
            np.save(root / f"{name}.npy", np.zeros((5, 16, 29), np.float32))
    both, third = [Subject(bare[0]), Subject(bare[1])], Subject(bare[2])
    assert [subject.feature_name() for subject in both] == ["phonemes", "deepspeech"]
    assert common_features(both) == "mel" and common_features(both, "hubert") == "hubert"
    with pytest.raises(UserError, match="no deepspeech"):
        common_features(both, "deepspeech")
    with pytest.raises(UserError, match="in common"):
        common_features([both[0], third])


def test_every_input_changes_the_hash(folder: Path) -> None:
    before = Subject(folder).data_hash
    for name in ("aud_mel.npy", "au.csv", "motion/expression.npy", "parsing/0.png", "torso_imgs/1.png", "gt_imgs/2.jpg"):
        path = folder / name
        old = path.read_bytes()
        path.write_bytes(old + b"x")
        assert Subject(folder).data_hash != before, name
        path.write_bytes(old)
    assert Subject(folder).data_hash == before
