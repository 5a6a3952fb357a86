"""The contact sheet of a synthetic subject: as many tiles as asked for, drawn where the truth is."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest

from d3talker.errors import UserError
from d3talker.people.preparation.inspect import InspectConfig, run
from d3talker.people.preparation.sheet import POINT_COLOUR, SIDE, TINTS, write_sheet
from d3talker.people.subject.layout import Subject
from d3talker.people.subject.palette import Label


def read(path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB).astype(int)


def test_sheet_shows_masks_mesh_and_landmarks(person, tmp_path, capsys):
    run(InspectConfig(person, sheet=tmp_path / "sheet.png"))
    assert "sheet.png" in capsys.readouterr().err
    whole = read(tmp_path / "sheet.png")
    assert whole.shape == (3 * SIDE, 4 * SIDE, 3)
    subject = Subject(person)
    first, scale = whole[:SIDE, :SIDE], SIDE / subject.size[0]
    labels = cv2.resize(subject.labels(0), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    plain = cv2.resize(subject.gt(0), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR).astype(int)
    torso = labels == Label.TORSO  # tinted, without mesh or points: a fixed share of the way to the tint
    towards = np.array(TINTS[Label.TORSO]) - plain[torso]
    share = (first[torso] - plain[torso]) * np.sign(towards) / np.abs(towards).clip(1)
    assert 0.3 < np.median(share[np.abs(towards) > 40]) < 0.4
    points = np.rint((subject.landmarks([0])[0] + 0.5) * scale - 0.5).astype(int)
    assert (np.abs(first[points[:, 1], points[:, 0]] - POINT_COLOUR).max(1) < 60).mean() > 0.9
    bare = tmp_path / "bare"
    shutil.copytree(person, bare)
    shutil.rmtree(bare / "motion")
    write_sheet(Subject(bare), tmp_path / "bare.png", count=1)
    wired = np.abs(read(tmp_path / "bare.png") - first).max(-1) > 12
    face = np.isin(labels, (Label.FACE, Label.MOUTH))
    assert wired[face].mean() > 0.2 and wired[~cv2.dilate(face.astype(np.uint8), np.ones((15, 15))).astype(bool)].mean() < 0.03


def test_lost_frames_are_marked_and_gaps_left_out(person, tmp_path):
    root = tmp_path / "x"
    shutil.copytree(person, root)
    for name in ("parsing", "motion"):
        shutil.rmtree(root / name)
    for path in (root / "ori_imgs").glob("*.lms"):
        path.unlink()
    write_sheet(Subject(root), tmp_path / "a.png", count=2)
    meta = json.loads((root / "subject.json").read_text())
    (root / "subject.json").write_text(json.dumps({**meta, "lost_frames": [0]}))
    write_sheet(Subject(root), tmp_path / "b.png", count=2)
    a, b = read(tmp_path / "a.png"), read(tmp_path / "b.png")
    assert a.shape == (SIDE, 2 * SIDE, 3)
    changed = np.abs(a - b).max(-1) > 60
    assert changed[:24, :SIDE].any() and not changed[24:].any() and not changed[:, SIDE:].any()


def test_a_sheet_is_a_picture(person, tmp_path):
    with pytest.raises(UserError, match=r"neither \.png nor \.jpg"):
        run(InspectConfig(person, sheet=tmp_path / "sheet.pdf"))
    assert not list(tmp_path.iterdir())
