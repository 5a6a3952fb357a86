"""AlexNet, VGG-16 and SqueezeNet 1.1 convolutions, tapped where LPIPS and perceptual losses read them.

Layer numbers and parameter names are torchvision's (`features.N...`), so that its published weights load as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from d3talker.errors import UserError
from d3talker.weights import find_weights, load_state

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Fire(nn.Module):
    """SqueezeNet's block: 1x1 squeeze, then 1x1 and 3x3 side by side."""

    def __init__(self, inputs: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], 1).relu_()


def _alexnet() -> list[nn.Module]:
    return [
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(True), nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(True),
        nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(True), nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(True),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(True),
    ]  # fmt: skip


def _vgg16() -> list[nn.Module]:
    layers: list[nn.Module] = []
    inputs = 3
    for block, (width, depth) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]):
        layers += [nn.MaxPool2d(2, 2)] if block else []
        for _ in range(depth):
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(True)]
            inputs = width
    return layers


def _squeezenet() -> list[nn.Module]:
    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    return [
        nn.Conv2d(3, 64, 3, 2), nn.ReLU(True), pool(), Fire(64, 16, 64), Fire(128, 16, 64), pool(), Fire(128, 32, 128),
        Fire(256, 32, 128), pool(), Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256),
    ]  # fmt: skip


# name -> layers, and the layer numbers whose outputs are tapped (lpips 0.1.4, pretrained_networks.py)
STACKS = {
    "alexnet": (_alexnet, (1, 4, 7, 9, 11)),
    "vgg16": (_vgg16, (3, 8, 15, 22, 29)),
    "squeezenet": (_squeezenet, (1, 4, 7, 9, 10, 11, 12)),
}
SMALLEST = {"alexnet": 31, "vgg16": 16, "squeezenet": 17}  # short side in pixels that every pooling survives


class Backbone(nn.Module):
    """A frozen feature extractor; weights are random until `load`."""

    mean: Tensor
    std: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        layers, self.taps = STACKS[name]
        self.name = name
        self.features = nn.Sequential(*layers())
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)

    def load(self, path: Path) -> Backbone:
        """Load torchvision's file, or one with the convolutions alone (with or without the prefix "features.").

        Raises UserError when a tensor is missing or has another shape.
        """
        state = {key.removeprefix("features."): value for key, value in load_state(path).items()}
        wanted = self.features.state_dict()
        wrong = [key for key in wanted if key not in state or state[key].shape != wanted[key].shape]
        if wrong:
            raise UserError(f"{path} does not hold {self.name}'s convolutions (first misfit: {wrong[0]}); get it again")
        self.features.load_state_dict({key: state[key] for key in wanted})
        return self

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images [N, 3, H, W] in [0, 1] -> the tapped activations, each [N, C, H', W'], finest first."""
        return list(self.stages(images))

    def stages(self, images: Tensor) -> Iterator[Tensor]:
        """The same one by one, so that who needs each but once can let go of it."""
        if min(images.shape[-2:]) < SMALLEST[self.name]:
            size, least = "x".join(map(str, images.shape[-2:])), SMALLEST[self.name]
            raise UserError(f"{self.name} needs images of at least {least} px a side, not {size}; enlarge them")
        x = (images - self.mean) / self.std
        for number, layer in enumerate(self.features):
            x = layer(x)
            if number in self.taps:
                yield x


def pretrained(name: str, weights: Path | None = None, *, download: bool = False) -> Backbone:
    """A Backbone with ImageNet weights found by `find_weights`; raises MissingWeights where there are none."""
    return Backbone(name).load(find_weights(name, weights, download=download)).eval()
