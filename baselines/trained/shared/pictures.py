"""What a step of the face or the mouth draws and compares, in TalkingGaussian and, with other weights and moments, in InsTaG."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.trained.shared.clip import Clip
from baselines.trained.shared.motion_net import Signals
from baselines.trained.shared.options import HeadLossConfig
from d3talker.graphics.layers import Camera, Layer, Posed, draw
from d3talker.learning.dssim import dssim
from d3talker.learning.fields import Deformation
from d3talker.learning.loop import Parts
from d3talker.learning.losses import mask_loss
from d3talker.learning.priors import Prior
from d3talker.learning.staging import Shelf, send
from d3talker.learning.views import image

GREEN = (0.0, 1.0, 0.0)  # behind both branches: TG train_face.py:69, train_mouth.py:67
Box = tuple[int, int, int, int]


class Shot(NamedTuple):
    """What one step reads of a frame, on the device: target float [H, W, 3] in [0, 1], back the same; head (face and hair), mouth
    and hair bool [H, W, 1]; lips: their box x0, y0, x1, y1."""

    target: Tensor
    back: Tensor
    head: Tensor
    mouth: Tensor
    hair: Tensor
    camera: Camera
    lips: Box
    signals: Signals
    prior: Prior | None = None


def take(clip: Clip, index: int, priors: Shelf | None = None) -> Shot:
    """Frame `index` of a clip."""
    views, known = clip.views, () if priors is None else priors[index]
    parts = send([*views.host(index), *known], views.viewmats.device)
    target, back, head, mouth, hair, *rest = parts
    x0, y0, x1, y1 = views.lips[index].tolist()
    return Shot(
        image(target), image(back), head, mouth, hair, views.camera(index), (x0, y0, x1, y1), clip.drive.at(index),
        Prior(*rest) if rest else None,
    )


def green(like: Tensor) -> Tensor:
    """The colour behind both branches, [3]."""
    return like.new_tensor(GREEN)


def over(layer: Layer, color: Tensor) -> Tensor:
    """A layer over one colour [3] or a picture [H, W, 3]."""
    return layer.rgb + (1 - layer.alpha) * color


def image_loss(picture: Tensor, target: Tensor, weight: float) -> tuple[Tensor, Parts]:
    """L1 + weight (1 - SSIM), and the parts.  Unlike 3DGS', L1 keeps its full weight (TG train_face.py:180-181)."""
    parts = {"l1": (picture - target).abs().mean(), "dssim": dssim(picture[None], target[None])}
    return parts["l1"] + weight * parts["dssim"], {name: part.detach() for name, part in parts.items()}


def face_target(shot: Shot) -> Tensor:
    """The frame where face and hair are, green elsewhere and inside the mouth: the face learns a hole."""
    return torch.where(shot.head & ~shot.mouth, shot.target, green(shot.target))


def without_hair(shot: Shot, picture: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both with the hair painted green."""
    color = green(target)
    return torch.where(shot.hair, color, picture), torch.where(shot.hair, color, target)


def mouth_pictures(shot: Shot, layer: Layer, back: Tensor, closed: bool = False) -> tuple[Tensor, Tensor]:
    """(picture, target) of the mouth's branch over a colour [3]: where the lips' box has no mouth, any colour may be drawn.

    closed: the mask's holes are filled by one 3x3 dilation and erosion (TG train_mouth.py:143-145).
    """
    mask = shot.mouth
    if closed:
        widened = F.max_pool2d(mask[None, ..., 0].float(), 3, 1, 1)
        mask = (-F.max_pool2d(-widened, 3, 1, 1))[0, ..., None] > 0
    free = in_box(shot) & ~mask
    return torch.where(free, back, over(layer, back)), torch.where(mask, shot.target, back)


def in_box(shot: Shot) -> Tensor:
    """Pixels in the lips' box, bool [H, W, 1]."""
    x0, y0, x1, y1 = shot.lips
    inside = torch.zeros_like(shot.mouth)
    inside[y0:y1, x0:x1] = True
    return inside


def mouth_alpha_loss(layer: Layer, shot: Shot) -> Tensor:
    """Transparency in the lips' box, opacity outside (TG train_mouth.py:174-176)."""
    return mask_loss(layer.alpha, in_box(shot))


def motion_size(moved: Deformation) -> Tensor:
    """Mean absolute shift in metres, rotation, scale and opacity, summed (TG train_face.py:188-192)."""
    return torch.stack([part.abs().mean() for part in moved if part is not None]).sum()


def attention_losses(
    posed: Posed, colors: Tensor, shot: Shot, weights: HeadLossConfig, hair_shown: bool, check_values: bool
) -> Tensor:
    """The eyes' attention on the lips and, where hair is shown, both attentions on hair (TG train_face.py:197-201).

    colors [N, 3]: see `attention_colors`; drawn by Gaussians that do not learn here.
    """
    still = Posed(posed.means.detach(), posed.quats.detach(), posed.scales.detach(), posed.opacities.detach(), colors)
    drawn = draw(still, shot.camera, check_values=check_values).rgb
    x0, y0, x1, y1 = shot.lips
    loss = weights.lips_attention * drawn[y0:y1, x0:x1, 1:].sum(-1).mean()
    if hair_shown:
        hair = shot.hair
        loss = loss + weights.hair_attention * (drawn[..., :2] * hair).sum() / hair.sum().clamp_min(1)
    return loss


def is_green(posed: Posed, low: int, high: int) -> Tensor:
    """Gaussians [N] whose colour from this camera is that of the screen: red and blue below `low`, green above `high`, of 255."""
    red, shade, blue = (posed.colors.detach() * 255).unbind(-1)
    return (red < low) & (shade > high) & (blue < low)
