"""A finished DFRF, ready to render."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from baselines.trained.dfrf.casting import Bundle, cast
from baselines.trained.dfrf.field import DFRFField
from baselines.trained.dfrf.options import Options
from baselines.trained.dfrf.references import References, gather
from baselines.trained.dfrf.training import CHECKPOINT
from baselines.trained.shared.hearing import Hearing, SoundDrive
from d3talker import checkpoint
from d3talker.errors import UserError
from d3talker.graphics.layers import Camera
from d3talker.graphics.volume import pixel_grid
from d3talker.graphics.volume.rays import directions
from d3talker.learning.contract import Trained, device_named
from d3talker.options import from_dict
from d3talker.people.subject.layout import Frame, Subject

SAMPLES = 8192  # of one pass through the fine field; its activations then fit a cache


class TrainedDFRF(Trained):
    """Reads RUN/nerf.safetensors, where the references' features are made once."""

    def __init__(self, run: Path, device: str) -> None:
        path = Path(run) / CHECKPOINT
        state = checkpoint.load(path)
        if not state["done"]:
            raise UserError(f"{run} is not trained to its end; run the same training command again to go on")
        with checkpoint.usable(path):
            self.options = from_dict(Options, state["options"])
            self.device = device_named(device)
            self.seconds: float = state["seconds"]
            self.run, self.data = Path(run), state["job"]["data"]
            self.hearing = Hearing.from_state(state["hearing"])
            self.field = DFRFField(self.options.net, self.hearing.columns)
            self.field.load_state_dict(state["field"])
            self.near, self.far = state["bounds"]
            pictures, viewmats, K = (state["references"][name].to(self.device) for name in ("pictures", "viewmats", "K"))
        self.field.to(self.device).eval().requires_grad_(False)
        with torch.no_grad():
            self.references: References = gather(self.field.encoder, pictures / 255, viewmats, K)
        self.feature_name = self.hearing.feature_name
        self.notes: list[str] = list(state["notes"])
        if self.feature_name != "deepspeech":
            self.notes.append(f"Audio features: {self.feature_name}, where the paper has DeepSpeech's.")

    def drive(self, subject: Subject, frames: Sequence[Frame]) -> SoundDrive:
        return self.hearing.drive(subject, frames, "still").to(self.device)  # it has no eye signal

    def drive_by(self, subject: Subject, features: np.ndarray, sound: np.ndarray) -> SoundDrive:
        return self.hearing.drive_by(features, "still").to(self.device)

    def stages(self) -> dict[str, Callable]:
        return {"volume": self._frame}

    @torch.no_grad()
    def _frame(self, drive: SoundDrive, index: int, camera: Camera, back: Tensor) -> Tensor:
        rays, audio = self.options.rays, self.field.audio(drive.at(index)[0])
        along = directions(camera.viewmat, camera.K, pixel_grid(camera.height, camera.width, self.device))
        origin, flat = -camera.viewmat[:3, 3] @ camera.viewmat[:3, :3], back.flatten(0, 1)
        picture, near = flat.clone(), passing(origin, along, rays.reach)
        for part in near.split(max(SAMPLES // (rays.test_coarse + rays.test_fine), 1)):
            bundle = Bundle(origin, along[part], self.near, self.far, flat[part])
            picture[part] = cast(self.field, bundle, audio, self.references, (rays.test_coarse, rays.test_fine), None).fine
        return picture.clamp(0, 1).view_as(back)


def passing(origin: Tensor, along: Tensor, reach: float) -> Tensor:
    """Indices of the rays that pass the world's origin, the head's centre, within `reach` metres; all for 0."""
    if not reach:
        return torch.arange(len(along), device=along.device)
    miss = torch.linalg.cross(origin.expand_as(along), along).norm(dim=-1) / along.norm(dim=-1)
    return (miss < reach).nonzero()[:, 0]
