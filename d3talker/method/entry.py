"""D³-Talker as a method of the comparison, for `eval` and the commands; what it does is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from d3talker.learning.contract import Method, Row, Trained
from d3talker.method.ablations import ablated
from d3talker.method.config import DEMO, PRESETS, Config, check
from d3talker.method.seen import NEUTRAL, TEST_TIME, UNSEEN_BY_ADAPTATION, UNSEEN_BY_PRETRAINING

if TYPE_CHECKING:
    from d3talker.people.subject.layout import Frame, Subject

NAMED = 8  # speakers of a motion model; more are counted
MOTION = {
    "tracked": "ORACLE: facial motion was tracked in the test video.",
    "imported": "Facial motion comes from sound by Real3D-Portrait's own model.",
}
EYES = {
    "loop": "Blinks are the training frames' in a loop.", "still": "The eyes do not blink.",
    "video": "Blinks are those of the test video, as in the official codes.",
}


class D3Talker(Method):
    """The paper's method, and its ablations."""

    presets: Mapping[str, Config] = {**PRESETS, "demo": DEMO}
    pretrains = True
    hears_motion = True
    neutral = NEUTRAL
    test_time = TEST_TIME
    unseen_by_training = UNSEEN_BY_ADAPTATION
    unseen_by_pretraining = UNSEEN_BY_PRETRAINING

    def check(self, options: Config) -> None:
        check(options)

    def ablated(self, options: Config, row: str) -> Config:
        return ablated(options, row)

    def starts_from(self, options: Config, whole: Config) -> Config:
        """What a row leaves out later, and what its own Individual Field deforms, is not its pre-training's matter: such rows share
        the whole model's."""
        switches = replace(options.ablation, refiner=whole.ablation.refiner, attributes=whole.ablation.attributes)
        return replace(options, ablation=switches)

    def told_by_pretraining(self, row: Row) -> bool:
        return set(row.switches) == {"contrast"}

    def steps(self, options: Config) -> int:
        return options.schedule.face + options.schedule.mouth + options.schedule.fuse

    def pretraining_steps(self, options: Config) -> int:
        return options.pretrain.face + options.pretrain.mouth

    def train(
        self, options: Config, subject: Subject, frames: Sequence[Frame], out: Path, seed: int, general: Path | None = None,
        motion: Path | None = None,
    ) -> tuple[float, bool]:
        from d3talker.method.adapt import train_identity

        return train_identity(options, subject, frames, out, seed, general, motion)

    def pretrain(self, options: Config, subjects: Sequence[Subject], out: Path, seed: int) -> tuple[float, bool]:
        from d3talker.method.pretrain import pretrain

        return pretrain(options, subjects, out, seed)

    def load(self, run: Path, options: Config | None = None, device: str = "auto") -> Trained:
        from d3talker.method.synthesis import TrainedTalker

        return TrainedTalker(run, device, options)

    def driven(self, options: Config, motion: Path | None = None) -> list[str]:
        if options.ablation.control == "audio":
            return [EYES[options.signals.eyes]]  # no facial motion takes part
        source = options.signals.motion_source
        notes = [MOTION[source]] if source in MOTION else []
        if source == "predicted" and motion is not None:
            from d3talker.people.motion.model import MotionModel

            names = MotionModel.load(motion).speakers
            who = ", ".join(names) if len(names) <= NAMED else f"{len(names)} speakers, none of --subjects"
            notes.append(f"Facial motion comes from sound by a model trained on {who}, calibrated on the training frames.")
        return [*notes, EYES[options.signals.eyes]]

    def tiny(self) -> Config:
        mini = PRESETS["mini"]
        return replace(
            mini,
            gaussians=replace(mini.gaussians, face_points=200, mouth_points=60, max_points=400),
            density=replace(mini.density, start=4, every=4),
            schedule=replace(mini.schedule, face=12, mouth=8, fuse=4, warmup=4),
            refiner=replace(mini.refiner, steps=2),
            pretrain=replace(mini.pretrain, face=8, mouth=6, warmup=2, frames=20),
            device="cpu",
        )
