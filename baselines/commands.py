"""`d3talker pretrain`, `adapt` and `render`: the two training stages and the renderer by hand, outside a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro

from d3talker.errors import UserError
from d3talker.method.ablations import ablated
from d3talker.method.config import PAPER, Config, Preset, preset_default
from d3talker.people.media.video import FPS
from d3talker.people.motion.options import PRIOR, motion_model
from d3talker.progress import say


@dataclass(frozen=True)
class PretrainCommand:
    """Pre-train the General Field on several identities; run again to go on where it stopped."""

    subjects: tuple[Path, ...]
    """Subject folders; none of them may be a test subject."""
    out: Path
    """Folder for checkpoint and log."""
    preset: Preset = "paper"
    """mini: 128x128 on a CPU. paper: the published schedule, CUDA."""
    ablation: str = "full"
    """Row of the paper's Table 4, by name."""
    seed: int = 0
    """Random seed."""
    model: Config = field(default_factory=lambda: PAPER)
    """Every option of the model, over the preset's."""

    @classmethod
    def defaults(cls, args: Sequence[str]) -> PretrainCommand:
        """The defaults that the preset named in `args` brings."""
        preset, model = preset_default(args, cls.preset)
        return cls(subjects=tyro.MISSING, out=tyro.MISSING, preset=preset, model=model)

    def run(self) -> None:
        """Train."""
        from d3talker.method.pretrain import pretrain
        from d3talker.people.subject.checks import say_notes
        from d3talker.people.subject.layout import Subject

        subjects = [Subject(p) for p in self.subjects]
        for subject in subjects:
            say_notes(subject)
        seconds, before = pretrain(ablated(self.model, self.ablation), subjects, self.out, self.seed)
        say(f"{self.out}: pre-trained in {seconds:.0f} s of steps{' before' if before else ''}")


@dataclass(frozen=True)
class AdaptCommand:
    """Train one subject on the first seconds of its train split; run again to go on where it stopped."""

    subject: Path
    """Subject folder."""
    out: Path
    """Folder for checkpoint and log."""
    budget: float = 10
    """Seconds of training video: the first ones of the train split."""
    general: Path | None = None
    """Folder of a finished pre-training; without it everything is learnt from this subject."""
    motion: str = PRIOR
    """What predicts motion from sound: prior (comes with d3talker, calibrated on these frames), none (these frames alone), or the
    folder of a finished `d3talker motion train`."""
    preset: Preset = "paper"
    """mini: 128x128 on a CPU. paper: the published schedule, CUDA."""
    ablation: str = "full"
    """Row of the paper's Table 4, by name."""
    seed: int = 0
    """Random seed."""
    model: Config = field(default_factory=lambda: PAPER)
    """Every option of the model, over the preset's."""

    @classmethod
    def defaults(cls, args: Sequence[str]) -> AdaptCommand:
        """The defaults that the preset named in `args` brings."""
        preset, model = preset_default(args, cls.preset)
        return cls(subject=tyro.MISSING, out=tyro.MISSING, preset=preset, model=model)

    def run(self) -> None:
        """Train."""
        from d3talker.method.adapt import train_identity
        from d3talker.people.subject.checks import say_notes
        from d3talker.people.subject.layout import Subject

        subject = Subject(self.subject)
        say_notes(subject)
        frames = subject.frames("train")
        wanted = round(self.budget * FPS)
        if len(frames) < wanted:
            raise UserError(f"{self.subject} has {len(frames) / FPS:g} s to train on; give a --budget up to that")
        config = ablated(self.model, self.ablation)
        motion = motion_model(self.motion)
        seconds, before = train_identity(config, subject, frames[:wanted], self.out, self.seed, self.general, motion)
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
    audio: Path | None = None
    """Any file with sound; poses then run back and forth for as long as it lasts."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to render."""

    def run(self) -> None:
        """Render."""
        from d3talker.export.video import write_video
        from d3talker.method.synthesis import TrainedTalker, render
        from d3talker.people.media.predictions import Predictions
        from d3talker.people.subject.checks import say_notes
        from d3talker.people.subject.layout import Subject

        trained, subject = TrainedTalker(self.run_folder, self.device), Subject(self.subject)
        trained.check_subject(subject)
        say_notes(subject)
        frames = subject.frames("val")
        render(trained, subject, frames, self.audio, self.out, [])
        made, video = Predictions(self.out), self.out / "look.mp4"
        write_video(made, video)
        say(f"{made.manifest.frames} frames in {self.out}, to look at: {video}")


def run(command: PretrainCommand | AdaptCommand | RenderCommand) -> int:
    """Run a command; returns 0."""
    command.run()
    return 0
