"""Options that RAD-NeRF and ER-NeRF share; numbers are of the official codes where no other source is named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SpaceConfig:
    """The occupancy grid, whose sides are metres."""

    cells: tuple[int, int, int] = (128, 128, 128)
    """Cells up, sideways and in depth."""
    halves: tuple[float, float, float] = (0.25, 0.25, 0.25)  # RAD-NeRF's bound 1
    """Half sides of the box that they fill; beyond +-0.125 m of depth no ray looks."""
    every: int = 16
    """Steps between two updates."""
    share: float = 1.0
    """Share of the cells that an update looks at, after the first `whole` updates; official 1, instant-ngp 0.25."""
    whole: int = 16  # instant-ngp: 256 steps
    """Updates at the start that look at every cell."""


@dataclass(frozen=True)
class ScheduleConfig:
    """Steps and rays of both stages."""

    head: int = 100_000
    """Steps on the whole head."""
    lips: int = 25_000
    """Steps of the lips stage."""
    rays: int = 65_536
    """Rays of a step."""
    checkpoint_seconds: float = 20.0  # ours
    """Seconds of training between two checkpoints; more where saving would take over 2 % of the time."""


@dataclass(frozen=True)
class Driving:
    """What is heard, what drives the eyes, and where."""

    audio_noise: float = 0.0  # ours: a few seconds of sound are else learnt by heart
    """Noise on the standardised audio features in training, in standard deviations."""
    features: Literal["auto", "deepspeech", "phonemes", "mel", "allphone", "hubert", "wav2vec2"] = "auto"
    """Audio features; auto takes DeepSpeech's where the subject has them, else phonemes, else log-mel."""
    eyes: Literal["loop", "still", "video"] = "loop"  # ours; the official code reads the test video's (an oracle)
    """Eyes at test time: the training frames' in a loop, still, or the test video's own."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train and render."""
