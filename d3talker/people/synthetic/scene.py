"""One synthetic person before a camera: pictures and exact truth of any frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from d3talker.people.head import shape as shape
from d3talker.people.head.face import FaceModel
from d3talker.people.head.normals import vertex_normals
from d3talker.people.head.zbuffer import rasterize
from d3talker.people.synthetic import bodies, skin
from d3talker.people.synthetic.acting import Performance
from d3talker.people.synthetic.looks import Look
from d3talker.people.synthetic.shading import Material, Shaded, Surfaces, shade

CAMERA = np.array([0.0, 0.010, -0.86])  # where the head's origin rests before the camera, metres, OpenGL axes
FOCAL = 2.4  # in picture sides
SAMPLES = 2  # squared: samples a pixel
MATERIALS = {
    "eye": Material.EYE,
    "teeth": Material.TEETH,
    "mouth": Material.MOUTH,
    "tongue": Material.TONGUE,
    "neck": Material.NECK,
}


@dataclass(frozen=True)
class Pictures:
    """A batch at the picture's size: image and torso (RGBA, without head) uint8; labels, teeth, depth [m] (0: nothing)
    and normals (camera, OpenGL axes) exact at the pixels' centres; landmarks [B,68,2], first pixel's centre (0, 0)."""

    image: np.ndarray
    torso: np.ndarray
    labels: np.ndarray
    teeth: np.ndarray
    depth: np.ndarray
    normals: np.ndarray
    landmarks: np.ndarray


class Scene:
    """Everything about a person that does not move, ready to render at `size` pixels."""

    def __init__(self, face: FaceModel, look: Look, size: int) -> None:
        self.face, self.look, self.size = face, look, size
        rows = int(np.clip(4 * size, 384, 1024))
        hair, torso = bodies.hair(face, look), bodies.torso(look)
        head_shift = face.vertices(look.identity, np.zeros(len(face.expression_names))) - face.mean
        self._still = np.concatenate([torso.points, hair.points + head_shift[bodies.hair_anchor(face, hair)]])
        count, neck = len(face.mean), _smooth((-116 - (face.mean[:, 1] * 1000 - shape.EYE_LINE)) / 46)
        self._follow = np.concatenate([1 - neck, torso.follow, hair.follow])[:, None]
        materials = self._head_materials()
        triangles = np.concatenate(
            [face.triangles, torso.triangles + count, hair.triangles + count + len(torso.points)]
        )
        clothes = bodies.paint_torso(look, rows)
        self._surfaces = Surfaces(
            triangles=triangles.astype(np.int32),
            first_hair=len(face.triangles) + len(torso.triangles),
            materials=np.concatenate(
                [materials, np.full(len(torso.triangles), Material.TORSO), np.full(len(hair.triangles), Material.HAIR)]
            ).astype(np.int8),
            rest=np.concatenate([face.mean, torso.points, hair.points]).astype(np.float64),
            inside=np.concatenate([np.zeros(count + len(torso.points)), hair.inside]),
            skin=skin.paint_skin(face, look, rows),
            torso=np.ascontiguousarray(clothes[..., :3]),
            cloth=clothes[..., 3] > 0.5,
            strands=bodies.paint_hair(look, rows),
            lights=_lights(look),
            ambient=((0.30, 0.32, 0.36), (0.16, 0.13, 0.12)),
            hair=tuple(skin.linear(look.hair).tolist()),
            iris=tuple((skin.linear(look.iris) * 1.3).tolist()),
        )
        torso_only = np.concatenate([materials == Material.NECK, np.ones(len(torso.triangles), bool)]).nonzero()[0]
        self._below = self._surfaces._replace(
            triangles=self._surfaces.triangles[torso_only],
            materials=self._surfaces.materials[torso_only],
            first_hair=len(torso_only),
        )
        self._backdrop = bodies.paint_backdrop(look, size)
        self.background = _encode(self._backdrop)

    def render(self, performance: Performance, frames: slice) -> Pictures:
        """Pictures of some frames of a performance."""
        camera = self._camera_points(performance, frames)
        normals = vertex_normals(camera, self._surfaces.triangles)
        gaze = performance.gaze[frames]
        fine = self._draw(camera, normals, gaze, self.size * SAMPLES)
        exact = self._draw(camera, normals, gaze, self.size)
        color, cover = _shrink(fine.color), _shrink(fine.cover[..., None])
        torso = self._draw_torso(camera, normals, gaze)
        landmarks = self.project(camera[:, self.face.landmarks], self.size)[..., :2]
        image = _encode(color + self._backdrop * (1 - cover))
        return Pictures(image, torso, exact.labels, exact.teeth, exact.depth, exact.normals, landmarks)

    @staticmethod
    def project(points: np.ndarray, size: int) -> np.ndarray:
        """Camera points [...,3] (OpenGL axes) -> pixel x, pixel y (centres at integers) and depth in metres."""
        depth = -points[..., 2]
        x, y = (FOCAL * size * points[..., k] / depth for k in (0, 1))
        return np.stack([x + (size - 1) / 2, (size - 1) / 2 - y, depth], -1)

    def _camera_points(self, performance: Performance, frames: slice) -> np.ndarray:
        head = self.face.vertices(self.look.identity, performance.expression[frames])
        points = np.concatenate([head, np.broadcast_to(self._still, (len(head), *self._still.shape))], 1)
        turned = points @ performance.rotation[frames].transpose(0, 2, 1) + performance.translation[frames][:, None]
        rested = points + (CAMERA + performance.sway[frames])[:, None]
        return (turned * self._follow + rested * (1 - self._follow)).astype(np.float32)

    def _draw(self, camera: np.ndarray, normals: np.ndarray, gaze: np.ndarray, size: int) -> Shaded:
        pixels, s = self.project(camera, size), self._surfaces
        opaque = rasterize(pixels, s.triangles[:s.first_hair], size, size, perspective=True)
        hair = rasterize(pixels, s.triangles[s.first_hair:], size, size, perspective=True)
        return shade(opaque, hair, normals, gaze, s)

    def _draw_torso(self, camera: np.ndarray, normals: np.ndarray, gaze: np.ndarray) -> np.ndarray:
        size, s = self.size * SAMPLES, self._below
        pixels = self.project(camera, size)
        top = int(np.clip(pixels[:, s.triangles, 1].min() // SAMPLES, 0, self.size - 1))  # rows above it stay empty
        pixels[..., 1] -= top * SAMPLES
        raster = rasterize(pixels, s.triangles, size - top * SAMPLES, size, perspective=True)
        shaded = shade(raster, None, normals, gaze, s)
        color, cover = _shrink(shaded.color), _shrink(shaded.cover[..., None])
        out = np.zeros((len(camera), self.size, self.size, 4), np.uint8)
        out[:, top:, :, 3:] = np.round(cover * 255)
        out[:, top:, :, :3] = _encode(color / np.maximum(cover, 1e-6)) * (out[:, top:, :, 3:] > 0)
        return out

    def _head_materials(self) -> np.ndarray:
        names = np.array([MATERIALS.get(name, Material.SKIN) for name in self.face.region_names])
        corners = names[self.face.region][self.face.triangles]
        # Triangles that join two regions count as skin: so do the lips' inner edge and the jaw's lower one.
        return np.where((corners == corners[:, :1]).all(1), corners[:, 0], Material.SKIN)


def _lights(look: Look) -> tuple[tuple[float, ...], ...]:
    """Key, fill and rim light: direction towards the light in camera axes, and linear colour."""
    side = look.light_side
    rows = []
    for direction, color in (
        ((0.55 * side, 0.5, 0.75), (0.78, 0.74, 0.68)),
        ((-0.7 * side, 0.15, 0.6), (0.20, 0.22, 0.26)),
        ((-0.6 * side, 0.6, -0.6), (0.25, 0.26, 0.30)),
    ):
        unit = np.array(direction) / np.linalg.norm(direction)
        rows.append((*unit.tolist(), *color))
    return tuple(rows)


def _shrink(image: np.ndarray) -> np.ndarray:
    """Mean over SAMPLES x SAMPLES blocks of [B,H,W,C]."""
    b, h, w, c = image.shape
    return image.reshape(b, h // SAMPLES, SAMPLES, w // SAMPLES, SAMPLES, c).mean((2, 4))


def _encode(color: np.ndarray) -> np.ndarray:
    """Linear -> uint8 sRGB (gamma 2.2) with a soft shoulder for highlights."""
    bright = np.where(color > 0.75, 0.75 + 0.25 * np.tanh((color - 0.75) / 0.25), color)
    return np.round(255 * np.clip(bright, 0, 1) ** (1 / 2.2)).astype(np.uint8)


def _smooth(t: np.ndarray) -> np.ndarray:
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)
