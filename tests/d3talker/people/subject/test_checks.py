"""Damaged and foreign subject folders: what is wrong is named before any work, what can be mended is mended with a note."""

from __future__ import annotations

import csv
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from d3talker.cli import main
from d3talker.errors import UserError
from d3talker.people.head.embedded import embedded_head
from d3talker.people.media.video import write_wav
from d3talker.people.subject.action_units import COLUMNS, read_action_units, write_action_units
from d3talker.people.subject.checks import check, examine
from d3talker.people.subject.image_header import image_size
from d3talker.people.subject.layout import Frame, Subject, transforms, write_image, write_landmarks
from d3talker.people.subject.sound import clip_sound

TOTAL, TRAIN, SIZE = 60, 40, 16
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that a training reads, 60 frames of 16 x 16."""
    root, face = tmp_path_factory.mktemp("subjects") / "whole", embedded_head()
    picture = RNG.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
    for i in range(TOTAL):
        for name in ("ori_imgs", "gt_imgs"):
            write_image(root / name / f"{i}.jpg", picture)
        write_landmarks(root / "ori_imgs" / f"{i}.lms", RNG.uniform(0, SIZE, (68, 2)))
        write_image(root / "parsing" / f"{i}.png", np.zeros((SIZE, SIZE, 3), np.uint8))
        write_image(root / "torso_imgs" / f"{i}.png", np.zeros((SIZE, SIZE, 4), np.uint8))
    write_image(root / "bc.jpg", picture)
    write_wav(root / "aud.wav", (0.1 * RNG.normal(size=TOTAL * 640)).clip(-1, 1).astype(np.float32))
    np.save(root / "aud.npy", RNG.normal(size=(TOTAL, 16, 29)).astype(np.float32))
    (root / "motion").mkdir()
    np.save(root / "motion" / "expression.npy", RNG.normal(size=(TOTAL, len(face.expression_names))).astype(np.float32))
    np.save(root / "motion" / "identity.npy", np.zeros(len(face.identity_names), np.float32))
    write_action_units(root / "au.csv", np.ones((TOTAL, 6)))
    split(root, [Frame(i, i, np.eye(4)) for i in range(TOTAL)])
    return root


def split(root: Path, rows: list[Frame]) -> None:
    for name, part in (("train", rows[:TRAIN]), ("val", rows[TRAIN:])):
        (root / f"transforms_{name}.json").write_text(json.dumps(transforms(100.0, (SIZE, SIZE), part)))


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "subject")
    return tmp_path / "subject"


def edit(path: Path, change: Callable[[dict], None]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def row(value: dict, **facts) -> None:
    value["frames"][3].update(facts)


def save(root: Path, name: str, values: np.ndarray) -> None:
    np.save(root / name, values)


def poke(root: Path, name: str, value: float) -> None:
    values = np.load(root / name)
    values.flat[7] = value
    np.save(root / name, values)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


VAL, TRAINING = "transforms_val.json", "transforms_train.json"
DAMAGE = {
    "features too short": (lambda r: save(r, "aud.npy", np.zeros((40, 16, 29), np.float32)), r"aud.npy has 40 rows for 60 frames"),
    "features transposed": (lambda r: save(r, "aud.npy", np.zeros((TOTAL, 29, 16), np.float32)), r"not \[frames, 16 or 2, columns\]"),
    "features of one axis": (lambda r: save(r, "aud.npy", np.zeros(TOTAL, np.float32)), r"not \[frames, 16 or 2, columns\]"),
    "features of text": (lambda r: save(r, "aud.npy", np.full((TOTAL, 16, 29), "a")), r"not \[frames, 16 or 2, columns\]"),
    "NaN in features": (lambda r: poke(r, "aud.npy", np.nan), "aud.npy holds NaN"),
    "NaN in expression": (lambda r: poke(r, "motion/expression.npy", np.nan), "expression.npy holds NaN"),
    "expression too short": (lambda r: save(r, "motion/expression.npy", np.zeros((50, 9), "f4")), "expression.npy has 50 rows for 60"),
    "infinity in identity": (lambda r: poke(r, "motion/identity.npy", np.inf), "identity.npy holds NaN or infinity"),
    "pose of NaN": (lambda r: edit(r / VAL, lambda v: row(v, transform_matrix=[[float("nan")] * 4] * 4)), "frame 43 is no finite"),
    "pose of 3x3": (lambda r: edit(r / VAL, lambda v: row(v, transform_matrix=np.eye(3).tolist())), "no finite 4x4 or 3x4"),
    "pose of zeros": (lambda r: edit(r / VAL, lambda v: row(v, transform_matrix=np.zeros((4, 4)).tolist())), "no rigid motion"),
    "no img_id": (lambda r: edit(r / TRAINING, lambda v: v["frames"][3].pop("img_id")), "row 3 lacks img_id"),
    "img_id of a half": (lambda r: edit(r / TRAINING, lambda v: row(v, img_id=2.5)), "row 3 has img_id 2.5"),
    "img_id twice": (lambda r: edit(r / TRAINING, lambda v: row(v, img_id=2)), "names frame 2 twice"),
    "frames of null": (lambda r: edit(r / TRAINING, lambda v: v.update(frames=[None])), "row 0 lacks img_id"),
    "focal of text": (lambda r: edit(r / TRAINING, lambda v: v.update(focal_len="long")), "focal_len, cx and cy"),
    "a list of transforms": (lambda r: (r / TRAINING).write_text("[1]"), "lacks focal_len"),
    "a missing truth": (lambda r: (r / "gt_imgs" / "50.jpg").unlink(), "gt_imgs lacks 50"),
    "a missing mask": (lambda r: (r / "parsing" / "50.png").unlink(), "parsing lacks 50"),
    "a missing torso": (lambda r: (r / "torso_imgs" / "7.png").unlink(), "torso_imgs lacks 7"),
    "missing landmarks": (lambda r: (r / "ori_imgs" / "7.lms").unlink(), "lacks landmarks 7.lms"),
    "67 landmarks": (lambda r: np.savetxt(r / "ori_imgs" / "7.lms", np.zeros((67, 2))), "holds 67 points"),
    "another size": (lambda r: write_image(r / "gt_imgs" / "9.jpg", np.zeros((8, 8, 3), np.uint8)), "9.jpg is 8x8, others are 16x16"),
    "a mask of another size": (lambda r: write_image(r / "parsing" / "9.png", np.zeros((8, 8, 3), np.uint8)), "9.png is 8x8"),
    "a truth cut off": (lambda r: cut(r / "gt_imgs" / "9.jpg"), "9.jpg is cut off"),
    "a torso cut off": (lambda r: cut(r / "torso_imgs" / "9.png"), "9.png is cut off"),
    "an empty truth": (lambda r: (r / "gt_imgs" / "9.jpg").write_bytes(b""), "9.jpg is empty"),
    "a text for a picture": (lambda r: (r / "gt_imgs" / "9.jpg").write_text("x" * 99), "neither PNG nor JPEG"),
    "a background of another size": (lambda r: write_image(r / "bc.jpg", np.zeros((8, 8, 3), np.uint8)), "bc.jpg is of another size"),
    "sound too short": (lambda r: write_wav(r / "aud.wav", np.zeros(16000, np.float32)), "aud.wav lasts 1.00 s, the frames need 2.40"),
    "no sound": (lambda r: (r / "aud.wav").unlink(), "aud.wav is missing"),
    "eyes at 30 fps": (lambda r: write_action_units(r / "au.csv", np.ones((72, 6))), "72 rows for 60 frames, as at 30 fps"),
    "eyes too few": (lambda r: write_action_units(r / "au.csv", np.ones((30, 6))), "30 rows for 60 frames"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_named_before_any_work(folder: Path, what: str, capsys: pytest.CaptureFixture) -> None:
    damage, said = DAMAGE[what]
    damage(folder)
    with pytest.raises(UserError, match=said):
        check(Subject(folder))
    before = sorted(folder.rglob("*"))
    assert main(["adapt", "--subject", str(folder), "--out", str(folder.parent / "run"), "--preset", "mini", "--budget", "1"]) == 2
    assert not (folder.parent / "run").exists() and sorted(folder.rglob("*")) == before
    capsys.readouterr()
    main(["inspect", str(folder)])
    assert "ready for training" not in capsys.readouterr().out


def test_a_whole_folder_has_no_fault(whole: Path) -> None:
    assert check(Subject(whole)) == [] and examine(Subject(whole)).faults == []


def test_what_official_loaders_take_is_taken(folder: Path) -> None:
    """aud_id left out, 3x4 matrices, features some rows short: each right, the last with a note."""
    for name in (TRAINING, VAL):
        edit(folder / name, lambda v: [r.pop("aud_id") for r in v["frames"]])
        edit(folder / name, lambda v: [r.update(transform_matrix=r["transform_matrix"][:3]) for r in v["frames"]])
    features = np.load(folder / "aud.npy")
    np.save(folder / "aud.npy", features[:-3])
    subject = Subject(folder)
    (note,) = check(subject)
    assert "aud.npy is 3 rows short of 60 frames" in note
    assert subject.frames("val")[0].aud_id == 40 and subject.frames("val")[0].c2w.shape == (4, 4)
    np.testing.assert_array_equal(subject.features("deepspeech"), features[np.minimum(np.arange(TOTAL), TOTAL - 4)])


def test_gaps_in_ids_leave_the_rest_where_it_was(folder: Path) -> None:
    """The face was lost in five frames of the test: what comes after sounds where the video says."""
    ids = [i for i in range(TOTAL) if i not in range(48, 53)]
    split(folder, [Frame(i, i, np.eye(4)) for i in ids])
    for i in range(48, 53):
        for name in (f"gt_imgs/{i}.jpg", f"parsing/{i}.png", f"torso_imgs/{i}.png", f"ori_imgs/{i}.lms"):
            (folder / name).unlink()
    subject = Subject(folder)
    (note,) = check(subject)
    assert "5 frames are missing between 0 and 59" in note
    test = subject.frames("val")
    from scipy.io import wavfile

    rate, wave = wavfile.read(folder / "aud.wav")
    expected = np.concatenate([wave[640 * f.img_id : 640 * (f.img_id + 1)] for f in test]) / 32768
    assert rate == 16000
    np.testing.assert_allclose(clip_sound(subject, test), expected, atol=1e-4)
    assert subject.following(45, 6) == [45, 46, 47, 53, 54, 55]
    with pytest.raises(UserError, match="no 40 frames from frame 45"):
        subject.following(45, 40)


def openface(path: Path, rows: list[dict], encoding: str = "utf-8", title: str = "") -> Path:
    """A CSV as OpenFace writes it, with spaces before its column names."""
    names = ["frame", "face_id", "timestamp", "confidence", "success", *COLUMNS, *([title] if title else [])]
    with path.open("w", newline="", encoding=encoding) as stream:
        writer = csv.writer(stream)
        writer.writerow([names[0], *(f" {n}" for n in names[1:])])
        writer.writerows([[r.get(n, 0) for n in names] for r in rows])
    return path


def face(frame: int, value: float, fps: float = 25, **facts) -> dict:
    return {"frame": frame, "timestamp": (frame - 1) / fps, "confidence": 0.9, "success": 1, **dict.fromkeys(COLUMNS, value), **facts}


def test_a_row_for_every_face_leaves_the_surest(tmp_path: Path) -> None:
    rows = [r for k in range(20) for r in (face(k + 1, 5, face_id=1, confidence=0.3), face(k + 1, k / 20, face_id=0))]
    notes: list[str] = []
    values = read_action_units(openface(tmp_path / "au.csv", rows), 20, notes)
    np.testing.assert_allclose(values[:, 0], np.arange(20) / 20, atol=1e-6)
    assert "40 rows for 20 frames" in notes[0]


def test_failures_and_missing_rows_are_interpolated(tmp_path: Path) -> None:
    rows = [face(k + 1, k / 20, success=int(k != 5)) for k in range(20) if k not in (9, 10)]
    rows[5] |= dict.fromkeys(COLUMNS, "nan")
    notes: list[str] = []
    values = read_action_units(openface(tmp_path / "au.csv", rows), 20, notes)
    np.testing.assert_allclose(values[:, 0], np.arange(20) / 20, atol=1e-6)
    assert "no face in 3 frames" in notes[0]
    with pytest.raises(UserError, match="found a face in no frame"):
        read_action_units(openface(tmp_path / "none.csv", [face(k + 1, 1, success=0) for k in range(9)]))


def test_thirty_frames_a_second_are_read_at_25(tmp_path: Path) -> None:
    rows = [face(k + 1, (k / 30) ** 1, fps=30) for k in range(60)]
    notes: list[str] = []
    values = read_action_units(openface(tmp_path / "au.csv", rows), 50, notes)
    assert len(values) == 50 and "30 fps" in notes[0]
    np.testing.assert_allclose(values[:, 0], np.arange(50) / 25, atol=0.02)


def test_latin_1_and_a_byte_order_mark(tmp_path: Path) -> None:
    rows = [face(k + 1, 1.0) for k in range(9)]
    for name, encoding in (("latin.csv", "latin-1"), ("mark.csv", "utf-8-sig")):
        path = openface(tmp_path / name, rows, encoding, title="Größe")
        assert read_action_units(path).shape == (9, 6)


def test_image_headers_agree_with_the_decoder(tmp_path: Path) -> None:
    for size in ((7, 9), (300, 200)):
        for name in ("a.png", "a.jpg"):
            write_image(tmp_path / name, RNG.integers(0, 255, (*size, 3), dtype=np.uint8))
            assert image_size(tmp_path / name) == size
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "exif.jpg").write_bytes(data[:2] + b"\xff\xe1\x80\x02" + b"\x00" * 0x8000 + data[2:])
    assert image_size(tmp_path / "exif.jpg") == (300, 200)


def test_the_checks_of_many_frames_are_quick(whole: Path) -> None:
    """No limit in seconds here: work done per frame is counted, since a picture decoded would cost a hundred times as much."""
    import cv2

    decoded = 0
    original = cv2.imread

    def counting(*args):
        nonlocal decoded
        decoded += 1
        return original(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cv2, "imread", counting)
        began = time.perf_counter()
        examine(Subject(whole))
        assert time.perf_counter() - began < 60
    assert decoded <= 2
