"""What one training step reads of a frame: picture, masks, a random colour, and noisy signals."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from d3talker.graphics.layers import Camera
from d3talker.learning.priors import Prior
from d3talker.learning.staging import Shelf, send
from d3talker.learning.views import View, Views
from d3talker.method.config import SignalConfig
from d3talker.method.driving import Drive
from d3talker.method.talker import Signals


class Sample(NamedTuple):
    """What one step reads of a frame, on the device: `color` [3] in [0, 1] stands behind the region, the signals carry noise.

    kept [2]: 0 where the General's or the Individual Field's signal is dropped, None where nothing is.
    """

    view: View
    camera: Camera
    lips: Tensor
    color: Tensor
    signals: Signals
    prior: Prior | None = None
    kept: Tensor | None = None


def draw_sample(
    views: Views, drive: Drive, index: int, options: SignalConfig | None, generator: torch.Generator, priors: Shelf | None = None
) -> Sample:
    """Frame `index` with a random colour; with `options`, its audio features with their noise, and one branch dropped or none.

    All random numbers are drawn on the host, so that a seed means the same on every device, and travel with the picture.
    """
    signals = drive.at(index)
    drawn = {"color": torch.rand(3, generator=generator)}
    if options is not None and options.audio_noise:
        drawn["noise"] = options.audio_noise * torch.randn(signals.audio.shape, generator=generator)
    if options is not None and options.branch_dropout:
        dropped = torch.rand(2, generator=generator)
        drawn["kept"] = torch.ones(2)
        if dropped[0] < options.branch_dropout:
            drawn["kept"][int(dropped[1] < 0.5)] = 0.0
    known = () if priors is None else priors[index]
    image, back, head, mouth, hair, *rest = send([*views.host(index), *drawn.values(), *known], views.viewmats.device)
    sent = dict(zip(drawn, rest))
    if "noise" in sent:
        signals = signals._replace(audio=signals.audio + sent["noise"])
    view, prior = View(image, back, head, mouth, hair), Prior(*rest[len(drawn):]) if known else None
    return Sample(view, views.camera(index), views.lips[index], sent["color"], signals, prior, sent.get("kept"))
