"""The protocol d3-v2: which frames of a subject are trained on, and which are tested.  The metrics' rules are their own.

Its version changes whenever a number could change; docs/protocol.md says what did.
"""

from __future__ import annotations

from dataclasses import dataclass

from d3talker.errors import UserError
from d3talker.people.media.video import FPS
from d3talker.people.subject.layout import Frame, Subject

MIN_TRAIN_FRAMES = 25


@dataclass(frozen=True)
class Protocol:
    """Rules of one comparison; see docs/protocol.md."""

    name: str = "d3-v2"
    fps: int = FPS
    test_frames: int = 300

    def test(self, subject: Subject) -> list[Frame]:
        """The val split minus its final frame (InsTaG drops it; all others are cut alike), as rows of the transforms."""
        rows = subject.frames("val")
        if len(rows) < 2:
            raise UserError(f"{subject.root} has {len(rows)} val frame; a test needs at least 2")
        return rows[:-1]

    def train(self, subject: Subject, budget: float) -> list[Frame]:
        """The first `budget` seconds of the train split (InsTaG scene/dataset_readers.py:103-109).

        Raises UserError when the split is shorter than the budget.
        """
        rows = subject.frames("train")
        wanted = round(budget * self.fps)
        if wanted < MIN_TRAIN_FRAMES:
            raise UserError(f"a budget of {budget:g} s has {wanted} frames; give at least {MIN_TRAIN_FRAMES / self.fps:g} s")
        if len(rows) < wanted:
            raise UserError(
                f"{subject.root} has {len(rows) / self.fps:g} s to train on, the budget asks for {budget:g} s; "
                "give a smaller budget or a longer video"
            )
        return rows[:wanted]

    def variant(self, subject: Subject) -> str:
        """The protocol's name for this subject: clips with another test length are a named variant."""
        frames = len(self.test(subject))
        return self.name if frames == self.test_frames else f"{self.name}/test-{frames}"


D3_V1 = Protocol()
