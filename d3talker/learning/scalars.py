"""Scalars of a training for TensorBoard: the loop's log, row by row, as events in RUN/tensorboard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from d3talker.errors import require

FOLDER = "tensorboard"


def counted(steps: Sequence[float]) -> tuple[list[float], list[float]]:
    """Steps that begin anew with each stage, counted through all of them; and where the later stages begin."""
    through: list[float] = []
    breaks: list[float] = []
    for i, step in enumerate(steps):
        if i and step < steps[i - 1]:
            breaks.append(through[-1])
        through.append(step + (breaks[-1] if breaks else 0))
    return through, breaks


class Board:
    """TensorBoard's events of the training in the folder `run`.  Raises MissingExtra without the package."""

    def __init__(self, run: Path) -> None:
        require("tensorboard", "logs", "TensorBoard's scalars")
        self.folder, self.rows = run / FOLDER, 0
        self._writer: Any = None

    def show(self, log: dict[str, Any]) -> None:
        """Write the rows of the log that were not written yet; after a resume, those of the lost steps are hidden."""
        steps, _ = counted(log["step"])
        if self._writer is None and steps:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.folder), purge_step=int(steps[0]))
        for row in range(self.rows, len(steps)):
            for name, values in log["loss"].items():
                if values[row] is not None:
                    self._writer.add_scalar(name.replace(" ", "_"), values[row], int(steps[row]))
        self.rows = len(steps)
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()
