"""The volume renderer and the grid encoders against their torch twins; the three NeRFs' step and frame at `mini`."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from workload import camera

from baselines.trained.dfrf.method import DFRF
from baselines.trained.er_nerf.method import ERNeRF
from baselines.trained.rad_nerf.method import RADNeRF
from d3talker.graphics.encoding.grid import GridEncoder
from d3talker.graphics.volume import OccupancyGrid, camera_rays, composite, march, pixel_grid

SETTLED = 320  # steps after which the occupancy grid holds about the head
EVERY = 16  # steps of a round, one of which updates the grid
TARGETS = {ERNeRF: (0.9, 0.9), RADNeRF: (1.1, 1.0), DFRF: (4.5, 30.0)}  # in M: a step, a 128x128 frame (issue 18)


def head_grid() -> OccupancyGrid:
    """A grid whose cells are full where a head would be."""
    grid = OccupancyGrid((64, 64, 32), (0.25, 0.25, 0.125))
    centres = grid.centres(torch.arange(grid.density.numel())) / torch.tensor([0.09, 0.12, 0.11])
    grid.occupied.copy_((centres.norm(dim=-1) < 1).view(grid.cells))
    return grid


def volume_pass(backend: str, size: int = 128) -> Callable[[], object]:
    """March a whole frame's rays, composite six numbers a sample, and all gradients."""
    view, grid = camera(size), head_grid()
    rays = camera_rays(view.viewmat, view.K, pixel_grid(size, size))
    g = torch.Generator().manual_seed(0)
    jitter, count = torch.rand(size * size, generator=g), len(march(rays, grid).rays) + size * size
    sigma, values, extras = (torch.rand(count, *tail, generator=g) for tail in ((), (4,), (2,)))

    def run() -> None:
        samples = march(rays, grid, jitter=jitter, backend=backend)
        leaves = [part[:len(samples.rays)].requires_grad_() for part in (30 * sigma, values, extras)]
        made = composite(leaves[0], leaves[1], samples, leaves[2], backend=backend)
        torch.autograd.grad(made.sums.sum() + made.alpha.sum() + made.extras.sum(), leaves)

    return run


def test_marching_and_compositing(compare):
    compare(volume_pass("cpu"), volume_pass("reference"), rounds=15, targets={"times_reference": 10.0})


@pytest.mark.parametrize("dims", [2, 3])
def test_grid_encoder(compare, dims):
    """RAD-NeRF's grid at `mini` on a step's samples, with gradients of table and positions."""
    g = torch.Generator().manual_seed(0)
    places = (torch.rand(6000, dims, generator=g) * 2 - 1).requires_grad_()

    def encode_pass(backend: str) -> Callable[[], object]:
        encoder = GridEncoder(dims, "tiled", 8, 2, 16, 128, 15, backend=backend)
        weights = torch.randn(6000, encoder.width, generator=g)
        return lambda: torch.autograd.grad(encoder(places), [places, encoder.table], weights)

    compare(encode_pass("cpu"), encode_pass("reference"), rounds=15)


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic person at 128 px, 4 s."""
    pytest.importorskip("espeakng_loader", reason="synthetic people need espeak-ng; install the extra 'synth'")
    from d3talker.people.synthetic.subjects import make_subject

    return make_subject(tmp_path_factory.mktemp("volume") / "person", seed=3, seconds=4.0, size=128)


def trained(method, folder: Path, out: Path):
    """A method after SETTLED steps: its loop, and what renders test frames."""
    from d3talker.people.subject.layout import Subject

    subject = Subject(folder)
    options = method.presets["mini"]
    steps = {"tune": SETTLED} if isinstance(method, DFRF) else {"head": SETTLED, "lips": 1}
    options = replace(options, schedule=replace(options.schedule, **steps))
    loop = method.loop(options, subject, subject.frames("train"), out, 0)
    loop.run()
    loop.stage, loop.step = loop.stages[0], 0
    return subject, loop, method.load(out, device="cpu")


@pytest.mark.parametrize("kind", TARGETS)
def test_method(compare, benchmark, person, tmp_path, kind):
    """EVERY training steps, then one frame and the memory of a 512x512 one; both ratios stand in the extra information."""
    subject, loop, made = trained(kind(), person, tmp_path)
    step_target, frame_target = TARGETS[kind]

    def steps() -> None:
        for _ in range(EVERY):
            loop.train_step()
            loop.step += 1

    compare(steps, rounds=5, targets={})
    info = benchmark.extra_info
    info["step_in_M"] = info["in_M"] / EVERY
    frames = subject.frames("val")
    drive, view = made.drive(subject, frames), camera(128)
    back = torch.rand(128, 128, 3)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        made.frame(drive, 0, view, back)
        times.append(time.perf_counter() - began)
    info["frame_in_M"] = 1e3 * min(times) / info["M_ms"]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    made.frame(drive, 0, camera(512), torch.rand(512, 512, 3))
    info["peak_512_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    info["grew_512_mib"] = info["peak_512_mib"] - before / 1024
    info["targets"] = {"step_in_M": step_target, "frame_in_M": frame_target}
