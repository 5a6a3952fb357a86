"""BFM-2009 behind the FaceModel interface, for users who hold its files (deep3d's BFM_model_front.mat)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from d3talker.errors import UserError
from d3talker.people.head.face import FaceModel

KEYS = ("meanshape", "idBase", "exBase", "tri", "keypoints")
UNIT = 0.1  # deep3d's model is in decimetres
SOURCE = "make BFM_model_front.mat from the licensed Basel Face Model 2009 with Deep3DFaceReconstruction's scripts"
WANTED = "use deep3d's BFM_model_front.mat"


def load_bfm(path: Path | str, identities: int = 80, expressions: int = 64) -> FaceModel:
    """Read a .mat with meanshape [1,3V], idBase [3V,80], exBase [3V,64], tri [F,3] and keypoints [68] (both 1-based).

    Bases in these files are already scaled by their standard deviations, so coefficients are in deviations.  Axes are
    BFM's own (x image right, y up, z out of the face); the mean is centred as deep3d does.  Raises UserError on a
    missing or foreign file.
    """
    path = Path(path)
    data = _read(path)
    mean = _reshape(data, "meanshape", path)
    mean = (mean - mean.mean(0)) * UNIT
    count = len(mean)
    identity, expression = (_basis(data, key, count, path) for key in ("idBase", "exBase"))
    identity, expression = identity[:identities], expression[:expressions]
    triangles = np.asarray(data["tri"], np.int64).reshape(-1, 3) - 1
    landmarks = np.asarray(data["keypoints"], np.int64).ravel() - 1
    if len(landmarks) != 68:
        raise UserError(f"{path} holds {len(landmarks)} keypoints where 68 are needed; {WANTED}")
    if min(triangles.min(), landmarks.min()) < 0 or max(triangles.max(), landmarks.max()) >= count:
        raise UserError(f"{path} has triangle or keypoint indices outside 1..{count}; {WANTED}")
    return FaceModel(
        name="bfm-2009", mean=mean.astype(np.float32), triangles=_outward(mean, triangles).astype(np.int32),
        identity_basis=identity, expression_basis=expression,
        identity_names=tuple(f"id_{i}" for i in range(len(identity))),
        expression_names=tuple(f"exp_{i}" for i in range(len(expression))),
        landmarks=landmarks, region=np.zeros(count, np.int8),
    )


def _read(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    if not path.is_file():
        raise UserError(f"{path} does not exist; {SOURCE}, or use the embedded head")
    try:
        data = loadmat(path)
    except Exception as error:  # scipy raises many kinds on foreign files
        raise UserError(f"{path} is not a MATLAB file that scipy can read ({error}); {SOURCE}") from None
    missing = [key for key in KEYS if key not in data]
    if missing:
        raise UserError(f"{path} lacks {', '.join(missing)}; {SOURCE}")
    return data


def _reshape(data: dict[str, Any], key: str, path: Path) -> np.ndarray:
    values = np.asarray(data[key], np.float64).ravel()
    if values.size % 3 or not np.isfinite(values).all():
        raise UserError(f"{path}: {key} must hold finite xyz triples; {WANTED}")
    return values.reshape(-1, 3)


def _basis(data: dict[str, Any], key: str, count: int, path: Path) -> np.ndarray:
    values = np.asarray(data[key], np.float64)
    if values.ndim != 2 or values.shape[0] != 3 * count or not np.isfinite(values).all():
        raise UserError(f"{path}: {key} has shape {values.shape} where ({3 * count}, K) finite numbers are needed")
    return np.ascontiguousarray((values.T * UNIT).reshape(-1, count, 3), np.float32)


def _outward(mean: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Wind triangles so that most normals face +z: the model is a frontal mask."""
    a, b, c = (mean[triangles[:, k]] for k in range(3))
    return triangles if np.cross(b - a, c - a)[:, 2].sum() >= 0 else triangles[:, ::-1]
