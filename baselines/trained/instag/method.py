"""InsTaG through the suite's interface of a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from baselines.trained.instag.options import ADAPTATION, MINI, PRESETS, InsTaGOptions, check
from baselines.trained.shared.method import GAUSSIAN_DEVIATIONS, MINI_DEVIATION, SAMPLING_DEVIATION, GaussianMethod
from baselines.trained.talkinggaussian.method import tiny_head
from d3talker.options import ALL
from d3talker.options import Options as Named

if TYPE_CHECKING:
    from d3talker.learning.contract import Trained
    from d3talker.people.subject.layout import Frame, Subject


class InsTaG(GaussianMethod):
    """Trained here from the fact sheet of the official few-shot code (42f68f8)."""

    presets: Mapping[str, InsTaGOptions] = PRESETS
    deviations = (
        *GAUSSIAN_DEVIATIONS, SAMPLING_DEVIATION, MINI_DEVIATION,
        "The Face-Mouth Hook reads the same in training and at test, with still eyes.",
    )
    pretrains = True
    unseen_by_training: ClassVar[Named] = {"pretrain": ALL}
    unseen_by_pretraining: ClassVar[Named] = ADAPTATION
    pace = 1.0  # benchmarks/methods.py

    def check(self, options: InsTaGOptions) -> None:
        check(options)

    def steps(self, options: InsTaGOptions) -> int:
        s = options.schedule
        return s.face + s.mouth + s.fuse

    def pretraining_steps(self, options: InsTaGOptions) -> int:
        s = options.pretrain.schedule
        return s.face + s.mouth

    def train(
        self, options: InsTaGOptions, subject: Subject, frames: Sequence[Frame], out: Path, seed: int, general: Path | None = None,
        motion: Path | None = None,
    ) -> tuple[float, bool]:
        from baselines.trained.instag.run import train

        return train(options, subject, frames, out, seed, general)

    def pretrain(self, options: InsTaGOptions, subjects: Sequence[Subject], out: Path, seed: int) -> tuple[float, bool]:
        from baselines.trained.instag.run import pretrain

        return pretrain(options, subjects, out, seed)

    def load(self, run: Path, options: InsTaGOptions | None = None, device: str = "auto") -> Trained:
        from baselines.trained.instag.run import TrainedInsTaG

        return TrainedInsTaG(run, options, device)

    def tiny(self) -> InsTaGOptions:
        """The smallest options that train every stage, of pre-training too."""
        small = tiny_head(MINI)
        assert isinstance(small, InsTaGOptions)
        p = small.pretrain
        often = {"start": 4, "every": 2, "size_from": 8}
        schedule = replace(p.schedule, face=16, mouth=12, sh_every=6, checkpoint_seconds=0)
        return replace(
            small, hook=replace(small.hook, low=2, high=5, rank=2), density=replace(small.density, reset_every=9),
            pretrain=replace(
                p, frames=12, schedule=schedule, density=replace(p.density, **often),
                mouth_density=replace(p.mouth_density, **often),
            ),
        )
