"""GaussianTalker's options: preset `paper` holds the official code's (config 1), `mini` the same method for 128 pixels on a CPU.

A comment behind a number names its source: GT = cvlab-kaist/GaussianTalker at 250fb93.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from baselines.trained.shared.options import Device, Eyes, Features
from d3talker.errors import UserError
from d3talker.graphics.options import DensityConfig, GaussianConfig


@dataclass(frozen=True)
class NetworkConfig:
    """Feature planes, canonical head, cross-attention and deformation heads."""

    channels: int = 32  # GT arguments/64_dim_1_transformer.py:2-8
    """Channels of a feature plane."""
    resolutions: tuple[int, ...] = (64, 128)  # GT arguments/64_dim_1_transformer.py:2-8
    """Cells a side of the planes of each scale; a Gaussian has `channels` features for each."""
    hidden: int = 128  # GT scene/canonical_tri_plane.py:13-22, scene/deformation.py:74-96
    """Width of the heads."""
    attention_heads: int = 2  # GT arguments/64_dim_1_transformer.py:21-25
    """Heads of a cross-attention."""
    layers: int = 1  # GT arguments/64_dim_1_transformer.py:25; config 2 has two
    """Cross-attention layers."""
    dropout: float = 0.2  # GT arguments/64_dim_1_transformer.py:21-25
    """Dropout in the cross-attention layers."""
    audio_width: int = 32  # GT scene/deformation.py:30-31
    """Width of the audio code and of the eyes' sinusoid."""
    window: int = 8  # GT scene/utils.py:432-463
    """Frames of audio features that one code hears."""
    planes_lr: float = 1.6e-3  # GT arguments/__init__.py:131-132
    """Learning rate of the planes, times ten times the cameras' extent in metres."""
    nets_lr: float = 1e-4  # GT arguments/64_dim_1_transformer.py:42-43
    """Learning rate of all nets, times the same."""

    @property
    def width(self) -> int:
        """Features of a Gaussian, and of a token."""
        return self.channels * len(self.resolutions)


@dataclass(frozen=True)
class TwoStages:
    """Steps of the two stages, and how their rates fall."""

    coarse: int = 7999  # GT config :34
    """Steps of the canonical head, of one frame each."""
    fine: int = 10000  # GT config :33
    """Steps with the deformation."""
    batch: int = 32  # GT config :32
    """Frames of such a step."""
    coarse_horizon: float = 2.5  # GT arguments/__init__.py:124-127: 20,000 steps
    """In how many lengths of the first stage rates fall to their end: a hundredth for centres, a tenth for planes and nets."""
    fine_horizon: float = 2.0  # GT: 20,000 steps; the counter starts anew
    """The same for the second stage."""
    sh_every: int = 1000  # GT train.py:120-121
    """Steps after which one more band of the spherical harmonics is drawn."""
    checkpoint_seconds: float = 20.0  # ours
    """Seconds of training between two checkpoints; more where saving would take over 2 % of the time."""


@dataclass(frozen=True)
class LossWeights:
    """Weights of the losses, the same in both stages."""

    l1: float = 0.8  # GT train.py:161-176
    """L1 of the frame."""
    dssim: float = 0.2  # GT train.py:161-176
    """1 - SSIM."""
    vgg: float = 0.01  # GT train.py:161-176, utils/loss_utils.py:70-110
    """L1 of VGG-16's activations after its first four blocks, at `vgg_size`."""
    vgg_size: int = 224  # GT utils/loss_utils.py:70-110
    """Pixels a side at which VGG-16 looks."""
    lips: float = 0.4  # GT train.py:161-176
    """L1 of the lips' box."""


@dataclass(frozen=True)
class GaussianTalkerOptions:
    """GaussianTalker."""

    gaussians: GaussianConfig = field(
        default_factory=lambda: GaussianConfig(  # GT scene/talking_dataset_readers.py:402-407, arguments/__init__.py:124-137
            start="mesh", face_points=34650, max_points=50000, sh_degree=3, sh_rest_share=0.05, scale_lr=5e-3
        )
    )
    density: DensityConfig = field(
        default_factory=lambda: DensityConfig(  # GT config :30-39, train.py:232-248
            start=500, grow_from=1000, stop=0.875, grad_threshold=1e-3, min_opacity=0.005, size_from=3000, reset_every=1000000000
        )
    )
    network: NetworkConfig = field(default_factory=NetworkConfig)
    loss: LossWeights = field(default_factory=LossWeights)
    schedule: TwoStages = field(default_factory=TwoStages)
    features: Features = "auto"
    """Audio features; auto takes DeepSpeech's where the subject has them, else phonemes, else log-mel."""
    eyes: Eyes = "loop"
    """Eyes at test time: the training frames' in a loop, still, or the test video's own (as the official code does)."""
    device: Device = "auto"
    """Where to train and render."""


PAPER = GaussianTalkerOptions()
MINI = replace(
    PAPER,
    gaussians=replace(
        PAPER.gaussians, face_points=3500, max_points=6000, sh_degree=1, means_lr=5e-4, sh_lr=1e-2, scale_lr=1.5e-2, quat_lr=4e-3
    ),
    density=replace(PAPER.density, start=50, grow_from=100, every=50, size_from=300, max_radius=80.0),
    network=replace(PAPER.network, channels=16, resolutions=(32, 64), planes_lr=5e-3, nets_lr=1e-3),
    loss=replace(PAPER.loss, vgg=0.0),
    schedule=replace(PAPER.schedule, coarse=800, fine=800, batch=4, sh_every=100),
)
PRESETS = {"mini": MINI, "paper": PAPER}


def check(options: GaussianTalkerOptions) -> None:
    """Refuse options that cannot train, with both sides in the sentence.  Raises UserError."""
    g, n, s = options.gaussians, options.network, options.schedule
    if g.max_points < g.face_points:
        raise UserError(f"gaussians.max_points ({g.max_points}) is below gaussians.face_points ({g.face_points})")
    if not 0 <= g.sh_degree <= 3:
        raise UserError(f"gaussians.sh_degree is {g.sh_degree}; give 0 to 3")
    if n.width % n.attention_heads:
        raise UserError(f"network.channels x scales ({n.width}) is no multiple of network.attention_heads ({n.attention_heads})")
    if min(s.coarse, s.fine, s.batch) < 1:
        raise UserError(f"schedule.coarse ({s.coarse}), .fine ({s.fine}) and .batch ({s.batch}) must be at least 1")
