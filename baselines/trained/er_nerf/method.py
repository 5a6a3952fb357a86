"""ER-NeRF through the suite's interface of a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines.trained.er_nerf.options import MINI, PAPER, TINY, Options
from baselines.trained.nerf.method import NERF_DEVIATIONS, RadianceMethod

if TYPE_CHECKING:
    from d3talker.learning.contract import Trained


class ERNeRF(RadianceMethod):
    """Trained here from the fact sheet of the official code (0cf72d8)."""

    presets: Mapping[str, Options] = {"mini": MINI, "paper": PAPER}
    deviations = (*NERF_DEVIATIONS,)

    def tiny(self) -> Options:
        return TINY

    def training(self) -> type:
        from baselines.trained.er_nerf.training import ERTraining

        return ERTraining

    def load(self, run: Path, options: Options | None = None, device: str = "auto") -> Trained:
        from baselines.trained.er_nerf.rendering import TrainedER

        return TrainedER(run, options, device)

    def eyes(self, subject: Any, frames: Sequence[Any]) -> Any:
        from baselines.trained.shared.hearing import blinks

        return blinks(subject, frames)
