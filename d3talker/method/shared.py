"""What pre-training leaves for adaptation: the averaged shared parameters, and the refiner."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from d3talker import checkpoint
from d3talker.errors import UserError

CHECKPOINT = "pretrain.safetensors"


class Shared(NamedTuple):
    """general: parameters of talker.General, which hear `features`; refiner: state of its trainer, or None without."""

    features: str
    general: dict[str, Tensor]
    refiner: dict[str, Any] | None


def load_general(run: Path) -> Shared:
    """Read a finished pre-training.  Raises UserError when it is missing or unfinished."""
    state = checkpoint.load(run / CHECKPOINT)
    if not state["done"]:
        raise UserError(f"the pre-training in {run} is not finished; run the same d3talker pretrain command again to go on")
    return Shared(state["features"], state["average"], state["refiner"])
