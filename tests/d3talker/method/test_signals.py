"""What drives training and test alike: lips in PNCC, brows and lids in the eyes' loop, imported motion on both sides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from d3talker.errors import UserError
from d3talker.method.config import MINI
from d3talker.method.driving import drive, training_signals
from d3talker.method.seen import UNSEEN_BY_ADAPTATION, seen
from d3talker.people.head.embedded import embedded_head
from d3talker.people.head.upper import upper_face
from d3talker.people.subject.layout import Subject

CPU = torch.device("cpu")
SIGNALS = replace(MINI.signals, pncc_size=32)
IMPORTED = replace(SIGNALS, motion_source="imported")
UPPER = upper_face(embedded_head().expression_names)


def coefficients(subject: Subject) -> np.ndarray:
    """The tracked lips in another basis, as a model of sound might give them."""
    truth = subject.expression()
    return (truth @ np.random.default_rng(0).normal(size=(truth.shape[1], 64))).astype(np.float32)


def test_pncc_shows_brows_and_lids_only_when_asked() -> None:
    model, rng = embedded_head(), np.random.default_rng(0)
    lips = rng.uniform(0, 0.4, (3, len(UPPER))) * ~UPPER
    brows = lips + UPPER * 0.8
    rest = np.zeros(len(model.identity_names)), np.zeros((3, 16, 29)), np.zeros((3, 6))

    def images(expression: np.ndarray, shown: str) -> torch.Tensor:
        config = replace(SIGNALS, pncc_motion=shown)  # type: ignore[arg-type]
        return drive(rest[0], expression, *rest[1:], config, CPU).motion

    assert torch.equal(images(brows, "lips"), images(lips, "lips")) and torch.equal(images(lips, "all"), images(lips, "lips"))
    assert not torch.equal(images(brows, "all"), images(lips, "all"))
    given = drive(rest[0], brows, *rest[1:], SIGNALS, CPU)
    np.testing.assert_array_equal(given.expression.numpy(), brows.astype(np.float32))  # the rig has them all
    assert torch.equal(given.at(1).expression, given.expression[1])


def test_imported_motion_drives_training(person: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Subject(person)
    frames = subject.frames("train")[:40]
    rows = [frame.aud_id for frame in frames]
    with pytest.raises(UserError, match="motion import"):
        training_signals(subject, frames, IMPORTED, CPU)
    heard = coefficients(subject)
    monkeypatch.setattr(Subject, "imported_expression", lambda self: heard)
    tracked, imported = (training_signals(subject, frames, config, CPU) for config in (SIGNALS, IMPORTED))
    assert imported.imported is not None
    carried = imported.imported.predict(heard[rows])
    np.testing.assert_allclose(imported.drive.expression.numpy()[:, ~UPPER], carried[:, ~UPPER], atol=1e-6)
    for signals in (tracked, imported):  # brows and lids are the tracked ones on both sides
        np.testing.assert_allclose(signals.drive.expression.numpy()[:, UPPER], subject.expression()[rows][:, UPPER], atol=1e-6)
    assert not torch.equal(tracked.drive.motion, imported.drive.motion)


def test_with_bfms_file_imported_motion_is_drawn_as_it_is(
    person: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No regression stands between: PNCC is the BFM face's, and another fit to the same frames would not change it."""
    subject = Subject(person)
    frames, heard = subject.frames("train")[:40], coefficients(subject)
    monkeypatch.setattr(Subject, "imported_expression", lambda self: heard)
    without = training_signals(subject, frames, IMPORTED, CPU).drive.motion
    model, keep = embedded_head(), np.unique(embedded_head().triangles[::7])
    place = np.searchsorted(keep, embedded_head().triangles[np.isin(embedded_head().triangles, keep).all(1)])
    landmarks = np.arange(68) + 1
    savemat(tmp_path / "BFM_model_front.mat", {
        "meanshape": model.mean[keep].reshape(1, -1) * 10, "idBase": np.zeros((3 * len(keep), 80)),
        "exBase": np.random.default_rng(1).normal(size=(3 * len(keep), 64)) * 1e-3, "tri": place + 1, "keypoints": landmarks[None],
    })
    monkeypatch.setenv("D3TALKER_WEIGHTS", str(tmp_path))
    drawn = training_signals(subject, frames, IMPORTED, CPU).drive.motion
    assert not torch.equal(drawn, without)
    original = Subject.expression
    monkeypatch.setattr(Subject, "expression", lambda self: original(self) * 0.5)
    assert torch.equal(training_signals(subject, frames, IMPORTED, CPU).drive.motion, drawn)
    assert training_signals(subject, frames, SIGNALS, CPU).drive.motion.shape == drawn.shape


def test_a_training_sees_imported_motion_and_no_other_source() -> None:
    def options(**changes: str) -> dict:
        return seen(replace(MINI, signals=replace(MINI.signals, **changes)), UNSEEN_BY_ADAPTATION)  # type: ignore[arg-type]

    same = options()
    assert options(motion_source="tracked") == options(eyes="still") == options(amplitude="predicted") == same
    assert options(motion_source="imported") != same != options(pncc_motion="all")
