"""Paints a person's skin: an albedo map over azimuth and height of the mean head, in linear light."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from d3talker.people.head import shape as shape
from d3talker.people.head.face import FaceModel
from d3talker.people.head.shape import bump
from d3talker.people.head.zbuffer import rasterize
from d3talker.people.synthetic.looks import Look

TOP, BOTTOM = 0.140, -0.160  # metres: the rows' range of height
AXIS_Z = -0.010  # azimuth is measured about the vertical line through (0, AXIS_Z)


def linear(color: np.ndarray | tuple[float, ...]) -> np.ndarray:
    """sRGB 0..1 -> linear (gamma 2.2)."""
    return np.asarray(color, np.float64) ** 2.2


def paint_skin(face: FaceModel, look: Look, rows: int) -> np.ndarray:
    """Albedo float32 [rows, 3 rows/2, 3], linear: tone, brows, lashes, lips, stubble, chin's shade."""
    rng = np.random.default_rng(look.seed)
    x, y, z = _positions(face, rows)
    front = np.clip((z - 20) / 30, 0, 1)
    noise = _noise(rng, x.shape, rows)
    tone = linear(look.skin) * (1 + 0.05 * noise[..., None])
    tone = tone * (1 + np.multiply.outer(_blush(x, y, front), np.array([0.05, -0.10, -0.08])))
    tone = _blend(tone, linear(look.skin) * [0.42, 0.28, 0.25], front * _folds(x, y))
    beard = look.stubble * front * _beard(x, y) * (0.75 + 0.25 * np.clip(_noise(rng, x.shape, rows, fine=True), -1, 1))
    tone = _blend(tone, linear(look.hair) * 0.8 + 0.012, 0.8 * np.clip(beard, 0, 1))
    tone = _blend(tone, _lip_color(look) * (1 + 0.12 * noise[..., None]), front * _lips(x, y))
    tone = _blend(tone, linear(look.skin) * [0.16, 0.08, 0.07], front * bump(np.abs(x), y, 6.4, -45.6, 2.3, 1.5) ** 0.7)
    tone = _blend(tone, linear(look.hair) * 0.7 + 0.004, front * _brows(x, y, look, rng, rows))
    tone = _blend(tone, np.array([0.012, 0.009, 0.008]), front * _lashes(x, y, look))
    shade = 1 - 0.45 * np.exp(-np.maximum(-112 - y, 0) / 22) * (y < -111) * np.clip((z + 10) / 30, 0, 1)
    return np.clip(tone * shade[..., None], 0.002, 1).astype(np.float32)


def _positions(face: FaceModel, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean-face position in mm from the eye line (head_shape's coordinates) of each texel, each [rows, columns]."""
    columns = 3 * rows // 2
    skin = face.region_mask("skin", "scalp", "neck", "lips", "lid_rim")
    triangles = face.triangles[skin[face.triangles].all(1)]
    px = np.stack([*texel(face.mean, rows, columns), -np.hypot(face.mean[:, 0], face.mean[:, 2] - AXIS_Z)], -1)
    across = np.ptp(px[triangles, 0], axis=1) < columns / 2  # not those that the seam at the back cuts
    raster = rasterize(px[None], triangles[across], rows, columns)
    position = raster.interpolate(face.mean, triangles[across])[0].astype(np.float64) * 1000
    return position[..., 0], position[..., 1] - shape.EYE_LINE, position[..., 2]


def texel(points: np.ndarray, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Column and row (pixels, centres at integers) of mean-face points [...,3] in metres."""
    azimuth = np.arctan2(points[..., 0], points[..., 2] - AXIS_Z)
    return (azimuth / (2 * np.pi) + 0.5) * columns - 0.5, (TOP - points[..., 1]) / (TOP - BOTTOM) * rows - 0.5


def _blend(under: np.ndarray, over: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return under + (over - under) * np.clip(alpha, 0, 1)[..., None]


def _noise(rng: np.random.Generator, size: tuple[int, ...], rows: int, fine: bool = False) -> np.ndarray:
    """Unit noise, speckled (fine) or of mixed grain."""
    grains = (0.7,) if fine else (rows / 500, rows / 120, rows / 30)
    layers = [gaussian_filter(rng.normal(size=size), grain, mode="wrap") for grain in grains]
    return sum(layer / layer.std() for layer in layers) / len(grains)  # type: ignore[return-value]


def _blush(x: np.ndarray, y: np.ndarray, front: np.ndarray) -> np.ndarray:
    a = np.abs(x)
    return front * (
        bump(a, y, 40, -32, 14, 12)
        + 0.9 * bump(x, y, 0, -38, 9, 8)
        + 0.4 * bump(x, y, 0, -98, 14, 8)
        + 0.3 * bump(a, y, 31, -12, 14, 5)
    )


def _folds(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Darker creases: above the upper lid, beside the nose, under the lower lip, inner corners of the eyes."""
    a = np.abs(x)
    s = shape.eye_parameter(x)
    upper, _ = shape.eye_opening(s)
    crease = 0.45 * np.exp(-(((y - upper - 3.6) / 0.9) ** 2)) * ((s > 0) & (s < 1.05))
    wing = 0.35 * np.exp(-((np.hypot(a - 14, y + 40) - 5.2) ** 2) / 1.6) * (a > 14)
    nasolabial = 0.12 * np.exp(-(((a - 18 - 0.42 * (-44 - y)) / 1.8) ** 2)) * bump(0, y, 0, -54, 1, 9)
    return crease + wing + nasolabial + 0.2 * bump(x, y, 0, -87, 13, 2.2) + 0.3 * bump(a, y, 16, -1, 2.5, 2.5)


def _lips(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    upper, line, lower = shape.lip_lines(x)
    inside = np.minimum(upper - y, y - lower)
    body = np.clip(inside / 1.1 + 0.4, 0, 1) * (np.abs(x) < shape.MOUTH_X)
    return 0.85 * body + 0.4 * np.exp(-(((y - line) / 0.8) ** 2)) * (np.abs(x) < shape.MOUTH_X)


def _lip_color(look: Look) -> np.ndarray:
    natural = linear(look.skin) * [0.78, 0.42, 0.42]
    return natural * [1.0, 0.62, 0.68] if look.feminine else natural


def _beard(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Where a beard grows: moustache, chin and jaw, up to the sideburns."""
    a = np.abs(x)
    upper, _, lower = shape.lip_lines(x)
    edge = -80 + 0.95 * np.clip(a - 22, 0, 60)
    jaw = _ramp((edge - y) / 11) * np.maximum(_ramp((a - 16) / 14), _ramp((lower - 2 - y) / 7))
    moustache = _ramp((y - upper - 0.5) / 2.5) * _ramp((-50 - y) / 5) * _ramp((29 - a) / 9) * (0.5 + 0.5 * _ramp(a / 5))
    return np.maximum(jaw, moustache) * _ramp((y + 128) / 14)


def _ramp(t: np.ndarray) -> np.ndarray:
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


def _brows(x: np.ndarray, y: np.ndarray, look: Look, rng: np.random.Generator, rows: int) -> np.ndarray:
    """Brow hairs along the landmarks' arch, thicker on the inside."""
    a = np.abs(x)
    arch = np.interp(a, shape.BROW[::-1, 0] * -1, shape.BROW[::-1, 1])
    along = np.clip((a - 11) / 4, 0, 1) * np.clip((59 - a) / 12, 0, 1)
    thick = (2.5 if look.feminine else 3.5) * (0.45 + 0.55 * np.clip((58 - a) / 40, 0, 1))
    body = np.clip((thick - np.abs(y - arch + 0.5)) / 1.4, 0, 1)
    hairs = gaussian_filter(rng.normal(size=x.shape), (rows / 250, rows / 700), mode="wrap")
    return along * body * np.clip(0.8 + 0.13 * hairs / hairs.std(), 0, 1)


def _lashes(x: np.ndarray, y: np.ndarray, look: Look) -> np.ndarray:
    s = shape.eye_parameter(x)
    upper, lower = shape.eye_opening(s)
    inside = (s > 0.03) & (s < 1.03)
    width = 1.3 if look.feminine else 0.9
    top = np.clip(1.3 - np.maximum(y - upper, 0) / width, 0, 1) * (y > upper - 1.2)
    bottom = 0.35 * np.clip(1 - np.maximum(lower - y, 0) / 0.7, 0, 1) * (y < lower + 0.8)
    return inside * np.clip(top + bottom, 0, 1)
