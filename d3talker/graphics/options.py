"""Options of what all methods draw with: Gaussians, their density control, the hash-grid encoder.

A comment behind a number names its source, as in d3talker/method/config.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Region = Literal["face", "mouth"]
REGIONS: tuple[Region, ...] = ("face", "mouth")


@dataclass(frozen=True)
class GaussianConfig:
    """Static Gaussian field of one identity (paper 3.1)."""

    face_points: int = 2000  # InsTaG
    """Gaussians of the face at the start."""
    mouth_points: int = 5000  # InsTaG
    """Gaussians of the inside of the mouth at the start."""
    max_points: int = 60000  # ours: a bound on memory
    """Density control stops growing a region at this many Gaussians."""
    sh_degree: int = 1  # InsTaG few-shot script
    """Degree of the spherical harmonics that hold colour."""
    start: Literal["cube", "mesh"] = "cube"  # InsTaG; GaussianTalker starts on the mesh of its face model
    """Where Gaussians start: anywhere in a cube, or on the subject's fitted head, with colours from its frames."""
    extent: float = 0.1  # InsTaG: uniform in a cube of +-0.1
    """Half side of the cube, in metres, in which Gaussians start."""
    means_lr: float = 1.6e-4  # 3DGS, InsTaG
    """Learning rate of the centres, times the cameras' extent in metres; falls to .36 of itself over a region's steps."""
    sh_lr: float = 2.5e-3  # 3DGS, InsTaG
    """Learning rate of colour."""
    sh_every: int = 0  # not measured; 3DGS, InsTaG: 1000
    """Steps after which D³-Talker draws one more band of a learning region's harmonics, from the zeroth on; 0 = all at once."""
    sh_rest_share: float = 1.0  # ours: 3DGS and InsTaG have 0.05
    """Share of it at which the bands above the zeroth learn."""
    opacity_lr: float = 0.05  # InsTaG
    """Learning rate of opacity."""
    scale_lr: float = 3e-3  # InsTaG
    """Learning rate of scale."""
    quat_lr: float = 1e-3  # 3DGS, InsTaG
    """Learning rate of rotation."""


@dataclass(frozen=True)
class DensityConfig:
    """Density control as in 3DGS: split and clone where the screen gradient is large, prune what is transparent."""

    start: int = 500  # 3DGS, InsTaG
    """First step that may change the number of Gaussians."""
    grow_from: int = 0  # 3DGS, InsTaG: as `start`; GaussianTalker prunes before it grows
    """First step that may clone and split them."""
    stop: float = 0.9  # InsTaG: 9000 of 10000
    """Share of a region's steps after which the number stays."""
    every: int = 100  # 3DGS, InsTaG
    """Steps between two changes."""
    grad_threshold: float = 5e-4  # InsTaG, face; in normalised image units
    """Mean screen-space gradient above which a Gaussian is cloned or split."""
    mouth_grad_threshold: float = 2e-4  # InsTaG, mouth
    """The same for the inside of the mouth."""
    dense_size: float = 5e-4  # InsTaG: percent_dense 0.005 of an extent of about 0.1 m
    """Gaussians larger than this many metres are split, smaller ones cloned."""
    min_opacity: float = 0.05  # InsTaG
    """Gaussians below this opacity are pruned."""
    opacity_rise: float = 0.0  # ours: InsTaG and TalkingGaussian have 0.25, so that the last are pruned below 0.3
    """What is added to that opacity by the time the number stays, in proportion to the steps."""
    size_from: int = 1000000000  # ours: never; 3DGS, InsTaG and TalkingGaussian from step 3000
    """First step that prunes Gaussians for their size."""
    max_size: float = 0.01  # InsTaG, TalkingGaussian: a tenth of an extent of about 0.1 m
    """From then on, Gaussians larger than this many metres are pruned."""
    max_radius: float = 20.0  # 3DGS, InsTaG, TalkingGaussian at 512 pixels
    """And those that three standard deviations of covered more pixels than this since the last change."""
    reset_every: int = 3000  # 3DGS, InsTaG
    """Steps between two resets of opacity; 0 = none."""


@dataclass(frozen=True)
class EncodingConfig:
    """Tri-plane hash encoder H of one region (ER-NeRF; values of InsTaG)."""

    levels: int = 12
    """Resolution levels of a plane."""
    features: int = 1
    """Features a level and plane."""
    base_resolution: int = 16
    """Cells a side at the coarsest level."""
    desired_resolution: float = 38.4
    """Cells a side at the finest level: 256 x bound for the face."""
    log2_table: int = 17
    """log2 of the largest table; larger grids are hashed (never, at these values)."""
    bound: float = 0.15
    """Half side, in metres, of the cube that is encoded."""
