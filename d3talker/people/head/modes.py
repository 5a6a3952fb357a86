"""Displacement fields of the embedded head in mm: expressions (1 = full) and identity modes (1 = one deviation)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from d3talker.people.head import shape as shape
from d3talker.people.head.mesh import REGIONS, eye_nearness
from d3talker.people.head.shape import bump

JAW_HINGE = np.array([0.0, -14.0, 10.0])


@dataclass(frozen=True)
class Fields:
    """Per-vertex quantities that the modes share: mean points [V,3] and soft masks [V]."""

    points: np.ndarray
    region: np.ndarray
    lower: np.ndarray  # share of the jaw's motion, 0..1
    lip_fraction: np.ndarray  # 0 on the vermilion border and outside, 1 at the line between the lips
    left: np.ndarray  # 1 on the person's left (image right), 0 on the right, soft across the middle

    @classmethod
    def build(cls, points: np.ndarray, region: np.ndarray, lower: np.ndarray, lip_fraction: np.ndarray) -> Fields:
        left = 0.5 + 0.5 * np.tanh(points[:, 0] / 9.0)
        lower = np.where(np.isnan(lower), _skin_jaw_share(points), lower)
        lower = np.where(np.isin(region, [REGIONS.index(n) for n in ("ear", "eye", "lid_rim")]), 0.0, lower)
        return cls(points, region, lower, lip_fraction, left)

    def soft(self) -> np.ndarray:
        """1 on lips and skin, 0 on hard parts and in the depth of the mouth (whose entrance follows the lips)."""
        hard = np.isin(self.region, [REGIONS.index(n) for n in ("teeth", "tongue", "eye", "lid_rim", "ear", "scalp")])
        depth = np.clip((self.points[:, 2] - 84) / 12, 0, 1)
        return np.where(hard, 0.0, np.where(self.region == REGIONS.index("mouth"), depth, 1.0))

    def around_mouth(self, sx: float, sy: float, cy: float = shape.MOUTH_Y) -> np.ndarray:
        """Gaussian window around the mouth on the soft parts, front of the head only."""
        x, y, z = self.points.T
        return bump(x, y, 0, cy, sx, sy) * self.soft() * np.clip((z - 15) / 40, 0, 1)


def _smooth(t: np.ndarray) -> np.ndarray:
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


def _skin_jaw_share(points: np.ndarray) -> np.ndarray:
    x, y, z = points.T
    line = shape.MOUTH_Y + 0.58 * np.clip(92 - z, 0, None)
    sharp = 2.5 + 20 * _smooth((np.abs(x) - 14) / 24)
    share = 0.5 + 0.5 * np.tanh((line - y) / sharp)
    under = np.clip((z - 0.9 * (-112 - y)) / 62, 0, 1)  # the throat follows less and less
    front = _smooth((z + 8) / 34)
    return share * front * np.where(y < -108, _smooth(under), 1.0) * _smooth((y + 165) / 45)


def _vector(x: np.ndarray | float, y: np.ndarray | float, z: np.ndarray | float, weight: np.ndarray) -> np.ndarray:
    return np.stack([np.broadcast_to(c, weight.shape) for c in (x, y, z)], -1) * weight[:, None]


def _jaw(f: Fields, pitch: float, yaw: float, forward: float = 0.0) -> np.ndarray:
    """Chord of the jaw's rotation (degrees) about its hinge."""
    a, b = np.radians(pitch), np.radians(yaw)
    turn_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    moved = (f.points - JAW_HINGE) @ (turn_y @ turn_x).T + JAW_HINGE + [0, 0, forward]
    return (moved - f.points) * f.lower[:, None]


def _blink(f: Fields, side: int, close: float) -> np.ndarray:
    """Upper lid slides over the eyeball to the lower one (close = 1 shuts the eye, negative widens it)."""
    x, y, z = f.points.T
    s = shape.eye_parameter(x)
    upper, lower = shape.eye_opening(s)
    middle = (upper + lower) / 2
    beyond = np.maximum(np.maximum(-s, s - 1), 0) * shape.EYE_WIDTH
    reach = _smooth(1 - np.maximum(y - upper, 0) / 13.0) * _smooth(1 - beyond / 7.0)
    below = _smooth(1 - np.maximum(lower - y, 0) / 8.0) * _smooth(1 - beyond / 7.0)
    gap = upper - lower
    dy = np.where(y >= middle, -0.9 * gap * reach, 0.14 * gap * below) * close
    skin = np.isin(f.region, [REGIONS.index("skin"), REGIONS.index("lid_rim")])
    mask = skin * (x * side > 0) * (z > 30)
    slide = (shape.lid_surface(x, y + dy) - shape.lid_surface(x, y)) * eye_nearness(x, y)
    bulge = 0.9 * np.abs(np.clip(close, 0, 1)) * reach * (y >= middle)
    return _vector(0.0, dy, slide + bulge, mask.astype(float))


def _smile(f: Fields, side: int) -> np.ndarray:
    x, y, _ = f.points.T
    half = f.left if side > 0 else 1 - f.left
    corner = bump(np.abs(x), y, 27, shape.MOUTH_Y - 1, 15, 12) * f.soft() * half
    cheek = bump(np.abs(x), y, 38, -40, 13, 14) * f.soft() * half
    return _vector(6.5 * np.sign(x), 6.0, -4.0, corner) + _vector(1.0 * np.sign(x), 3.0, 3.0, cheek)


def _lips_vertical(f: Fields, upper: float, lower: float, width: float) -> np.ndarray:
    """Move the upper and lower lips vertically (mm), fading towards the corners."""
    y = f.points[:, 1]
    is_lower = np.where(f.lip_fraction > 0, f.lower, 0.5 + 0.5 * np.tanh((shape.MOUTH_Y - y) / 2.0))
    is_lower = np.where(f.lower == 0.5, 0.5, is_lower)
    window = f.around_mouth(width, 15)
    return _vector(0.0, upper * (1 - is_lower) + lower * is_lower, 0.0, window)


def _roll(f: Fields, depth: float, squeeze: float) -> np.ndarray:
    """Turn the lips in (depth in mm) and draw the vermilion borders to the line between them by a share `squeeze`."""
    x, y, _ = f.points.T
    _, line, _ = shape.lip_lines(x)
    window = f.around_mouth(19, 11)
    return _vector(0.0, squeeze * (line - y) * bump(0, y, 0, shape.MOUTH_Y, 1, 9), -depth, window)


def _pucker(f: Fields, narrow: float, forward: float, open_by: float, thick: float) -> np.ndarray:
    x, y, _ = f.points.T
    _, line, _ = shape.lip_lines(x)
    window = f.around_mouth(27, 17)
    near = f.around_mouth(18, 12)
    out = _vector(-narrow * x, thick * (y - line), 0.0, window) + _vector(0.0, 0.0, forward, near)
    return out + _lips_vertical(f, open_by, -open_by, 15)


def expressions(f: Fields) -> dict[str, np.ndarray]:
    """Name -> displacement [V,3] in mm at coefficient 1; left and right are the person's own."""
    x, y, z = f.points.T
    ax, front, soft = np.abs(x), np.clip((z - 15) / 40, 0, 1), f.soft()
    left, right = f.left, 1 - f.left
    brow = bump(ax, y, 36, 23, 20, 9) * front * soft
    inner_brow = bump(ax, y, 14, 23, 12, 9) * front * soft
    puff = bump(ax, y, 40, -60, 14, 16) * soft * front
    cheek = bump(ax, y, 36, -26, 15, 12) * soft * front
    tongue = (f.region == REGIONS.index("tongue")) * np.clip((z - 44) / 43, 0, 1)
    nose_side = bump(ax, y, 13, -38, 8, 10) * soft * front
    corner = bump(ax, y, 27, shape.MOUTH_Y, 14, 11) * soft * front
    eye_skin = front * np.isin(f.region, [REGIONS.index("skin"), REGIONS.index("lid_rim")])
    return {
        "jaw_open": _jaw(f, 17.0, 0.0),
        "jaw_left": _jaw(f, 0.0, 5.0),
        "jaw_right": _jaw(f, 0.0, -5.0),
        "jaw_forward": _jaw(f, 0, 0, 6.0),
        "lips_pucker": _pucker(f, 0.36, 7.0, 0.0, 0.18),
        "lips_funnel": _pucker(f, 0.26, 6.5, 4.0, 0.1),
        "lips_press": _roll(f, 1.2, 0.30),
        "lips_roll": _roll(f, 4.0, 0.55),
        "mouth_wide": _vector(7.5 * np.sign(x), 0.0, -3.0, corner),
        "mouth_left": _vector(6.0, 0.0, 0.0, f.around_mouth(22, 14) * (0.4 + 0.6 * left)),
        "mouth_right": _vector(-6.0, 0.0, 0.0, f.around_mouth(22, 14) * (0.4 + 0.6 * right)),
        "smile_left": _smile(f, 1),
        "smile_right": _smile(f, -1),
        "mouth_frown": _vector(1.0 * np.sign(x), -6.0, -1.0, corner),
        "upper_lip_up": _lips_vertical(f, 6.0, 0.0, 17),
        "lower_lip_down": _lips_vertical(f, 0.0, -7.0, 17),
        "lip_raise": _vector(0.0, 4.0, 0.0, f.around_mouth(22, 12)),
        "chin_raise": _lips_vertical(f, 1.0, 4.0, 18),
        "cheek_puff": _vector(3.5 * np.sign(x), 0.0, 6.0, puff),
        "cheek_raise_left": _vector(0.0, 4.0, 2.0, cheek * left),
        "cheek_raise_right": _vector(0.0, 4.0, 2.0, cheek * right),
        "brow_inner_up": _vector(0.0, 7.0, 0.5, inner_brow),
        "brow_up_left": _vector(0.0, 7.5, 0.0, brow * left),
        "brow_up_right": _vector(0.0, 7.5, 0.0, brow * right),
        "brow_down": _vector(-2.0 * np.sign(x) * (ax < 60), -5.0, 0.5, np.maximum(inner_brow, 0.6 * brow)),
        "blink_left": _blink(f, 1, 1.0),
        "blink_right": _blink(f, -1, 1.0),
        "eyes_wide": _vector(0.0, 2.2, 0.0, bump(ax, y, 31, 7, 15, 5) * (y > 1) * eye_skin),
        "squint": _vector(0.0, 3.0, 0.8, bump(ax, y, 31, -7, 13, 4.5) * (y < 0) * eye_skin),
        "nose_wrinkle": _vector(0.0, 3.5, 0.5, nose_side),
        "nostril_flare": _vector(2.0 * np.sign(x), 0.0, 0.0, nose_side),
        "tongue_up": _vector(0.0, 9.0, 2.0, tongue**2),
        "tongue_out": _vector(0.0, 4.5, 13.0, tongue),
    }


def identities(f: Fields) -> dict[str, np.ndarray]:
    """Name -> displacement [V,3] in mm for one standard deviation."""
    x, y, z = f.points.T
    ax, sign, one = np.abs(x), np.tanh(x / 6.0), np.ones(len(x))
    front = np.clip((z - 10) / 45, 0, 1)
    down = _smooth((-10 - y) / 75) * _smooth((y + 175) / 50)
    jaw_side = _smooth((ax - 12) / 30) * bump(0, y, 0, -82, 1, 24) * _smooth((z + 25) / 40)
    eyes = np.exp(-((np.maximum(np.hypot((ax - shape.EYE_X) / 1.5, y) - 11, 0) / 9) ** 2)) * front
    eye_dx, nose = ax - shape.EYE_X, _smooth(1 - (ax - 10) / 16) * front
    nose_span = _smooth((6 - y) / 22) * _smooth((y + 62) / 14) * nose
    mouth = bump(x, y, 0, shape.MOUTH_Y, 34, 19) * front
    upper_lip, lower_lip = (bump(x, y, 0, at, 18.5, 4.5) * f.soft() * front for at in (-65, -78.5))
    brow = bump(ax, y, 36, 24, 24, 9) * front
    chin = bump(x, y, 0, -104, 24, 15) * front
    return {
        "face_width": _vector(0.045 * x, 0.0, 0.0, one),
        "head_height": _vector(0.0, 0.06 * (y - 20), 0.0, _smooth((y - 20) / 60)),
        "head_depth": _vector(0.0, 0.0, 0.05 * z, one),
        "lower_face_length": _vector(0.0, -5.0, 0.0, down),
        "jaw_width": _vector(4.0 * sign, 0.0, 0.0, jaw_side),
        "jaw_angle": _vector(0.0, -4.5, 0.0, _smooth((ax - 20) / 25) * bump(0, y, 0, -80, 1, 25) * front),
        "chin_length": _vector(0.0, -4.0, 0.0, chin),
        "chin_forward": _vector(0.0, 0.0, 4.0, chin),
        "chin_width": _vector(3.5 * sign, 0.0, 0.0, bump(ax, y, 22, -104, 16, 12) * front),
        "cheekbones": _vector(3.0 * sign, 0.0, 1.5, bump(ax, y, 58, -16, 18, 18) * front),
        "cheek_fullness": _vector(2.5 * sign, 0.0, 2.5, bump(ax, y, 42, -55, 16, 20) * front * f.soft()),
        "temple_width": _vector(3.0 * sign, 0.0, 0.0, bump(ax, y, 66, 25, 20, 28)),
        "eye_distance": _vector(2.0 * sign, 0.0, 0.0, eyes),
        "eye_height": _vector(0.0, 2.0, 0.0, eyes),
        "eye_width": _vector(0.07 * eye_dx * np.sign(x), 0.0, 0.0, eyes),
        "eye_opening": _vector(0.0, 0.16 * y, 0.0, eyes * bump(0, y, 0, 0, 1, 9)),
        "eye_tilt": _vector(0.0, 0.08 * eye_dx, 0.0, eyes),
        "eye_depth": _vector(0.0, 0.0, -2.0, eyes),
        "brow_height": _vector(0.0, 2.8, 0.0, brow),
        "brow_tilt": _vector(0.0, 0.13 * (ax - 36), 0.0, brow),
        "brow_arch": _vector(0.0, 2.2, 0.0, bump(ax, y, 40, 25, 9, 8) * front),
        "brow_ridge": _vector(0.0, 0.0, 1.8, bump(ax, y, 28, 18, 24, 8) * front),
        "brow_distance": _vector(2.0 * sign, 0.0, 0.0, bump(ax, y, 18, 24, 16, 8) * front),
        "forehead_slope": _vector(0.0, 0.0, -0.12 * (y - 25), _smooth((y - 25) / 30) * _smooth((z + 40) / 80)),
        "nose_length": _vector(0.0, 0.085 * (y - 4), 0.0, nose_span),
        "nose_width": _vector(2.0 * sign, 0.0, 0.0, bump(ax, y, 14, -42, 8, 11) * front),
        "nose_protrusion": _vector(0.0, 0.0, 0.13 * (4 - y), nose_span * bump(x, 0, 0, 0, 11, 1)),
        "nose_bridge": _vector(0.0, 0.0, 2.2, bump(x, y, 0, -10, 8, 14) * front),
        "nose_tip_up": _vector(0.0, 2.2, 0.0, bump(x, y, 0, -41, 8, 7) * front),
        "nose_side": _vector(1.6, 0.0, 0.0, nose_span * bump(0, y, 0, -38, 1, 16)),
        "mouth_height": _vector(0.0, 2.5, 0.0, mouth),
        "mouth_width": _vector(0.075 * x, 0.0, 0.0, mouth),
        "mouth_forward": _vector(0.0, 0.0, 2.2, mouth),
        "mouth_side": _vector(1.5, 0.0, 0.0, mouth),
        "upper_lip_fullness": _vector(0.0, 1.5, 0.8, upper_lip * (1 - f.lip_fraction) * (f.lower < 0.5)),
        "lower_lip_fullness": _vector(0.0, -1.8, 1.0, lower_lip * (1 - f.lip_fraction) * (f.lower > 0.5)),
        "mouth_corners": _vector(0.0, 1.6, 0.0, bump(ax, y, 25, shape.MOUTH_Y, 9, 9) * front),
        "lower_face_side": _vector(2.5, 0.0, 0.0, down),
    }
