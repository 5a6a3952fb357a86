"""What a method can do for us: locate a finished run's outputs, collect them, run, train; each is there or says why not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from baselines.recipe import Recipe
from baselines.spec import TorsoMode
from d3talker.learning.contract import Method

if TYPE_CHECKING:  # both import OpenCV and PyAV
    from d3talker.people.subject.layout import Frame, Subject

Setting = Literal["self", "cross"]
Ability = Literal["locate", "collect", "run", "train"]
ABILITIES: tuple[Ability, ...] = ("locate", "collect", "run", "train")


@dataclass(frozen=True)
class Supported:
    """The method has this ability; `how` is one phrase for the table of methods."""

    how: str


@dataclass(frozen=True)
class Skip:
    """The method lacks this ability, and why."""

    reason: str


@dataclass(frozen=True)
class Native:
    """A finished run's output as its own code wrote it.

    frames: one video, or its images in order.  truth: the method's own ground-truth video, if it writes one.
    drops: frames that its code leaves out at the end of the val split.  torso_mode: None takes the spec's.
    follows: what ends a cross-driven clip; after "poses" it may go on in silence, which is cut off.
    """

    frames: Path | tuple[Path, ...]
    truth: Path | None = None
    drops: int = 0
    torso_mode: TorsoMode | None = None
    follows: Literal["sound", "poses"] = "sound"

    @property
    def place(self) -> Path:
        """What an error message points at."""
        return self.frames if isinstance(self.frames, Path) else self.frames[0].parent


Locate = Callable[[Path, Setting], Sequence[Native]]
"""(the run's folder, setting) -> candidates, best first; raises UserError when there is none."""

Predict = Callable[["Subject", Sequence["Frame"], Sequence["Frame"], Path], None]
"""(subject, training frames, test frames, out): writes a predictions folder in our own process; floors and toys do."""


@dataclass(frozen=True)
class Adapter:
    """A method's abilities as data.  `locate` None means: the spec's pattern `outputs` is enough.

    train: the method as it is trained here, timed and resumed like all others.
    """

    locate: Locate | Skip | None = None
    run: Recipe | Predict | Skip = Skip("no recipe; run its code yourself and use: d3talker import")
    train: Method | Skip = Skip("not implemented here")

    def can(self, ability: Ability) -> Supported | Skip:
        """Whether the method has an ability."""
        if ability == "train":
            return self.train if isinstance(self.train, Skip) else Supported("trained here")
        if ability == "run":
            if isinstance(self.run, Skip):
                return self.run
            return Supported("official code" if isinstance(self.run, Recipe) else "in this process")
        return self.locate if isinstance(self.locate, Skip) else Supported("native outputs")
