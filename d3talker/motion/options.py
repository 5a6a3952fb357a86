"""Options of the audio-to-motion network and its training; free of torch, for the command line."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class NetworkConfig:
    """Size of the network; every number is ours, chosen on held-out speakers."""

    width: int = 32
    """Channels."""
    dilations: tuple[int, ...] = (1, 2, 4)
    """One residual block each, of two convolutions over 3 frames; 1, 2, 4 see 15 frames to each side."""
    dropout: float = 0.2
    """Share of channels dropped in training."""


@dataclass(frozen=True)
class TrainingConfig:
    """How the network is trained; every number is ours, chosen on held-out speakers."""

    network: NetworkConfig = field(default_factory=NetworkConfig)
    steps: int = 300
    """Steps of Adam."""
    batch: int = 16
    """Windows in a step."""
    window: int = 75
    """Frames in a window."""
    learning_rate: float = 1e-3
    """Falls to zero along half a cosine."""
    weight_decay: float = 1e-2
    """AdamW's."""
    noise: float = 0.4
    """Noise on the inputs, in standard deviations of a speaker's features."""
    shift: float = 0.3
    """The same, constant over a window for each column: what a voice or a microphone changes."""
    lips: float = 1.0
    """Weight of the lips' 3D landmarks beside the coefficients."""
    save_every: int = 100
    """Steps between two checkpoints."""
