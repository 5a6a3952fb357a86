"""From rays to colours: coarse samples, further ones where they found something, both fields, the background as the last sample."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from baselines.trained.dfrf.field import SLOTS, DFRFField, Nerf, Seen
from baselines.trained.dfrf.references import References
from d3talker.graphics.volume.coarse_to_fine import composite_rows, importance, stratified


class Bundle(NamedTuple):
    """N rays: origin [3] and directions [N, 3] of length 1 along the camera's axis; near, far: depths; back [N, 3]."""

    origin: Tensor
    directions: Tensor
    near: float
    far: float
    back: Tensor


class Cast(NamedTuple):
    """Colours [N, 3] by both fields; of the fine one weights and depths [N, S] and offsets [R, N, S, 2]."""

    coarse: Tensor
    fine: Tensor
    weights: Tensor
    depths: Tensor
    offsets: Tensor


def cast(
    field: DFRFField, bundle: Bundle, audio: Tensor, references: References, counts: tuple[int, int],
    generator: torch.Generator | None,
) -> Cast:
    """counts: coarse samples, and fine ones beside them; without a generator depths are even and slots start at their means."""
    depths = stratified(bundle.near, bundle.far, len(bundle.directions), counts[0], generator, bundle.directions)
    coarse, weights, _ = _field(field, field.coarse, bundle, depths, audio, references, generator)
    depths = importance(depths, weights.detach(), counts[1], generator)
    fine, weights, seen = _field(field, field.fine, bundle, depths, audio, references, generator)
    return Cast(coarse, fine, weights, depths, seen.offsets.unflatten(1, depths.shape))


def _field(
    field: DFRFField, nerf: Nerf, bundle: Bundle, depths: Tensor, audio: Tensor, references: References,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor, Seen]:
    """Colours [N, 3], weights [N, S] and samples of one field."""
    lengths = bundle.directions.norm(dim=-1)
    points = (bundle.origin + depths[..., None] * bundle.directions[:, None]).flatten(0, 1)
    along = (bundle.directions / lengths[:, None])[:, None].expand(-1, depths.shape[1], -1).flatten(0, 1)
    noise = None
    if generator is not None:
        noise = torch.randn(len(points), SLOTS, field.attention.width, generator=generator).to(points)
    seen = field.seen(nerf, points, along, audio, references, noise)
    colours, weights = composite_rows(
        seen.sigma.view_as(depths), seen.colours.view(*depths.shape, 3), depths, lengths, bundle.back
    )
    return colours, weights, seen


def offset_loss(made: Cast) -> Tensor:
    """Mean over fine samples of offset² (1 - min(w z, 1)), the weight w without gradient (run_nerf_deform.py:1054-1061, 542)."""
    unseen = 1 - (made.weights * made.depths).detach().clamp_max(1)
    return (made.offsets.square() * unseen[..., None]).mean()
