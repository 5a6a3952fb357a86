"""Fine-tuning of a trained audio-to-motion network on a few seconds of one speaker."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn

from d3talker.people.motion.temporal import MotionNetwork, lips_loss

# Ours: one of three schedules, by windows of 5 and 10 s of the training parts of people whom the prior had not heard.
STEPS = 60
BATCH = 4
WINDOW = 250  # frames
RATE = 5e-4
NOISE, SHIFT = 0.4, 0.3  # as in training
CORRELATION = 0.5
SHORTEST = 25  # frames in a row


def fine_tuned(network: MotionNetwork, sound: Tensor, rows: np.ndarray, wanted: np.ndarray, opening: np.ndarray) -> MotionNetwork:
    """A network that went a few steps further, on one speaker alone; the same input gives the same bits.

    sound [T, D]: the whole sound as the network hears it.  wanted [n, K]: unit components of frames `rows` [n] of it; opening [K]
    makes the lips' opening of them.  Where fewer than 25 frames follow each other, the network stays as it is.
    """
    edges = np.flatnonzero(np.diff(rows) != 1) + 1
    runs = [run for run in np.split(np.arange(len(rows)), edges) if len(run) >= SHORTEST]
    network = copy.deepcopy(network)
    if not runs:
        return network
    heard, target = sound[torch.from_numpy(rows)], torch.from_numpy(wanted).float()
    weights = torch.from_numpy(opening).float()
    lengths = np.array([len(run) for run in runs])
    window, draw = min(WINDOW, int(lengths.max())), np.random.default_rng(0)
    optimizer = torch.optim.Adam(network.requires_grad_(True).parameters(), RATE)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        network.train()
        for step in range(STEPS):
            optimizer.param_groups[0]["lr"] = RATE * 0.5 * (1 + np.cos(np.pi * step / STEPS))
            x, y, there = _batch(heard, target, runs, lengths, window, draw)
            loss = lips_loss(_centred(network(x), there), _centred(y, there), there, weights, CORRELATION)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
    return network.half().float().eval().requires_grad_(False)  # as a checkpoint keeps it


def _batch(
    heard: Tensor, target: Tensor, runs: list[np.ndarray], lengths: np.ndarray, window: int, draw: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Windows of noisy sound [B, W, D], components [B, W, K], and 1 where a window is filled [B, W]."""
    x, y = torch.zeros(BATCH, window, heard.shape[1]), torch.zeros(BATCH, window, target.shape[1])
    there = torch.zeros(BATCH, window)
    for row, which in enumerate(draw.choice(len(runs), BATCH, p=lengths / lengths.sum())):
        taken = min(window, len(runs[which]))
        first = runs[which][0] + draw.integers(len(runs[which]) - taken + 1)
        x[row, :taken], y[row, :taken] = heard[first:first + taken], target[first:first + taken]
        there[row, :taken] = 1
    x = x + NOISE * torch.randn(x.shape) + SHIFT * torch.randn(BATCH, 1, x.shape[-1])
    return x * there[..., None], y, there


def _centred(values: Tensor, there: Tensor) -> Tensor:
    """[B, T, K] less its mean where `there` [B, T] is 1."""
    return values - (values * there[..., None]).sum(1, keepdim=True) / there.sum(1)[:, None, None]
