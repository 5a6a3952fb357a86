"""DFRF through the suite's interface of a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from baselines.trained.dfrf.options import MINI, PAPER, TINY, Options
from d3talker.errors import UserError
from d3talker.learning.contract import Method

if TYPE_CHECKING:
    from baselines.trained.dfrf.training import DFRFTraining
    from d3talker.learning.contract import Trained
    from d3talker.options import Options as Unseen
    from d3talker.people.subject.layout import Frame, Subject


class DFRF(Method):
    """Trained here from the fact sheet of the official code (2c7bd69)."""

    presets: Mapping[str, Options] = {"mini": MINI, "paper": PAPER}
    pretrains = True
    pace = 4.0  # by its products a step; not measured on a quiet machine
    deviations = (
        "Trained in float32, with standardised audio features and He-initialised audio convolutions.",
        "At `mini` nets, samples, rays, references and steps are smaller, pixel coordinates run from 0 to 1, rays that pass the "
        "head at more than 0.16 m show the background.",
        "Slots start at their means when rendering, where the official code draws them at random; fine-tuning's steps count from "
        "0, and the audio code is smoothed after half of them.",
        "Every person has its own focal length, near and far; a short budget's references are its frames 50, 100 ... in turn.",
    )

    def tiny(self) -> Options:
        return TINY

    def check(self, options: Options) -> None:
        net, rays = options.net, options.rays
        if net.depth < 6 or net.references < 1:
            raise UserError(f"net has depth={net.depth} and references={net.references}; give 6 layers or more, and a reference")
        if min(rays.coarse, rays.test_coarse) < 4 or min(rays.rays, rays.fine, rays.test_fine) < 1:
            raise UserError(f"rays has coarse={rays.coarse}, test-coarse={rays.test_coarse}; give 4 or more, and 1 fine")

    def steps(self, options: Options) -> int:
        return options.schedule.tune

    def pretraining_steps(self, options: Options) -> int:
        return options.pretrain.base

    def driven(self, options: Options, motion: Path | None = None) -> list[str]:
        return ["Eyes: DFRF has no signal for them."]

    def train(
        self, options: Options, subject: Subject, frames: Sequence[Frame], out: Path, seed: int, general: Path | None = None,
        motion: Path | None = None,
    ) -> tuple[float, bool]:
        from baselines.trained.dfrf import preparing

        self.check(options)
        return preparing.tune(options, self._unseen, subject, frames, out, seed, general)

    def loop(
        self, options: Options, subject: Subject, frames: Sequence[Frame], out: Path, seed: int, general: Path | None = None
    ) -> DFRFTraining:
        """Its fine-tuning, ready to run."""
        from baselines.trained.dfrf import preparing

        return preparing.tuning(options, self._unseen, subject, frames, out, seed, general)

    @property
    def _unseen(self) -> Unseen:
        return {**self.neutral, **self.unseen_by_training}

    def pretrain(self, options: Options, subjects: Sequence[Subject], out: Path, seed: int) -> tuple[float, bool]:
        from baselines.trained.dfrf import preparing

        self.check(options)
        return preparing.base(options, self.neutral, subjects, out, seed)

    def load(self, run: Path, options: Options | None = None, device: str = "auto") -> Trained:
        from baselines.trained.dfrf.rendering import TrainedDFRF

        return TrainedDFRF(run, device)
