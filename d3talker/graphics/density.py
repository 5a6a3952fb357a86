"""Density control as in 3DGS: clone and split where the picture pulls hard, prune what is transparent, reset opacity."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import Optimizer

from d3talker.graphics.gaussians import Gaussians
from d3talker.graphics.layers import Camera, Posed
from d3talker.graphics.options import DensityConfig, Region
from d3talker.graphics.render.geometry import covariances, rotate
from d3talker.graphics.render.reference import flattened

SHRINK = 1.6  # 3DGS: a split Gaussian's halves are this much smaller
RESET_OPACITY = 0.01  # 3DGS


class DensityControl:
    """Accumulates screen-space gradients of one region and changes its Gaussians, parameters and optimiser state together."""

    def __init__(self, gaussians: Gaussians, config: DensityConfig, region: Region, max_points: int, steps: int) -> None:
        """steps: of the stage, of which `config.stop` is a share."""
        self.gaussians, self.config, self.max_points = gaussians, config, max_points
        self.threshold = config.grad_threshold if region == "face" else config.mouth_grad_threshold
        self.stop = round(config.stop * steps)
        self.sums = torch.zeros_like(gaussians.raw_opacities)
        self.counts = torch.zeros_like(gaussians.raw_opacities)
        self.radii = torch.zeros_like(gaussians.raw_opacities)  # pixels, the largest since the last change

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint must keep."""
        return {"sums": self.sums, "counts": self.counts, "radii": self.radii}

    def load(self, state: dict[str, Tensor]) -> None:
        """Inverse of `state`, from whatever device."""
        device = self.gaussians.means.device
        self.sums, self.counts, self.radii = (state[name].to(device, copy=True) for name in ("sums", "counts", "radii"))

    @torch.no_grad()
    def observe(self, step: int, camera: Camera, posed: Posed | None = None) -> None:
        """After backward of this step, while numbers still change: add the gradient of each centre's screen position.

        In units of half the image (3DGS); taken from the centre's own gradient, divided by the projection's derivative f / z.
        posed: the Gaussians as they were drawn, whose centres kept their gradient; without it that of the unmoved centres is taken,
        which is the same only where no net learns by these.
        """
        means = self.gaussians.means if posed is None else posed.means
        if means.grad is None or step >= self.stop:
            return
        gradient = means.grad
        rotation, translation = camera.viewmat[:3, :3], camera.viewmat[:3, 3]
        depth = (means @ rotation[2] + translation[2]).clamp_min(1e-3)
        across = (gradient @ rotation[:2].T).norm(dim=-1)
        self.sums += across * depth / camera.K[0, 0] * (camera.width / 2)
        self.counts += (across > 0).to(self.counts)
        if step >= self.config.size_from - self.config.every:
            drawn = (self.gaussians.quats, self.gaussians.scales()) if posed is None else (posed.quats, posed.scales)
            self.radii = torch.maximum(self.radii, screen_radii(means, *drawn, camera) * (across > 0))

    @torch.no_grad()
    def update(self, step: int, optimizer: Optimizer, generator: torch.Generator) -> None:
        """Change the Gaussians if this step is one to do so."""
        c = self.config
        if not c.start <= step < self.stop:
            return
        if step % c.every == 0:
            large = self.radii > c.max_radius  # before new ones come, which no camera has seen
            if step >= c.grow_from:
                self._grow(optimizer, generator)
            kept = self.gaussians.opacities() > c.min_opacity + c.opacity_rise * step / self.stop
            if step >= c.size_from:
                large = torch.cat([large, large.new_zeros(len(kept) - len(large))])
                kept &= ~large & (self.gaussians.scales().amax(-1) < c.max_size)
            self.keep(optimizer, kept)
            self.radii.zero_()
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
        smaller = g.raw(scales / SHRINK)
        g.raw_scales.data[split] = smaller
        new["raw_scales"][len(clone):] = smaller
        _resize(optimizer, g, torch.arange(g.means.shape[0], device=g.means.device), new)
        self.sums, self.counts, self.radii = (torch.zeros_like(g.raw_opacities) for _ in range(3))

    def keep(self, optimizer: Optimizer, kept: Tensor) -> None:
        """Prune all but `kept`, bool [N]; nothing is pruned where that would leave none."""
        if kept.all() or not kept.any():
            return
        _resize(optimizer, self.gaussians, kept.nonzero()[:, 0], {})
        self.sums, self.counts, self.radii = self.sums[kept], self.counts[kept], self.radii[kept]


def screen_radii(means: Tensor, quats: Tensor, scales: Tensor, camera: Camera) -> Tensor:
    """Three standard deviations along the longer axis of each Gaussian's image, [N] in whole pixels (3DGS)."""
    turn = camera.viewmat[:3, :3]
    points = means @ turn.T + camera.viewmat[:3, 3]
    flat = flattened(points, covariances(quats, scales), turn, camera.K, camera.width, camera.height)
    half, product = (flat[:, 0, 0] + flat[:, 1, 1]) / 2, torch.linalg.det(flat)
    return torch.ceil(3 * (half + (half * half - product).clamp_min(0).sqrt()).sqrt())


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
