"""RAD-NeRF through the suite's interface of a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines.trained.nerf.method import NERF_DEVIATIONS, RadianceMethod
from baselines.trained.rad_nerf.options import MINI, PAPER, TINY, Options

if TYPE_CHECKING:
    from d3talker.learning.contract import Trained


class RADNeRF(RadianceMethod):
    """Trained here from the fact sheet of the official code (0de5ed2)."""

    presets: Mapping[str, Options] = {"mini": MINI, "paper": PAPER}
    deviations = (
        *NERF_DEVIATIONS, "LPIPS sees pictures in [-1, 1], where the official code gives it [0, 1].",
        "The real torso stands behind the head, unless schedule.torso has steps; the torso net is then asked at every pixel, "
        "where the official code passes over those that an occupancy grid calls empty.",
    )

    def tiny(self) -> Options:
        return TINY

    def training(self) -> type:
        from baselines.trained.rad_nerf.training import RADTraining

        return RADTraining

    def load(self, run: Path, options: Options | None = None, device: str = "auto") -> Trained:
        from baselines.trained.rad_nerf.rendering import TrainedRAD

        return TrainedRAD(run, options, device)

    def steps(self, options: Options) -> int:
        return super().steps(options) + options.schedule.torso

    def eyes(self, subject: Any, frames: Sequence[Any]) -> Any:
        from baselines.trained.rad_nerf.eyes import eye_area

        return eye_area(subject, frames)
