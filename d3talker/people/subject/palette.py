"""Parsing colours: the two families of the field share folder names but not colours, so the palette is detected."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Label(IntEnum):
    """What a pixel shows.  Teeth and tongue belong to MOUTH, hats to FACE (as in both families)."""

    BACKGROUND = 0
    FACE = 1
    MOUTH = 2
    HAIR = 3
    NECK = 4
    TORSO = 5


# RGB.  TalkingGaussian and InsTaG: data_utils/face_parsing/test.py:32-51; AD-NeRF, RAD-NeRF, ER-NeRF,
# GaussianTalker draw hair and inner mouth in the face's colour.
COLORS = {
    Label.BACKGROUND: (255, 255, 255),
    Label.FACE: (0, 0, 255),
    Label.MOUTH: (100, 100, 100),
    Label.HAIR: (0, 0, 0),
    Label.NECK: (0, 255, 0),
    Label.TORSO: (255, 0, 0),
}


def encode(labels: np.ndarray) -> np.ndarray:
    """Labels [H, W] -> uint8 RGB [H, W, 3] in the colours of TalkingGaussian and InsTaG."""
    table = np.array([COLORS[label] for label in Label], dtype=np.uint8)
    return table[labels]


def decode(image: np.ndarray) -> np.ndarray:
    """uint8 RGB [H, W, 3] of either family -> uint8 labels [H, W]; each pixel takes the nearest palette colour."""
    table = np.array([COLORS[label] for label in Label], dtype=np.int32)
    packed = (image.astype(np.int32) * (1 << 16, 1 << 8, 1)).sum(-1)
    colors, index = np.unique(packed, return_inverse=True)
    rgb = np.stack([colors >> 16, (colors >> 8) & 255, colors & 255], -1)
    nearest = np.abs(rgb[:, None] - table[None]).sum(-1).argmin(1).astype(np.uint8)
    return nearest[index.reshape(packed.shape)]


def detect(images: list[np.ndarray]) -> str:
    """Which family drew these parsing images, uint8 RGB [H, W, 3]: "talkinggaussian" (hair and mouth apart) or "adnerf"."""
    labels = [decode(image) for image in images]
    own = sum(int(((label == Label.HAIR) | (label == Label.MOUTH)).sum()) for label in labels)
    face = sum(int((label == Label.FACE).sum()) for label in labels)
    return "talkinggaussian" if own > 0.005 * max(face, 1) else "adnerf"
