"""What issue 15's interface of a method will bring, until it is here: then this file goes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, ClassVar

import torch
from torch import Tensor

from d3talker.method.synthesis import back, camera, ping_pong
from d3talker.method.talker import device_of
from d3talker.options import ALL
from d3talker.options import Options as Named

__all__ = ["Method", "Trained", "back", "camera", "device_named", "ping_pong"]


class Method:
    """A method that is trained here."""

    presets: Mapping[str, Any]
    deviations: tuple[str, ...] = ()
    pretrains: bool = False
    neutral: ClassVar[Named] = {"device": ALL}
    test_time: ClassVar[Named] = {}
    unseen_by_training: ClassVar[Named] = {"pretrain": ALL}


class Trained(ABC):
    """A finished training, ready to render."""

    @abstractmethod
    def stages(self) -> dict[str, Callable]:
        """What makes a frame, in order."""

    def frame(self, *given: Any) -> Tensor:
        """(drive, index, camera, back) -> picture [H, W, 3] in [0, 1]."""
        first, *rest = self.stages().values()
        made = first(*given)
        for stage in rest:
            made = stage(made)
        return made


def device_named(name: str) -> torch.device:
    """The device of this name.  Raises UserError when CUDA is asked for and absent."""
    return device_of(SimpleNamespace(device=name))  # type: ignore[arg-type]
