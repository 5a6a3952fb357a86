"""The embedded parametric head: built from code alone, no licence and no download."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from d3talker.people.head import mesh as head_mesh
from d3talker.people.head import modes as head_modes
from d3talker.people.head import shape as shape
from d3talker.people.head.face import FaceModel

NAME = "d3-head-1"
INSIDE = ("mouth", "teeth", "tongue")  # regions that the mouth's Gaussians stand for; all else is the face's


@lru_cache(maxsize=1)
def embedded_head() -> FaceModel:
    """The head (built once): expression coefficients run from 0 to 1, identity coefficients are in deviations."""
    mesh = head_mesh.Mesh()
    names = head_mesh.add_skin(mesh)
    rings = head_mesh.add_mouth(mesh, names["mouth"])
    head_mesh.add_teeth_and_tongue(mesh)
    head_mesh.add_eyes(mesh, names)
    head_mesh.add_ears(mesh)
    points, region = np.concatenate(mesh.points), np.concatenate(mesh.region)
    fraction = np.zeros(len(points))
    fraction[rings["lips"].ravel()] = np.repeat(head_mesh.LIP_RINGS, rings["lips"].shape[1])
    fraction[region == head_mesh.REGIONS.index("mouth")] = 1.0
    fields = head_modes.Fields.build(points, region, np.concatenate(mesh.lower), fraction)
    expression, identity = head_modes.expressions(fields), head_modes.identities(fields)
    return FaceModel(
        name=NAME, mean=_metres(points + np.array([0, shape.EYE_LINE, 0])),
        triangles=np.concatenate(mesh.triangles).astype(np.int32),
        identity_basis=_metres(np.stack(list(identity.values()))), identity_names=tuple(identity),
        expression_basis=_metres(np.stack(list(expression.values()))), expression_names=tuple(expression),
        landmarks=_landmarks(points, names, rings), region=region, region_names=head_mesh.REGIONS,
    )


def _metres(millimetres: np.ndarray) -> np.ndarray:
    return (millimetres / 1000).astype(np.float32)


def _landmarks(points: np.ndarray, names: dict[str, np.ndarray], rings: dict[str, np.ndarray]) -> np.ndarray:
    """The 68 iBUG points as vertex indices."""
    contour = names["contour"]
    jaw = np.concatenate([contour[9:17], contour[8:9], contour[:8][::-1]])
    skin = np.arange(rings["lips"][1].min())  # vertices before the first lip ring
    seen = skin[points[skin, 2] > 30]
    free = np.concatenate([shape.BROW, shape.BROW[::-1] * [-1, 1], shape.NOSE])
    picked = [seen[np.argmin(np.hypot(*(points[seen, :2] - target).T))] for target in free]
    eyes = [*_eye(points, names["eye_-1"])[[3, 2, 1, 0, 5, 4]], *_eye(points, names["eye_1"])]
    return np.array([*jaw, *picked, *eyes, *_lip_points(points, rings)], dtype=np.int64)


def _eye(points: np.ndarray, loop: np.ndarray) -> np.ndarray:
    """Inner corner, two upper, outer corner, two lower (outer first)."""
    half = len(loop) // 2
    s = shape.eye_parameter(points[loop, 0])
    upper, lower = loop[: half + 1], loop[half:]

    def pick(part: np.ndarray, at: float) -> int:
        return part[np.argmin(np.abs(s[part - loop[0]] - at))]

    return np.array([loop[0], pick(upper, 0.33), pick(upper, 0.67), loop[half], pick(lower, 0.67), pick(lower, 0.33)])


def _lip_points(points: np.ndarray, rings: dict[str, np.ndarray]) -> list[int]:
    half = head_mesh.MOUTH_POINTS // 2

    def nearest(ring: np.ndarray, x: float, top: bool) -> int:
        part = ring[: half + 1] if top else ring[half:]
        return int(part[np.argmin(np.abs(points[part, 0] - x))])

    outer, inner = rings["outer"], rings["inner"]
    top = [nearest(outer, x, True) for x in (-15.5, -6, 0, 6, 15.5)]
    bottom = [nearest(outer, x, False) for x in (15.5, 7.5, 0, -7.5, -15.5)]
    inner_top, inner_bottom = ([nearest(inner, x, up) for x in (-8, 0, 8)] for up in (True, False))
    return [outer[0], *top, outer[half], *bottom, inner[0], *inner_top, inner[half], *inner_bottom[::-1]]
