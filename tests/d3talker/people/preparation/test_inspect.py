"""`d3talker inspect` on small folders in the layout of each official code (protocol 1.1-1.7), whole and damaged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from d3talker.errors import UserError
from d3talker.people.head.embedded import embedded_head
from d3talker.people.media.video import write_wav
from d3talker.people.preparation.inspect import InspectConfig, inspect, run
from d3talker.people.subject import palette
from d3talker.people.subject.action_units import write_action_units
from d3talker.people.subject.layout import Frame, Subject, transforms, write_image, write_landmarks
from d3talker.people.subject.palette import Label

SIZE = 16
FACE = 8 + 60 * embedded_head().landmark_basis()[0][:, :2] * (1, -1)


def folder(root: Path, frames: int, test: int, features: str, hair_apart: bool, params: tuple[str, ...] = (), focal: float = 37.5) -> Path:
    """A subject folder as a process.py leaves it; 16 x 16 pixels."""
    rng = np.random.default_rng(0)
    labels = np.zeros((SIZE, SIZE), np.uint8)
    labels[2:12, 4:12], labels[2:5, 4:12], labels[9:10, 6:10] = Label.FACE, Label.HAIR, Label.MOUTH
    labels[12:14, 5:11], labels[14:] = Label.NECK, Label.TORSO
    colours = palette.encode(labels)
    if not hair_apart:
        colours[np.isin(labels, (Label.HAIR, Label.MOUTH))] = palette.COLORS[Label.FACE]
    picture = rng.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
    for i in range(frames):
        for name in ("ori_imgs", "gt_imgs"):
            write_image(root / name / f"{i}.jpg", picture)
        write_landmarks(root / "ori_imgs" / f"{i}.lms", FACE + 0.3 * np.sin(i / 3))
        write_image(root / "parsing" / f"{i}.png", colours)
        write_image(root / "torso_imgs" / f"{i}.png", np.dstack([picture, np.full((SIZE, SIZE), 255, np.uint8)]))
    write_image(root / "bc.jpg", picture)
    write_wav(root / "aud.wav", 0.1 * rng.normal(size=frames * 640).astype(np.float32))
    np.save(root / features, rng.normal(size=(frames, 16, 29)).astype(np.float32))
    rows = [Frame(i, i, np.eye(4)) for i in range(frames)]
    for split, part in (("train", rows[:-test]), ("val", rows[-test:])):
        (root / f"transforms_{split}.json").write_text(json.dumps(transforms(focal, (SIZE, SIZE), part)))
    shapes = {"id": (1, 100), "exp": (frames, 79), "euler": (frames, 3), "trans": (frames, 3), "focal": (1,)}
    torch.save({**{k: torch.zeros(v) for k, v in shapes.items()}, **{k: torch.zeros(3, 3) for k in params}}, root / "track_params.pt")
    write_action_units(root / "au.csv", np.ones((frames, 6)))
    return root


def instag(root: Path) -> Path:
    made = folder(root, 310, 301, "aud.npy", True)
    for kind in ("depth", "normal"):
        (made / "sapiens" / kind / "sapiens_1b").mkdir(parents=True)
        np.save(made / "sapiens" / kind / "sapiens_1b" / "0.npy", np.zeros((4, 4)))
    (made / "teeth_mask").mkdir()
    np.save(made / "teeth_mask" / "0.npy", np.zeros((SIZE, SIZE), bool))
    return made


MAKERS = {
    "er-nerf": (lambda root: folder(root, 22, 2, "aud_ds.npy", False), "AD-NeRF family", "face's colour", "1/11"),
    "talkinggaussian": (lambda root: folder(root, 22, 2, "aud_ds.npy", True), "TalkingGaussian", "apart", "1/11"),
    "instag": (instag, "InsTaG", "apart", "301"),
    "gaussiantalker": (lambda root: folder(root, 22, 2, "aud_ds.npy", False, ("vertices",)), "GaussianTalker", "face's colour", "1/11"),
    "dfrf": (lambda root: folder(root, 20, 10, "aud.npy", False), "AD-NeRF family", "face's colour", "half"),
}


@pytest.mark.parametrize("layout", MAKERS)
def test_every_layout_is_known_and_loads(layout, tmp_path):
    make, maker, colours, split = MAKERS[layout]
    report = inspect(make(tmp_path / "x"))
    assert len(report.missing) == 1 and "motion/" in report.missing[0]  # the official codes have no such thing
    assert maker in report.facts["made by"] and colours in report.facts["palette"] and split in report.facts["split"]
    assert (report.facts["audio features"].startswith("deepspeech") and "22 rows" in report.facts["au.csv"]) or split in ("301", "half")
    assert ("teeth_mask" in report.facts) == (layout == "instag") == ("sapiens/depth" in report.facts)
    subject = Subject(tmp_path / "x")  # what inspect calls ready loads without conversion
    assert subject.features().shape[1:] == (16, 29) and subject.landmarks([0]).shape == (1, 68, 2)
    assert subject.mask(0, Label.NECK).sum() == 12 and subject.torso_over_background(0).shape == (SIZE, SIZE, 3)


def test_what_is_missing_or_broken_is_named(tmp_path):
    root = folder(tmp_path / "x", 22, 2, "aud_ds.npy", True)
    (root / "bc.jpg").unlink()
    (root / "gt_imgs" / "7.jpg").unlink()
    (root / "au.csv").unlink()
    values = np.zeros((22, 16, 29), np.float32)
    values[3] = np.nan
    np.save(root / "aud_ds.npy", values)
    write_wav(root / "aud.wav", np.zeros(22 * 533, np.float32))  # a 30 fps video's sound beside 25 fps pictures
    (root / "track_params.pt").write_bytes(b"junk")
    report = inspect(root)
    text = "\n".join(report.missing)
    assert all(word in text for word in ("bc.jpg", "gt_imgs lacks 7", "aud_ds.npy holds NaN", "track_params.pt")) and len(report.missing) == 5
    notes = "\n".join(report.notes)
    assert "au.csv" in notes and "25 fps" in notes and "301" in notes


def test_overlapping_split_is_noted(tmp_path):
    root = folder(tmp_path / "x", 22, 2, "aud_ds.npy", True)
    (root / "transforms_val.json").write_bytes((root / "transforms_train.json").read_bytes())
    assert any("overlap" in note for note in inspect(root).notes)


def test_output_is_lines_or_json(tmp_path, capsys):
    root = folder(tmp_path / "x", 22, 2, "aud_ds.npy", True)
    (root / "au.csv").unlink()
    (root / "aud_ds.npy").unlink()
    run(InspectConfig(root))
    assert "ready for training" not in capsys.readouterr().out
    before = (root / "transforms_train.json").read_bytes()
    run(InspectConfig(root, complete=True))
    out = capsys.readouterr()
    assert "ready for training" in out.out and all(name in out.err for name in ("motion/", "au.csv", "aud_mel.npy"))
    assert Subject(root).expression().shape[0] == 22 and (root / "transforms_train.json").read_bytes() == before
    run(InspectConfig(root, json=True))
    assert set(json.loads(capsys.readouterr().out)) == {"facts", "missing", "notes"}


def test_an_impossible_focal_length_is_one_sentence(tmp_path):
    root = folder(tmp_path / "x", 22, 2, "aud_ds.npy", True, focal=1200.0)  # of a 512 picture, beside 16 pixels
    with pytest.raises(UserError, match=r"focal length of 38400 px .* check focal_len"):
        run(InspectConfig(root, complete=True))


def test_other_paths_are_refused(tmp_path):
    with pytest.raises(UserError, match="no subject folder"):
        inspect(tmp_path)
    with pytest.raises(UserError, match="not a folder"):
        inspect(tmp_path / "absent")
    (tmp_path / "ori_imgs").mkdir()
    assert inspect(tmp_path).missing  # a half-written folder: everything else is missing, nothing breaks
