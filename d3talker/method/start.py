"""A person before any training: static Gaussians, Individual Fields, and the rig where it is on."""

from __future__ import annotations

import numpy as np
import torch

from d3talker.graphics.options import REGIONS
from d3talker.learning.start import start
from d3talker.learning.views import Views
from d3talker.method.config import Config
from d3talker.method.rig import HeadRig
from d3talker.method.talker import Identity
from d3talker.people.head.embedded import embedded_head

AJAR = 0.3  # of the jaw fully open


def first_identity(config: Config, views: Views, identity: np.ndarray, generator: torch.Generator) -> Identity:
    """A person before any training; identity [I] are the fitted head's coefficients."""
    rest = rest_expression(config)
    gaussians = {r: start(r, config.gaussians, views, identity, rest, generator) for r in REGIONS}
    rig = None
    if config.ablation.rig == "on":
        rig = HeadRig(identity, rest)
        for region, part in gaussians.items():
            rig.bind(region, part.means)
    return Identity(config, gaussians, nose_foot(identity), rig)


def rest_expression(config: Config) -> np.ndarray:
    """Expression [E] of the head at which static Gaussians lie: neutral; with the rig its mouth is ajar, so that the lips lie
    apart and no Gaussian is bound to both."""
    names = embedded_head().expression_names
    rest = np.zeros(len(names))
    if config.ablation.rig == "on":
        rest[names.index("jaw_open")] = AJAR
    return rest


def nose_foot(identity: np.ndarray) -> float:
    """Height y in metres of the nose's foot (landmark 33) on the fitted head."""
    model = embedded_head()
    return float(model.vertices(identity, np.zeros(len(model.expression_names)))[model.landmarks[33], 1])
