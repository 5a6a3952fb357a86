"""TalkingGaussian through the suite's interface of a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from baselines.trained.shared.method import GAUSSIAN_DEVIATIONS, MINI_DEVIATION, SAMPLING_DEVIATION, GaussianMethod
from baselines.trained.shared.options import HeadOptions, check_head
from baselines.trained.talkinggaussian.options import MINI, PRESETS

if TYPE_CHECKING:
    from d3talker.learning.contract import Trained
    from d3talker.people.subject.layout import Frame, Subject


class TalkingGaussian(GaussianMethod):
    """Trained here from the fact sheet of the official code (9bd34f7)."""

    presets: Mapping[str, HeadOptions] = PRESETS
    deviations = (*GAUSSIAN_DEVIATIONS, SAMPLING_DEVIATION, MINI_DEVIATION)
    pace = 0.8  # benchmarks/methods.py

    def check(self, options: HeadOptions) -> None:
        check_head(options)

    def steps(self, options: HeadOptions) -> int:
        s = options.schedule
        return s.mouth + s.face + s.fuse

    def train(
        self, options: HeadOptions, subject: Subject, frames: Sequence[Frame], out: Path, seed: int, general: Path | None = None,
        motion: Path | None = None,
    ) -> tuple[float, bool]:
        from baselines.trained.talkinggaussian.run import train

        return train(options, subject, frames, out, seed)

    def load(self, run: Path, options: HeadOptions | None = None, device: str = "auto") -> Trained:
        from baselines.trained.talkinggaussian.run import TrainedTalkingGaussian

        return TrainedTalkingGaussian(run, options, device)

    def tiny(self) -> HeadOptions:
        """The smallest options that train every stage."""
        return tiny_head(MINI)


def tiny_head(options: HeadOptions) -> HeadOptions:
    """Few Gaussians and steps, on the CPU; every loss and every kind of pruning has its turn."""
    schedule = replace(options.schedule, face=24, mouth=16, fuse=8, sh_every=8, checkpoint_seconds=0)
    often = {"start": 4, "every": 4, "size_from": 8}
    return replace(
        options, device="cpu", schedule=schedule,
        gaussians=replace(options.gaussians, face_points=300, mouth_points=80, max_points=500),
        density=replace(options.density, **often), mouth_density=replace(options.mouth_density, **often),
    )
