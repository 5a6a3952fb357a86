"""Parameter groups with the field's learning rates, their schedule, and their state in a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from d3talker.graphics.gaussians import Gaussians
from d3talker.graphics.options import GaussianConfig
from d3talker.learning.fields import DeformationField

MEANS_END = 0.01  # 3DGS: the centres' learning rate falls a hundredfold
# InsTaG: over 45,000 steps, of which an adaptation of 10,000 sees the first part, and a pre-training of 150,000 all and more.
MEANS_HORIZON, MEANS_HORIZON_PRETRAINING = 4.5, 0.3
NET_END = 0.5  # InsTaG: .5 ** (step / steps)
COLOR = ("sh_dc", "sh_rest")
FUSE_OPACITY_LR = 1e-3  # InsTaG train_fuse_con.py
NET = {"betas": (0.9, 0.99), "eps": 1e-8}  # InsTaG's AdamW in adaptation
GRID_DECAY = 0.01  # InsTaG motion_net.py:296-313; MLPs and encoders have none


def optimiser(groups: list[dict[str, Any]]) -> AdamW:
    """One AdamW for all groups (Adam where a group has no weight decay); each keeps its first rate as "rate"."""
    return AdamW([{**group, "rate": group["lr"]} for group in groups], fused=True)


def set_rates(optimizer: Optimizer, done: float, scale: float = 1.0, horizon: float = MEANS_HORIZON) -> None:
    """Learning rates after the share `done` of a stage's steps; `scale` is for the groups named "general".

    horizon: stages until the centres' rate has fallen all its way.
    """
    falls = MEANS_END ** min(done / horizon, 1)
    for group in optimizer.param_groups:
        decay = falls if group["name"] == "means" else NET_END**done if "field" in group["name"] else 1.0
        group["lr"] = group["rate"] * decay * (scale if group["name"] == "general field" else 1.0)


def gaussian_groups(
    gaussians: Gaussians, config: GaussianConfig, extent: float = 1.0, haste: float = 1.0
) -> list[dict[str, Any]]:
    """One Adam group a parameter, with 3DGS' rates, times `haste`, and epsilon; extent: of the cameras, for the centres' rate."""
    c = config
    rates = {"quats": c.quat_lr, "raw_scales": c.scale_lr, "raw_opacities": c.opacity_lr}
    rates |= {"means": c.means_lr * extent, "sh_dc": c.sh_lr, "sh_rest": c.sh_lr * c.sh_rest_share}
    return [
        {"name": name, "params": [getattr(gaussians, name)], "lr": rates[name] * haste, "eps": 1e-15, "weight_decay": 0.0}
        for name in gaussians.NAMES
    ]


def fuse_groups(
    face: Gaussians, mouth: Gaussians, config: GaussianConfig, haste: float = 1.0, opacity_lr: float = FUSE_OPACITY_LR
) -> list[dict[str, Any]]:
    """What the fuse stage trains: colour and opacity of the face, colour of the mouth (InsTaG train_fuse_con.py)."""
    groups = [g for g in gaussian_groups(face, config, haste=haste) if g["name"] in (*COLOR, "raw_opacities")]
    groups += [g for g in gaussian_groups(mouth, config, haste=haste) if g["name"] in COLOR]
    return [{**g, "lr": opacity_lr * haste if g["name"] == "raw_opacities" else g["lr"]} for g in groups]


def net_group(name: str, parameters: Iterable[nn.Parameter], rate: float, decay: float = 0.0) -> dict[str, Any]:
    """A group of network parameters."""
    return {"name": f"{name} field", "params": list(parameters), "lr": rate, "weight_decay": decay, **NET}


def field_groups(name: str, field: DeformationField, grid_rate: float, mlp_rate: float) -> list[dict[str, Any]]:
    """The grid of a field learns faster than its MLPs, and alone has weight decay."""
    grid = list(field.encoder.parameters())
    rest = [p for p in field.parameters() if not any(p is g for g in grid)]
    return [net_group(name, grid, grid_rate, GRID_DECAY), net_group(name, rest, mlp_rate)]


def optimiser_state(optimizer: Optimizer) -> list[dict[str, Tensor]]:
    """Adam's moments in the order of the parameters."""
    return [optimizer.state.get(p, {}) for group in optimizer.param_groups for p in group["params"]]


def load_optimiser_state(optimizer: Optimizer, state: list[dict[str, Tensor]]) -> None:
    """Inverse of `optimiser_state`, from whatever device."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for parameter, kept in zip(parameters, state, strict=True):
        if kept:
            optimizer.state[parameter] = {name: _placed(value, parameter) for name, value in kept.items()}


def _placed(value: Tensor, parameter: Tensor) -> Tensor:
    """A copy where the parameter is and laid out like it: a fused step reads its moments in memory order, its count beside them."""
    if value.shape == parameter.shape:
        return torch.empty_like(parameter).copy_(value)
    return value.to(parameter.device, copy=True)
