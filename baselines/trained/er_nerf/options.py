"""Options of ER-NeRF; numbers are of its official code where no other source is named."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from baselines.trained.nerf.options import Driving, ScheduleConfig, SpaceConfig


@dataclass(frozen=True)
class NetConfig:
    """Tri-plane and nets."""

    levels: int = 12
    """Resolution levels of a plane, of one feature each."""
    base_resolution: int = 64
    """Cells a side at the coarsest level."""
    desired_resolution: int = 512
    """Cells a side at the finest level."""
    log2_table: int = 14
    """log2 of the largest table; larger levels are hashed."""
    audio: int = 32
    """Width of the audio code, and of the region attention."""
    hidden: int = 64
    """Width of the nets."""
    individual: int = 4
    """Width of a training frame's own code."""


@dataclass(frozen=True)
class LossConfig:
    """Weights of the losses beside the squared error."""

    entropy: float = 1e-4
    """Entropy of the rays' opacity."""
    audio_ambient: float = 1e-4
    """Audio attention outside the face's box; grows with the steps, as do the next three."""
    eye_ambient: float = 1e-4
    """Eye attention where the sound is attended to, inside the box."""
    smoothness: float = 1e-5
    """Attention and uncertainty of places a hair's breadth apart, each 16th step."""
    uncertainty: float = 1.0
    """Uncertainty of the rays; 0 leaves it out, and its weighting of the squared error with it."""
    patches: float = 0.1
    """LPIPS of patches in the lips stage."""
    lips: float = 0.01
    """LPIPS of the lips' square in the lips stage."""


@dataclass(frozen=True)
class RateConfig:
    """Learning rates and momentum."""

    grid: float = 1e-2
    """Of the planes."""
    net: float = 1e-3
    """Of the nets and codes; the audio attention takes five times it."""
    beta1: float = 0.0
    """AdamW's first beta."""
    head_end: float = 0.5
    """All rates fall to this share by the end of the head stage."""
    lips_end: float = 0.05
    """In the lips stage they are this number to the power of the share of all steps."""


@dataclass(frozen=True)
class Options(Driving):
    """ER-NeRF."""

    net: NetConfig = field(default_factory=NetConfig)
    space: SpaceConfig = field(default_factory=SpaceConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    rates: RateConfig = field(default_factory=RateConfig)
    patches: int = 64
    """Patches of a step of the lips stage."""
    patch_size: int = 32
    """Their side in pixels."""
    eye_noise: float = 0.05
    """Uniform noise on the eye signal in training, up and down."""


PAPER = Options()
# The sheet's faithful CPU size (2.10): everything is there, sizes, rays and steps shrink, rates grow.
MINI = replace(
    PAPER,
    net=replace(PAPER.net, levels=8, base_resolution=16, desired_resolution=128),
    space=SpaceConfig(cells=(64, 64, 32), halves=(0.25, 0.25, 0.125), share=0.25),
    schedule=replace(PAPER.schedule, head=2500, lips=500, rays=1024),
    rates=replace(PAPER.rates, grid=2e-2, net=3e-3, beta1=0.9),
    patches=1, audio_noise=0.3,
)
TINY = replace(
    MINI,
    net=replace(MINI.net, levels=4, desired_resolution=32, hidden=16),
    space=replace(MINI.space, cells=(24, 24, 12)),
    schedule=replace(MINI.schedule, head=24, lips=8, rays=128),
)
