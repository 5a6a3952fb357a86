"""What each stage draws and compares: the face over a random colour, the mouth behind the face, the whole frame."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from d3talker import losses
from d3talker.config import REGIONS, LossConfig
from d3talker.dssim import dssim
from d3talker.fields import Deformation
from d3talker.talker import Layer, Signals, Talker, compose, total
from d3talker.training.dataset import Views

Parts = dict[str, Tensor]


def image(frame: Tensor) -> Tensor:
    """uint8 [..., 3] -> float32 in [0, 1]."""
    return frame.float() / 255


def face_picture(
    talker: Talker, views: Views, index: int, delta: Deformation | None, generator: torch.Generator, normals: bool = False
) -> tuple[Layer, Tensor, Tensor, Tensor]:
    """The head without the inside of the mouth, over a random colour that shows every hole and every excess.

    Returns the layer, the picture and its target [H, W, 3], and the mask loss.
    """
    layer = talker.draw("face", views.camera(index), delta, normals)
    mask = views.head[index][..., None].float()
    color = torch.rand(3, generator=generator).to(mask.device)
    target = image(views.images[index]) * mask + color * (1 - mask)
    return layer, layer.rgb + (1 - layer.alpha) * color, target, losses.mask_loss(layer.alpha, mask)


def mouth_picture(
    talker: Talker, views: Views, index: int, face_delta: Deformation | None, delta: Deformation | None,
    generator: torch.Generator,
) -> tuple[Layer, Tensor, Tensor, Tensor]:
    """The inside of the mouth behind the face, which does not learn here; the mouth must fill what the face leaves open.

    Returns its layer, the picture and its target [H, W, 3], and the mean opacity that it lacks inside the mouth.
    """
    camera = views.camera(index)
    with torch.no_grad():
        face = talker.draw("face", camera, face_delta)
    layer = talker.draw("mouth", camera, delta)
    mouth = views.mouth[index][..., None].float()
    inside = mouth + views.head[index][..., None].float()
    color = torch.rand(3, generator=generator).to(mouth.device)
    target = image(views.images[index]) * inside + color * (1 - inside)
    return layer, compose(face, layer, color.expand_as(target)), target, ((1 - layer.alpha) * mouth).mean()


def whole_picture(talker: Talker, views: Views, index: int, signals: Signals) -> Tensor:
    """The coarse frame [H, W, 3] before its real torso and background; the deformation does not learn here."""
    with torch.no_grad():
        encoded = talker.encode(signals)
        deltas = {region: total(talker.deformations(region, encoded)) for region in REGIONS}
    face, mouth = (talker.draw(region, views.camera(index), deltas[region]) for region in REGIONS)
    return compose(face, mouth, image(views.backs[index]))


def image_loss(picture: Tensor, target: Tensor, lips: Tensor, weights: LossConfig) -> tuple[Tensor, Parts]:
    """L1 + lambda D-SSIM (eq. 12, 13), with L1 once more in the box `lips` [4] if it has a weight; and the parts."""
    parts = {"l1": losses.l1(picture, target), "dssim": dssim(picture[None], target[None])}
    loss = parts["l1"] + weights.dssim * parts["dssim"]
    if weights.lips:
        x0, y0, x1, y1 = lips.tolist()
        loss = loss + weights.lips * losses.l1(picture[y0:y1, x0:x1], target[y0:y1, x0:x1])
    return loss, parts


def size_loss(parts: Mapping[str, Deformation], means_scale: float) -> Tensor | float:
    """Mean absolute deformation by the fields, summed over attributes (InsTaG), all in the network's own units."""
    fields = {name: part for name, part in parts.items() if name != "rig"}  # what the head does needs no restraint
    if not fields:
        return 0.0
    delta = total(fields)
    own = delta._replace(means=delta.means / means_scale)
    return torch.stack([part.abs().mean() for part in own if part is not None]).sum()
