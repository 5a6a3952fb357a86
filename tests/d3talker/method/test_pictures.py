"""What the inside of the mouth learns from, and the colour it starts with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from d3talker.graphics.layers import Layer, compose
from d3talker.learning.views import load_views
from d3talker.method.config import MINI
from d3talker.method.pictures import learning_from
from d3talker.method.start import first_identity
from d3talker.people.subject.layout import Subject


def test_a_layer_learns_from_the_named_pixels_alone() -> None:
    g = torch.Generator().manual_seed(0)
    rgb, alpha = torch.rand(6, 5, 3, generator=g).requires_grad_(), torch.rand(6, 5, 1, generator=g).requires_grad_()
    face = Layer(torch.rand(6, 5, 3, generator=g), torch.rand(6, 5, 1, generator=g), alpha.detach(), None)
    mouth, pixels = Layer(rgb, alpha, alpha.detach(), None), torch.rand(6, 5, 1, generator=g) > 0.5
    whole, part = (compose(face, layer, torch.ones(6, 5, 3)) for layer in (mouth, learning_from(pixels, mouth)))
    assert torch.equal(whole, part)
    part.square().sum().backward()
    inside = pixels[..., 0]
    assert rgb.grad is not None and alpha.grad is not None
    assert (rgb.grad[inside] != 0).all() and (rgb.grad[~inside] == 0).all() and (alpha.grad[~inside] == 0).all()


def test_the_inside_of_the_mouth_starts_in_the_mouths_colour(person: Path) -> None:
    subject = Subject(person)
    frames = subject.frames("train")[:30]
    views = load_views(subject, frames, torch.device("cpu"))
    own = first_identity(MINI, views, subject.identity(), torch.Generator().manual_seed(0))
    seen = [views.host(i).image[views.host(i).mouth[..., 0]].float().numpy() / 255 for i in range(len(views))]
    assert sum(map(len, seen)) > 0
    colors = 0.5 + 0.28209479177387814 * own.gaussians["mouth"].sh[:, 0].detach().numpy()  # type: ignore[union-attr, index]
    np.testing.assert_allclose(colors, np.broadcast_to(np.concatenate(seen).mean(0), colors.shape), atol=1e-5)
    assert len(np.unique(own.gaussians["face"].sh[:, 0].detach().numpy(), axis=0)) > 100  # type: ignore[union-attr, index]
