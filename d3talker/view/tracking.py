"""The view of a subject folder: cameras and fitted mesh in space, masks, mesh and landmarks over each frame."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from d3talker.people.head.embedded import embedded_head
from d3talker.people.preparation.sheet import tile
from d3talker.people.subject.layout import Subject
from d3talker.view.options import ViewConfig
from d3talker.view.scene import look_from, pose, start

PATH_CAMERAS = 60  # shown of the whole clip
SIDE = 480  # pixels of the frame beside the scene
NEAR, PATH_COLOUR = 0.25, (150, 150, 150)  # metres before the head where the frame's picture stands; of the other cameras
ASIDE, AWAY = 0.7, 1.4
LINES: dict[str, Any] = {"thickness": 1.5, "thickness_units": "screen"}  # pixels
LAYERS = ("landmarks", "mesh", "masks")


class TrackingView:
    """The scene and its controls."""

    def __init__(self, viser: Any, subject: Subject, host: str, port: int) -> None:
        self.subject, self.frames = subject, subject.frames("train") + subject.frames("val")
        self.face, self.identity, self.expression = embedded_head(), subject.identity(), subject.expression()
        self.viewmats = Subject.viewmats(self.frames)
        self.lost = set(subject.meta.get("lost_frames", []))
        height, width = subject.size
        self.fov, self.aspect = 2 * math.atan(height / 2 / float(subject.K[1, 1])), width / height
        self.server = start(viser, host, port, "d3talker")
        look_from(self.server, self.viewmats[0], self.fov, ASIDE, AWAY)  # cameras are seen from outside
        for at in np.unique(np.linspace(0, len(self.frames) - 1, PATH_CAMERAS).round().astype(int)):
            wxyz, position = pose(self.viewmats[at])
            self.server.scene.add_camera_frustum(
                f"/path/{at}", self.fov, self.aspect, scale=0.02, color=PATH_COLOUR, wxyz=wxyz, position=position, **LINES
            )
        self._panel()
        self.show()

    def _panel(self) -> None:
        gui = self.server.gui
        self.at = gui.add_slider("frame", 0, len(self.frames) - 1, 1, 0)
        self.boxes = {name: gui.add_checkbox(name, True) for name in LAYERS}
        self.inside = gui.add_checkbox("look through its camera", False)
        self.told = gui.add_markdown("")
        self.picture = gui.add_image(self._tile(0), format="jpeg")
        for handle in (self.at, self.inside, *self.boxes.values()):
            handle.on_update(lambda _: self.show())

    def _tile(self, at: int) -> np.ndarray:
        frame, chosen = self.frames[at], {name: bool(box.value) for name, box in self.boxes.items()}
        return tile(self.subject, frame, SIDE, lost=frame.img_id in self.lost, **chosen)

    def error(self, at: int) -> float | None:
        """Mean distance in pixels of tracked landmarks and the fitted head's, None where the folder has no landmarks."""
        frame = self.frames[at]
        if not self.subject.layout.image("ori_imgs", frame.img_id, ".lms").exists():
            return None
        points = self.face.vertices(self.identity, self.expression[frame.aud_id])[self.face.landmarks]
        view = self.viewmats[at]
        seen = (points @ view[:3, :3].T + view[:3, 3]) @ self.subject.K.T
        off = seen[:, :2] / seen[:, 2:] - 0.5 - self.subject.landmarks([frame.img_id])[0]
        return float(np.linalg.norm(off, axis=-1).mean())

    def show(self) -> None:
        """Draw the frame that the slider names."""
        at = int(self.at.value)
        frame, (wxyz, position) = self.frames[at], pose(self.viewmats[at])
        self.server.scene.add_mesh_simple(
            "/head", self.face.vertices(self.identity, self.expression[frame.aud_id]), self.face.triangles, color=(200, 165, 150),
            side="double",
        )
        self.server.scene.add_camera_frustum(
            "/frame", self.fov, self.aspect, scale=NEAR, image=self.subject.gt(frame.img_id), color=(20, 90, 160), wxyz=wxyz,
            position=position, **LINES,
        )
        self.picture.image = self._tile(at)
        error, part = self.error(at), "training" if at < len(self.subject.frames("train")) else "test"
        words = [f"frame {frame.img_id}, {part}", *(["**face lost: interpolated**"] if frame.img_id in self.lost else [])]
        self.told.content = ", ".join(words + ([] if error is None else [f"fit {error:.2f} px"]))
        if self.inside.value:
            for client in self.server.get_clients().values():
                with client.atomic():
                    client.camera.wxyz, client.camera.position, client.camera.fov = wxyz, position, self.fov

    def close(self) -> None:
        """End the server."""
        self.server.stop()


@contextmanager
def tracking_view(viser: Any, config: ViewConfig) -> Iterator[tuple[str, TrackingView]]:
    """The address of the scene, and the view behind it.  Raises UserError where the folder lacks what a fit leaves."""
    view = TrackingView(viser, Subject(config.path), config.host, config.port)
    try:
        yield f"http://{config.host}:{view.server.get_port()}/", view
    finally:
        view.close()
