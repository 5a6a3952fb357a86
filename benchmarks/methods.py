"""Training steps and frames of the re-implemented methods on a shell of Gaussians and random signals, as `workload.Step` is ours.

    python benchmarks/methods.py [ROUNDS]    ratios to ours of one run, in CPU time, to which other processes add little
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from workload import Step, camera, shell

from baselines.trained.gaussiantalker.network import Network
from baselines.trained.gaussiantalker.network import Signals as Batch
from baselines.trained.gaussiantalker.options import PAPER as GAUSSIANTALKER
from baselines.trained.gaussiantalker.training import GaussianTalkerTraining, Model, camera_numbers, posed_batch
from baselines.trained.instag.nets import hook, personal_nets, universal_nets
from baselines.trained.instag.options import PAPER as INSTAG
from baselines.trained.instag.training import InsTaGTraining, asked
from baselines.trained.shared.clip import Clip, Drive, Hearing
from baselines.trained.shared.curriculum import Measures
from baselines.trained.shared.head import Head
from baselines.trained.talkinggaussian.options import PAPER as TALKINGGAUSSIAN
from baselines.trained.talkinggaussian.training import TalkingGaussianTraining, build_nets
from d3talker.graphics.gaussians import Gaussians
from d3talker.graphics.layers import draw
from d3talker.graphics.options import REGIONS
from d3talker.graphics.render import rasterize
from d3talker.learning.fields import pose
from d3talker.learning.staging import Shelf
from d3talker.learning.views import Views

FRAMES, COLUMNS = 16, 29
BATCH = 4  # of GaussianTalker's step; ratios are per frame of it
TARGETS = {"talkinggaussian": 1.3, "instag": 1.5, "gaussiantalker": 4.0}  # a step's time over ours, at most


def clip(size: int) -> Clip:
    """Random frames of one head before a camera."""
    g, view = torch.Generator().manual_seed(0), camera(size)
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    head = (((rows - size / 2) ** 2 + (columns - size / 2) ** 2) < (0.4 * size) ** 2)[..., None]
    mouth = ((rows > 0.7 * size) & (rows < 0.75 * size) & (columns > 0.4 * size) & (columns < 0.6 * size))[..., None]

    def read(indices: Any) -> list[tuple[torch.Tensor, ...]]:
        image = torch.randint(256, (size, size, 3), generator=g, dtype=torch.uint8)
        return [(image, image, head & ~mouth, mouth, head & (rows < size / 4)[..., None]) for _ in indices]

    lips = torch.tensor([int(0.35 * size), int(0.6 * size), int(0.65 * size), int(0.85 * size)]).repeat(FRAMES, 1)
    viewmats = view.viewmat.repeat(FRAMES, 1, 1)
    viewmats[:, :3, 3] += 0.02 * torch.randn(FRAMES, 3, generator=g)
    views = Views(Shelf(read, FRAMES, 1 << 30), (size, size), lips, viewmats, view.K)
    eyes = torch.rand(FRAMES, 6, generator=g)
    drive = Drive(torch.randn(FRAMES, 16, COLUMNS, generator=g), list(range(FRAMES)), eyes, 8)
    along = np.linspace(0, 1, FRAMES)
    measures = Measures(along, along, along, np.full(FRAMES, 10**6))
    return Clip("random", views, drive, Hearing("deepspeech", None), eyes.numpy(), measures)


def gaussians(count: int, degree: int, **kwargs: Any) -> Gaussians:
    """The shell of workload.Step."""
    g = torch.Generator().manual_seed(0)
    means, scales = shell(count, g)
    return Gaussians(means, scales, degree, torch.rand(count, 3, generator=g), **kwargs)


def training(name: str, count: int, size: int) -> Any:
    """A loop in the middle of the face's stage: everything moves, all losses but the late LPIPS have joined, the number stays."""
    torch.manual_seed(0)
    out, device = Path(tempfile.mkdtemp()), torch.device("cpu")
    if name == "gaussiantalker":
        o = replace(GAUSSIANTALKER, schedule=replace(GAUSSIANTALKER.schedule, batch=BATCH))
        o = replace(o, gaussians=replace(o.gaussians, sh_degree=1), loss=replace(o.loss, vgg=0.0))
        one = gaussians(count, 1, activation="exp")
        network = Network(o.network, COLUMNS, 4)
        network.planes.cover(one.means.detach())
        loop: Any = GaussianTalkerTraining(o, Model(one, network), clip(size), out, 0, device)
        loop.stage = "fine"
    else:
        o = INSTAG if name == "instag" else TALKINGGAUSSIAN
        quiet = replace(o.loss, lips_lpips=0.0, face_lpips=0.0, fuse_lpips=0.0, mouth_lpips=0.0)
        o = replace(o, gaussians=replace(o.gaussians, sh_degree=1), loss=quiet)
        both = {r: gaussians(count, 1) for r in REGIONS}
        nets = build_nets(o, COLUMNS) if name == "talkinggaussian" else universal_nets(o, COLUMNS) | personal_nets(o, COLUMNS)
        kind = TalkingGaussianTraining if name == "talkinggaussian" else InsTaGTraining
        loop = kind(o, Head(both, nets), clip(size), out, "x", 0, device)
        loop.stage = "face"
    loop.begin_stage()
    loop.step = loop.steps() // 2 + 1
    return loop


def step(name: str, count: int, size: int) -> Callable[[], object]:
    """One training step; GaussianTalker's of BATCH frames."""
    return training(name, count, size).train_step


def frame(name: str, count: int, size: int) -> Callable[[], object]:
    """Draw the face of one frame, as `workload.Step.frame` does: what depends on static centres is computed beforehand."""
    loop = training(name, count, size)
    index, view, back = 3, loop.clip.views.camera(3), torch.rand(size, size, 3)
    signals = loop.clip.drive.at(index)
    if name == "gaussiantalker":
        model: Model = loop.model.eval()
        with torch.no_grad():
            features = model.network.planes(model.gaussians.means)
        batch = Batch(signals.audio[None], signals.eyes[-1:], camera_numbers(view.viewmat[None]))

        def whole() -> object:
            with torch.no_grad():
                posed = posed_batch(model, model.deform(batch, features), view.viewmat[None])
                return rasterize(*posed, view.viewmat[None], view.K[None], size, size, back[None]).rgb

        return whole
    head: Head = loop.head
    net, front = head.net("face"), head.of("face")
    with torch.no_grad():
        anchors = net.field.anchors(front.means)
        found = asked(head, "face", True, False) if name == "instag" else (anchors, None, None)

    def face() -> object:
        with torch.no_grad():
            delta = net.move(found[0], net.hear(signals))._replace(opacities=None)
            if found[2] is not None:
                hook(net, anchors, signals.audio, 10)  # which the mouth waits for
                delta = delta._replace(means=delta.means * found[2])
            layer = draw(pose(front, view.viewmat, delta), view)
            return layer.rgb + (1 - layer.alpha) * back

    return face


def cpu_ms(work: Callable[[], object], rounds: int) -> float:
    """Least CPU time of this process in one call."""
    work()
    found = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return 1e3 * min(found)


def main(rounds: int) -> None:
    """Print ratios of CPU time, measured in turns."""
    for size, count in ((128, 5000), (512, 5000)):
        ours = Step(count, size)
        mine = cpu_ms(ours.frame(), rounds), cpu_ms(ours, rounds)
        print(f"{size} px, {count} Gaussians: ours frame {mine[0]:.1f} ms, step {mine[1]:.1f} ms (CPU time)")
        for name in TARGETS:
            per = BATCH if name == "gaussiantalker" else 1
            drawn, learnt = cpu_ms(frame(name, count, size), rounds), cpu_ms(step(name, count, size), rounds) / per
            ratios = f"frame {drawn:.1f} ms = {drawn / mine[0]:.2f}, step {learnt:.1f} ms = {learnt / mine[1]:.2f} times ours"
            print(f"  {name}: {ratios}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
