"""A contact sheet of a subject folder: masks tinted, tracked mesh and landmarks drawn over frames of the whole clip."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from d3talker.errors import UserError
from d3talker.files import atomic_path
from d3talker.people.head.embedded import embedded_head
from d3talker.people.head.face import FaceModel
from d3talker.people.subject.layout import Frame, Subject, write_image
from d3talker.people.subject.palette import Label

FRAMES, COLUMNS = 12, 4
SIDE = 320  # pixels of a frame in the sheet
TINTS = {
    Label.BACKGROUND: (40, 40, 40), Label.FACE: (60, 120, 255), Label.MOUTH: (255, 60, 255), Label.HAIR: (150, 90, 20),
    Label.NECK: (60, 220, 60), Label.TORSO: (255, 70, 60),
}
TINT, WIRE = 0.35, 0.3  # opacities
MESH = ("skin", "lips", "eye", "lid_rim")  # scalp, neck and ears are guessed, not tracked
MESH_COLOUR, POINT_COLOUR, LOST_COLOUR = (255, 255, 255), (255, 230, 0), (255, 60, 60)


def write_sheet(subject: Subject, path: Path, count: int = FRAMES) -> None:
    """Write the sheet as PNG or JPEG, by the suffix: `count` frames, evenly spaced, the first and the last among them.

    What a folder lacks (masks, landmarks, motion) is left out.
    Raises UserError for another suffix, and for pictures that cannot be read.
    """
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UserError(f"the sheet {path} is neither .png nor .jpg; name a picture")
    frames = subject.frames("train") + subject.frames("val")
    picked = [frames[i] for i in np.unique(np.linspace(0, len(frames) - 1, count).round().astype(int))]
    lost = set(subject.meta.get("lost_frames", []))
    tiles = [tile(subject, frame, lost=frame.img_id in lost) for frame in picked]
    columns = min(COLUMNS, len(tiles))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    with atomic_path(path) as temporary:
        write_image(temporary, np.vstack(rows))


def tile(
    subject: Subject, frame: Frame, side: int = SIDE, *, masks: bool = True, mesh: bool = True, landmarks: bool = True,
    lost: bool = False,
) -> np.ndarray:
    """One frame, uint8 [side, side * W / H, 3], with what is asked for and there."""
    picture = subject.gt(frame.img_id)
    scale = side / picture.shape[0]
    size = (round(picture.shape[1] * scale), side)
    shown = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR).astype(np.float32)
    layout = subject.layout
    if masks and layout.image("parsing", frame.img_id, ".png").exists():
        colours = np.array([TINTS[label] for label in Label], np.float32)[subject.labels(frame.img_id)]
        shown += TINT * (cv2.resize(colours, size, interpolation=cv2.INTER_NEAREST) - shown)
    out = np.ascontiguousarray(shown.round().astype(np.uint8))
    if mesh and layout.expression.exists() and layout.identity.exists():
        wired = _wired(out.copy(), subject, frame, embedded_head(), scale)
        out = np.asarray(cv2.addWeighted(out, 1 - WIRE, wired, WIRE, 0), np.uint8)
    if landmarks and layout.image("ori_imgs", frame.img_id, ".lms").exists():
        for x, y in (subject.landmarks([frame.img_id])[0] + 0.5) * scale - 0.5:
            cv2.circle(out, (round(x), round(y)), 1, POINT_COLOUR, -1, cv2.LINE_AA)
    text = f"{frame.img_id}{' face lost' if lost else ''}"
    cv2.putText(out, text, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, LOST_COLOUR if lost else POINT_COLOUR, 1, cv2.LINE_AA)
    return out


def _wired(image: np.ndarray, subject: Subject, frame: Frame, face: FaceModel, scale: float) -> np.ndarray:
    """The image with the edges of the face's triangles that look at the camera."""
    view, K = subject.viewmats([frame])[0], subject.K
    vertices = face.vertices(subject.identity(), subject.expression()[frame.aud_id])
    camera = vertices @ view[:3, :3].T + view[:3, 3]
    pixels = camera @ K.T
    pixels = pixels[:, :2] / pixels[:, 2:] * scale - 0.5
    triangles = face.triangles[face.region_mask(*MESH)[face.triangles].all(1)]
    a, b, c = np.moveaxis(pixels[triangles], 1, 0)
    front = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0] < 0  # anticlockwise outside, y down here
    corners = np.round(pixels[triangles[front]]).astype(np.int32)
    cv2.polylines(image, list(corners), True, MESH_COLOUR, 1, cv2.LINE_AA)
    return image
