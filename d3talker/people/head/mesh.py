"""Topology of the embedded head: skin with eye and mouth openings, lips, socket, teeth, tongue, eyeballs and ears."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import ConvexHull, cKDTree

from d3talker.people.head import shape as shape

REGIONS = ("skin", "scalp", "neck", "ear", "lips", "eye", "lid_rim", "teeth", "mouth", "tongue")
MOUTH_POINTS = 56  # vertices of a ring around the mouth
EYE_POINTS = 36
LIP_RINGS = (0.0, 0.18, 0.4, 0.65, 0.86, 1.0)


@dataclass
class Mesh:
    """Growing mesh in millimetres; `lower` is the share of the jaw's motion (NaN where the skin rule decides)."""

    points: list[np.ndarray] = field(default_factory=list)
    triangles: list[np.ndarray] = field(default_factory=list)
    region: list[np.ndarray] = field(default_factory=list)
    lower: list[np.ndarray] = field(default_factory=list)
    count: int = 0

    def add(self, points: np.ndarray, region: str, lower: np.ndarray | float = np.nan) -> np.ndarray:
        """Append vertices [N,3] and return their indices."""
        n = len(points)
        self.points.append(np.asarray(points, float))
        self.region.append(np.full(n, REGIONS.index(region), np.int8))
        self.lower.append(np.broadcast_to(np.asarray(lower, float), (n,)))
        self.count += n
        return np.arange(self.count - n, self.count)

    def grid(self, indices: np.ndarray, wrap: bool = False, flip: bool = False) -> None:
        """Append the quads of an index grid [R,C] as triangles; `wrap` closes the columns."""
        if wrap:
            indices = np.concatenate([indices, indices[:, :1]], 1)
        a, b, c, d = indices[:-1, :-1], indices[:-1, 1:], indices[1:, 1:], indices[1:, :-1]
        faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
        self.triangles.append(faces[:, ::-1] if flip else faces)


def mouth_ring() -> tuple[np.ndarray, np.ndarray]:
    """x in [-1,1] of a ring's points and their share of the lower lip (0..1), image-left corner first, then the top."""
    half = MOUTH_POINTS // 2
    angle = np.pi * np.arange(half + 1) / half
    upper = -np.cos(angle)
    x = np.concatenate([upper, upper[1:-1][::-1]])
    ramp = np.clip(np.minimum(np.arange(half + 1), np.arange(half + 1)[::-1]) / 4, 0, 1)
    top, bottom = 0.5 - 0.5 * ramp, 0.5 + 0.5 * ramp
    return x, np.concatenate([top, bottom[1:-1][::-1]])


def lip_vertices(fraction: float) -> np.ndarray:
    """Lip ring [N,3] at a fraction from the vermilion border (0) to the line between the lips (1)."""
    unit, lower = mouth_ring()
    x = unit * shape.MOUTH_X * (1 - 0.10 * fraction)
    upper_y, line, lower_y = shape.lip_lines(unit * shape.MOUTH_X)
    y = np.where(lower < 0.5, upper_y, np.where(lower > 0.5, lower_y, line))
    y = y + (line - y) * fraction + np.where(lower < 0.5, 0.12, -0.12) * (lower != 0.5)
    taper = np.sqrt(np.clip(1 - unit**2, 0, 1))
    height = np.interp(fraction, [0, 0.25, 0.55, 0.8, 1], [0.6, 3.2, 4.2, 3.4, 1.2]) * np.where(lower > 0.5, 1.15, 1.0)
    surface = shape.base_surface(shape.front_directions(x, y))[:, 2] + shape.relief(x, y)
    return np.stack([x, y, surface + height * taper - 1.5 * (1 - taper) * fraction], -1)


def eye_ring(side: int, distance: float) -> np.ndarray:
    """Points [N,2] some mm outside one eye's opening, inner canthus first, then the top; side -1 is image left."""
    half = EYE_POINTS // 2
    s = 0.5 - 0.5 * np.cos(np.pi * np.arange(half + 1) / half)
    upper, lower = shape.eye_opening(s)
    s, y = np.concatenate([s, s[1:-1][::-1]]), np.concatenate([upper, lower[1:-1][::-1]])
    x = shape.INNER_CANTHUS + shape.EYE_WIDTH * s
    tangent = np.stack([np.roll(x, -1) - np.roll(x, 1), np.roll(y, -1) - np.roll(y, 1)], -1)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], -1) / np.linalg.norm(tangent, axis=1, keepdims=True)
    points = np.stack([x, y], -1) + distance * normal
    return points * [side, 1]


def _front_points() -> tuple[np.ndarray, np.ndarray]:
    """Frontal skin points [N,2] in order of priority, dense near the features, and the free radius [N] of each."""
    fixed = np.concatenate([shape.BROW, shape.BROW * [-1, 1], shape.NOSE])
    rings = [eye_ring(side, d) for side in (-1, 1) for d in (1.6, 3.4, 5.6, 8.2)]
    unit, lower = mouth_ring()
    upper_y, line, lower_y = shape.lip_lines(unit * shape.MOUTH_X)
    y = np.where(lower < 0.5, upper_y, np.where(lower > 0.5, lower_y, line))
    for grow in (1.10, 1.23, 1.4):
        x = unit * shape.MOUTH_X * (1 + 0.6 * (grow - 1))
        rings.append(np.stack([x, line + (y - line) * grow + np.sign(y - line) * 1.5 * (grow - 1)], -1))
    nose, face = _lattice(2.2, 19, -55, 8), _lattice(4.0, 62, -107, 66)
    parts = [(fixed, 0.1), (np.concatenate(rings), 1.2), (nose, 1.5), (face, 2.8)]
    points = np.concatenate([part for part, _ in parts])
    return points, np.concatenate([np.full(len(part), spacing) for part, spacing in parts])


def _lattice(step: float, width: float, bottom: float, top: float) -> np.ndarray:
    """Triangular lattice [N,2] over |x| < width, symmetric in x."""
    x, y = np.meshgrid(np.arange(0, width, step), np.arange(bottom, top, step * 0.87))
    x = x + (np.arange(len(x)) % 2)[:, None] * step / 2
    half = np.stack([x, y], -1).reshape(-1, 2)
    return np.concatenate([half, half[half[:, 0] > 0] * [-1, 1]])


def _thin(points: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Indices kept when each point needs a free ball of its own radius among those kept before it."""
    tree, keep = cKDTree(points), np.ones(len(points), bool)
    for i, near in enumerate(tree.query_ball_point(points, spacing)):
        keep[i] = not any(j < i and keep[j] for j in near)
    return np.flatnonzero(keep)


def _inside(points: np.ndarray, loop: np.ndarray) -> np.ndarray:
    """Whether points [N,2] lie in a closed polygon [M,2] (even-odd rule)."""
    a, b = loop, np.roll(loop, -1, 0)
    x, y = points[:, :1], points[:, 1:]
    crosses = (a[:, 1] > y) != (b[:, 1] > y)
    height = np.where(b[:, 1] == a[:, 1], 1e-9, b[:, 1] - a[:, 1])
    return (np.sum(crosses & (x < (b[:, 0] - a[:, 0]) * (y - a[:, 1]) / height + a[:, 0]), 1) % 2).astype(bool)


def _fibonacci(n: int) -> np.ndarray:
    """About n even directions, symmetric in x."""
    k = np.arange(n) + 0.5
    height, turn = 1 - 2 * k / n, np.pi * (1 + 5**0.5) * k
    sphere = np.stack([np.sin(turn) * np.sqrt(1 - height**2), height, np.cos(turn) * np.sqrt(1 - height**2)], -1)
    half = sphere[sphere[:, 0] > 0]
    return np.concatenate([half, half * [-1, 1, 1]])


def add_skin(mesh: Mesh) -> dict[str, np.ndarray]:
    """The outer skin: hull of directions, lifted to the surface; returns the vertex indices [n] of its loops and contour."""
    loops = {"mouth": lip_vertices(0.0)[:, :2], "eye_-1": eye_ring(-1, 0.0), "eye_1": eye_ring(1, 0.0)}
    loop_xy = np.concatenate(list(loops.values()))
    front, front_spacing = _front_points()
    free = ~np.logical_or.reduce([_inside(front, loop) for loop in loops.values()])
    front, front_spacing = front[free], front_spacing[free]
    contour = np.concatenate([shape.CONTOUR, shape.CONTOUR[:-1] * [-1, 1, 1]]) + np.array([0, shape.EYE_LINE, 0])
    contour /= np.linalg.norm(contour, axis=1, keepdims=True)
    sphere = _fibonacci(2600)
    directions = np.concatenate([shape.front_directions(*loop_xy.T), contour, shape.front_directions(*front.T), sphere])
    points = shape.base_surface(directions)
    spacing = np.concatenate([np.zeros(len(loop_xy) + len(contour)), front_spacing, np.full(len(sphere), 5.0)])
    # A sphere point inside an opening would plug it.
    plug = np.logical_or.reduce([_inside(points[:, :2], loop) for loop in loops.values()]) & (points[:, 2] > 40)
    plug[: len(loop_xy)] = False
    order = np.flatnonzero(~plug)
    keep = order[_thin(points[order], spacing[order])]
    directions, points = directions[keep], points[keep]
    return _lift(mesh, directions, points, loops)


def _lift(
    mesh: Mesh, directions: np.ndarray, points: np.ndarray, loops: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    hull = ConvexHull(directions).simplices
    normal = np.cross(directions[hull[:, 1]] - directions[hull[:, 0]], directions[hull[:, 2]] - directions[hull[:, 0]])
    flipped = np.sum(normal * directions[hull[:, 0]], 1) < 0
    hull[flipped] = hull[flipped][:, ::-1]
    centre = points[hull].mean(1)
    # A triangle belongs to an opening when all its corners are on that opening's loop.
    start, opening = 0, np.zeros(len(hull), bool)
    names: dict[str, np.ndarray] = {}
    for name, loop in loops.items():
        names[name] = np.arange(start, start + len(loop))
        inside = np.all((hull >= start) & (hull < start + len(loop)), 1)
        opening |= inside & _inside(centre[:, :2], loop)
        start += len(loop)
    hull = hull[~opening & (centre[:, 1] > -172)]
    x, y = points[:, 0], points[:, 1]
    forward = np.clip((points[:, 2] - 20) / 40, 0, 1)
    lifted = points.copy()
    lifted[:, 2] += shape.relief(x, y) * forward
    near = eye_nearness(x, y) * forward
    lifted[:, 2] += near * (shape.lid_surface(x, y) - lifted[:, 2])
    used, inverse = np.unique(np.concatenate([np.arange(start + 17), hull.ravel()]), return_inverse=True)
    mesh.triangles.append(inverse[start + 17 :].reshape(-1, 3) + mesh.count)
    lower = np.full(len(used), np.nan)
    lower[names["mouth"]] = mouth_ring()[1]
    base = mesh.count
    indices = mesh.add(lifted[used], "skin", lower)
    region = mesh.region[-1]
    _, py, pz = lifted[used].T
    region[(py > 52) | (pz < 8)] = REGIONS.index("scalp")
    region[(py < -113) | ((pz < 30 - 0.25 * py) & (py < -95)) | ((py < -55) & (pz < 0))] = REGIONS.index("neck")
    names = {name: base + loop for name, loop in names.items()}
    names["contour"] = indices[start : start + 17]
    return names


def eye_nearness(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """1 on the lid margins, falling to 0 eleven millimetres outside an eye's opening."""
    s = shape.eye_parameter(x)
    upper, lower = shape.eye_opening(s)
    beyond = np.maximum(np.maximum(-s, s - 1), 0) * shape.EYE_WIDTH
    away = np.hypot(beyond, np.maximum(np.maximum(y - upper, lower - y), 0))
    t = np.clip((11.0 - away) / 8.5, 0, 1)
    return t * t * (3 - 2 * t)


def add_mouth(mesh: Mesh, loop: np.ndarray) -> dict[str, np.ndarray]:
    """Lips and the mouth's socket from the skin's mouth loop [n] inwards; returns the vertex indices of the rings."""
    unit, lower = mouth_ring()
    rings = [loop] + [mesh.add(lip_vertices(f), "lips", lower) for f in LIP_RINGS[1:]]
    mesh.points[0][loop] = lip_vertices(0.0)
    inner = lip_vertices(1.0)
    opened = np.where(lower < 0.5, 1.0, -1.0) * (lower != 0.5)
    for dz, dy, squeeze in ((-4.5, 2.5, 1.0), (-9, 10, 1.12), (-24, 10, 1.05), (-48, 9, 0.9), (-66, 5, 0.5)):
        ring = inner.copy()
        ring[:, 0] *= squeeze
        ring[:, 1] += dy * opened * np.sqrt(np.clip(1 - unit**2, 0, 1))
        ring[:, 2] = ring[:, 2] + dz if dz > -20 else inner[:, 2].max() + dz - 6 * unit**2
        rings.append(mesh.add(ring, "mouth", lower))
    grid = np.stack(rings)
    mesh.grid(grid, wrap=True, flip=True)
    end = mesh.add(mesh.points[-1].mean(0, keepdims=True) - [0, 0, 4], "mouth", 0.5)
    mesh.triangles.append(np.stack([np.roll(grid[-1], -1), grid[-1], np.full(len(unit), end[0])], -1))
    return {"outer": grid[0], "inner": grid[len(LIP_RINGS) - 1], "lips": grid[: len(LIP_RINGS)]}


def add_teeth_and_tongue(mesh: Mesh) -> None:
    """Two arches of teeth with gums, and a tongue; the lower arch and the tongue follow the jaw."""
    x = np.linspace(-25, 25, 49)
    front = 93.5 - 0.034 * x**2
    for top, edge, z, share in ((-59.5, -72.6, front, 0.0), (-86.5, -74.2, front - 2.8, 1.0)):
        high = edge - top
        rows = [(top, -1), (top + 0.28 * high, 0.4), (top + 0.65 * high, 0.6), (edge, 0), (edge, -3), (top, -6)]
        bend = (0.006 if share == 0 else -0.006) * np.abs(x) ** 1.5
        lines = [np.stack([x * (1 - 0.02 * (dz < -2)), y + bend, z + dz], -1) for y, dz in rows]
        mesh.grid(np.stack([mesh.add(line, "teeth", share) for line in lines]), flip=share == 0.0)
    u, v = np.meshgrid(np.linspace(-1, 1, 13), np.linspace(0, 1, 12))
    width = 19 * np.sqrt(np.clip(1 - (np.clip(v - 0.45, 0, 1) / 0.56) ** 2, 0.01, 1))
    back = -79 + 4 * np.sin(np.pi * v * 0.85) - 5 * u**2 - 5.5 * v**6 - 0.8 * np.exp(-((u / 0.12) ** 2))
    points = np.stack([u * width, back, 44 + 43 * v], -1)
    grid = mesh.add(points.reshape(-1, 3), "tongue", 1.0).reshape(u.shape)
    mesh.grid(grid, flip=True)


def add_eyes(mesh: Mesh, names: dict[str, np.ndarray]) -> None:
    """Eyeballs (front halves of ellipsoids filling the openings) and the lids' inner rims."""
    for side in (-1, 1):
        loop = names[f"eye_{side}"]
        edge = mesh.points[0][loop]
        rim = edge - [0, 0, 2.2]
        rim[:, :2] += 0.02 * (rim[:, :2].mean(0) - rim[:, :2])
        inner = mesh.add(rim, "lid_rim")
        mesh.grid(np.stack([loop, inner]), wrap=True, flip=side > 0)
        u, v = np.meshgrid(np.linspace(-1, 1, 21), np.linspace(-1, 1, 15))
        dx, dy = 15.6 * np.sin(1.5 * u) * (1 - 0.15 * v**2), 8.5 * np.sin(1.5 * v)
        z = shape.EYE_Z + 12.7 * np.sqrt(np.clip(1 - (dx / 17.6) ** 2 - (dy / 13.2) ** 2, 0, None)) - 0.18 * dx
        points = np.stack([side * (shape.EYE_X + dx), dy, z], -1)
        grid = mesh.add(points.reshape(-1, 3), "eye").reshape(u.shape)
        mesh.grid(grid, flip=side < 0)


def add_ears(mesh: Mesh) -> None:
    """Two shallow shells with a raised rim."""
    r, t = np.meshgrid(np.linspace(0, 1, 7), np.linspace(0, 2 * np.pi, 25)[:-1], indexing="ij")
    height = np.interp(r, [0, 0.35, 0.6, 0.8, 0.92, 1.0], [2.0, 2.5, 6.5, 9.5, 10.0, 5.0])
    up = np.sin(t)
    y = -13 + 31 * r * up
    back = r * np.cos(t) * np.where(up > 0, 17, 13)
    for side in (-1, 1):
        x = 68 + height + 0.45 * np.clip(-back, -6, 20) + 0.04 * (y + 13)
        points = np.stack([side * x, y - 0.2 * back, -4 + back + 0.12 * y], -1)
        grid = mesh.add(points.reshape(-1, 3), "ear").reshape(r.shape)
        mesh.grid(grid, wrap=True, flip=side < 0)
