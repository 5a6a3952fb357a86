"""What one training step reads of a frame: picture, masks, a random colour, and noisy signals."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from d3talker.graphics.layers import Camera
from d3talker.learning.priors import Prior
from d3talker.learning.staging import Shelf, send
from d3talker.learning.views import View, Views
from d3talker.method.driving import Drive
from d3talker.method.talker import Signals


class Sample(NamedTuple):
    """What one step reads of a frame, on the device: `color` [3] in [0, 1] stands behind the region, the signals carry noise."""

    view: View
    camera: Camera
    lips: Tensor
    color: Tensor
    signals: Signals
    prior: Prior | None = None


def draw_sample(
    views: Views, drive: Drive, index: int, noise: float, generator: torch.Generator, priors: Shelf | None = None
) -> Sample:
    """Frame `index` with a random colour, and audio features with Gaussian noise of standard deviation `noise`.

    All random numbers are drawn on the host, so that a seed means the same on every device, and travel with the picture.
    """
    signals = drive.at(index)
    drawn = [torch.rand(3, generator=generator)]
    if noise:
        drawn.append(noise * torch.randn(signals.audio.shape, generator=generator))
    known = () if priors is None else priors[index]
    image, back, head, mouth, color, *rest = send([*views.host(index), *drawn, *known], views.viewmats.device)
    if noise:
        signals = signals._replace(audio=signals.audio + rest.pop(0))
    view = View(image, back, head, mouth)
    return Sample(view, views.camera(index), views.lips[index], color, signals, Prior(*rest) if known else None)
