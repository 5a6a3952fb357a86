"""What each stage draws and compares: the face over a random colour, the mouth behind the face, the whole frame."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from d3talker.graphics.layers import Camera, Layer, compose
from d3talker.graphics.options import REGIONS, Region
from d3talker.learning import losses
from d3talker.learning.dssim import dssim
from d3talker.learning.fields import Anchors, Deformation
from d3talker.learning.loop import Parts
from d3talker.learning.views import image
from d3talker.method.config import LossConfig
from d3talker.method.sampling import Sample
from d3talker.method.talker import Signals, Talker, total

HAIR_HIDDEN = (0.3, 0.65)  # InsTaG train_face.py:157: between steps 3000 and 6500 of 10000

def face_picture(
    talker: Talker, sample: Sample, delta: Deformation | None, normals: bool = False, hair: bool = True
) -> tuple[Layer, Tensor, Tensor, Tensor]:
    """The head without the inside of the mouth, over a random colour that shows every hole and every excess.

    hair: whether it is seen, too; InsTaG paints it out of picture and target in most steps.
    Returns the layer, the picture and its target [H, W, 3], and the mask loss.
    """
    layer, head = talker.draw("face", sample.camera, delta, normals), sample.view.head
    target = torch.where(head, image(sample.view.image), sample.color)
    picture = layer.rgb + (1 - layer.alpha) * sample.color
    if not hair:
        target, picture = (torch.where(sample.view.hair, sample.color, one) for one in (target, picture))
    return layer, picture, target, losses.mask_loss(layer.alpha, head)


def hair_shown(share: float, step: int, done: float) -> bool:
    """Whether a step of the face shows hair, of which `share` hide it in the middle of its steps."""
    return not HAIR_HIDDEN[0] <= done < HAIR_HIDDEN[1] or int((step + 1) * share) == int(step * share)


def mouth_picture(
    talker: Talker, sample: Sample, face_delta: Deformation | None, delta: Deformation | None
) -> tuple[Layer, Tensor, Tensor, Tensor]:
    """The inside of the mouth behind the face, which does not learn here; the mouth must fill what the face leaves open.  It learns
    from the mouth's pixels alone (see `learning_from`), which are one in 500 of the picture: so all is cut to the lips' box.

    Returns its layer, the picture and its target [h, w, 3], and the mean opacity that it lacks inside the mouth, in the box.
    """
    with torch.no_grad():
        face = talker.draw("face", sample.camera, face_delta)
    layer, mouth = talker.draw("mouth", sample.camera, delta), sample.view.mouth
    target = torch.where(mouth | sample.view.head, image(sample.view.image), sample.color)
    picture = compose(face, learning_from(mouth, layer), sample.color.expand_as(target))
    x0, y0, x1, y1 = sample.lips.tolist()
    lacking, picture, target = (part[y0:y1, x0:x1].contiguous() for part in ((1 - layer.alpha) * mouth, picture, target))
    return layer, picture, target, lacking.mean()


def learning_from(pixels: Tensor, layer: Layer) -> Layer:
    """The same layer, whose gradient comes from some pixels bool [H, W, 1] alone.

    Through a face that is nearly opaque the inside of the mouth would mend the face's edges with white, yellow and green, which
    come to light when the mouth opens wider than it did in training.  InsTaG trains the mouth on its own pixels, too.
    """
    rgb, alpha = (torch.where(pixels, value, value.detach()) for value in (layer.rgb, layer.alpha))
    return layer._replace(rgb=rgb, alpha=alpha)


def whole_picture(
    talker: Talker, camera: Camera, back: Tensor, deltas: Mapping[Region, Deformation], inside: Tensor | None = None
) -> Tensor:
    """The coarse frame [H, W, 3] before its real torso and background, uint8 [H, W, 3]; inside: the mouth's pixels, bool
    [H, W, 1], from which alone its Gaussians then learn."""
    face, mouth = (talker.draw(region, camera, deltas[region]) for region in REGIONS)
    return compose(face, mouth if inside is None else learning_from(inside, mouth), image(back))


@torch.no_grad()
def still_deltas(
    talker: Talker, signals: Signals, anchors: Mapping[Region, Mapping[str, Anchors]]
) -> dict[Region, Deformation]:
    """How the regions of `anchors` are deformed in a frame, where neither fields nor centres learn."""
    encoded = talker.encode(signals)
    return {region: total(talker.deformations(region, encoded, found)) for region, found in anchors.items()}


def image_loss(picture: Tensor, target: Tensor, lips: Tensor | None, weights: LossConfig) -> tuple[Tensor, Parts]:
    """L1 + lambda D-SSIM (eq. 12, 13), with L1 once more in the box `lips` [4] if it is given and has a weight; and the parts."""
    off = (picture - target).abs()
    parts = {"l1": off.mean(), "dssim": dssim(picture[None], target[None])}
    loss = parts["l1"] + weights.dssim * parts["dssim"]
    if weights.lips and lips is not None:
        x0, y0, x1, y1 = lips.tolist()
        loss = loss + weights.lips * off[y0:y1, x0:x1].mean()
    return loss, parts


def size_loss(parts: Mapping[str, Deformation], means_scale: float) -> Tensor | float:
    """Mean absolute deformation by the fields, summed over attributes (InsTaG), all in the network's own units."""
    fields = {name: part for name, part in parts.items() if name != "rig"}  # what the head does needs no restraint
    if not fields:
        return 0.0
    delta = total(fields)
    own = delta._replace(means=delta.means / means_scale)
    return torch.stack([part.abs().mean() for part in own if part is not None]).sum()
