"""The BFM-2009 loader on a small fake file of the right keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from d3talker.errors import UserError
from d3talker.people.head.bfm import load_bfm
from d3talker.people.head.pncc import canonical

COUNT = 90


def fake(**changes: Any) -> dict[str, Any]:
    """Random content with the shapes of BFM_model_front.mat, on a small lattice."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.linspace(-1, 1, 10), np.linspace(-1, 1, 9))
    mean = np.stack([x, y, 0.5 - 0.3 * (x**2 + y**2)], -1).reshape(-1, 3)
    index = np.arange(COUNT).reshape(9, 10)
    a, b, c, d = index[:-1, :-1].ravel(), index[:-1, 1:].ravel(), index[1:, 1:].ravel(), index[1:, :-1].ravel()
    tri = np.concatenate([np.stack([a, c, b], 1), np.stack([a, d, c], 1)])  # wound inwards on purpose
    data = {
        "meanshape": mean.reshape(1, -1), "idBase": rng.normal(size=(3 * COUNT, 80)),
        "exBase": rng.normal(size=(3 * COUNT, 64)), "tri": tri + 1,
        "keypoints": np.arange(1, 69)[None],
    }
    return {key: value for key, value in {**data, **changes}.items() if value is not None}


def test_reads_shapes_units_and_winding(tmp_path: Path) -> None:
    data = fake()
    savemat(tmp_path / "bfm.mat", data)
    model = load_bfm(tmp_path / "bfm.mat")
    assert model.identity_basis.shape == (80, COUNT, 3) and model.expression_basis.shape == (64, COUNT, 3)
    expected = data["meanshape"].reshape(-1, 3)
    assert np.allclose(model.mean, (expected - expected.mean(0)) / 10, atol=1e-6)
    assert np.allclose(model.identity_basis[3].ravel(), data["idBase"][:, 3] / 10, atol=1e-6)
    assert model.landmarks[0] == 0 and model.landmarks[67] == 67
    assert model.normals(model.mean)[:, 2].mean() > 0
    image = canonical(model, np.zeros(80), 32)
    assert image.any() and image.max() <= 1


@pytest.mark.parametrize("changes, word", [
    ({"exBase": None}, "exBase"), ({"keypoints": np.arange(1, 60)[None]}, "59 keypoints"),
    ({"tri": np.full((4, 3), 900)}, "outside"), ({"idBase": np.zeros((7, 80))}, "idBase"),
    ({"meanshape": np.full((1, 3 * COUNT), np.nan)}, "meanshape"),
])
def test_foreign_files_are_named(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    savemat(tmp_path / "bfm.mat", fake(**changes))
    with pytest.raises(UserError, match=word):
        load_bfm(tmp_path / "bfm.mat")


def test_absent_and_not_matlab(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_bfm(tmp_path / "none.mat")
    (tmp_path / "text.mat").write_text("hello")
    with pytest.raises(UserError, match="not a MATLAB file"):
        load_bfm(tmp_path / "text.mat")
