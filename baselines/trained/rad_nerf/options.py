"""Options of RAD-NeRF; numbers are of its official code where no other source is named."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from baselines.trained.nerf.options import Driving, ScheduleConfig, SpaceConfig


@dataclass(frozen=True)
class NetConfig:
    """Grids and nets."""

    levels: int = 16
    """Resolution levels of the grid in space and of the audio grid, of two features each."""
    base_resolution: int = 16
    """Cells a side at the coarsest level."""
    desired_resolution: int = 2048
    """Cells a side at the finest level."""
    log2_table: int = 16
    """log2 of the largest table; larger levels are tiled."""
    audio: int = 64
    """Width of the audio code."""
    hidden: int = 64
    """Width of the nets."""
    individual: int = 4
    """Width of a training frame's own code."""
    torso_individual: int = 8
    """The same for the torso."""


@dataclass(frozen=True)
class StageConfig(ScheduleConfig):
    """Steps and rays of the stages."""

    head: int = 200_000
    """Steps on the whole head."""
    lips: int = 50_000
    """Steps of the lips stage."""
    torso: int = 0  # official 200,000, where a torso is trained at all
    """Steps of the torso; with 0 the real one stands behind the head, as in the paper's numbers."""


@dataclass(frozen=True)
class LossConfig:
    """Weights of the losses beside the squared error."""

    entropy: float = 1e-4
    """Entropy of the rays' opacity."""
    ambient: float = 0.1
    """Size of the ambient coordinates outside the face's box; grows with the steps."""
    lips: float = 0.01
    """LPIPS of the lips' square in the lips stage."""


@dataclass(frozen=True)
class RateConfig:
    """Learning rates."""

    grid: float = 5e-3
    """Of the grids."""
    net: float = 5e-4
    """Of the nets and codes; the audio attention takes five times it."""
    head_end: float = 0.1
    """All rates fall to this share by the end of the head stage, and of the torso's."""
    lips_end: float = 0.05
    """In the lips stage they are this number to the power of the share of all steps."""


@dataclass(frozen=True)
class Options(Driving):
    """RAD-NeRF."""

    net: NetConfig = field(default_factory=NetConfig)
    space: SpaceConfig = field(default_factory=SpaceConfig)
    schedule: StageConfig = field(default_factory=StageConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    rates: RateConfig = field(default_factory=RateConfig)


PAPER = Options()
# The sheet's faithful CPU size (1.10): everything is there, sizes, rays and steps shrink, rates grow.
MINI = replace(
    PAPER,
    net=replace(PAPER.net, levels=8, desired_resolution=128, log2_table=15),
    space=SpaceConfig(cells=(64, 64, 32), halves=(0.25, 0.25, 0.125), share=0.25),
    schedule=replace(PAPER.schedule, head=2500, lips=500, rays=1024),
    rates=replace(PAPER.rates, grid=1e-2, net=2e-3),
    audio_noise=0.3,
)
TINY = replace(
    MINI,
    net=replace(MINI.net, levels=4, desired_resolution=32, log2_table=11, hidden=16),
    space=replace(MINI.space, cells=(24, 24, 12)),
    schedule=replace(MINI.schedule, head=24, lips=8, torso=8, rays=128),
)
