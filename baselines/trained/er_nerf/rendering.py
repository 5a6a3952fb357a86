"""A finished ER-NeRF."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from baselines.trained.er_nerf.field import ERField
from baselines.trained.er_nerf.options import Options
from baselines.trained.nerf.rendering import TrainedRadiance
from baselines.trained.shared.hearing import blinks
from d3talker.people.subject.layout import Frame, Subject


class TrainedER(TrainedRadiance):
    kind = Options

    def new_field(self, options: Options, columns: int, frames: int) -> ERField:
        return ERField(options.net, columns, frames)

    def filmed(self, subject: Subject, frames: Sequence[Frame]) -> np.ndarray:
        return blinks(subject, frames)
