"""TalkingGaussian's options: preset `paper` holds the official code's, `mini` the same method for 128 pixels on a CPU."""

from __future__ import annotations

from dataclasses import replace

from baselines.trained.shared.options import HeadOptions

TalkingGaussianOptions = HeadOptions
PAPER = HeadOptions()
MINI = replace(
    PAPER,
    gaussians=replace(
        PAPER.gaussians, start="mesh", face_points=4000, mouth_points=1000, max_points=6000, sh_degree=1, means_lr=3.2e-3,
        sh_lr=1e-2, scale_lr=1e-2, quat_lr=4e-3,
    ),
    # Few Gaussians are large ones: in parts of the picture, they may be four times the official.
    density=replace(PAPER.density, start=150, every=50, size_from=300, max_radius=80.0),
    mouth_density=replace(PAPER.mouth_density, start=150, every=50, size_from=300, max_radius=80.0),
    nets=replace(PAPER.nets, first_weights="he", grid_lr=2e-2, mlp_lr=4e-3),
    schedule=replace(PAPER.schedule, face=1500, mouth=1000, fuse=300, sh_every=150),
)
PRESETS = {"mini": MINI, "paper": PAPER}
