"""GaussianTalker through the suite's interface of a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from baselines.trained.gaussiantalker.options import MINI, PRESETS, GaussianTalkerOptions, check
from baselines.trained.shared.method import GAUSSIAN_DEVIATIONS, GaussianMethod

if TYPE_CHECKING:
    from d3talker.learning.contract import Trained
    from d3talker.people.subject.layout import Frame, Subject


class GaussianTalker(GaussianMethod):
    """Trained here from the fact sheet of the official code (250fb93), its config of one attention layer."""

    presets: Mapping[str, GaussianTalkerOptions] = PRESETS
    deviations = (
        *GAUSSIAN_DEVIATIONS, "At `mini`, counts, lengths, widths and rates differ from the official ones; no VGG term.",
    )
    pace = 5.0  # benchmarks/methods.py

    def check(self, options: GaussianTalkerOptions) -> None:
        check(options)

    def steps(self, options: GaussianTalkerOptions) -> int:
        return options.schedule.coarse + options.schedule.fine

    def train(
        self, options: GaussianTalkerOptions, subject: Subject, frames: Sequence[Frame], out: Path, seed: int,
        general: Path | None = None, motion: Path | None = None,
    ) -> tuple[float, bool]:
        from baselines.trained.gaussiantalker.run import train

        return train(options, subject, frames, out, seed)

    def load(self, run: Path, options: GaussianTalkerOptions | None = None, device: str = "auto") -> Trained:
        from baselines.trained.gaussiantalker.run import TrainedGaussianTalker

        return TrainedGaussianTalker(run, options, device)

    def tiny(self) -> GaussianTalkerOptions:
        """The smallest options that train every stage."""
        return replace(
            MINI, device="cpu", gaussians=replace(MINI.gaussians, face_points=300, max_points=500),
            density=replace(MINI.density, start=2, grow_from=4, every=4, size_from=8),
            schedule=replace(MINI.schedule, coarse=16, fine=10, batch=2, sh_every=8, checkpoint_seconds=0),
        )
