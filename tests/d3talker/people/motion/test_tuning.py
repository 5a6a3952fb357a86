"""Fine-tuning on one speaker: it follows what that speaker does otherwise, within runs of frames, the same bits every time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from d3talker.people.motion import tuning
from d3talker.people.motion.model import MotionModel
from d3talker.people.motion.options import NetworkConfig
from d3talker.people.motion.temporal import MotionNetwork
from d3talker.people.motion.tuning import fine_tuned

OPENING = np.array([1.0, 0.0])
CLIPS = Path(__file__).parents[4] / "docs" / "motion-prior-clips.json"


def data(frames: int = 200) -> tuple[MotionNetwork, torch.Tensor, np.ndarray]:
    """An untrained network of dropout 0, sound [T, 3], and lips [T, 2] that follow it."""
    torch.manual_seed(3)
    network = MotionNetwork(3, 2, NetworkConfig(width=8, dilations=(1,), dropout=0.0)).eval()
    sound = torch.nn.functional.avg_pool1d(torch.randn(3, frames + 4), 5, 1).T * 2
    return network, sound, sound[:, :2].numpy() - sound[:, :2].mean(0).numpy()


def error(network: MotionNetwork, sound: torch.Tensor, lips: np.ndarray) -> float:
    with torch.no_grad():
        found = network(sound[None])[0].numpy()
    return float(np.square(found - found.mean(0) - lips + lips.mean(0)).mean())


def test_it_follows_a_speaker_and_leaves_the_network_it_was_given(monkeypatch):
    monkeypatch.setattr(tuning, "RATE", 2e-2)
    network, sound, lips = data()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    rows = np.arange(120)
    tuned = fine_tuned(network, sound, rows, lips[rows], OPENING)
    assert error(tuned, sound[120:], lips[120:]) < 0.5 * error(network, sound[120:], lips[120:])
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert not tuned.training and not any(p.requires_grad for p in tuned.parameters())


def test_same_bits_whatever_the_global_generator_did_and_it_is_left_alone():
    network, sound, lips = data()
    rows = np.arange(60)
    torch.manual_seed(1)
    first = fine_tuned(network, sound, rows, lips[rows], OPENING).state_dict()
    expected = torch.get_rng_state()
    torch.manual_seed(1)
    assert torch.equal(expected, torch.get_rng_state())
    torch.rand(5)
    again = fine_tuned(network, sound, rows, lips[rows], OPENING).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_no_window_crosses_a_gap(monkeypatch):
    monkeypatch.setattr(tuning, "NOISE", 0.0)
    monkeypatch.setattr(tuning, "SHIFT", 0.0)
    rows = np.r_[0:30, 40:45, 50:110]  # runs of 30, 5 and 60
    runs = [np.arange(30), np.arange(35, 95)]
    heard = torch.from_numpy(rows).float()[:, None]
    draw, lengths = np.random.default_rng(0), np.array([30, 60])
    for _ in range(30):
        x, _, there = tuning._batch(heard, torch.zeros(95, 2), runs, lengths, 50, draw)
        for window, filled in zip(x[..., 0], there.bool()):
            ids = window[filled]
            assert (ids.diff() == 1).all() and len(ids) in (30, 50) and not ((ids >= 40) & (ids < 45)).any()


def test_frames_that_hardly_follow_each_other_teach_nothing():
    network, sound, lips = data()
    rows = np.arange(0, 200, 2)
    tuned = fine_tuned(network, sound, rows, lips[rows], OPENING)
    assert all(torch.equal(a, b) for a, b in zip(network.state_dict().values(), tuned.state_dict().values()))


def test_every_clip_that_the_shipped_prior_heard_is_listed_with_its_source():
    listed = {clip["sha256"]: clip for clip in json.loads(CLIPS.read_text(encoding="utf-8"))}
    assert set(MotionModel.load().clips) == set(listed)
    assert all(clip["repository"] and clip["licence"] and clip["path"] for clip in listed.values())
