"""Density control as in 3DGS: clone and split where the picture pulls hard, prune what is transparent, reset opacity."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import Optimizer

from d3talker.graphics.gaussians import Gaussians, inverse_softplus
from d3talker.graphics.layers import Camera
from d3talker.graphics.options import DensityConfig, Region
from d3talker.graphics.render.geometry import rotate

SHRINK = 1.6  # 3DGS: a split Gaussian's halves are this much smaller
RESET_OPACITY = 0.01  # 3DGS


class DensityControl:
    """Accumulates screen-space gradients of one region and changes its Gaussians, parameters and optimiser state together."""

    def __init__(self, gaussians: Gaussians, config: DensityConfig, region: Region, max_points: int, steps: int) -> None:
        self.gaussians, self.config, self.max_points = gaussians, config, max_points
        self.threshold = config.grad_threshold if region == "face" else config.mouth_grad_threshold
        self.stop = round(config.stop * steps)
        self.sums = torch.zeros_like(gaussians.raw_opacities)
        self.counts = torch.zeros_like(gaussians.raw_opacities)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint must keep."""
        return {"sums": self.sums, "counts": self.counts}

    def load(self, state: dict[str, Tensor]) -> None:
        """Inverse of `state`, from whatever device."""
        device = self.gaussians.means.device
        self.sums, self.counts = (state[name].to(device, copy=True) for name in ("sums", "counts"))

    @torch.no_grad()
    def observe(self, step: int, camera: Camera) -> None:
        """After backward of this step, while numbers still change: add the gradient of each centre's screen position.

        In units of half the image (3DGS); taken from the centre's own gradient, divided by the projection's derivative f / z.
        """
        gradient = self.gaussians.means.grad
        if gradient is None or step >= self.stop:
            return
        rotation, translation = camera.viewmat[:3, :3], camera.viewmat[:3, 3]
        depth = (self.gaussians.means @ rotation[2] + translation[2]).clamp_min(1e-3)
        across = (gradient @ rotation[:2].T).norm(dim=-1)
        self.sums += across * depth / camera.K[0, 0] * (camera.width / 2)
        self.counts += (across > 0).to(self.counts)

    @torch.no_grad()
    def update(self, step: int, optimizer: Optimizer, generator: torch.Generator) -> None:
        """Change the Gaussians if this step is one to do so."""
        c = self.config
        if not c.start <= step < self.stop:
            return
        if step % c.every == 0:
            self._grow(optimizer, generator)
            self._keep(optimizer, self.gaussians.opacities() > c.min_opacity)
        if c.reset_every and step % c.reset_every == 0:
            ceiling = torch.logit(torch.tensor(RESET_OPACITY)).item()
            self.gaussians.raw_opacities.clamp_(max=ceiling)
            _clear_state(optimizer, self.gaussians.raw_opacities)

    def _grow(self, optimizer: Optimizer, generator: torch.Generator) -> None:
        g = self.gaussians
        strain = self.sums / self.counts.clamp_min(1)
        room = self.max_points - g.means.shape[0]
        wanted = strain > self.threshold
        if int(wanted.sum()) > room:  # the strongest first
            order = torch.argsort(strain, descending=True, stable=True)[:max(room, 0)]
            wanted = torch.zeros_like(wanted).index_fill_(0, order, True) & wanted
        large = g.scales().amax(-1) > self.config.dense_size
        split, clone = (wanted & large).nonzero()[:, 0], (wanted & ~large).nonzero()[:, 0]
        sources = torch.cat([clone, split])
        new = {name: getattr(g, name)[sources].clone() for name in g.NAMES}
        scales = g.scales()[split]
        for target, rows in ((g.means, split), (new["means"], slice(len(clone), None))):
            noise = torch.randn(len(split), 3, generator=generator).to(scales) * scales
            target.data[rows] += rotate(g.quats[split], noise)
        smaller = inverse_softplus(scales / SHRINK)
        g.raw_scales.data[split] = smaller
        new["raw_scales"][len(clone):] = smaller
        _resize(optimizer, g, torch.arange(g.means.shape[0], device=g.means.device), new)
        self.sums, self.counts = torch.zeros_like(g.raw_opacities), torch.zeros_like(g.raw_opacities)

    def _keep(self, optimizer: Optimizer, kept: Tensor) -> None:
        if kept.all() or not kept.any():
            return
        _resize(optimizer, self.gaussians, kept.nonzero()[:, 0], {})
        self.sums, self.counts = self.sums[kept], self.counts[kept]


def _resize(optimizer: Optimizer, gaussians: Gaussians, kept: Tensor, new: dict[str, Tensor]) -> None:
    """Keep the rows `kept`, append `new`; Adam's moments follow, and start at zero for the new rows."""
    for name in gaussians.NAMES:
        old = getattr(gaussians, name)
        extra = new.get(name, old[:0].detach())
        parameter = torch.nn.Parameter(torch.cat([old.detach()[kept], extra]))
        state = optimizer.state.pop(old, {})
        for key in ("exp_avg", "exp_avg_sq"):
            if key in state:
                state[key] = torch.cat([state[key][kept], torch.zeros_like(extra)])
        if state:
            optimizer.state[parameter] = state
        for group in optimizer.param_groups:
            group["params"] = [parameter if p is old else p for p in group["params"]]
        setattr(gaussians, name, parameter)


def _clear_state(optimizer: Optimizer, parameter: Tensor) -> None:
    for key in ("exp_avg", "exp_avg_sq"):
        if key in optimizer.state.get(parameter, {}):
            optimizer.state[parameter][key].zero_()
