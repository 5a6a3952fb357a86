"""RAD-NeRF and ER-NeRF as methods of the suite: what both do alike."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from d3talker.errors import UserError
from d3talker.learning.contract import Method
from d3talker.options import ALL, without
from d3talker.options import Options as Named

if TYPE_CHECKING:
    from baselines.trained.nerf.training import RadianceTraining
    from d3talker.people.subject.layout import Frame, Subject

NERF_DEVIATIONS = (
    "Trained in metres and float32, with standardised audio features and He-initialised audio convolutions; the official code uses "
    "half precision.",
    "Losses and rates follow the share of the steps, as in the official code; at `mini` model, rays and steps are smaller.",
    "No random loss of samples where a buffer runs over, no smoothing of poses, eyes or audio codes at test time.",
)


class RadianceMethod(Method):
    """Checks, trains, names what drives."""

    test_time: ClassVar[Named] = {"eyes": ALL}

    @abstractmethod
    def training(self) -> type:
        """The class of its training loop."""

    @abstractmethod
    def eyes(self, subject: Any, frames: Sequence[Any]) -> Any:
        """The eye signal of frames [T, 1]."""

    def check(self, options: Any) -> None:
        s = options.schedule
        if min(s.head, s.rays) < 1 or s.lips < 0:
            raise UserError(f"schedule has head={s.head}, rays={s.rays}, lips={s.lips}; give 1 or more, lips 0 or more")

    def steps(self, options: Any) -> int:
        return options.schedule.head + options.schedule.lips

    def driven(self, options: Any, motion: Path | None = None) -> list[str]:
        rule = {
            "loop": "Eyes: the training frames' in a loop, where the official code reads the test video's.",
            "still": "Eyes: still, where the official code reads the test video's.",
            "video": "Eyes: the test video's own, an oracle, as in the official code.",
        }
        return [rule[options.eyes]]

    def loop(self, options: Any, subject: Subject, frames: Sequence[Frame], out: Path, seed: int) -> RadianceTraining:
        """Its training, ready to run."""
        from baselines.trained.shared.hearing import Hearing
        from d3talker.learning.contract import device_named

        hearing = Hearing.of(subject, frames, options.features, self.eyes(subject, frames))
        job = self._job(options, subject, frames)
        return self.training()(options, subject, frames, hearing, out, seed, device_named(options.device), job)

    def _job(self, options: Any, subject: Subject, frames: Sequence[Frame]) -> dict[str, Any]:
        """What makes a training the same one."""
        return {
            "method": type(self).__name__, "options": without(asdict(options), {**self.neutral, **self.test_time}),
            "data": subject.data_hash, "frames": [frame.img_id for frame in frames],
        }

    def train(
        self, options: Any, subject: Subject, frames: Sequence[Frame], out: Path, seed: int, general: Path | None = None,
        motion: Path | None = None,
    ) -> tuple[float, bool]:
        from baselines.trained.nerf.training import CHECKPOINT
        from d3talker.learning.loop import finished

        self.check(options)
        before = finished(out / CHECKPOINT, self._job(options, subject, frames), seed)
        if before is not None:
            return before, True
        training = self.loop(options, subject, frames, out, seed)
        training.run()
        return training.seconds, False
