"""Sub-pixel tracks of a head's rigid parts: corners of a few reference frames, found again in frames of similar pose.

Landmarks jitter by half a pixel; image corners on forehead, nose, cheeks, ears and hair do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.interpolate import LinearNDInterpolator

from d3talker.people.head.face import FaceModel
from d3talker.people.preparation.tracking import RigidTracks, Track

CORNERS = 80  # in a reference frame
SPACING = 7  # pixels between corners
MAX_TURN = 0.17  # radians that a frame's head may be turned away from its reference's
MAX_REFERENCES = 8
SECOND_TURN = 0.25  # a frame this near a second reference is tracked from both, which ties the references together
WINDOW = 19  # pixels
MAX_RETURN = 0.5  # pixels; a corner tracked forth and back must return this near to its start
MOUTH_HEIGHT = -0.03  # metres in the head's frame: below it the face moves with the jaw
# Landmarks of brows, eyes, lips and chin.
MOVING = (range(17, 22), range(22, 27), range(36, 42), range(42, 48), range(48, 68), range(4, 13))
MAX_STRAY = 8.0  # pixels; further away from where the pose says, it is another corner


@dataclass(frozen=True)
class _Reference:
    frame: int
    grey: np.ndarray
    corners: np.ndarray  # [P, 2] pixels, the top-left pixel's centre is (0, 0)
    places: np.ndarray  # [P, 3]
    first: int  # number of its first point


def choose_references(rotation: np.ndarray, usable: np.ndarray) -> list[int]:
    """Frames (the most usual pose first) such that most poses are within MAX_TURN of one of them.

    rotation [T, 3, 3]; usable [T] bool.
    """
    pool = np.flatnonzero(usable)
    chosen: list[int] = []
    nearest = np.full(len(rotation), np.inf)
    while len(chosen) < MAX_REFERENCES:
        left = pool[nearest[pool] > MAX_TURN]
        if len(left) < max(3, 0.002 * len(pool)):
            break
        trial = left[:: max(1, len(left) // 200)]
        reach = [(_angles(rotation, rotation[t])[left] < MAX_TURN).sum() for t in trial]
        chosen.append(int(trial[int(np.argmax(reach))]))
        nearest = np.minimum(nearest, _angles(rotation, rotation[chosen[-1]]))
    return chosen


def find_tracks(
    frames: Iterable[np.ndarray], references: dict[int, np.ndarray], track: Track, face: FaceModel,
    landmarks: np.ndarray,
) -> RigidTracks:
    """Track the references' corners through the clip.

    frames: uint8 RGB [512, 512, 3] each; references: number -> its frame; track: a first fit of the pose;
    landmarks [T, 68, 2] in pixels at 512 (corner origin), which say what is not rigid.
    """
    surface = face.vertices(track.identity, np.zeros(len(face.expression_basis), np.float32)).astype(np.float64)
    refs: list[_Reference] = []
    for number, frame in references.items():
        first = sum(len(ref.corners) for ref in refs)
        refs.append(_reference(number, frame, track, face, surface, landmarks[number], first))
    turns = np.stack([_angles(track.rotation, track.rotation[ref.frame]) for ref in refs])
    numbers, points, places = [], [], []
    for t, frame in enumerate(frames):
        if np.isnan(landmarks[t, 0, 0]):
            continue
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        order = np.argsort(turns[:, t])
        for k in [order[0], *[j for j in order[1:2] if turns[j, t] < SECOND_TURN]]:
            kept, seen = _follow(refs[k], grey, _project(refs[k].places, track, t) - 0.5)
            numbers.append(np.full(len(kept), t))
            points.append(refs[k].first + kept)
            places.append(seen + 0.5)
    start = np.concatenate([ref.places for ref in refs])
    return RigidTracks(np.concatenate(numbers), np.concatenate(points), np.concatenate(places), start)


def _angles(rotation: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Angle in radians of each [T, 3, 3] to one rotation, roll left out: it is undone by the warp."""
    return np.arccos(np.clip((rotation[:, 2] * to[2]).sum(-1), -1, 1))


def _project(points: np.ndarray, track: Track, t: int) -> np.ndarray:
    """Head coordinates [P, 3] -> pixels of frame t at 512 (corner origin)."""
    camera = points @ track.rotation[t].T + track.translation[t]
    return 256 + track.focal * camera[:, :2] * (1, -1) / -camera[:, 2:]


def _reference(
    number: int, frame: np.ndarray, track: Track, face: FaceModel, surface: np.ndarray, landmarks: np.ndarray,
    first: int,
) -> _Reference:
    """Corners on what is rigid and faces the camera, and their places on the fitted head."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    eye = -track.rotation[number].T @ track.translation[number]
    towards = (face.normals(surface.astype(np.float32)) * (eye - surface)).sum(-1) > 0.03
    rigid = face.region_mask("skin", "scalp", "ear") & (surface[:, 1] > MOUTH_HEIGHT)
    visible = surface[rigid & towards]
    pixels = _project(visible, track, number) - 0.5
    mask = cv2.fillConvexPoly(np.zeros_like(grey), cv2.convexHull(np.round(pixels).astype(np.int32)), (255,))
    for part in MOVING:
        hull = cv2.convexHull(np.round(landmarks[list(part)] - 0.5).astype(np.int32))
        moving = cv2.fillConvexPoly(np.zeros_like(grey), hull, (255,))
        mask[cv2.dilate(moving, np.ones((13, 13), np.uint8)) > 0] = 0
    found = cv2.goodFeaturesToTrack(grey, CORNERS, 0.005, SPACING, mask=mask, blockSize=5)
    corners = np.zeros((0, 2)) if found is None else found[:, 0].astype(np.float64)
    places = LinearNDInterpolator(pixels, visible)(corners) if len(corners) else np.zeros((0, 3))
    known = ~np.isnan(places).any(-1)
    return _Reference(number, grey, corners[known], places[known], first)


def _follow(ref: _Reference, grey: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the corners found again and their pixels: Lucas-Kanade on the frame warped onto the reference."""
    if len(expected) < 4:
        return np.zeros(0, int), np.zeros((0, 2))
    to_frame = np.linalg.lstsq(np.c_[ref.corners, np.ones(len(expected))], expected, rcond=None)[0].T  # [2, 3]
    back = cv2.invertAffineTransform(to_frame)
    warped = cv2.warpAffine(grey, back, grey.shape[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    start = ref.corners.astype(np.float32)
    guess = (expected @ back[:, :2].T + back[:, 2]).astype(np.float32)
    found, good = lucas_kanade(ref.grey, warped, start, guess)
    returned, good_back = lucas_kanade(warped, ref.grey, found, start)
    circle, stray = np.linalg.norm(returned - start, axis=-1), np.linalg.norm(found - guess, axis=-1)
    kept = np.flatnonzero(good & good_back & (circle < MAX_RETURN) & (stray < MAX_STRAY))
    return kept, found[kept].astype(np.float64) @ to_frame[:, :2].T + to_frame[:, 2]


def lucas_kanade(
    a: np.ndarray, b: np.ndarray, points: np.ndarray, guess: np.ndarray, levels: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Where `points` [P, 2] of picture a are in b, from a first guess; and whether they were found, bool [P].

    levels: halvings of the picture in which larger shifts are looked for first.
    """
    found, good, _ = cv2.calcOpticalFlowPyrLK(
        a, b, points[:, None].copy(), guess[:, None].copy(), winSize=(WINDOW, WINDOW), maxLevel=levels,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    return found[:, 0], good[:, 0] > 0
