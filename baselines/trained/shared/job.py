"""From a subject's frames to what a training starts with, and what tells one training from another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from baselines.trained.shared.clip import Clip
from d3talker.graphics.gaussians import Gaussians
from d3talker.graphics.options import REGIONS, GaussianConfig, Region
from d3talker.learning.start import start
from d3talker.options import ALL, Options, without
from d3talker.people.head.embedded import embedded_head
from d3talker.people.subject.layout import Frame, Subject

# Options that change no number that a table shows, and those that are read after training only.
NEUTRAL: Options = {"device": ALL, "schedule": ("checkpoint_seconds",)}
TEST_TIME: Options = {"eyes": ALL}


def job_of(options: Any, subject: Subject, frames: Sequence[Frame], unseen: Options, **more: Any) -> dict[str, Any]:
    """What a training is of, as plain data; unseen: options that it does not read."""
    seen = without(without(without(asdict(options), NEUTRAL), TEST_TIME), unseen)
    return {"options": seen, "data": subject.data_hash, "frames": [frame.img_id for frame in frames], **more}


def first_gaussians(config: GaussianConfig, clip: Clip, subject: Subject, seed: int) -> dict[Region, Gaussians]:
    """The Gaussians of each region before any training."""
    generator = torch.Generator().manual_seed(seed)
    return {r: start(r, config, clip.views, *still_head(config, subject), generator) for r in REGIONS}


def still_head(config: GaussianConfig, subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """Identity and expression of the fitted head that Gaussians may start on; zeros where they start in a cube."""
    head = embedded_head()
    identity = subject.identity() if config.start == "mesh" else np.zeros(len(head.identity_names))
    return identity, np.zeros(len(head.expression_names))
