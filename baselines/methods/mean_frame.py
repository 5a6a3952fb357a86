"""Mean training frame: what a model scores that has learnt nothing but the average picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

from baselines.adapter import Adapter, Skip
from baselines.spec import MethodSpec

if TYPE_CHECKING:
    from d3talker.people.subject.layout import Frame, Subject

SPEC = MethodSpec(
    name="mean-frame", title="Mean training frame", kind="floor", torso_mode="synthesised",
    status="computed here; a method below it has learnt nothing",
)


def predict(subject: Subject, train: Sequence[Frame], test: Sequence[Frame], out: Path) -> None:
    """Write the mean of the training frames once for every test frame."""
    import numpy as np

    from baselines.floors import write

    total = np.zeros((*subject.size, 3))
    for frame in train:
        total += subject.gt(frame.img_id)
    mean = np.round(total / len(train)).astype(np.uint8)
    write(SPEC, subject, test, repeat(mean, len(test)), out)


ADAPTER = Adapter(locate=Skip("a floor is computed, it has no outputs"), run=predict)
