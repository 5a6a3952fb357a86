"""The view of a trained head: Gaussians in viser, and beside them a page with sound, ground truth and the talker's own picture."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from d3talker.graphics.options import REGIONS
from d3talker.learning.rendering import driven
from d3talker.method.synthesis import TrainedTalker
from d3talker.people.subject.layout import Subject
from d3talker.view.options import ViewConfig
from d3talker.view.page import Page, serve_page
from d3talker.view.scene import drawable, look_from, pose, start
from d3talker.view.state import Controls, Speaking

LARGEST = 2.0  # of a share


class HeadView:
    """The scene and its controls.  One thread draws: always the latest frame that was asked for, never one that is past."""

    def __init__(self, viser: Any, speaking: Speaking, host: str, port: int) -> None:
        self.speaking, self.at, self.drawn = speaking, 0, -1
        self.controls, self.lock = Controls(), threading.Lock()  # the lock keeps torch to one frame at a time
        self.server = start(viser, host, port, "d3talker")
        subject, first = speaking.subject, speaking.shot.frames[0]
        self.viewmats = Subject.viewmats(speaking.shot.frames)
        self.fov = 2 * math.atan(subject.size[0] / 2 / float(subject.K[1, 1]))
        look_from(self.server, Subject.viewmats([first])[0], self.fov)
        self.splats: Any = None
        self._panel()
        self._due, self._ended = threading.Event(), False
        self._due.set()
        self._thread = threading.Thread(target=self._draw, daemon=True)
        self._thread.start()

    def _panel(self) -> None:
        gui = self.server.gui
        self.frame = gui.add_slider("frame", 0, max(len(self.speaking) - 1, 1), 1, 0)
        self.frame.on_update(lambda _: self.show(int(self.frame.value)))
        self.follow = gui.add_checkbox("camera of the frame", False)
        self.boxes = {region: gui.add_checkbox(region, True) for region in REGIONS}
        with gui.add_folder("share of each field"):
            self.shares = {name: gui.add_slider(name, 0.0, LARGEST, 0.05, 1.0) for name in self.speaking.parts}
        with gui.add_folder("expression, added", expand_by_default=False):
            self.added = {name: gui.add_slider(name.replace("_", " "), -1.0, 1.0, 0.05, 0.0) for name in self.speaking.steerable}
        reset = gui.add_button("as trained")
        reset.on_click(lambda _: self._reset())
        for handle in (self.follow, *self.boxes.values(), *self.shares.values(), *self.added.values()):
            handle.on_update(lambda _: self._changed())

    def _reset(self) -> None:
        for handle in self.shares.values():
            handle.value = 1.0
        for handle in self.added.values():
            handle.value = 0.0
        self._changed()

    def _changed(self) -> None:
        self.controls = Controls(
            {name: float(handle.value) for name, handle in self.shares.items()},
            {name: float(handle.value) for name, handle in self.added.items()},
            tuple(region for region in REGIONS if self.boxes[region].value),
        )
        self._due.set()

    def show(self, at: int) -> None:
        """Ask for frame `at`."""
        self.at = min(max(at, 0), len(self.speaking) - 1)
        self._due.set()

    def _draw(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            if self._ended:
                return
            at, controls = self.at, self.controls
            view = torch.from_numpy(self.viewmats[at]).float()
            centre = (-view[:3, :3].T @ view[:3, 3]).to(self.speaking.trained.device)
            with self.lock:
                found = self.speaking.gaussians(at, controls)
            if self.splats is not None:
                self.splats.visible = found is not None
            if found is not None and self.splats is None:
                self.splats = self.server.scene.add_gaussian_splats("/head", **drawable(found, centre))
            elif found is not None:
                self.splats.set_gaussians(**drawable(found, centre))
            if self.follow.value:
                self._follow(at)
            if self.frame.value != at:
                self.frame.value = at
            self.drawn = at

    def _follow(self, at: int) -> None:
        wxyz, position = pose(self.viewmats[at])
        for client in self.server.get_clients().values():
            with client.atomic():
                client.camera.wxyz, client.camera.position, client.camera.fov = wxyz, position, self.fov

    def picture(self, at: int) -> Any:
        """The talker's own picture of a frame, under the present controls."""
        with self.lock:
            return self.speaking.picture(at, self.controls)

    def close(self) -> None:
        """End the thread and the server."""
        self._ended = True
        self._due.set()
        self._thread.join(5)
        self.server.stop()


@contextmanager
def head_view(viser: Any, config: ViewConfig) -> Iterator[tuple[str, HeadView]]:
    """The address of the page, and the view behind it.  Raises UserError as loading the training and its subject do."""
    from d3talker.people.subject.checks import say_notes

    assert config.subject is not None
    subject = Subject(config.subject)
    say_notes(subject)
    trained = TrainedTalker(config.path, config.device)
    trained.check_subject(subject)
    shot = driven(trained, subject, subject.frames("val"), config.audio)
    view = HeadView(viser, Speaking(trained, subject, shot), config.host, config.port and config.port + 1)
    try:
        with serve_page(Page(view, config.host), config.port) as url:
            yield url, view
    finally:
        view.close()
