"""`d3talker pretrain`, `adapt` and `render`: training and rendering by hand, outside a benchmark, of any method trained here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import tyro

from baselines.choosing import chosen
from baselines.registry import DEFAULT, trained_here
from d3talker.errors import UserError
from d3talker.learning.contract import Preset
from d3talker.people.media.video import FPS
from d3talker.people.motion.options import PRIOR, motion_model
from d3talker.progress import say

O = TypeVar("O")  # noqa: E741  the options of the method


@dataclass(frozen=True)
class PretrainCommand(Generic[O]):
    """Train what all identities share, on several of them; run again to go on where it stopped."""

    subjects: tuple[Path, ...]
    """Subject folders; none of them may be a test subject."""
    out: Path
    """Folder for checkpoint and log."""
    method: str = DEFAULT
    """What is pre-trained: a method of `d3talker methods` that is trained here."""
    preset: Preset = "paper"
    """mini: 128x128 on a CPU. paper: the published schedule, CUDA."""
    ablation: str = "full"
    """Row of the method's ablation study (the paper's Table 4), by name."""
    seed: int = 0
    """Random seed."""
    model: O = None  # type: ignore[assignment]
    """Every option of the method, over the preset's."""

    @classmethod
    def defaults(cls, args: Sequence[str]) -> PretrainCommand[Any]:
        """The defaults that the method and the preset named in `args` bring."""
        preset, model = chosen(args, "--method", [cls.method], cls.preset, True)
        return cls(subjects=tyro.MISSING, out=tyro.MISSING, preset=preset, model=model)

    def run(self) -> None:
        """Train."""
        from d3talker.people.subject.checks import say_notes
        from d3talker.people.subject.layout import Subject

        method, subjects = trained_here(self.method), [Subject(p) for p in self.subjects]
        if not method.pretrains:
            raise UserError(f"'{self.method}' has no pre-training; adapt it as it is")
        for subject in subjects:
            say_notes(subject)
        seconds, before = method.pretrain(method.ablated(self.model, self.ablation), subjects, self.out, self.seed)
        say(f"{self.out}: pre-trained in {seconds:.0f} s of steps{' before' if before else ''}")


@dataclass(frozen=True)
class AdaptCommand(Generic[O]):
    """Train one subject on the first seconds of its train split; run again to go on where it stopped."""

    subject: Path
    """Subject folder."""
    out: Path
    """Folder for checkpoint and log."""
    method: str = DEFAULT
    """What is trained: a method of `d3talker methods` that is trained here."""
    budget: float = 10
    """Seconds of training video: the first ones of the train split."""
    general: Path | None = None
    """Folder of a finished pre-training of the same method; without it everything is learnt from this subject."""
    motion: str = PRIOR
    """What predicts motion from sound: prior (comes with d3talker, calibrated on these frames), none (these frames alone), or the
    folder of a finished `d3talker motion train`; a method that hears the sound alone leaves it out."""
    preset: Preset = "paper"
    """mini: 128x128 on a CPU. paper: the published schedule, CUDA."""
    ablation: str = "full"
    """Row of the method's ablation study (the paper's Table 4), by name."""
    seed: int = 0
    """Random seed."""
    model: O = None  # type: ignore[assignment]
    """Every option of the method, over the preset's."""

    @classmethod
    def defaults(cls, args: Sequence[str]) -> AdaptCommand[Any]:
        """The defaults that the method and the preset named in `args` bring."""
        preset, model = chosen(args, "--method", [cls.method], cls.preset, True)
        return cls(subject=tyro.MISSING, out=tyro.MISSING, preset=preset, model=model)

    def run(self) -> None:
        """Train."""
        from d3talker.people.subject.checks import say_notes
        from d3talker.people.subject.layout import Subject

        method, subject = trained_here(self.method), Subject(self.subject)
        if self.general is not None and not method.pretrains:
            raise UserError(f"'{self.method}' starts from no pre-training; leave out --general")
        say_notes(subject)
        frames = subject.frames("train")
        wanted = round(self.budget * FPS)
        if len(frames) < wanted:
            raise UserError(f"{self.subject} has {len(frames) / FPS:g} s to train on; give a --budget up to that")
        options = method.ablated(self.model, self.ablation)
        motion = motion_model(self.motion) if method.hears_motion else None
        seconds, before = method.train(options, subject, frames[:wanted], self.out, self.seed, self.general, motion)
        say(f"{self.out}: adapted in {seconds:.0f} s of steps{' before' if before else ''}")


@dataclass(frozen=True)
class RenderCommand:
    """Render the test frames of a subject from its own sound, or any other, losslessly, and an mp4 to look at."""

    run_folder: tyro.conf.Positional[Path]
    """Folder of a finished `d3talker adapt`."""
    subject: Path
    """Subject folder it was trained on: poses, torso and background come from its test frames."""
    out: Path
    """Folder for the predictions."""
    method: str = DEFAULT
    """What was trained there."""
    audio: Path | None = None
    """Any file with sound; poses then run back and forth for as long as it lasts."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to render."""

    def run(self) -> None:
        """Render."""
        from d3talker.export.video import write_video
        from d3talker.learning.rendering import render
        from d3talker.people.media.predictions import Predictions
        from d3talker.people.subject.checks import say_notes
        from d3talker.people.subject.layout import Subject

        method = trained_here(self.method)
        trained, subject = method.load(self.run_folder, device=self.device), Subject(self.subject)
        trained.check_subject(subject)
        say_notes(subject)
        render(trained, self.method, subject, subject.frames("val"), self.audio, self.out, method.deviations)
        made, video = Predictions(self.out), self.out / "look.mp4"
        write_video(made, video)
        say(f"{made.manifest.frames} frames in {self.out}, to look at: {video}")


def run(command: PretrainCommand | AdaptCommand | RenderCommand) -> int:
    """Run a command; returns 0."""
    command.run()
    return 0
