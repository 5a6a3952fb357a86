"""Options of DFRF; numbers are of its official code where no other source is named."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal


@dataclass(frozen=True)
class NetConfig:
    """Reference features, their aggregation, and the two radiance fields."""

    references: int = 4
    """Pictures of the same person that features are taken from."""
    channels: tuple[int, int, int] = (64, 64, 128)
    """Of the three layers of the reference CNN."""
    slots: int = 128
    """Width of the two slots that gather a sample's features."""
    audio: int = 64
    """Width of the audio code."""
    width: int = 256
    """Width of a radiance field."""
    depth: int = 8
    """Its layers."""
    scaled_pixels: bool = False  # ours: raw numbers to 127 saturate a first layer of 32
    """Give the aggregation pixel coordinates from 0 to 1, not raw ones."""


@dataclass(frozen=True)
class RayConfig:
    """Rays and samples."""

    rays: int = 850
    """Rays of a step."""
    in_face: float = 0.95
    """Share of them from the face's box."""
    coarse: int = 64
    """Samples of a ray for the coarse field."""
    fine: int = 128
    """Further samples for the fine field."""
    test_coarse: int = 32
    """The same when rendering."""
    test_fine: int = 64
    """The same when rendering."""
    reach: float = 0.0  # ours: a head is within 0.15 m of its centre
    """When rendering, rays that pass the head's centre at more than so many metres show the background alone; 0 = none do."""


@dataclass(frozen=True)
class ScheduleConfig:
    """Steps of fine-tuning on one person."""

    tune: int = 40_000  # the paper's abstract
    """Steps."""
    smooth_from: float = 0.5  # ours: the official code counts on from its base's steps, which are not known
    """Share of the steps after which the audio code is the attended one of 8 frames, not the frame's own."""
    checkpoint_seconds: float = 20.0  # ours
    """Seconds of training between two checkpoints; more where saving would take over 2 % of the time."""


@dataclass(frozen=True)
class PretrainConfig:
    """Steps of the base model, over all its people together."""

    base: int = 400_000
    """Steps."""
    smooth_from: float = 0.25  # 100,000 of 400,000
    """Share of the steps after which the audio code is the attended one of 8 frames."""
    frames: int = 0  # ours
    """At most this many frames of each person; 0 = the whole train split."""


@dataclass(frozen=True)
class LossConfig:
    """Weights of the losses beside the squared errors of both fields."""

    offsets: float = 5e-8
    """Squared pixel offsets where nothing is seen."""


@dataclass(frozen=True)
class RateConfig:
    """Learning rates."""

    net: float = 5e-4
    """Of all nets; the audio attention takes five times it."""
    decade: float = 1.875
    """Rates fall tenfold in so many times the base's steps (750,000 of 400,000)."""


@dataclass(frozen=True)
class Options:
    """DFRF."""

    net: NetConfig = field(default_factory=NetConfig)
    rays: RayConfig = field(default_factory=RayConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    rates: RateConfig = field(default_factory=RateConfig)
    audio_noise: float = 0.0  # ours: a few seconds of sound are else learnt by heart
    """Noise on the standardised audio features in training, in standard deviations."""
    features: Literal["auto", "deepspeech", "phonemes", "mel", "allphone", "hubert", "wav2vec2"] = "auto"
    """Audio features; auto takes DeepSpeech's where the subject has them, else phonemes, else log-mel."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train and render."""


PAPER = Options()
# The sheet's faithful CPU size (3.10): everything is there, sizes, rays and steps shrink, rates grow.
MINI = replace(
    PAPER,
    net=NetConfig(references=3, channels=(16, 16, 32), slots=32, audio=32, width=64, depth=6, scaled_pixels=True),
    rays=RayConfig(rays=128, coarse=16, fine=32, test_coarse=12, test_fine=24, reach=0.16),
    schedule=replace(PAPER.schedule, tune=1500),
    pretrain=replace(PAPER.pretrain, base=5000, frames=500),
    rates=replace(PAPER.rates, net=1e-3),
    audio_noise=0.3,
)
TINY = replace(
    MINI,
    net=replace(MINI.net, references=2, channels=(4, 4, 8), slots=8, audio=8, width=16),
    rays=replace(MINI.rays, rays=32, coarse=8, fine=8, test_coarse=4, test_fine=4),
    schedule=replace(MINI.schedule, tune=12),
    pretrain=replace(MINI.pretrain, base=12, frames=20),
)
