"""What the paper's fields and encoders learn with: their parameter groups, the rates times Config.haste."""

from __future__ import annotations

from typing import Any

from torch import nn

from d3talker.graphics.options import Region
from d3talker.learning.fields import DeformationField
from d3talker.learning.optimisers import field_groups, net_group
from d3talker.method.config import Config
from d3talker.method.talker import General, Identity

ATTENTION_DECAY, ATTENTION_RATE = 1e-4, 5  # of the attention over the audio window (InsTaG motion_net.py:296-313)


def net_groups(general: General, region: Region, config: Config) -> list[dict[str, Any]]:
    """What is shared: a region's General Field, and with the face the signals' encoders, which the mouth then reads as they are."""
    f, haste = config.fields, config.haste
    groups = field_groups("general", _field(general.fields[region]), f.general_grid_lr * haste, f.general_mlp_lr * haste)
    if region == "face":
        over_time = general.audio.over_time()
        rest = [p for part in general.encoders() for p in part.parameters() if not any(p is q for q in over_time)]
        rate = f.encoder_lr * haste
        groups += [net_group("general", rest, rate), net_group("general", over_time, rate * ATTENTION_RATE, ATTENTION_DECAY)]
    return groups


def own_groups(identity: Identity, region: Region, config: Config) -> list[dict[str, Any]]:
    """A region's Individual Field."""
    f, haste = config.fields, config.haste
    return field_groups("own", _field(identity.fields[region]), f.individual_grid_lr * haste, f.individual_mlp_lr * haste)


def _field(field: nn.Module) -> DeformationField:
    assert isinstance(field, DeformationField)
    return field
