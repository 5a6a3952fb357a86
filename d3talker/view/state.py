"""A trained head at one moment, as the controls ask for it: Gaussians to look at, the picture that the talker makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch

from d3talker.export.splats import Splats, joined, of_frame
from d3talker.graphics.options import REGIONS, Region
from d3talker.learning.rendering import Shot, back, camera
from d3talker.method.driving import Drive, pncc_signal
from d3talker.method.synthesis import TrainedTalker
from d3talker.people.head.embedded import embedded_head
from d3talker.people.head.upper import upper_face
from d3talker.people.subject.layout import Subject


@dataclass(frozen=True)
class Controls:
    """What sliders and boxes say.  shares: factor of each part of the deformation; added: to expression coefficients, by name."""

    shares: Mapping[str, float] = field(default_factory=dict)
    added: Mapping[str, float] = field(default_factory=dict)
    shown: tuple[Region, ...] = REGIONS


@dataclass(frozen=True)
class Speaking:
    """A trained head that says something."""

    trained: TrainedTalker
    subject: Subject
    shot: Shot

    def __len__(self) -> int:
        return len(self.shot.frames)

    @cached_property
    def parts(self) -> list[str]:
        """Names of what deforms: the fields that the ablation leaves on, and the rig."""
        names = list(self.trained.talker.active_fields("face"))
        return names if self.trained.talker.identity.rig is None else [*names, "rig"]

    @cached_property
    def steerable(self) -> tuple[str, ...]:
        """Expression coefficients that reach the picture: all where the rig reads them, else those that PNCC shows."""
        names = embedded_head().expression_names
        upper, config = upper_face(names), self.trained.config.signals
        if self.shot.setting == "self" and config.motion_source == "imported":
            return ()
        keeps = "rig" in self.parts or config.pncc_motion == "all"
        return tuple(name for name, above in zip(names, upper) if keeps or not above)

    def gaussians(self, at: int, controls: Controls) -> Splats | None:
        """The shown regions' Gaussians in frame `at`, None where nothing is shown."""
        signals, index = self._steered(at, controls)
        found = of_frame(self.trained, signals, index, controls.shares)
        shown = {region: part for region, part in found.items() if region in controls.shown}
        return joined(shown) if shown else None

    def picture(self, at: int, controls: Controls) -> np.ndarray:
        """The talker's own frame, uint8 [H, W, 3], with its refiner; expressions follow the controls, shares and boxes do not."""
        frame, (signals, index) = self.shot.frames[at], self._steered(at, controls)
        device = self.trained.device
        picture = self.trained.frame(signals, index, camera(self.subject, frame, device), back(self.subject, frame, device))
        return (picture * 255).round().byte().cpu().numpy()

    def truth(self, at: int) -> np.ndarray:
        """The video's frame of this pose, uint8 [H, W, 3]; with another sound it says other words."""
        return self.subject.gt(self.shot.frames[at].img_id)

    def _steered(self, at: int, controls: Controls) -> tuple[Drive, int]:
        """Signals of frame `at` with the added expression; PNCC is drawn anew for the frames that it sees."""
        whole, added = self.shot.signals, {name: value for name, value in controls.added.items() if value}
        if not added:
            return whole, at
        names, config = embedded_head().expression_names, self.trained.config.signals
        reach = max(whole.neighbours, whole.audio_window)
        part = slice(max(at - reach, 0), at + reach + 1)
        expression = whole.expression[part].cpu().numpy() + np.array([added.get(name, 0.0) for name in names], np.float32)
        shown = expression * ~upper_face(names) if config.pncc_motion == "lips" else expression
        images = pncc_signal(embedded_head(), self.subject.identity(), shown, config)
        device = whole.motion.device
        steered = replace(
            whole, motion=torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(device), audio=whole.audio[part],
            eyes=whole.eyes[part], expression=torch.from_numpy(expression).float().to(device),
        )
        return steered, at - part.start
