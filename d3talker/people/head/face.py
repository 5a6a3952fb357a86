"""One interface for 3D morphable faces: mean, identity and expression bases, landmarks, regions, colours, normals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from d3talker.people.head.normals import vertex_normals


@dataclass(frozen=True, eq=False)
class FaceModel:
    """A linear face model in metres (x image right, y up, z out of the face; origin near the head's centre).

    mean [V,3]; triangles [F,3] int32, wound anticlockwise seen from outside; identity_basis [I,V,3] for coefficients in
    standard deviations; expression_basis [E,V,3] for coefficients in the model's unit (embedded head: 1 = full; BFM:
    standard deviations); landmarks [68] vertex indices in iBUG order (0 at the image left);
    region [V] int8 indices into region_names.
    """

    name: str
    mean: np.ndarray
    triangles: np.ndarray
    identity_basis: np.ndarray
    expression_basis: np.ndarray
    identity_names: tuple[str, ...]
    expression_names: tuple[str, ...]
    landmarks: np.ndarray
    region: np.ndarray
    region_names: tuple[str, ...] = ("skin",)

    def __post_init__(self) -> None:
        count = len(self.mean)
        assert self.mean.shape == (count, 3) and self.landmarks.shape == (68,) and self.region.shape == (count,)
        assert self.identity_basis.shape == (len(self.identity_names), count, 3)
        assert self.expression_basis.shape == (len(self.expression_names), count, 3)
        assert self.triangles.min() >= 0 and max(self.triangles.max(), self.landmarks.max()) < count

    def vertices(self, identity: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Vertices [..,V,3] float32 for coefficients [..,I] and [..,E] (leading shapes broadcast)."""
        flat = [np.float32(basis.reshape(len(basis), -1)) for basis in (self.identity_basis, self.expression_basis)]
        offset = np.asarray(identity, np.float32) @ flat[0] + np.asarray(expression, np.float32) @ flat[1]
        return (self.mean.reshape(-1) + offset).reshape(*offset.shape[:-1], *self.mean.shape).astype(np.float32)

    def landmark_basis(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean [68,3], identity basis [I,68,3] and expression basis [E,68,3] at the landmarks."""
        at = self.landmarks
        return self.mean[at], self.identity_basis[:, at], self.expression_basis[:, at]

    def ncc_colors(self) -> np.ndarray:
        """Mean-face xyz scaled to [0,1] on each axis [V,3] (Real3D-Portrait's ncc_code).

        The range is that of the face; scalp, neck and ears are clipped to it, since they would flatten its colours.
        """
        low, high = self.mean[self._face].min(0), self.mean[self._face].max(0)
        return np.clip((self.mean - low) / (high - low), 0, 1).astype(np.float32)

    def normals(self, vertices: np.ndarray) -> np.ndarray:
        """Unit vertex normals [..,V,3], area-weighted over the adjacent triangles; zero where a vertex has none."""
        return vertex_normals(vertices, self.triangles)

    def region_mask(self, *names: str) -> np.ndarray:
        """Vertices [V] bool of the named regions; a name that the model lacks selects nothing."""
        return np.isin(self.region, [self.region_names.index(name) for name in names if name in self.region_names])

    @cached_property
    def _face(self) -> np.ndarray:
        return ~self.region_mask("scalp", "neck", "ear")
