"""GaussianTalker: from a subject's frames to a checkpoint, and from that to frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from baselines.trained.gaussiantalker.network import Network, Signals
from baselines.trained.gaussiantalker.options import GaussianTalkerOptions, check
from baselines.trained.gaussiantalker.training import (
    CHECKPOINT,
    GaussianTalkerTraining,
    Model,
    camera_numbers,
    posed_batch,
)
from baselines.trained.shared.clip import Drive, load_clip
from baselines.trained.shared.head import no_gaussians
from baselines.trained.shared.job import job_of, still_head
from baselines.trained.shared.trained import TrainedBaseline
from d3talker.graphics.layers import Camera
from d3talker.graphics.render import rasterize
from d3talker.learning.contract import device_named
from d3talker.learning.loop import finished
from d3talker.learning.start import start
from d3talker.people.subject.action_units import BLINK_MAX
from d3talker.people.subject.layout import Frame, Subject

STAGE = "encode, deform, rasterise over the torso"


def train(
    options: GaussianTalkerOptions, subject: Subject, frames: Sequence[Frame], out: Path, seed: int
) -> tuple[float, bool]:
    """Train on `frames` in `out`, or go on there, or find it done; the seconds of steps, and whether it was done before.

    Raises UserError when `out` holds another training.
    """
    check(options)
    job = job_of(options, subject, frames, {})
    before = finished(out / CHECKPOINT, job, seed)
    if before is not None:
        return before, True
    device = device_named(options.device)
    clip = load_clip(subject, frames, options.features, options.network.window, device)
    still = still_head(options.gaussians, subject)
    gaussians = start(None, options.gaussians, clip.views, *still, torch.Generator().manual_seed(seed), "exp")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # layers draw their first weights from the global generator
        network = Network(options.network, clip.drive.features.shape[-1], (options.gaussians.sh_degree + 1) ** 2)
    network.planes.cover(gaussians.means.detach())
    training = GaussianTalkerTraining(options, Model(gaussians, network), clip, out, seed, device, job)
    training.run()
    return training.seconds, False


class TrainedGaussianTalker(TrainedBaseline):
    """A finished training, ready to render."""

    def __init__(self, run: Path, options: GaussianTalkerOptions | None = None, device: str = "auto") -> None:
        super().__init__(run / CHECKPOINT, GaussianTalkerOptions, options, device)
        o: GaussianTalkerOptions = self.options
        self.window = o.network.window
        network = Network(o.network, self.state["columns"], (o.gaussians.sh_degree + 1) ** 2)
        self.model = Model(no_gaussians(o.gaussians, activation="exp"), network)
        self.model.load(self.state["model"])
        self.ready(self.model)
        with torch.no_grad():
            self.features = self.model.network.planes(self.model.gaussians.means)

    def stages(self) -> dict[str, Callable[..., Any]]:
        return {STAGE: self._frame}

    @torch.no_grad()
    def _frame(self, drive: Drive, index: int, camera: Camera, back: Tensor) -> Tensor:
        one, viewmats = drive.at(index), camera.viewmat[None]
        signals = Signals(one.audio[None], one.eyes[-1:] / BLINK_MAX, camera_numbers(viewmats))
        posed = posed_batch(self.model, self.model.deform(signals, self.features), viewmats)
        return rasterize(*posed, viewmats, camera.K[None], camera.width, camera.height, back[None]).rgb[0].clamp(0, 1)
