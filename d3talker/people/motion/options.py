"""Options of the audio-to-motion networks and their training; free of torch, for the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

PRIOR, NONE = "prior", "none"
SHIPPED = Path(__file__).with_name("prior.safetensors")


def motion_model(wanted: str) -> Path | None:
    """What --motion names: the model that comes with d3talker, none, or the folder or file of another."""
    if wanted == NONE:
        return None
    return SHIPPED if wanted == PRIOR else Path(wanted)


@dataclass(frozen=True)
class NetworkConfig:
    """Size of a network; every number is ours, chosen on held-out speakers."""

    width: int = 48
    """Channels."""
    dilations: tuple[int, ...] = (1, 2, 4)
    """One residual block each, of two convolutions over 3 frames; 1, 2, 4 see 15 frames to each side."""
    dropout: float = 0.2
    """Share of channels dropped in training."""


@dataclass(frozen=True)
class TrainingConfig:
    """How the networks are trained; every number is ours, chosen on held-out speakers."""

    network: NetworkConfig = field(default_factory=NetworkConfig)
    inputs: tuple[str, ...] = ("mel+phonemes", "mel+allphone", "mel")
    """What each network hears; those with speech content are averaged, that with log-mel alone stands in where it is absent."""
    seeds: int = 1
    """Networks of each kind, averaged; two of every kind are still under 1 MB."""
    components: int = 6
    """Principal components of the lips' motion that a network predicts."""
    steps: int = 200
    """Steps of AdamW."""
    batch: int = 16
    """Windows in a step."""
    window: int = 100
    """Frames in a window; shorter clips fill a part of it, and none reaches into another clip."""
    learning_rate: float = 2e-3
    """Falls to zero along half a cosine."""
    weight_decay: float = 1e-2
    """AdamW's."""
    noise: float = 0.4
    """Noise on the inputs, in their standard deviations."""
    shift: float = 0.3
    """The same, constant over a window for each column: what a voice or a microphone changes."""
    speeds: tuple[float, float] = (0.88, 1.14)
    """Windows are played at a speed between these."""
    correlation: float = 0.5
    """Weight of one minus the correlation of the lips' opening, beside the squared error."""
    folds: int = 5
    """Groups of speakers, each scored by networks that never heard one of it; 0: a group for every speaker."""
    lags: bool = True
    """Estimate by how many frames each speaker's sound is early or late, with networks that never heard them, and correct it."""
