"""Head pose, face shape and expression of every frame: 3D landmarks fitted to the whole clip at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from d3talker.errors import UserError
from d3talker.people.head.face import FaceModel

if TYPE_CHECKING:
    from torch import Tensor

VIEW = 512.0  # the fit's units are pixels of a 512 x 512 picture, so that its weights mean the same at any size
SIGMA = 1.5  # pixels; what a landmark of a sharp picture is off by
ROBUST = 2.0  # in sigmas; larger residuals count linearly
OFFSET_SIGMA = 0.003  # metres; free-form shift of a landmark against the face model
EXPRESSION_SIGMA, RARE_SIGMA = 0.5, 0.15  # of the model's full range
REST = 1.0  # weight of the mean expression: what lasts belongs to the shape; more would shut small mouths at the range's end
RARE = (  # expressions that landmarks can hardly tell from head pose or from the others, which should win
    "jaw_left", "jaw_right", "jaw_forward", "mouth_left", "mouth_right", "lip_raise", "cheek_puff", "cheek_raise_left",
    "cheek_raise_right", "nose_wrinkle", "nostril_flare", "tongue_up", "tongue_out", "eyes_wide", "squint",
)
CORNER_SIGMA = 0.4  # pixels
CORNER_SHARE = 0.5  # corners of one frame err together (light, haze), so they count less than their number says
CORNER_SHIFT = 0.008  # metres that a corner may lie off the face model, more so in hair
ENOUGH_CORNERS, CORNER_SMOOTH = 20, 0.03  # a frame with that many corners hardly needs smoothing
POSE_SMOOTH = 2.0  # weight of second differences: half gain at 3.4 Hz for landmarks of equal weight
EXPRESSION_SMOOTH = 0.1  # half gain at 8 Hz: lips are fast
FOCAL = 1200.0  # pixels at 512, as the official trackers' sweep 600-1400 mostly finds
SHARE = {  # how far a landmark is to be believed: the contour slides along the cheek as the head turns
    range(0, 17): 0.15, range(17, 27): 0.5, range(27, 36): 1.5, range(36, 48): 1.0, range(48, 68): 0.7,
}


@dataclass(frozen=True)
class RigidTracks:
    """Where points fixed to the head were seen."""

    frame: np.ndarray  # [N] int
    point: np.ndarray  # [N] int, index into start
    seen: np.ndarray  # [N, 2] pixels at 512, the top-left corner is (0, 0)
    start: np.ndarray  # [P, 3] first guess of the points' places on the head, metres


@dataclass(frozen=True)
class Track:
    """A tracked clip.  Camera: OpenGL axes, x_camera = rotation @ x_head + translation, looking along -z."""

    focal: float  # pixels at 512
    identity: np.ndarray  # [I] float64
    offsets: np.ndarray  # [68, 3] metres, landmarks against the face model
    expression: np.ndarray  # [T, E]
    euler: np.ndarray  # [T, 3] radians, see rotations()
    translation: np.ndarray  # [T, 3] metres
    rigid: np.ndarray  # [T, 68, 2] landmarks without expression, pixels at 512, the top-left corner is (0, 0)
    errors: np.ndarray  # [T] mean distance of landmarks to their reprojection, pixels at 512; NaN = face lost

    @property
    def rotation(self) -> np.ndarray:
        """Head to camera, [T, 3, 3]."""
        return rotations(self.euler)

    @property
    def c2w(self) -> np.ndarray:
        """Camera to head [T, 4, 4], as transforms_*.json hold it."""
        out = np.tile(np.eye(4), (len(self.euler), 1, 1))
        out[:, :3, :3] = self.rotation.transpose(0, 2, 1)
        out[:, :3, 3] = -np.einsum("tji,tj->ti", self.rotation, self.translation)
        return out


def rotations(euler: np.ndarray) -> np.ndarray:
    """[T, 3] -> [T, 3, 3]: Rx(a) Ry(b) Rz(-c), as in the official codes (ER-NeRF data_utils/process.py:262-343)."""
    import torch

    return _rotations(torch.as_tensor(np.asarray(euler, np.float64))).numpy()


def fit_track(
    points: np.ndarray, face: FaceModel, corners: RigidTracks | None = None, start: Track | None = None,
    steps: int = 250, focal: float = FOCAL,
) -> Track:
    """Fit pose and expression of all frames and one shape to landmarks, and to corners if given.

    points: [T, 68, 2] in pixels of a 512 x 512 picture whose top-left corner (not pixel centre) is (0, 0); NaN = not
    seen, such frames are filled in by the smoothness.  start: an earlier fit to go on from.  focal: pixels at 512.
    """
    problem = Problem(points, face, corners, focal)
    return problem.result(solve(problem, problem.start(start), steps)[0])


def solve(problem: Problem, vector: Tensor, steps: int) -> tuple[Tensor, float]:
    """Minimise the problem's loss from `vector`; returns the best vector and its loss."""
    import torch

    vector = vector.clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [vector], max_iter=steps, history_size=30, tolerance_change=1e-7, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = problem.loss(vector)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[arg-type]
    vector = vector.detach()
    return vector, float(problem.loss(vector))


class Problem:
    """The least-squares problem over one flat vector, whose entries are scaled to move landmarks by about a pixel.

    smooth: whether the frames follow each other in time, so that pose and expression change smoothly.
    """

    def __init__(
        self, points: np.ndarray, face: FaceModel, corners: RigidTracks | None, focal: float, smooth: bool = True,
    ) -> None:
        import torch

        self.seen = torch.as_tensor(~np.isnan(points[:, 0, 0]))
        self.points = torch.as_tensor(np.nan_to_num(points.astype(np.float64)))
        basis = (torch.as_tensor(part.astype(np.float64)) for part in face.landmark_basis())
        self.mean, self.identity, self.expression = basis
        self.habit = torch.tensor([RARE_SIGMA if name in RARE else EXPRESSION_SIGMA for name in face.expression_names])
        self.weight = torch.zeros(68, dtype=torch.float64)
        for rows, share in SHARE.items():
            self.weight[list(rows)] = share
        frames, ids, exps = len(points), len(self.identity), len(self.expression)
        seen = points[~np.isnan(points[:, 0, 0])]
        width = float(np.median(seen[:, 16, 0] - seen[:, 0, 0]))
        self.focal, self.distance = focal, focal * float(self.mean[16, 0] - self.mean[0, 0]) / width
        pixels = focal / self.distance  # a metre on the face
        self.shapes: dict[str, tuple[int, ...]] = {
            "identity": (ids,), "offsets": (68, 3), "euler": (frames, 3), "move": (frames, 3),
            "expression": (frames, exps),
        }
        self.units = {
            "identity": torch.tensor(1 / np.sqrt(frames)),
            "offsets": torch.tensor(1 / pixels / np.sqrt(frames)), "euler": torch.tensor(1 / (pixels * 0.08)),
            "move": torch.tensor([1, 1, self.distance / 0.1]) / pixels, "expression": torch.tensor(0.2),
        }
        self.stiffness = torch.full((frames - 2,), POSE_SMOOTH * smooth, dtype=torch.float64)
        self.corners = corners
        if corners is not None:
            self.frame, self.point = torch.as_tensor(corners.frame), torch.as_tensor(corners.point)
            self.corner_pixels = torch.as_tensor(corners.seen).float()
            self.corner_start = torch.as_tensor(corners.start)
            steady = torch.bincount(self.frame, minlength=frames)[1:-1] >= ENOUGH_CORNERS
            self.stiffness[steady] = CORNER_SMOOTH * smooth
            self.shapes["corners"] = corners.start.shape
            self.units["corners"] = self.units["offsets"]
        flat = (self.expression * pixels / SIGMA * self.weight[:, None].sqrt()).flatten(1)
        self.gram = EXPRESSION_SMOOTH * smooth * (flat @ flat.T)

    def start(self, track: Track | None) -> Tensor:
        """An earlier fit, or each frame's pose by the mean face alone."""
        import torch

        values = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in self.shapes.items()}
        if track is None:
            euler, move = _mean_face_poses(self.points.numpy(), self.seen.numpy(), self.mean.numpy(), self.focal)
            values["euler"], values["move"] = torch.as_tensor(euler), torch.as_tensor(move)
            values["move"][:, 2] += self.distance
        else:  # another focal length keeps the size in the picture
            moved = track.translation * (1, 1, self.focal / track.focal) + (0, 0, self.distance)
            values["move"] = torch.as_tensor(moved)
            for name in ("identity", "offsets", "euler", "expression"):
                values[name] = torch.as_tensor(getattr(track, name))
        return torch.cat([(value / self.units[name]).flatten() for name, value in values.items()])

    def unpack(self, vector: Tensor) -> dict[str, Tensor]:
        parts = vector.split([int(np.prod(s)) for s in self.shapes.values()])
        out = {name: part.view(shape) * self.units[name] for part, (name, shape) in zip(parts, self.shapes.items())}
        out["move"] = out["move"] + out["move"].new_tensor([0, 0, -self.distance])
        return out

    def project(self, p: dict[str, Tensor], rigid: bool = False) -> Tensor:
        """Landmarks [T, 68, 2] in pixels at 512; rigid: without expression."""
        import torch

        shape = self.mean + p["offsets"] + torch.einsum("i,ikc->kc", p["identity"], self.identity)
        if not rigid:
            shape = shape + torch.einsum("te,ekc->tkc", p["expression"], self.expression)
        turned = torch.einsum("tij,kj->tki" if rigid else "tij,tkj->tki", _rotations(p["euler"]), shape)
        camera = turned + p["move"][:, None]
        return _pinhole(camera, self.focal)

    def loss(self, vector: Tensor) -> Tensor:
        p = self.unpack(vector)
        frames = len(self.points)
        squared = ((self.project(p) - self.points) / SIGMA).square().sum(-1)
        robust = 2 * ROBUST**2 * ((1 + squared / ROBUST**2).sqrt() - 1)
        data = (robust * self.weight)[self.seen].sum()
        prior = p["identity"].square().sum() + (p["offsets"] / OFFSET_SIGMA).square().sum()
        e = p["expression"]
        outside = (-e).relu().square() + (e - 1).relu().square()  # the model's own range is 0 to 1
        habits = (e / self.habit).square().sum() + REST * frames * (e.mean(0) / self.habit).square().sum() + 1000 * outside.sum()
        bend = (_second(self.project(p, rigid=True)) / SIGMA).square().sum(-1) * self.weight
        jerk = _second(e)
        smooth = (self.stiffness[:, None] * bend).sum() + ((jerk @ self.gram) * jerk).sum()
        if self.corners is not None:
            data = data + self.corner_loss(p)
        return (data + 0.1 * frames * prior + 0.3 * habits + smooth) / frames

    def corner_loss(self, p: dict[str, Tensor]) -> Tensor:
        """What the corners add: robust distance to where the pose puts them, and their shift from the face model."""
        places = self.corner_start + p["corners"]
        turn, move = _rotations(p["euler"]).float(), p["move"].float()  # single precision: 1e-4 px, half the work
        camera = (turn[self.frame] @ places.float()[self.point, :, None])[..., 0] + move[self.frame]
        squared = ((_pinhole(camera, self.focal) - self.corner_pixels) / CORNER_SIGMA).square().sum(-1)
        robust = 2 * ROBUST**2 * ((1 + squared / ROBUST**2).sqrt() - 1)
        shift = (p["corners"] / CORNER_SHIFT).square().sum()
        return CORNER_SHARE * robust.sum().double() + 0.02 * len(self.points) * shift

    def result(self, vector: Tensor) -> Track:
        p = self.unpack(vector)
        for name in ("euler", "move", "expression"):
            p[name] = _bridged(p[name], self.seen)
        errors = (self.project(p) - self.points).norm(dim=-1).mean(-1)
        errors[~self.seen] = float("nan")
        return Track(
            self.focal, p["identity"].numpy(), p["offsets"].numpy(), p["expression"].numpy(),
            p["euler"].numpy(), p["move"].numpy(), self.project(p, rigid=True).numpy(), errors.numpy(),
        )


def _mean_face_poses(points: np.ndarray, seen: np.ndarray, face: np.ndarray, focal: float) -> tuple[np.ndarray, np.ndarray]:
    """Euler angles and translations [T, 3] that bring the mean face onto `points`; interpolated where unseen."""
    camera = np.array([[focal, 0, VIEW / 2], [0, focal, VIEW / 2], [0, 0, 1]])
    rows = []
    for frame in points[seen]:
        try:
            _, turn, move = cv2.solvePnP(face, np.ascontiguousarray(frame), camera, None, flags=cv2.SOLVEPNP_SQPNP)
        except cv2.error:  # seen through so long a lens, the face has no width
            raise UserError(
                f"no head pose fits the landmarks with a focal length of {focal:.0f} px in a picture of {VIEW}; check focal_len "
                "in transforms_train.json"
            ) from None
        r = cv2.Rodrigues(turn)[0] * np.array([[1], [-1], [-1]])  # OpenCV's axes -> OpenGL's
        angles = np.arctan2(-r[1, 2], r[2, 2]), np.arcsin(r[0, 2].clip(-1, 1)), np.arctan2(r[0, 1], r[0, 0])
        rows.append([*angles, *(move[:, 0] * (1, -1, -1))])
    times = np.arange(len(points))
    filled = np.stack([np.interp(times, times[seen], column) for column in np.array(rows).T], 1)
    return filled[:, :3], filled[:, 3:]


def _bridged(values: Tensor, seen: Tensor) -> Tensor:
    """Values [T, D] with those of unseen frames put on a smooth curve through the seen ones, level beyond the ends."""
    import torch
    from scipy.interpolate import PchipInterpolator

    at = np.flatnonzero(seen.numpy())
    times = np.arange(len(values)).clip(at[0], at[-1])
    return torch.as_tensor(PchipInterpolator(at, values.numpy()[at])(times))


def _pinhole(camera: Tensor, focal: float) -> Tensor:
    """Camera coordinates [.., 3] -> pixels [.., 2] of the 512 x 512 picture."""
    return VIEW / 2 + focal * camera[..., :2] * camera.new_tensor([1, -1]) / -camera[..., 2:]


def _second(values: Tensor) -> Tensor:
    return values[2:] - 2 * values[1:-1] + values[:-2]


def _rotations(euler: Tensor) -> Tensor:
    import torch

    (sa, sb, sc), (ca, cb, cc) = euler.sin().unbind(-1), euler.cos().unbind(-1)
    one, zero = torch.ones_like(sa), torch.zeros_like(sa)
    x = torch.stack([one, zero, zero, zero, ca, -sa, zero, sa, ca], -1)
    y = torch.stack([cb, zero, sb, zero, one, zero, -sb, zero, cb], -1)
    z = torch.stack([cc, sc, zero, -sc, cc, zero, zero, zero, one], -1)
    x, y, z = (m.view(*euler.shape[:-1], 3, 3) for m in (x, y, z))
    return x @ y @ z
