"""What the benchmarks run: a head-like shell of Gaussians, and the model's step and frame on random signals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import conv2d, normalize

from d3talker.graphics.gaussians import Gaussians, neighbour_distance
from d3talker.graphics.layers import Camera
from d3talker.graphics.options import REGIONS
from d3talker.graphics.render import rasterize
from d3talker.learning import losses
from d3talker.learning.dssim import dssim
from d3talker.learning.ssim_window import C1, C2, WINDOW, window_weights
from d3talker.method.config import PAPER
from d3talker.method.talker import General, Identity, Signals, Talker, total

YARDSTICK = 1500  # M is a square float32 product of this side


def camera(size: int, device: str = "cpu") -> Camera:
    """A camera 0.6 m before the head, which fills most of the picture."""
    view = torch.diag(torch.tensor([1.0, -1, -1, 1]))
    view[2, 3] = 0.6
    K = torch.tensor([[2.2 * size, 0, size / 2], [0, 2.2 * size, size / 2], [0, 0, 1]])
    return Camera(view.to(device), K.to(device), size, size)


def shell(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Centres [count, 3] on a rough ellipsoid of a head's size, and 3DGS' first scales for them."""
    axes = torch.tensor([0.075, 0.1, 0.085])
    means = normalize(torch.randn(count, 3, generator=generator), dim=-1) * axes
    means += 0.002 * torch.randn(count, 3, generator=generator)
    return means, neighbour_distance(means)[:, None].repeat(1, 3)


def scene(count: int, size: int, device: str = "cpu") -> dict[str, Tensor | int]:
    """Arguments of `rasterize` for a shell of Gaussians."""
    g = torch.Generator().manual_seed(0)
    means, scales = shell(count, g)
    view = camera(size, device)
    leaves = {
        "means": means,
        "quats": torch.randn(count, 4, generator=g),
        "scales": scales * torch.exp(0.2 * torch.randn(count, 3, generator=g)),
        "opacities": 0.1 + 0.8 * torch.rand(count, generator=g),
        "colors": torch.rand(count, 3, generator=g),
        "background": torch.rand(3, generator=g),
    }
    tensors = {name: value.to(device).requires_grad_() for name, value in leaves.items()}
    return {**tensors, "viewmats": view.viewmat[None], "Ks": view.K[None], "width": size, "height": size}


def render_pass(arguments: dict, backend: str, backward: bool = True) -> Callable[[], None]:
    """RGB, alpha and depth of a scene and, with backward, all gradients."""
    leaves = [value for value in arguments.values() if isinstance(value, Tensor) and value.requires_grad]
    size, device = arguments["width"], leaves[0].device
    g = torch.Generator().manual_seed(1)
    weights = [torch.randn(1, size, size, channels, generator=g).to(device) for channels in (3, 1, 1)]

    def run() -> None:
        with torch.set_grad_enabled(backward):
            out = rasterize(**arguments, backend=backend)
            if backward:
                torch.autograd.grad((out.rgb, out.alpha, out.depth), leaves, weights)

    return run


def plain_dssim(pred: Tensor, target: Tensor) -> Tensor:
    """D-SSIM as the field's code computes it: five full 11x11 convolutions."""
    line = torch.tensor(window_weights(), device=pred.device, dtype=pred.dtype)
    window = (line[:, None] * line).expand(3, 1, WINDOW, WINDOW)
    x, y = pred.permute(0, 3, 1, 2), target.permute(0, 3, 1, 2)
    mx, my, mxx, myy, mxy = (conv2d(v, window, padding=WINDOW // 2, groups=3) for v in (x, y, x * x, y * y, x * y))
    vx, vy, vxy = mxx - mx * mx, myy - my * my, mxy - mx * my
    return 1 - ((2 * mx * my + C1) * (2 * vxy + C2) / ((mx * mx + my * my + C1) * (vx + vy + C2))).mean()


class Step:
    """The face stage's training step of `d3talker.method.adapt` on random signals: draw, L1 + D-SSIM, AdamW."""

    def __init__(self, count: int, size: int, device: str = "cpu", plain: bool = False) -> None:
        """plain=True takes the torch parts: index_select encoder and 11x11 SSIM."""
        g = torch.Generator().manual_seed(0)
        torch.manual_seed(0)
        means, scales = shell(count, g)
        gaussians = {r: Gaussians(means, scales, 1, torch.rand(count, 3, generator=g)) for r in REGIONS}
        config = replace(PAPER)
        self.talker = Talker(config, General(config, 29), Identity(config, gaussians)).to(device)
        self.talker.check_values = device == "cpu"  # training on CUDA looks every 25 steps
        for r in REGIONS:
            for field in (self.talker.general.fields[r], self.talker.identity.fields[r]):
                field.encoder.backend = "reference" if plain else "auto"
        self.loss = plain_dssim if plain else dssim
        self.camera = camera(size, device)
        s = config.signals
        self.signals = Signals(
            torch.randn(2 * s.neighbours + 1, 3, s.pncc_size, s.pncc_size, generator=g).to(device),
            torch.randn(s.audio_window, 16, 29, generator=g).to(device), torch.rand(6, generator=g).to(device),
            torch.zeros(33, device=device),
        )  # fmt: skip
        self.target = torch.rand(size, size, 3, generator=g).to(device)
        used = [self.talker.general.motion, self.talker.general.audio, self.talker.general.eyes]
        used += [self.talker.general.fields["face"], self.talker.identity.fields["face"], gaussians["face"]]
        parameters = [parameter for module in used for parameter in module.parameters()]
        self.optimizer = torch.optim.AdamW(parameters, lr=1e-5, fused=True)

    def __call__(self) -> Tensor:
        """One step; returns the loss, still on its device."""
        delta = total(self.talker.deformations("face", self.talker.encode(self.signals)))
        layer = self.talker.draw("face", self.camera, delta)
        predicted = layer.rgb + (1 - layer.alpha) * 0.5
        loss = losses.l1(predicted, self.target) + 0.2 * self.loss(predicted[None], self.target[None])
        loss = loss + 1e-5 * sum(part.abs().mean() for part in delta if part is not None)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def frame(self) -> Callable[[], Tensor]:
        """Draw one frame from signals, with all that depends on the static centres computed beforehand."""
        with torch.no_grad():
            anchors = self.talker.anchors("face")

        def draw() -> Tensor:
            with torch.no_grad():
                encoded = self.talker.encode(self.signals)
                layer = self.talker.draw("face", self.camera, total(self.talker.deformations("face", encoded, anchors)))
                return layer.rgb + (1 - layer.alpha) * 0.5

        return draw
