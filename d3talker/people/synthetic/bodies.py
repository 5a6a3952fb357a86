"""What the face model lacks: a shell of hair, a torso with clothes, and the backdrop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter

from d3talker.people.head import shape as shape
from d3talker.people.head.face import FaceModel
from d3talker.people.synthetic.looks import Look
from d3talker.people.synthetic.skin import AXIS_Z, linear

# Height in mm above the eye line, half width, half depth, z of the centre.
_TORSO = np.array(
    [
        [-80, 43, 38, -14],
        [-108, 44, 41, -15],
        [-130, 46, 43, -16],
        [-142, 50, 46, -17],
        [-152, 61, 50, -18],
        [-161, 84, 55, -20],
        [-171, 116, 61, -22],
        [-184, 150, 68, -24],
        [-202, 178, 74, -25],
        [-226, 195, 80, -26],
        [-262, 203, 88, -26],
        [-320, 204, 97, -26],
        [-420, 200, 104, -26],
    ],
    float,
)
TORSO_BOX = (-215.0, 215.0, -425.0, -75.0)  # mm: x and y range of the torso's picture


@dataclass(frozen=True)
class Part:
    """Extra mesh in metres: rest points [V,3], triangles [F,3], how firmly each vertex follows the head (1) or torso
    (0), and `inside` [V], mm by which a vertex lies within the hair (0 elsewhere)."""

    points: np.ndarray
    triangles: np.ndarray
    follow: np.ndarray
    inside: np.ndarray


def grid_triangles(rows: int, columns: int, wrap: bool) -> np.ndarray:
    """Two triangles a quad of an index grid [rows, columns]."""
    index = np.arange(rows * columns).reshape(rows, columns)
    if wrap:
        index = np.concatenate([index, index[:, :1]], 1)
    a, b, c, d = (part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]))
    return np.concatenate([np.stack([a, d, c], 1), np.stack([a, c, b], 1)])


def hair_inside(points: np.ndarray, look: Look) -> np.ndarray:
    """Millimetres [V] by which points of the mean head (metres) lie above the hairline; negative below."""
    x, y, z = points[:, 0] * 1000, points[:, 1] * 1000 - shape.EYE_LINE, (points[:, 2] - AXIS_Z) * 1000
    angle = np.degrees(np.abs(np.arctan2(x, z)))
    if look.fringe:
        front = [34, 33, 33, 30, 22]
    elif look.feminine:
        front = [64, 63, 56, 46, 34]
    else:
        front = [66, 71, 64, 48, 32]
    line = PchipInterpolator(
        [0, 20, 36, 47, 56, 65, 73, 81, 90, 104, 116, 138, 180], [*front, 14, -6, -16, 8, 6, -22, -46, -54]
    )
    return y - line(angle) + 1.5 * np.sin(angle * 0.9 + look.seed % 7)


def hair(face: FaceModel, look: Look) -> Part:
    """A shell over the scalp, and for long hair a curtain down to the shoulders."""
    inside = hair_inside(face.mean, look)
    usable = face.region_mask("skin", "scalp", "neck")
    triangles = face.triangles[usable[face.triangles].all(1) & (inside[face.triangles] > -4).any(1)]
    used, index = np.unique(triangles, return_inverse=True)
    depth = inside[used]
    rise = look.hair_depth * (1 - np.exp(-np.maximum(depth, 0) / 16)) / 1000
    top = np.clip((face.mean[used, 1] - 0.05) / 0.07, 0, 1)
    rise *= (1 + 0.25 * top) if look.feminine else (0.5 + 0.75 * top)
    waves = 0.0012 * np.sin(face.mean[used] @ np.array([90.0, 70, 110]) + look.seed % 11)
    points = face.mean[used] + face.normals(face.mean)[used] * (rise + waves * (depth > 4))[:, None]
    shell = Part(points, index.reshape(-1, 3), np.ones(len(used)), depth)
    return _join(shell, _curtain(look)) if look.long_hair else shell


def hair_anchor(face: FaceModel, part: Part) -> np.ndarray:
    """Nearest head vertex [V] of each hair vertex, whose identity displacement it takes over."""
    from scipy.spatial import cKDTree

    skin = np.flatnonzero(face.region_mask("skin", "scalp", "neck"))
    _, nearest = cKDTree(face.mean[skin]).query(part.points)
    return skin[nearest]


def _curtain(look: Look) -> Part:
    rows, columns = 16, 46
    down, around = np.meshgrid(np.linspace(0, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    angle = np.radians(180 + around * (127 - 9 * down))
    length = 150 + look.seed % 40 + look.locks
    y = 52 - down * length
    thick = look.hair_depth * (0.55 + 0.5 * np.sin(np.pi * np.clip(down * 0.9 + 0.1, 0, 1)))
    narrow = 1 - 0.10 * np.clip((down - 0.35) / 0.65, 0, 1)
    radius_x, radius_z = (69 + thick) * narrow, (84 + thick) * narrow
    wave = 3.0 * np.sin(9 * angle + 5 * down + look.seed % 5) * down
    x, z = (radius_x + wave) * np.sin(angle), -14 + (radius_z + wave) * np.cos(angle)
    x, z = _outside_torso(x, y, z)
    edge = (1 - np.abs(around)) * 130
    inside = np.minimum(edge, (1 - down) * 60) + 1.5
    points = np.stack([x, y + shape.EYE_LINE, z], -1).reshape(-1, 3) / 1000
    follow = 1 - 0.75 * np.clip((down - 0.55) / 0.45, 0, 1)
    follow *= 1 - np.clip((-140 - y) / 30, 0, 1)  # what lies on the shoulders stays there
    return Part(points, grid_triangles(rows, columns, False), follow.ravel(), inside.ravel())


def _outside_torso(x: np.ndarray, y: np.ndarray, z: np.ndarray, gap: float = 6.0) -> tuple[np.ndarray, np.ndarray]:
    """x and z in mm of hair at heights y, pushed out of neck and shoulders."""
    width, depth, centre = (PchipInterpolator(_TORSO[::-1, 0], _TORSO[::-1, k])(np.clip(y, -420, -80)) for k in (1, 2, 3))
    inside = np.sqrt((x / (width + gap)) ** 2 + ((z - centre) / (depth + gap)) ** 2)
    out = np.where(y < -140, np.maximum(1 / np.maximum(inside, 1e-3), 1), 1)
    return x * out, centre + (z - centre) * out


def torso(look: Look) -> Part:
    """Neck stump, shoulders and chest as one loft; a woman's shoulders are narrower."""
    fine = np.concatenate([np.linspace(-80, -200, 34), np.linspace(-206, -420, 16)])
    width, depth, centre = (PchipInterpolator(_TORSO[::-1, 0], _TORSO[::-1, k])(fine)[:, None] for k in (1, 2, 3))
    width = width * (1 - (0.12 if look.feminine else 0.0) * np.clip((-145 - fine[:, None]) / 50, 0, 1))
    turn = np.linspace(0, 2 * np.pi, 72, endpoint=False)[None]
    power = 0.86 + 0 * fine[:, None]
    x = width * np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** power
    z = centre + depth * np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** power
    chest = 8 * np.exp(-(((fine[:, None] + 300) / 60) ** 2)) * np.clip(np.cos(turn), 0, 1)
    points = (
        np.stack([x, np.broadcast_to(fine[:, None] + shape.EYE_LINE, x.shape), z + chest], -1).reshape(-1, 3) / 1000
    )
    return Part(points, grid_triangles(len(fine), 72, True), np.zeros(len(points)), np.zeros(len(points)))


def _join(a: Part, b: Part) -> Part:
    return Part(
        np.concatenate([a.points, b.points]), np.concatenate([a.triangles, b.triangles + len(a.points)]),
        np.concatenate([a.follow, b.follow]), np.concatenate([a.inside, b.inside]),
    )


def paint_torso(look: Look, rows: int) -> np.ndarray:
    """Frontal picture [rows, columns, 4] of neck, clothes: linear RGB, and 1 where it is cloth."""
    x0, x1, y0, y1 = TORSO_BOX
    columns = round(rows * (x1 - x0) / (y1 - y0))
    x, y = np.meshgrid(np.linspace(x0, x1, columns), np.linspace(y1, y0, rows))
    a = np.abs(x)
    rng = np.random.default_rng(look.seed + 1)
    weave = gaussian_filter(rng.normal(size=x.shape), rows / 250) * rows / 250 * 3
    folds = gaussian_filter(rng.normal(size=x.shape), (rows / 12, rows / 40))
    cloth = linear(look.cloth) * (1 + 0.05 * weave + 0.25 * folds / folds.std() * 0.4)[..., None]
    shade = 1 - 0.5 * np.exp(-np.maximum(-108 - y, 0) / 26)
    skin = linear(look.skin) * (shade * (1 - 0.12 * np.exp(-(((a - 16 - 0.25 * (y + 150)) / 4) ** 2))))[..., None]
    if look.garment == "crew":
        collar = -163 - 14 * np.clip(1 - (a / 62) ** 2, -1.2, 1)
    elif look.garment == "open":
        collar = -150 - 62 * np.clip(1 - a / 58, -0.2, 1)
    else:
        collar = -146 - 12 * np.clip(1 - (a / 54) ** 2, -1.5, 1)
    if look.garment == "suit":
        cloth = _suit(cloth, look, x, y)
    seam = np.clip(1 - np.abs(y - collar + 1.5) / 2.0, 0, 1)
    cloth = cloth * (1 - 0.45 * seam)[..., None]
    is_cloth = np.clip((collar - y) / 1.2 + 0.5, 0, 1)
    color = skin + (cloth - skin) * is_cloth[..., None]
    return np.concatenate([np.clip(color, 0.002, 1), is_cloth[..., None]], -1).astype(np.float32)


def _suit(cloth: np.ndarray, look: Look, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Shirt, tie and lapels over the jacket's cloth."""
    a = np.abs(x)
    opening = np.clip((y + 330) / 190, 0, 1) * 52  # half width of the shirt's triangle
    shirt = np.clip((opening - a) / 1.5 + 0.5, 0, 1)
    lapel = np.clip(1 - np.abs(a - opening - 26 * np.clip((y + 330) / 150, 0, 1)) / 1.6, 0, 1) * (y > -330)
    edge = np.clip(1 - np.abs(a - opening) / 2.5, 0, 1)
    out = cloth * (1 - 0.45 * lapel - 0.4 * edge)[..., None]
    white = (
        np.array([0.72, 0.74, 0.78])
        * (1 - 0.25 * np.clip(1 - np.abs(a - 9 - 0.6 * (y + 168)) / 2, 0, 1) * (y < -160) * (y > -205))[..., None]
    )
    out = out + (white - out) * shirt[..., None]
    tie_width = np.where(y > -182, 11 - 0.25 * np.abs(y + 172), 8 + 0.07 * (-182 - y))
    tie = np.clip((tie_width - a) / 1.2 + 0.5, 0, 1) * (y < -158)
    stripes = 0.5 + 0.5 * np.sign(np.sin((x + y) * 0.45))
    tint = linear(look.cloth[::-1]) * 0.9 + 0.03
    return out + (tint * (0.7 + 0.3 * stripes)[..., None] - out) * tie[..., None]


def paint_backdrop(look: Look, size: int) -> np.ndarray:
    """A quiet room out of focus [size,size,3], linear."""
    rng = np.random.default_rng(look.seed + 2)
    y, x = np.mgrid[:size, :size] / size
    room = np.multiply.outer(1.1 - 0.45 * y + 0.15 * look.light_side * (x - 0.5), linear(look.backdrop))
    for _ in range(int(rng.integers(4, 9))):
        cx, cy, w, h = rng.uniform(0, 1), rng.uniform(0, 0.8), rng.uniform(0.05, 0.3), rng.uniform(0.1, 0.5)
        tint = linear(np.clip(np.array(look.backdrop) * rng.uniform(0.7, 1.3) * rng.uniform(0.93, 1.07, 3), 0, 1))
        room = np.where(((np.abs(x - cx) < w / 2) & (np.abs(y - cy) < h / 2))[..., None], 0.5 * room + 0.5 * tint, room)
    return np.clip(gaussian_filter(room, (size / 45, size / 45, 0)), 0, 1).astype(np.float32)


def paint_hair(look: Look, rows: int) -> np.ndarray:
    """Strands [rows, 3 rows/2, 2]: brightness around 1, and noise in -1..1 that frays the hairline."""
    rng = np.random.default_rng(look.seed + 3)
    size = (rows, 3 * rows // 2)
    def streaks(along: float, across: float) -> np.ndarray:
        layer = gaussian_filter(
            rng.normal(size=size), (rows * along, max(rows * across, 0.5)), mode=("nearest", "wrap")
        )
        return layer / layer.std()

    fine, coarse = streaks(0.035, 0.0012), streaks(0.09, 0.006)
    return np.stack(
        [np.clip(1 + 0.22 * fine + 0.2 * coarse, 0.3, 1.9), np.clip(0.5 * fine + 0.3 * coarse, -1, 1)], -1
    ).astype(np.float32)
