"""A very small audio-to-motion model and speakers it can learn from, made of noise."""

from __future__ import annotations

import numpy as np
import torch

from d3talker.learning.motion.data import Piece, Speaker
from d3talker.people.head.embedded import embedded_head
from d3talker.people.motion.lips import LipSpace
from d3talker.people.motion.model import Ears, MotionModel
from d3talker.people.motion.options import NetworkConfig
from d3talker.people.motion.temporal import MotionNetwork

NAMES = embedded_head().expression_names
JAW = NAMES.index("jaw_open")
COLUMNS = {"mel": 40, "phonemes": 43, "allphone": 26}


def piece(seed: int, frames: int = 300, gain: float = 0.1, names: tuple[str, ...] = ("mel",)) -> Piece:
    """Smooth noise that is heard, and a jaw that follows its first column a frame late."""
    rng = np.random.default_rng(seed)
    heard = {}
    for name in names:
        steps = np.apply_along_axis(np.convolve, 0, rng.normal(size=(2 * frames, COLUMNS[name])), np.ones(4) / 2, "same")
        heard[name] = steps.reshape(frames, 2, -1).astype(np.float32)
    expression = np.tile(rng.uniform(0.1, 0.4, len(NAMES)), (frames, 1))
    expression[1:, JAW] += gain * heard[names[0]][:-1, 0, 0]
    return Piece(heard, expression.astype(np.float32), np.ones(frames, bool), f"video{seed}")


def speaker(seed: int, frames: int = 300, **options) -> Speaker:
    """One person with one clip."""
    return Speaker(f"s{seed}", (piece(seed, frames, **options),), "en")


def small_model(names: tuple[str, ...] = ("p1", "ben"), inputs: tuple[str, ...] = ("mel",), clips: tuple[str, ...] = ()) -> MotionModel:
    """Untrained, but moving."""
    people = [speaker(seed, 60, names=inputs) for seed in (1, 2)]
    ears = Ears.of([one.heard for one in people], {})
    space = LipSpace.of([one.moves for one in people], [one.mean for one in people], 2)
    config = NetworkConfig(width=4, dilations=(1,))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = MotionNetwork(2 * sum(COLUMNS[name] for name in inputs), 2, config).eval()
        torch.nn.init.normal_(network.outlet.weight)
    return MotionModel([(inputs, network)], config, ears, space, names, clips)
