"""Which options each training sees: two jobs that differ in the others alone are the same training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from d3talker.config import Config

ALL = None
Options = Mapping[str, tuple[str, ...] | None]  # sections of Config, and of each the options meant, or ALL
TEST_TIME = ("motion_source", "amplitude", "eyes")
# Options that say where to compute, how often to save and what to look at meanwhile; they change no number that a table shows.
NEUTRAL: Options = {"device": ALL, "tensorboard": ALL, "schedule": ("checkpoint_seconds",)}
UNSEEN_BY_ADAPTATION: Options = {"pretrain": ALL, "signals": TEST_TIME}
UNSEEN_BY_PRETRAINING: Options = {
    "schedule": ALL, "refiner": ("steps",), "loss": ("normal", "depth"), "fields": ("adapt_lr_scale",), "signals": TEST_TIME,
}


def without(value: Mapping[str, Any], options: Options) -> dict[str, Any]:
    """Nested options, less whole sections (ALL) or some names of a section."""
    kept = {}
    for section, content in value.items():
        if section not in options:
            kept[section] = content
        elif (names := options[section]) is not None:
            kept[section] = {
                name: item for name, item in content.items()
                if name not in names or (name == "motion_source" and item == "imported")  # that drives training, too
            }
    return kept


def seen(config: Config, unseen: Options) -> dict[str, Any]:
    """The options that a training sees, as plain data."""
    return without(without(asdict(config), NEUTRAL), unseen)
