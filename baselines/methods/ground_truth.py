"""Ground truth: the test frames themselves, the first row of every table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from baselines.adapter import Adapter, Skip
from baselines.spec import MethodSpec, table_1, table_3, table_4

if TYPE_CHECKING:
    from d3talker.people.subject.layout import Frame, Subject

SPEC = MethodSpec(
    name="ground-truth",
    title="Ground Truth",
    kind="reference",
    status="the bound of every metric; its Sync-C/D tell what the clip and the cropping allow",
    published=table_1(None, 1, 0, 0, 8.685, 6.852, None, None)
    + table_3(a=(8.456, 6.841), b=(8.809, 5.757))
    + table_4(full=(None, 1, 0, 8.685)),
)


def predict(subject: Subject, train: Sequence[Frame], test: Sequence[Frame], out: Path) -> None:
    """Write the test frames as they are."""
    from baselines.floors import write

    write(SPEC, subject, test, (subject.gt(frame.img_id) for frame in test), out)


ADAPTER = Adapter(locate=Skip("the ground truth is the subject's own frames"), run=predict)
