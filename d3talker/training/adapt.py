"""Adaptation (paper 3.5, second stage): fit one identity to a few seconds of video, region by region, then fused."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from d3talker import checkpoint, losses
from d3talker.config import REGIONS, Config, Region, check
from d3talker.dssim import dssim
from d3talker.fields import Deformation
from d3talker.files import read_json, write_json
from d3talker.gaussians import Gaussians
from d3talker.progress import Bar
from d3talker.subject.layout import Frame, Subject
from d3talker.talker import General, Identity, Talker, compose, device_of, total
from d3talker.training.dataset import TrainingSignals, Views, load_views, training_signals
from d3talker.training.density import DensityControl
from d3talker.training.start import start

StageName = Literal["face", "mouth", "fuse"]
STAGES: tuple[StageName, ...] = ("face", "mouth", "fuse")
CHECKPOINT, LOG = "adapt.safetensors", "log.json"
LOG_EVERY = 25
MEANS_LR_END = 0.01  # 3DGS: the centres' learning rate falls a hundredfold
MLP_BETAS, MLP_EPS, MLP_DECAY = (0.9, 0.99), 1e-8, 0.01  # InsTaG


class Adaptation:
    """The state of one adaptation: model, stage, step, random numbers; `run` goes on from wherever it stands."""

    def __init__(
        self, config: Config, views: Views, signals: TrainingSignals, out: Path, seed: int, device: torch.device
    ) -> None:
        check(config)
        self.config, self.views, self.signals, self.out, self.device = config, views, signals, out, device
        self.generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # layers draw their first weights from the global generator
            gaussians = {r: start(r, config.gaussians, views, signals.identity, self.generator) for r in REGIONS}
            self.talker = Talker(config, General(config), Identity(config, gaussians)).to(device)
        self.stage: StageName = "face"
        self.step = 0
        self.seconds = 0.0
        self.log: dict[str, list[float]] = {"stage": [], "step": [], "l1": [], "dssim": [], "points": []}
        self._begin_stage()

    def run(self) -> Talker:
        """Train what is left and return the model."""
        self._resume()
        for stage in STAGES[STAGES.index(self.stage):]:
            if stage != self.stage:
                self.stage, self.step = stage, 0
                self._begin_stage()
            self._run_stage()
        self._save(done=True)
        return self.talker

    def _run_stage(self) -> None:
        steps = self._steps()
        with Bar(f"adapt {self.stage}", steps, self.step) as bar:
            while self.step < steps:
                began = time.perf_counter()
                loss = self._train_step()
                self.seconds += time.perf_counter() - began
                bar.step(status=f"L1 {loss:.4f}, {self.talker.gaussians(self._region()).means.shape[0]} Gaussians")
                if self.step % self.config.schedule.checkpoint_every == 0 and self.step < steps:
                    self._save()

    def _steps(self) -> int:
        return getattr(self.config.schedule, self.stage)

    def _region(self) -> Region:
        return "mouth" if self.stage == "mouth" else "face"

    def _begin_stage(self) -> None:
        self.optimizer = torch.optim.AdamW(self._groups(), fused=True)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        region = self._region()
        self.density = DensityControl(
            self.talker.gaussians(region), self.config.density, region, self.config.gaussians.max_points, self._steps()
        )

    def _groups(self) -> list[dict[str, Any]]:
        t = self.talker
        if self.stage == "fuse":  # InsTaG: nets and geometry stand; face colour and opacity, mouth colour
            groups = [g for r in REGIONS for g in gaussian_groups(t.gaussians(r), self.config) if g["name"] in (
                ("sh", "raw_opacities") if r == "face" else ("sh",))]
            for group in groups:
                group["lr"] = 1e-3 if group["name"] == "raw_opacities" else group["lr"]  # InsTaG
            return groups
        region = self._region()
        groups = gaussian_groups(t.gaussians(region), self.config)
        f = self.config.fields
        groups += field_groups(t.general.fields[region], f.general_grid_lr, f.general_mlp_lr)
        groups += field_groups(t.identity.fields[region], f.individual_grid_lr, f.individual_mlp_lr)
        if region == "face":  # the signals are learnt from the face; the mouth then reads them as they are
            groups.append(mlp_group([*t.general.motion.parameters(), *t.general.audio.parameters(),
                                     *t.general.eyes.parameters()], f.general_mlp_lr))
        return groups

    def _train_step(self) -> float:
        index = int(torch.randint(len(self.views), (1,), generator=self.generator))
        self._set_rates()
        face_or_frame = {"face": self._face_loss, "mouth": self._mouth_loss, "fuse": self._fuse_loss}[self.stage]
        loss, parts = face_or_frame(index)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.stage != "fuse":
            self.density.observe(self.views.camera(index))
        self.optimizer.step()
        self.step += 1
        if self.stage != "fuse":
            self.density.update(self.step, self.optimizer, self.generator)
        value = parts["l1"].item()
        if value != value:  # NaN: stop before a checkpoint is spoilt
            raise FloatingPointError(f"the loss became NaN in stage {self.stage}, step {self.step}; see {self.out / LOG}")
        if self.step % LOG_EVERY == 0:
            self._note(parts)
        return value

    def _set_rates(self) -> None:
        done = self.step / self._steps()
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            decay = {"means": MEANS_LR_END, "field": 0.5}.get(group["name"], 1.0)  # InsTaG: .5^(it/iters) for the nets
            group["lr"] = rate * decay**done

    def _deform(self, region: Region, index: int) -> Deformation | None:
        if self.stage == region and self.step < self.config.schedule.warmup:
            return None
        encoded = self.talker.encode(self.signals.drive.at(index))
        return total(self.talker.deformations(region, encoded))

    def _face_loss(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The head without the inside of the mouth, over a random colour that shows every hole and every excess."""
        delta = self._deform("face", index)
        layer = self.talker.draw("face", self.views.camera(index), delta)
        mask = self.views.head[index][..., None].float()
        color = torch.rand(3, generator=self.generator).to(self.device)
        target = image(self.views.images[index]) * mask + color * (1 - mask)
        return self._image_loss(layer.rgb + (1 - layer.alpha) * color, target, delta, losses.mask_loss(layer.alpha, mask))

    def _mouth_loss(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The inside of the mouth behind the finished face, which does not move any more."""
        camera = self.views.camera(index)
        with torch.no_grad():
            face = self.talker.draw("face", camera, self._deform("face", index))
        delta = self._deform("mouth", index)
        layer = self.talker.draw("mouth", camera, delta)
        mouth = self.views.mouth[index][..., None].float()
        inside = mouth + self.views.head[index][..., None].float()
        color = torch.rand(3, generator=self.generator).to(self.device)
        target = image(self.views.images[index]) * inside + color * (1 - inside)
        return self._image_loss(
            compose(face, layer, color.expand_as(target)), target, delta, ((1 - layer.alpha) * mouth).mean()
        )

    def _fuse_loss(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The whole frame before its real torso and background."""
        camera = self.views.camera(index)
        with torch.no_grad():
            encoded = self.talker.encode(self.signals.drive.at(index))
            deltas = {r: total(self.talker.deformations(r, encoded)) for r in REGIONS}
        layers = [self.talker.draw(r, camera, deltas[r]) for r in REGIONS]
        frame = compose(*layers, image(self.views.backs[index]))
        return self._image_loss(frame, image(self.views.images[index]), None, torch.zeros((), device=self.device))

    def _image_loss(
        self, predicted: Tensor, target: Tensor, delta: Deformation | None, mask: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        weights = self.config.loss
        parts = {"l1": losses.l1(predicted, target), "dssim": dssim(predicted[None], target[None])}
        loss = parts["l1"] + weights.dssim * parts["dssim"] + weights.alpha * mask
        if delta is not None:
            loss = loss + weights.deformation * sum(part.abs().mean() for part in delta if part is not None)
        return loss, parts

    def _note(self, parts: dict[str, Tensor]) -> None:
        self.log["stage"].append(STAGES.index(self.stage))
        self.log["step"].append(self.step)
        for name, value in parts.items():
            self.log[name].append(value.item())
        self.log["points"].append(self.talker.gaussians(self._region()).means.shape[0])

    def _save(self, done: bool = False) -> None:
        write_json(self.out / LOG, {"step": self.log["step"], "stage": self.log["stage"],
                                    "loss": {k: v for k, v in self.log.items() if k not in ("step", "stage")}})
        checkpoint.save(self.out / CHECKPOINT, {
            "config": asdict(self.config), "stage": self.stage, "step": self.step, "done": done, "seconds": self.seconds,
            "model": self.talker.state_dict(), "rng": self.generator.get_state(), "density": self.density.state(),
            "optimizer": [self.optimizer.state.get(p, {}) for g in self.optimizer.param_groups for p in g["params"]],
            "signals": signals_state(self.signals),
        })

    def _resume(self) -> None:
        if not (self.out / CHECKPOINT).exists():
            return
        state = checkpoint.load(self.out / CHECKPOINT, self.device)
        load_model(self.talker, state["model"])
        self.stage, self.step, self.seconds = state["stage"], state["step"], state["seconds"]
        self._begin_stage()
        self.generator.set_state(state["rng"].cpu())
        self.density.load(state["density"])
        parameters = [p for g in self.optimizer.param_groups for p in g["params"]]
        for parameter, kept in zip(parameters, state["optimizer"], strict=True):
            if kept:
                self.optimizer.state[parameter] = kept
        log = read_json(self.out / LOG)
        self.log = {"step": log["step"], "stage": log["stage"], **log["loss"]}


def train_identity(
    config: Config, subject: Subject, frames: Sequence[Frame], out: Path, seed: int
) -> tuple[float, bool]:
    """Adapt to `frames` of a subject in the folder `out`, or go on there, or find it done.

    Returns the seconds of training steps (reading data and saving left out), and whether it was done before.
    """
    if (out / CHECKPOINT).exists():
        state = checkpoint.load(out / CHECKPOINT)
        if state["done"]:
            return state["seconds"], True
    device = device_of(config)
    signals = training_signals(subject, frames, config.signals, device)
    adaptation = Adaptation(config, load_views(subject, frames, device), signals, out, seed, device)
    adaptation.run()
    return adaptation.seconds, False


def image(frame: Tensor) -> Tensor:
    """uint8 [..., 3] -> float32 in [0, 1]."""
    return frame.float() / 255


def gaussian_groups(gaussians: Gaussians, config: Config) -> list[dict[str, Any]]:
    """One Adam group a parameter, with 3DGS' learning rates and epsilon, and no weight decay."""
    g = config.gaussians
    rates = {"means": g.means_lr, "quats": g.quat_lr, "raw_scales": g.scale_lr, "raw_opacities": g.opacity_lr, "sh": g.sh_lr}
    return [
        {"name": name, "params": [getattr(gaussians, name)], "lr": rates[name], "eps": 1e-15, "weight_decay": 0.0}
        for name in gaussians.NAMES
    ]


def mlp_group(parameters: Iterable[nn.Parameter], rate: float) -> dict[str, Any]:
    """InsTaG's AdamW for networks."""
    return {"name": "field", "params": list(parameters), "lr": rate, "betas": MLP_BETAS, "eps": MLP_EPS,
            "weight_decay": MLP_DECAY}


def field_groups(field: nn.Module, grid_rate: float, mlp_rate: float) -> list[dict[str, Any]]:
    """The grid of a field learns faster than its MLPs."""
    grid = {id(p) for p in field.encoder.parameters()}  # type: ignore[union-attr, operator]
    return [
        mlp_group([p for p in field.parameters() if id(p) in grid], grid_rate),
        mlp_group([p for p in field.parameters() if id(p) not in grid], mlp_rate),
    ]


def load_model(talker: Talker, state: dict[str, Tensor]) -> None:
    """Load parameters, whatever number of Gaussians they have."""
    for region in REGIONS:
        gaussians = talker.gaussians(region)
        for name in gaussians.NAMES:
            setattr(gaussians, name, nn.Parameter(state[f"identity.gaussians.{region}.{name}"].clone()))
    talker.load_state_dict(state)


def signals_state(signals: TrainingSignals) -> dict[str, Any]:
    """What test time needs of the training signals."""
    return {"statistics": asdict(signals.statistics), "motion": signals.motion.state(), "eyes": signals.eyes.tolist(),
            "feature_name": signals.feature_name}
