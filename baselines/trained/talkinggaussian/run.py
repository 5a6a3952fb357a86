"""TalkingGaussian: from a subject's frames to a checkpoint, and from that to frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from baselines.trained.shared.clip import Drive, load_clip
from baselines.trained.shared.head import Head, composed, no_gaussians
from baselines.trained.shared.job import first_gaussians, job_of
from baselines.trained.shared.options import HeadOptions, check_head
from baselines.trained.shared.trained import TrainedBaseline
from baselines.trained.talkinggaussian.training import CHECKPOINT, TalkingGaussianTraining, build_nets
from d3talker.graphics.layers import Camera, draw
from d3talker.graphics.options import REGIONS
from d3talker.learning.contract import device_named
from d3talker.learning.fields import pose
from d3talker.learning.loop import finished
from d3talker.people.subject.layout import Frame, Subject

STAGE = "encode, deform, rasterise, compose"


def train(options: HeadOptions, subject: Subject, frames: Sequence[Frame], out: Path, seed: int) -> tuple[float, bool]:
    """Train on `frames` in `out`, or go on there, or find it done; the seconds of steps, and whether it was done before.

    Raises UserError when `out` holds another training.
    """
    check_head(options)
    job = job_of(options, subject, frames, {})
    before = finished(out / CHECKPOINT, job, seed)
    if before is not None:
        return before, True
    device = device_named(options.device)
    clip = load_clip(subject, frames, options.features, options.nets.window, device)
    gaussians = first_gaussians(options.gaussians, clip, subject, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # layers draw their first weights from the global generator
        head = Head(gaussians, build_nets(options, clip.drive.features.shape[-1]))
    training = TalkingGaussianTraining(options, head, clip, out, CHECKPOINT, seed, device, job)
    training.run()
    return training.seconds, False


class TrainedTalkingGaussian(TrainedBaseline):
    """A finished training, ready to render."""

    def __init__(self, run: Path, options: HeadOptions | None = None, device: str = "auto") -> None:
        super().__init__(run / CHECKPOINT, HeadOptions, options, device)
        o: HeadOptions = self.options
        self.window = o.nets.window
        self.head = Head({r: no_gaussians(o.gaussians) for r in REGIONS}, build_nets(o, self.state["columns"]))
        self.head.load(self.state["model"])
        self.ready(self.head)
        with torch.no_grad():
            self.anchors = {r: self.head.net(r).field.anchors(self.head.of(r).means) for r in REGIONS}

    def stages(self) -> dict[str, Callable[..., Any]]:
        return {STAGE: self._frame}

    @torch.no_grad()
    def _frame(self, drive: Drive, index: int, camera: Camera, back: Tensor) -> Tensor:
        layers = []
        for region in REGIONS:
            net, signals = self.head.net(region), drive.at(index)
            delta = net.move(self.anchors[region], net.hear(signals))._replace(opacities=None)
            layers.append(draw(pose(self.head.of(region), camera.viewmat, delta), camera))
        return composed(layers[0], layers[1], back).clamp(0, 1)
