"""What a method of the comparison is: how it is trained, and what a finished training can do.

`eval` and `reports` know methods by this alone.  D³-Talker is one (d3talker/method/entry.py), the re-implementations in
`baselines/trained` are others, and a plug-in may bring more: see docs/adding-a-method.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from d3talker.errors import UserError
from d3talker.options import ALL, Options

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

    from d3talker.graphics.layers import Camera
    from d3talker.people.subject.layout import Frame, Subject

Preset = Literal["mini", "paper"]
Stage = Callable[..., Any]


@dataclass(frozen=True)
class Row:
    """One setting of a method: its title in the tables, and the switches in which it differs from the whole model, "full".

    shown: in the ablation study; there, but only when asked for by name; or as an extension in every table.
    """

    title: str
    switches: dict[str, str] = field(default_factory=dict)
    shown: Literal["study", "asked", "everywhere"] = "study"


def same_setting(rows: Mapping[str, Row], name: str) -> list[str]:
    """All rows that train the same model as `name`, itself included, in their order."""
    return [other for other, row in rows.items() if row.switches == rows[name].switches]


class Method(ABC):
    """A method that is trained here.  It has no state; importing its module loads nothing heavy, its functions may.

    presets: options by name, "mini" and "paper" among them: frozen dataclasses for tyro with a field `device` (auto, cpu, cuda).
    deviations: what differs from the official code, a sentence each; they stand under its rows.
    pretrains: whether a training can start from `pretrain`.  hears_motion: whether it uses an audio-to-motion model.
    pace: seconds of a step against D³-Talker's, for estimates before the first is measured.

    Options by what sees them, as sections and names: neutral ones change no number; test_time ones choose what drives the finished
    model, so that jobs share a training; the others do not change a training, or a pre-training.
    """

    presets: Mapping[str, Any]
    deviations: tuple[str, ...] = ()
    pretrains: bool = False
    hears_motion: bool = False
    pace: float = 1.0
    neutral: ClassVar[Options] = {"device": ALL}
    test_time: ClassVar[Options] = {}
    unseen_by_training: ClassVar[Options] = {"pretrain": ALL}
    unseen_by_pretraining: ClassVar[Options] = {}

    def check(self, options: Any) -> None:  # noqa: B027  a method may have nothing to refuse
        """Raises UserError for options that cannot train, with both sides in the sentence."""

    def ablated(self, options: Any, row: str) -> Any:
        """The options with the switches of a row of its spec.  Raises UserError for a row that it does not have."""
        if row != "full":
            raise UserError(f"this method has no row '{row}'; its only one is full")
        return options

    def starts_from(self, options: Any, whole: Any) -> Any:
        """The options of the pre-training that a row with these options starts from; whole: the options of the whole model."""
        return options

    def told_by_pretraining(self, row: Row) -> bool:
        """Whether a row differs from the whole model in its pre-training alone, so that without one there is no such row."""
        return False

    def steps(self, options: Any) -> int:
        """Steps of a training, for estimates of time; 0 where nobody can tell."""
        return 0

    def pretraining_steps(self, options: Any) -> int:
        """The same of a pre-training."""
        return 0

    @abstractmethod
    def train(
        self, options: Any, subject: Subject, frames: Sequence[Frame], out: Path, seed: int, general: Path | None = None,
        motion: Path | None = None,
    ) -> tuple[float, bool]:
        """Train on `frames` of a subject in the folder `out`, or go on there, or find it done.

        general: folder of a finished pre-training of this method; motion: an audio-to-motion model, or its folder.
        Returns the seconds of training steps, and whether it was done before.  Raises UserError when `out` holds another
        training, and checkpoint.Unusable for a damaged one or one of another version.
        """

    def pretrain(self, options: Any, subjects: Sequence[Subject], out: Path, seed: int) -> tuple[float, bool]:
        """Pre-train on the train splits of several subjects in `out`, or go on there, or find it done, as `train` does."""
        raise UserError("this method has no pre-training; train it from nothing")

    @abstractmethod
    def load(self, run: Path, options: Any = None, device: str = "auto") -> Trained:
        """A finished training, ready to render.  options: whose test-time options hold; without, those of the training.

        Raises UserError when it is missing, damaged or not finished.
        """

    def driven(self, options: Any, motion: Path | None = None) -> list[str]:
        """What drives test frames, a sentence each, for the notes beside them; motion: where it `hears_motion`."""
        return []

    @abstractmethod
    def tiny(self) -> Any:
        """The smallest options that go through every stage, seconds at 64 pixels: for `d3talker check`."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


class Trained(ABC):
    """A finished training.

    feature_name: the audio features that it hears.  notes: what a reader of its numbers must know of how it was trained.
    run: its folder; data: hash of the subject's data that it was trained on, where it says so.  torso_mode: whether the real torso
    stands behind the head, or one of its own.
    """

    device: torch.device
    feature_name: str
    notes: list[str]
    run: Path
    data: str | None = None
    torso_mode: Literal["gt", "synthesised"] = "gt"

    def check_subject(self, subject: Subject) -> None:
        """Raises UserError when this was trained on other data than the folder holds: one head would wear another's body."""
        if self.data is not None and self.data != subject.data_hash:
            raise UserError(
                f"{self.run} was trained on other data than {subject.root} holds; give the folder it was trained on, or train anew"
            )

    @abstractmethod
    def drive(self, subject: Subject, frames: Sequence[Frame]) -> Any:
        """All that comes before a frame, for `frames` of a subject and their own sound: windows of features, motion, eyes."""

    @abstractmethod
    def drive_by(self, subject: Subject, features: np.ndarray, sound: np.ndarray) -> Any:
        """The same for any mono 16 kHz sound [S] and its features [T, 16, C].  Raises UserError where it cannot."""

    @abstractmethod
    def stages(self) -> dict[str, Stage]:
        """What FPS times apart, in order, by name.

        The first is called with (drive, index, camera, back): back is what stands behind the head, float32 [H, W, 3] in [0, 1];
        each other one with what the one before it returned.  The last returns the picture.
        """

    def frame(self, drive: Any, index: int, camera: Camera, back: Tensor) -> Tensor:
        """One finished frame at batch 1, float32 [H, W, 3] in [0, 1]."""
        first, *others = self.stages().values()
        picture = first(drive, index, camera, back)
        for stage in others:
            picture = stage(picture)
        return picture


def device_named(name: str) -> torch.device:
    """The device that an option names: auto, cpu, cuda.  Raises UserError when CUDA is asked for and absent."""
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device cuda was asked for, but torch sees no CUDA GPU; choose the device cpu, or see: d3talker doctor")
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
