"""Colours, labels, depth and normals of rasterised people: one numba kernel over the pixels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numba import get_num_threads, njit

from d3talker.people.head import shape as shape
from d3talker.people.head.zbuffer import Raster
from d3talker.people.subject.palette import Label
from d3talker.people.synthetic.bodies import TORSO_BOX
from d3talker.people.synthetic.skin import AXIS_Z, BOTTOM, TOP


class Material(IntEnum):
    """What a triangle is made of."""

    SKIN = 0
    NECK = 1
    EYE = 2
    TEETH = 3
    MOUTH = 4
    TONGUE = 5
    TORSO = 6
    HAIR = 7


class Surfaces(NamedTuple):
    """All that stays the same from frame to frame: triangles [F,3] and their materials, opaque ones first, hair from
    `first_hair` on; rest [V,3] mean positions in metres that carry the paint, inside [V] mm, paint maps, cloth mask,
    lights (direction and linear colour: six numbers each), ambient from above and below, hair and iris colour."""

    triangles: np.ndarray
    materials: np.ndarray
    first_hair: int
    rest: np.ndarray
    inside: np.ndarray
    skin: np.ndarray
    torso: np.ndarray
    cloth: np.ndarray
    strands: np.ndarray
    lights: tuple[tuple[float, ...], ...]
    ambient: tuple[tuple[float, ...], ...]
    hair: tuple[float, ...]
    iris: tuple[float, ...]


class Shaded(NamedTuple):
    """Pictures of a batch: linear colour [B,H,W,3] (0 where nothing is), cover [B,H,W] 0..1, labels [B,H,W] uint8,
    teeth [B,H,W] bool, depth [B,H,W] metres (0: nothing), normals [B,H,W,3] in the camera's OpenGL axes."""

    color: np.ndarray
    cover: np.ndarray
    labels: np.ndarray
    teeth: np.ndarray
    depth: np.ndarray
    normals: np.ndarray


def shade(opaque: Raster, hair: Raster | None, normals: np.ndarray, gaze: np.ndarray, surfaces: Surfaces) -> Shaded:
    """Shade two Rasters of the same batch, hair (if any) over everything else; normals [B,V,3], gaze [B,2] mm."""
    size = opaque.triangle.shape
    out = Shaded(
        np.zeros((*size, 3), np.float32),
        np.zeros(size, np.float32),
        np.zeros(size, np.uint8),
        np.zeros(size, np.bool_),
        np.zeros(size, np.float32),
        np.zeros((*size, 3), np.float32),
    )
    normals, gaze = np.ascontiguousarray(normals, np.float32), np.ascontiguousarray(gaze, np.float64)

    bald = (np.zeros((0, 0), np.int32), np.zeros((0, 0, 3), np.float32), np.zeros((0, 0), np.float32))

    def one(b: int) -> None:
        seen = (opaque.triangle[b], opaque.barycentric[b], opaque.depth[b])
        over = (hair.triangle[b], hair.barycentric[b], hair.depth[b]) if hair else bald
        _shade_frame(seen, over, normals[b], gaze[b], surfaces, tuple(part[b] for part in out))

    with ThreadPoolExecutor(get_num_threads()) as pool:
        list(pool.map(one, range(size[0])))
    return out


_EYE_X, _EYE_LINE = shape.EYE_X, shape.EYE_LINE
_X0, _X1, _Y0, _Y1 = TORSO_BOX
_BACK, _FACE, _MOUTH, _HAIR, _NECK, _TORSO = (int(label) for label in Label)
_M_SKIN, _M_NECK, _M_EYE, _M_TEETH, _M_MOUTH, _M_TONGUE, _M_TORSO, _ = (int(m) for m in Material)
_GAPS = np.array([0.0, 8.4, 14.9, 22.4, 29.0])  # mm along the arch: borders between the teeth


@njit(cache=True)
def _mix(values, i, j, k, a, b, c):  # type: ignore[no-untyped-def]
    return (
        a * values[i, 0] + b * values[j, 0] + c * values[k, 0], a * values[i, 1] + b * values[j, 1] + c * values[k, 1],
        a * values[i, 2] + b * values[j, 2] + c * values[k, 2],
    )


@njit(cache=True, error_model="numpy")
def _sample(image, column, row):  # type: ignore[no-untyped-def]
    """Bilinear first three channels (the last again where there are two) at a pixel position; columns wrap."""
    rows, columns, last = image.shape[0], image.shape[1], image.shape[2] - 1
    row = min(max(row, 0.0), rows - 1.001)
    c0, r0 = int(np.floor(column)), int(row)
    fx, fy = column - c0, row - r0
    a, b = c0 % columns, (c0 + 1) % columns
    w00, w01, w10, w11 = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
    z = min(2, last)
    return (
        w00 * image[r0, a, 0] + w01 * image[r0, b, 0] + w10 * image[r0 + 1, a, 0] + w11 * image[r0 + 1, b, 0],
        w00 * image[r0, a, 1] + w01 * image[r0, b, 1] + w10 * image[r0 + 1, a, 1] + w11 * image[r0 + 1, b, 1],
        w00 * image[r0, a, z] + w01 * image[r0, b, z] + w10 * image[r0 + 1, a, z] + w11 * image[r0 + 1, b, z],
    )


@njit(cache=True)
def _texel(p, rows, columns):  # type: ignore[no-untyped-def]
    return (np.arctan2(p[0], p[2] - AXIS_Z) / (2 * np.pi) + 0.5) * columns - 0.5, (TOP - p[1]) / (
        TOP - BOTTOM
    ) * rows - 0.5


@njit(cache=True)
def _unit(v):  # type: ignore[no-untyped-def]
    length = np.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]) + 1e-12
    return v[0] / length, v[1] / length, v[2] / length


@njit(cache=True, error_model="numpy")
def _light(n, wrap, gloss, sharp, red, surfaces):  # type: ignore[no-untyped-def]
    """Diffuse and specular light (six numbers) at a normal; `red` lets light bleed into the skin's shadows."""
    up = 0.5 + 0.5 * n[1]
    sky = surfaces.ambient
    r, g, b = _lerp(sky[1], sky[0], up)
    sr, sg, sb = 0.0, 0.0, 0.0
    for light in surfaces.lights:
        cosine = n[0] * light[0] + n[1] * light[1] + n[2] * light[2]
        warm, plain = max((cosine + wrap + red) / (1 + wrap + red), 0.0), max((cosine + wrap) / (1 + wrap), 0.0)
        r, g, b = r + warm * light[3], g + plain * light[4], b + plain * light[5]
        if cosine > 0:
            h = _unit((light[0], light[1], light[2] + 1.0))
            high = n[0] * h[0] + n[1] * h[1] + n[2] * h[2]
            if high > 0.7:
                high = gloss * np.exp(sharp * (high - 1) * (3 - high) * 0.5)
                sr, sg, sb = sr + high * light[3], sg + high * light[4], sb + high * light[5]
    return r, g, b, sr, sg, sb


@njit(cache=True)
def _clip(t):  # type: ignore[no-untyped-def]
    return min(max(t, 0.0), 1.0)


@njit(cache=True)
def _lerp(a, b, t):  # type: ignore[no-untyped-def]
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t


@njit(cache=True)
def _times(a, t):  # type: ignore[no-untyped-def]
    return a[0] * t, a[1] * t, a[2] * t


@njit(cache=True, error_model="numpy")
def _eye(p, gaze, iris):  # type: ignore[no-untyped-def]
    """Albedo of the eyeball at a rest position (metres)."""
    x, y = abs(p[0]) * 1000 - _EYE_X, p[1] * 1000 - _EYE_LINE
    dx, dy = x - (gaze[0] if p[0] > 0 else -gaze[0]), y - gaze[1] - 0.4
    r, angle = np.hypot(dx, dy), np.arctan2(dy, dx)
    lid = 1 - 0.5 * _clip((y - 1.0) / 5.0) - 0.25 * _clip((-1.5 - y) / 4.0)
    white = _lerp((0.50, 0.47, 0.45), (0.40, 0.26, 0.24), _clip((abs(x) - 8.0) / 7.0))
    rays = 0.85 + 0.15 * np.sin(angle * 23.0) + 0.1 * np.sin(angle * 41.0 + 1.0)
    ring = (1 - 0.65 * _clip((r - 4.6) / 1.3)) * (1.25 - 0.05 * r) * rays
    colored = _lerp(white, (iris[0] * ring, iris[1] * ring, iris[2] * ring), _clip((6.1 - r) / 0.7))
    return _lerp(_times(colored, lid), (0.006, 0.006, 0.006), _clip((2.5 - r) / 0.5))


@njit(cache=True, error_model="numpy")
def _teeth(p):  # type: ignore[no-untyped-def]
    """Albedo of teeth and gums at a rest position (metres)."""
    x, y, z = abs(p[0]) * 1000, p[1] * 1000 - _EYE_LINE, p[2] * 1000
    along = x * (1 + 0.0011 * x)
    upper = y > -73.3
    narrow = 1.0 if upper else 0.72  # lower teeth are narrower
    gap, off = 9.0, 0.0
    for k in range(4):
        a, b = _GAPS[k] * narrow, _GAPS[k + 1] * narrow
        if a <= along < b:
            gap, off = min(along - a, b - along), ((along - (a + b) / 2) / ((b - a) / 2)) ** 2
    gum = _clip((y - (-62.6 - 1.6 * off)) / 0.7 if upper else ((-83.2 + 1.4 * off) - y) / 0.7)
    depth = min(max((z - 66.0) / 24.0, 0.3), 1.0)
    shade = (0.62 + 0.38 * min(gap / 0.7, 1.0)) * depth * depth
    return _times(_lerp((0.70, 0.66, 0.57), (0.42, 0.16, 0.16), gum), shade)


@njit(cache=True, error_model="numpy")
def _surface(material, p, gaze, surfaces):  # type: ignore[no-untyped-def]
    """Albedo, label, wrap, gloss, sharpness and red bleeding at a rest position."""
    if material <= _M_NECK:
        column, row = _texel(p, surfaces.skin.shape[0], surfaces.skin.shape[1])
        return _sample(surfaces.skin, column, row), _FACE if material == _M_SKIN else _NECK, 0.25, 0.055, 14.0, 0.14
    if material == _M_EYE:
        return _eye(p, gaze, surfaces.iris), _FACE, 0.4, 0.9, 160.0, 0.0
    if material == _M_TEETH:
        return _teeth(p), _MOUTH, 0.5, 0.12, 40.0, 0.0
    if material == _M_TORSO:
        column = (p[0] * 1000 - _X0) / (_X1 - _X0) * (surfaces.torso.shape[1] - 1)
        row = (_Y1 - p[1] * 1000 + _EYE_LINE) / (_Y1 - _Y0) * (surfaces.torso.shape[0] - 1)
        color = _sample(surfaces.torso, column, row)
        if surfaces.cloth[
            int(min(max(row + 0.5, 0), surfaces.cloth.shape[0] - 1)),
            int(min(max(column + 0.5, 0), surfaces.cloth.shape[1] - 1)),
        ]:
            return color, _TORSO, 0.2, 0.02, 14.0, 0.0
        return color, _NECK, 0.25, 0.055, 14.0, 0.14
    deep = min(max((p[2] * 1000 - 45.0) / 45.0, 0.12), 1.0)
    tint = (0.50, 0.20, 0.20) if material == _M_TONGUE else (0.36, 0.12, 0.11)
    return _times(tint, deep * deep), _MOUTH, 0.4, 0.06, 20.0, 0.0


@njit(cache=True, error_model="numpy")
def _hair(p, n, inside, surfaces):  # type: ignore[no-untyped-def]
    """Alpha and lit colour of hair whose strands run down the head."""
    column, row = _texel(p, surfaces.strands.shape[0], surfaces.strands.shape[1])
    strand, fray, _ = _sample(surfaces.strands, column, row)
    t = _unit((-n[0] * n[1], 1 - n[1] * n[1], -n[2] * n[1]))
    r, g, b, _, _, _ = _light(n, 0.45, 0.0, 1.0, 0.0, surfaces)
    shine = 0.0
    for light in surfaces.lights:
        h = _unit((light[0], light[1] - 0.25 * (strand - 1), light[2] + 1.0))
        along = t[0] * h[0] + t[1] * h[1] + t[2] * h[2]
        facing = max(n[0] * light[0] + n[1] * light[1] + n[2] * light[2], 0.0)
        shine += np.exp(-22 * along * along) * facing * strand * 0.09 * light[4]
    deep, hair = strand * strand, surfaces.hair
    alpha = _clip(inside / 7.0 + 0.1 + 0.55 * fray)
    return (
        alpha,
        hair[0] * deep * r + shine * (0.35 + 0.65 * np.sqrt(hair[0])),
        hair[1] * deep * g + shine * (0.35 + 0.65 * np.sqrt(hair[1])),
        hair[2] * deep * b + shine * (0.35 + 0.65 * np.sqrt(hair[2])),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _shade_frame(seen, hair, normals, gaze, surfaces, out):  # type: ignore[no-untyped-def]
    color, cover, labels, teeth, depth, normal = out
    triangles, rest = surfaces.triangles, surfaces.rest
    for y in range(cover.shape[0]):
        for x in range(cover.shape[1]):
            alpha = 0.0
            face = hair[0][y, x] if hair[0].size else -1
            if face >= 0 and hair[2][y, x] < seen[2][y, x] + 0.0015:
                face += surfaces.first_hair
                i, j, k = triangles[face, 0], triangles[face, 1], triangles[face, 2]
                u, v, w = np.float64(hair[1][y, x, 0]), np.float64(hair[1][y, x, 1]), np.float64(hair[1][y, x, 2])
                p, n = _mix(rest, i, j, k, u, v, w), _unit(_mix(normals, i, j, k, u, v, w))
                if n[2] < 0:
                    n = (-n[0], -n[1], -n[2])
                inside = u * surfaces.inside[i] + v * surfaces.inside[j] + w * surfaces.inside[k]
                alpha, r, g, b = _hair(p, n, inside, surfaces)
                color[y, x, 0], color[y, x, 1], color[y, x, 2] = alpha * r, alpha * g, alpha * b
                if alpha > 0.5:
                    labels[y, x], depth[y, x] = _HAIR, hair[2][y, x]
                    normal[y, x, 0], normal[y, x, 1], normal[y, x, 2] = n
            face = seen[0][y, x]
            cover[y, x] = 1.0 if face >= 0 else alpha
            if face < 0 or alpha >= 1:
                continue
            i, j, k = triangles[face, 0], triangles[face, 1], triangles[face, 2]
            u, v, w = np.float64(seen[1][y, x, 0]), np.float64(seen[1][y, x, 1]), np.float64(seen[1][y, x, 2])
            p, n = _mix(rest, i, j, k, u, v, w), _unit(_mix(normals, i, j, k, u, v, w))
            albedo, label, wrap, gloss, sharp, red = _surface(surfaces.materials[face], p, gaze, surfaces)
            r, g, b, sr, sg, sb = _light(n, wrap, gloss, sharp, red, surfaces)
            color[y, x, 0] += (1 - alpha) * (albedo[0] * r + sr)
            color[y, x, 1] += (1 - alpha) * (albedo[1] * g + sg)
            color[y, x, 2] += (1 - alpha) * (albedo[2] * b + sb)
            if alpha <= 0.5:
                labels[y, x], depth[y, x] = label, seen[2][y, x]
                teeth[y, x] = surfaces.materials[face] == _M_TEETH
                normal[y, x, 0], normal[y, x, 1], normal[y, x, 2] = n
