"""Which options each training sees: two jobs that differ in the others alone are the same training."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from d3talker.method.config import Config
from d3talker.options import ALL, Options, without

TEST_TIME: Options = {"signals": ("motion_source", "amplitude", "eyes"), "ablation": ("leave_out",)}
# Options that say where to compute, how often to save and what to look at meanwhile; they change no number that a table shows.
NEUTRAL: Options = {"device": ALL, "tensorboard": ALL, "schedule": ("checkpoint_seconds",)}
UNSEEN_BY_ADAPTATION: Options = {"pretrain": ALL, **TEST_TIME}
UNSEEN_BY_PRETRAINING: Options = {
    "schedule": ALL, "refiner": ("steps",), "loss": ("normal", "depth"), "fields": ("adapt_lr_scale",), **TEST_TIME,
    "signals": (*(TEST_TIME["signals"] or ()), "heard_share"),
}


def seen(config: Config, unseen: Options) -> dict[str, Any]:
    """The options that a training sees, as plain data."""
    return without(without(asdict(config), NEUTRAL), unseen)
