"""What both views share: viser's server on a port, our frames' cameras in its terms, Gaussians as it draws them."""

from __future__ import annotations

import socket
from typing import Any

import numpy as np
import torch
from torch import Tensor

from d3talker.errors import UserError
from d3talker.export.splats import Splats
from d3talker.graphics.render import eval_sh
from d3talker.graphics.render.geometry import covariances


def start(viser: Any, host: str, port: int, label: str) -> Any:
    """A viser server, y up.  Raises UserError when the port is taken."""
    if port:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise UserError(f"port {port} of {host} cannot be used ({error.strerror}); give another --port") from None
    server = viser.ViserServer(host=host, port=port, label=label, verbose=False)
    server.scene.set_up_direction("+y")
    server.gui.configure_theme(control_width="small", show_logo=False)
    server.gui.main_panel.dock_right()
    return server


def pose(viewmat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """wxyz and position of a camera, world from camera, for viewmat [4, 4], world to camera; both have OpenCV axes."""
    from scipy.spatial.transform import Rotation

    turn = viewmat[:3, :3].T
    return np.roll(Rotation.from_matrix(turn).as_quat(), 1), -turn @ viewmat[:3, 3]


def look_from(server: Any, viewmat: np.ndarray, fov: float, aside: float = 0.0, away: float = 1.0) -> None:
    """Where new windows look from: this frame's camera, at the head's centre.

    fov: vertical, in radians.  aside: turned by so many radians about the upright axis; away: as many times its distance.
    """
    from scipy.spatial.transform import Rotation

    _, position = pose(viewmat)
    server.initial_camera.position = away * Rotation.from_euler("y", aside).apply(position)
    server.initial_camera.look_at = np.zeros(3)
    server.initial_camera.fov, server.initial_camera.near = fov, 0.01


@torch.no_grad()
def drawable(found: Splats, centre: Tensor) -> dict[str, np.ndarray]:
    """Centres [N, 3], covariances [N, 3, 3], colours [N, 3] as seen from `centre` [3], and opacities [N, 1]."""
    degree = int(found.sh.shape[1] ** 0.5) - 1
    parts = {
        "centers": found.means, "covariances": covariances(found.quats, found.scales),
        "rgbs": eval_sh(degree, found.sh, found.means - centre).clamp(0, 1), "opacities": found.opacities[:, None],
    }
    return {name: value.float().cpu().numpy() for name, value in parts.items()}
