"""Training of one audio-to-motion network on windows of several speakers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from d3talker.learning.motion.data import Speaker
from d3talker.people.motion.lips import LipSpace
from d3talker.people.motion.model import Ears
from d3talker.people.motion.options import TrainingConfig
from d3talker.people.motion.temporal import MotionNetwork, lips_loss

ENOUGH = 800  # frames: a speaker with more is not drawn more often
LEAST_AMPLITUDE = 0.1  # mm


@dataclass(frozen=True)
class Runs:
    """One speaker's frames in a row: sound [n, D] and lips' components of unit amplitude [n, K] of each."""

    sounds: list[Tensor]
    lips: list[Tensor]

    @property
    def lengths(self) -> np.ndarray:
        return np.array([len(part) for part in self.sounds], float)


def runs_of(speaker: Speaker, inputs: Sequence[str], ears: Ears, space: LipSpace) -> Runs:
    """A speaker's frames as a network sees them, in runs that no seam crosses."""
    rows = ears.rows(speaker.heard, inputs)
    scale = max(speaker.amplitude, LEAST_AMPLITUDE) * space.unit
    sounds, lips, first = [], [], 0
    for piece in speaker.pieces:
        own = rows[first:first + len(piece.seen)]
        first += len(piece.seen)
        wanted = (space.components(piece.moves) / scale).astype(np.float32)
        for run in piece.runs():
            sounds.append(torch.from_numpy(own[run]))
            lips.append(torch.from_numpy(wanted[run]))
    return Runs(sounds, lips)


def train_network(
    speakers: Sequence[Speaker], inputs: Sequence[str], ears: Ears, space: LipSpace, config: TrainingConfig, seed: int
) -> MotionNetwork:
    """A network trained from its beginning to its end; on a CPU the same seed gives the same bits.

    Raises FloatingPointError where the loss becomes NaN.
    """
    data = [runs_of(speaker, inputs, ears, space) for speaker in speakers]
    opening = torch.from_numpy(space.opening() * space.unit).float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        draw = np.random.default_rng(seed)
        network = MotionNetwork(data[0].sounds[0].shape[1], config.components, config.network)
        optimizer = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        network.train()
        for step in range(config.steps):
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * 0.5 * (1 + np.cos(np.pi * step / config.steps))
            sound, lips, there = _batch(data, config, draw)
            loss = lips_loss(network(sound), lips, there, opening, config.correlation)
            if not torch.isfinite(loss):
                raise FloatingPointError(f"the loss became NaN at step {step + 1}; lower --training.learning-rate")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
    return network.eval()


def _batch(data: Sequence[Runs], config: TrainingConfig, draw: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Windows of sound [B, W, D] with noise, lips [B, W, K], and 1 where a window is filled [B, W]."""
    frames = np.array([runs.lengths.sum() for runs in data])
    chance = np.sqrt(frames.clip(0, ENOUGH))
    window = config.window
    x = torch.zeros(config.batch, window, data[0].sounds[0].shape[1])
    y = torch.zeros(config.batch, window, data[0].lips[0].shape[1])
    there = torch.zeros(config.batch, window)
    for row, who in enumerate(draw.choice(len(data), config.batch, p=chance / chance.sum())):
        lengths = data[who].lengths
        run = draw.choice(len(lengths), p=lengths / lengths.sum())
        speed = draw.uniform(*config.speeds)
        taken = min(round(window * speed), int(lengths[run]))
        first = draw.integers(int(lengths[run]) - taken + 1)
        length = min(round(taken / speed), window)
        x[row, :length] = _resampled(data[who].sounds[run][first:first + taken], length)
        y[row, :length] = _resampled(data[who].lips[run][first:first + taken], length)
        there[row, :length] = 1
    x = x + config.noise * torch.randn(x.shape) + config.shift * torch.randn(config.batch, 1, x.shape[-1])
    return x * there[..., None], y, there


def _resampled(rows: Tensor, length: int) -> Tensor:
    """[n, C] -> [length, C], linear in time."""
    if len(rows) == length:
        return rows
    return nn.functional.interpolate(rows.T[None], length, mode="linear", align_corners=True)[0].T
