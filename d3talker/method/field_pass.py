"""Signals to deformations in one pass: encoders and fields of one region as a function of tensors, which a CUDA graph can hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from d3talker.graphics.options import Region
from d3talker.learning.fields import Deformation
from d3talker.learning.graphs import trainable
from d3talker.method.talker import Signals, Talker


class Passed(NamedTuple):
    """parts: the fields' deformations by name; shared: what other identities' fields are queried with (eq. 10), the Individual
    Field's attention [N, width] and the encoded "individual" signal [width] and eyes [6], or () where nobody asked."""

    parts: dict[str, Deformation]
    shared: tuple[Tensor, ...]


class FieldPass(nn.Module):
    """`encode`, `anchors` and `by_fields` of a talker, which is not registered here: only its nets learn by this."""

    def __init__(self, talker: Talker, region: Region, shared: bool) -> None:
        super().__init__()
        general = talker.general
        encoders = [general.motion, general.audio, general.eyes] if region == "face" else []  # the mouth does not teach them
        self.nets = nn.ModuleList([*encoders, *talker.active_fields(region).values()])
        self._talker, self._region, self._shared = (talker,), region, shared
        self.layout: Passed | None = None  # of the latest run: where each tensor belongs

    def forward(self, motion: Tensor, audio: Tensor, eyes: Tensor, kept: Tensor) -> tuple[Tensor, ...]:
        talker, = self._talker
        with torch.set_grad_enabled(self._region == "face" and torch.is_grad_enabled()):
            encoded = talker.encode(Signals(motion, audio, eyes, eyes))  # no field hears the expression
        encoded = {**encoded, "general": kept[0] * encoded["general"], "individual": kept[1] * encoded["individual"]}
        anchors = talker.anchors(self._region)
        shared: tuple[Tensor, ...] = ()
        if self._shared:
            attention = anchors["individual"].attention
            assert attention is not None
            shared = (attention, encoded["individual"], encoded["eyes"])
        self.layout = Passed(talker.by_fields(self._region, encoded, anchors), shared)
        return *(value for part in self.layout.parts.values() for value in part if value is not None), *shared


class FieldPasses:
    """The pass of one region; on CUDA recorded, and anew whenever density control has made other Gaussians."""

    def __init__(self, talker: Talker, region: Region, shared: bool = False) -> None:
        self.talker, self.region, self.shared = talker, region, shared
        self._means: Tensor | None = None

    def __call__(self, signals: Signals, kept: Tensor | None = None) -> Passed:
        """kept [2]: factors of the General's and of the Individual Field's signal, 1 where absent."""
        means = self.talker.gaussians(self.region).means
        inputs = (signals.motion, signals.audio, signals.eyes, means.new_ones(2) if kept is None else kept)
        if self._means is not means:
            self._pass = FieldPass(self.talker, self.region, self.shared)
            self._run: Callable[..., tuple[Tensor, ...]] = trainable(self._pass, inputs)
            self._means = means
        tensors = iter(self._run(*inputs))
        layout = self._pass.layout
        assert layout is not None
        parts = {
            name: Deformation._make(None if value is None else next(tensors) for value in part)
            for name, part in layout.parts.items()
        }
        return Passed(parts, tuple(tensors))
