"""GaussianTalker on one person: a canonical head, then its deformation by sound, eyes and camera (train.py)."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.trained.gaussiantalker.network import Deformed, Network, Signals
from baselines.trained.gaussiantalker.options import GaussianTalkerOptions
from baselines.trained.shared.clip import Clip, camera_extent
from baselines.trained.shared.head import resize
from baselines.trained.shared.rates import means_factor, set_rates
from d3talker.graphics.density import DensityControl
from d3talker.graphics.gaussians import Gaussians
from d3talker.graphics.layers import Camera, Posed
from d3talker.graphics.render import rasterize
from d3talker.graphics.render.sh import eval_sh
from d3talker.learning.backbones import Backbone, pretrained
from d3talker.learning.dssim import dssim
from d3talker.learning.loop import Loop, Parts
from d3talker.learning.optimisers import gaussian_groups, optimiser
from d3talker.learning.staging import send
from d3talker.learning.views import image
from d3talker.people.subject.action_units import BLINK_MAX
from d3talker.weights import MissingWeights

CHECKPOINT = "gaussiantalker.safetensors"
UNIT = 10.0  # official lengths are tenths of a metre: rates that go with the extent are given for these
DENSE, LARGEST = 0.01, 0.1  # GT arguments/__init__.py:138, gaussian_model.py:536-545: of the extent
NET_END = 0.1  # GT arguments/__init__.py:131-132: planes and nets end at a tenth
VGG_TAPS = 4  # relu1_2, relu2_2, relu3_3, relu4_3
ADAM = {"eps": 1e-15, "weight_decay": 0.0}


class Model(nn.Module):
    """Gaussians and network together."""

    def __init__(self, gaussians: Gaussians, network: Network) -> None:
        super().__init__()
        self.gaussians, self.network = gaussians, network

    def canonical(self) -> tuple[Tensor, Tensor]:
        """Raw opacities [N] and sh [N, bands, 3] of the first stage."""
        return self.network.canonical(self.network.planes(self.gaussians.means))

    @torch.no_grad()
    def settle(self) -> None:
        """Give each Gaussian the opacity and colour that the canonical head has for it; they are its own from then on."""
        g, (opacities, sh) = self.gaussians, self.canonical()
        g.raw_opacities.copy_(opacities)
        g.sh_dc.copy_(sh[:, :1])
        g.sh_rest.copy_(sh[:, 1:])

    def deform(self, signals: Signals, features: Tensor | None = None) -> Deformed:
        """features [N, D]: of the Gaussians, if known."""
        found = self.network.planes(self.gaussians.means) if features is None else features
        return self.network.deform(found, self.network.tokens(signals))

    def load(self, state: dict[str, Tensor]) -> None:
        """Load parameters, whatever number of Gaussians they have."""
        resize(self.gaussians, state, "gaussians.")
        self.load_state_dict(state)


def posed_first(model: Model, camera: Camera) -> Posed:
    """The Gaussians of the first stage as one camera sees them."""
    g, (opacities, sh) = model.gaussians, model.canonical()
    means = g.means * 1.0  # not the parameter itself: its gradient on the screen is asked for apart from what the planes send back
    return Posed(means, g.quats, g.scales(), torch.sigmoid(opacities), _colors(g.degree, sh, means, camera.viewmat))


def posed_batch(model: Model, deformed: Deformed, viewmats: Tensor) -> Posed:
    """The Gaussians of B frames, each field [B, N, ...], all attributes deformed by addition (GT scene/deformation.py:283-322)."""
    g = model.gaussians
    means, quats = g.means + deformed.means, g.quats + deformed.quats
    colors = torch.stack([_colors(g.degree, g.sh + s, m, v) for s, m, v in zip(deformed.sh, means, viewmats, strict=True)])
    return Posed(means, quats, g.scales(deformed.scales), g.opacities(deformed.opacities), colors)


def _colors(degree: int, sh: Tensor, means: Tensor, viewmat: Tensor) -> Tensor:
    directions = means.detach() + viewmat[:3, 3] @ viewmat[:3, :3]  # from the camera's centre -R't
    return eval_sh(degree, sh, directions)


def camera_numbers(viewmats: Tensor) -> Tensor:
    """[B, 12] for the camera token: rotation, and translation in tenths of a metre (GT gaussian_renderer/__init__.py:65)."""
    return torch.cat([viewmats[:, :3, :3].flatten(1), UNIT * viewmats[:, :3, 3]], 1)


def load_vgg(device: torch.device) -> tuple[Backbone | None, str | None]:
    """VGG-16; where its weights are absent, None and a note that says so."""
    try:
        return pretrained("vgg16").to(device), None
    except MissingWeights as missing:
        return None, f"Trained without its VGG-16 term: {missing}"


def vgg_loss(vgg: Backbone, picture: Tensor, target: Tensor, size: int) -> Tensor:
    """L1 of activations, summed over four layers, of pictures [B, H, W, 3] resized to `size` (GT utils/loss_utils.py:70-110)."""
    pair = torch.cat([picture, target]).permute(0, 3, 1, 2)
    resized = F.interpolate(pair, (size, size), mode="bilinear", align_corners=False)
    loss = picture.new_zeros(())
    for tap, found in zip(range(VGG_TAPS), vgg.stages(resized), strict=False):
        ours, theirs = found.chunk(2)
        loss = loss + (ours - theirs.detach()).abs().mean()
        if tap == VGG_TAPS - 1:
            break
    return loss


class GaussianTalkerTraining(Loop):
    """The two stages."""

    title, stages = "gaussiantalker", ("coarse", "fine")
    density: DensityControl | None = None

    def __init__(
        self, options: GaussianTalkerOptions, model: Model, clip: Clip, out: Path, seed: int, device: torch.device,
        job: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(out, CHECKPOINT, job or {}, seed, options.schedule.checkpoint_seconds, device)
        self.options, self.model, self.clip = options, model.to(device), clip
        self.extent = camera_extent(clip.views)
        self.left: list[int] = []
        self.vgg, self.note = load_vgg(device) if options.loss.vgg else (None, None)

    def steps(self) -> int:
        return getattr(self.options.schedule, self.stage)

    def begin_stage(self) -> None:
        o, g, net = self.options, self.model.gaussians, self.model.network
        groups = gaussian_groups(g, o.gaussians, self.extent)
        scale = UNIT * self.extent
        if self.stage == "coarse":
            groups = [group for group in groups if group["name"] in ("means", "quats", "raw_scales")]
            nets: list[nn.Parameter] = list(net.canonical.parameters())
            radius = o.density.max_radius * self.clip.views.size[0] / 512
            largest = max(LARGEST * self.extent, o.density.max_size)
            density = replace(o.density, dense_size=DENSE * self.extent, max_size=largest, max_radius=radius)
            self.density = DensityControl(g, density, "face", o.gaussians.max_points, self.steps())
        else:
            apart = {id(p) for part in (net.canonical, net.planes) for p in part.parameters()}
            nets = [p for p in net.parameters() if id(p) not in apart]
            self.density = None
        groups += [
            {"name": "net", "params": list(net.planes.parameters()), "lr": o.network.planes_lr * scale, **ADAM},
            {"name": "net", "params": nets, "lr": o.network.nets_lr * scale, **ADAM},
        ]
        self.optimizer = optimiser(groups)
        self.left = []

    def train_step(self) -> Parts:
        assert self.optimizer is not None
        s, done = self.options.schedule, self.step / self.steps()
        self.model.gaussians.shown = self.step // s.sh_every if self.stage == "coarse" else None
        horizon = s.coarse_horizon if self.stage == "coarse" else s.fine_horizon
        set_rates(self.optimizer, means_factor(done, horizon), NET_END ** (done / horizon))
        chosen = self._next(1 if self.stage == "coarse" else s.batch)
        target, back = self._pictures(chosen)
        picture, posed = self._coarse(chosen[0], back) if self.stage == "coarse" else self._fine(chosen, back)
        loss, parts = self._loss(picture, target, chosen)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.density is not None:
            self.density.observe(self.step + 1, self.clip.views.camera(chosen[0]), posed)
        self.optimizer.step()
        if self.density is not None:
            self.density.update(self.step + 1, self.optimizer, self.splitting)
            if self.step + 1 == self.steps():
                self.model.settle()
        self.points = self.model.gaussians.means.shape[0]
        return parts

    def _next(self, count: int) -> list[int]:
        """The next frames of a shuffled round, whose last incomplete batch is dropped; few frames make small batches."""
        count = min(count, len(self.clip))
        if len(self.left) < count:
            self.left = torch.randperm(len(self.clip), generator=self.generator).tolist()
        chosen, self.left = self.left[:count], self.left[count:]
        return chosen

    def _pictures(self, chosen: list[int]) -> tuple[Tensor, Tensor]:
        """Targets, the frame where the head is and elsewhere what stands behind it; and that, [B, H, W, 3] in [0, 1]."""
        stacked = [torch.stack(parts) for parts in zip(*(self.clip.views.host(index) for index in chosen), strict=True)]
        target, back, head, mouth, _ = send(stacked, self.device)
        return torch.where(head | mouth, image(target), image(back)), image(back)

    def _coarse(self, index: int, back: Tensor) -> tuple[Tensor, Posed]:
        camera = self.clip.views.camera(index)
        posed = posed_first(self.model, camera)
        posed.means.retain_grad()
        return self._drawn(posed, camera.viewmat[None], back), posed

    def _fine(self, chosen: list[int], back: Tensor) -> tuple[Tensor, Posed]:
        viewmats = self.clip.views.viewmats[chosen]
        windows = [self.clip.drive.at(index) for index in chosen]
        blinks = torch.stack([one.eyes[-1] for one in windows]) / BLINK_MAX
        signals = Signals(torch.stack([one.audio for one in windows]), blinks, camera_numbers(viewmats))
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):  # dropout draws from the global generator
            torch.manual_seed(int(torch.randint(2**62, (1,), generator=self.generator)))
            posed = posed_batch(self.model, self.model.deform(signals), viewmats)
        return self._drawn(posed, viewmats, back), posed

    def _drawn(self, posed: Posed, viewmats: Tensor, back: Tensor) -> Tensor:
        height, width = self.clip.views.size
        Ks = self.clip.views.K.expand(len(viewmats), 3, 3).contiguous()
        return rasterize(*posed, viewmats, Ks, width, height, back, check_values=self.checks()).rgb

    def _loss(self, picture: Tensor, target: Tensor, chosen: list[int]) -> tuple[Tensor, Parts]:
        w, off = self.options.loss, (picture - target).abs()
        parts = {"l1": off.mean(), "dssim": dssim(picture, target)}
        boxes = [off[row, y0:y1, x0:x1].flatten() for row, (x0, y0, x1, y1) in enumerate(self.clip.views.lips[chosen].tolist())]
        parts["lips"] = torch.cat(boxes).mean()
        loss = w.l1 * parts["l1"] + w.dssim * parts["dssim"] + w.lips * parts["lips"]
        if self.vgg is not None:
            parts["vgg"] = vgg_loss(self.vgg, picture, target, w.vgg_size)
            loss = loss + w.vgg * parts["vgg"]
        return loss, {name: part.detach() for name, part in parts.items()}

    def state(self) -> dict[str, Any]:
        return {
            "config": asdict(self.options), "model": self.model.state_dict(), "left": self.left,
            "density": None if self.density is None else self.density.state(), "hearing": self.clip.hearing.state(),
            "eyes": self.clip.eyes.tolist(), "columns": self.clip.drive.features.shape[-1],
            "notes": [note for note in [self.note] if note],
        }

    def load(self, state: dict[str, Any]) -> None:
        self.model.load({name: value.to(self.device) for name, value in state["model"].items()})

    def load_stage(self, state: dict[str, Any]) -> None:
        self.left = list(state["left"])
        if self.density is not None:
            self.density.load(state["density"])
