"""Adaptation (paper 3.5, second stage): fit one identity to a few seconds of video, region by region, then fused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from d3talker.errors import UserError
from d3talker.files import sha256_file
from d3talker.graphics.density import DensityControl
from d3talker.graphics.options import REGIONS, Region
from d3talker.learning.loop import Loop, Parts, finished
from d3talker.learning.losses import geometry
from d3talker.learning.optimisers import fuse_groups, gaussian_groups, optimiser, set_rates
from d3talker.learning.priors import load_priors
from d3talker.learning.staging import Shelf, room, send
from d3talker.learning.views import Views, load_views
from d3talker.method import pictures
from d3talker.method.config import Config, SignalConfig, check
from d3talker.method.driving import Drive, TrainingSignals, training_signals
from d3talker.method.field_pass import FieldPasses
from d3talker.method.groups import net_groups, own_groups
from d3talker.method.measures import HeldOut, branch_spreads, held_out
from d3talker.method.refine import RefinerTrainer, load_perceptual
from d3talker.method.refiner import Refiner
from d3talker.method.sampling import Sample, draw_sample
from d3talker.method.seen import UNSEEN_BY_ADAPTATION, seen
from d3talker.method.shared import CHECKPOINT as PRETRAINED
from d3talker.method.shared import Shared, load_general
from d3talker.method.start import first_identity
from d3talker.method.talker import General, Talker, device_of, total
from d3talker.people.motion.model import checkpoint_of
from d3talker.people.subject.layout import Frame, Subject

CHECKPOINT = "adapt.safetensors"
GENERAL_HELD = 0.3  # InsTaG train_face.py:55-56: the shared nets learn at a tenth until step 3000 of 10000
GEOMETRY_FROM = 0.5  # InsTaG: from step 5000 of 10000


class Adaptation(Loop):
    """One identity's training.  `general`: what a pre-training left (see `load_general`), or None to learn all of it here."""

    title, stages = "adapt", ("face", "mouth", "fuse", "refine")

    density: DensityControl | None = None  # there is none in the refiner's stage

    def __init__(
        self, config: Config, views: Views, signals: TrainingSignals, priors: Shelf | None, out: Path, seed: int,
        device: torch.device, general: Shared | None = None, job: dict[str, Any] | None = None, held: HeldOut | None = None,
    ) -> None:
        """held: a frame that is looked at for the log, where the configuration asks for that."""
        check(config)
        super().__init__(out, CHECKPOINT, job or {}, seed, config.schedule.checkpoint_seconds, device, config.tensorboard)
        self.config, self.views, self.signals, self.priors, self.held = config, views, signals, priors, held
        self.pretrained = general is not None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # layers draw their first weights from the global generator
            shared = General(config, signals.columns)
            own = first_identity(config, views, signals.identity, self.generator)
            self.talker = Talker(config, shared, own).to(device)
            torch.manual_seed(seed)  # whatever was drawn for the fields, the refiner starts the same
            self.refining = refiner_trainer(config, views, device, self.generator)
        if general is not None:
            self.talker.general.load_state_dict(general.general)
            if self.refining is not None:
                self.refining.start_from(general.refiner)

    def steps(self) -> int:
        if self.stage == "refine":
            return 0 if self.refining is None else self.config.refiner.steps
        return getattr(self.config.schedule, self.stage)

    @property
    def region(self) -> Region:
        """The region that learns; in the last stage the face stands for the whole."""
        return "mouth" if self.stage == "mouth" else "face"

    def begin_stage(self) -> None:
        t, region = self.talker, self.region
        still: dict[str, tuple[Region, ...]] = {"face": (), "mouth": ("face",)}
        with torch.no_grad():  # of the regions whose centres and fields do not learn in this stage
            self.anchors = {r: t.anchors(r) for r in still.get(self.stage, REGIONS)}
        self.frames = self.views.with_mouth(self.config.loss.mouth_pixels) if region == "mouth" else list(range(len(self.views)))
        t.show_bands(self.stage, 0, 0)
        if self.stage == "refine":
            self.optimizer = self.density = None  # the refiner's trainer has its own optimiser
            self.coarse = Shelf(self._coarse, len(self.views), room(), batch=0)
            return
        if self.stage == "fuse":
            groups = fuse_groups(t.gaussians("face"), t.gaussians("mouth"), self.config.gaussians, self.config.haste)
        else:
            groups = gaussian_groups(t.gaussians(region), self.config.gaussians, self.views.extent(), self.config.haste)
            groups += net_groups(t.general, region, self.config) + own_groups(t.identity, region, self.config)
            self.passes = FieldPasses(t, region)
        self.optimizer = optimiser(groups)
        self.density = DensityControl(
            t.gaussians(region), self.config.density, region, self.config.gaussians.max_points, self.steps()
        )

    def train_step(self) -> Parts:
        self.talker.check_values = self.checks()
        return self._refine_step() if self.refining is not None and self.stage == "refine" else self._field_step()

    def measured(self) -> Parts:
        if self.stage == "refine":
            return {}
        parts = branch_spreads(self.talker, self.region, self.signals.drive)
        return parts if self.held is None else parts | {"held_out/psnr": self.held.psnr(self.talker)}

    def _refine_step(self) -> Parts:
        """Fine-tune the refiner on finished coarse frames (eq. 11)."""
        assert self.refining is not None
        chosen = self.refining.pick(len(self.views)).tolist()
        pairs = [torch.stack(part) for part in zip(*((self.coarse[i][0], self.views.host(i).image) for i in chosen), strict=True)]
        coarse, target = send(pairs, self.device)
        return self.refining.step(coarse, pictures.image(target), self.checks())

    @torch.no_grad()
    def _coarse(self, chosen: Sequence[int]) -> list[tuple[Tensor]]:
        """Coarse frames on the host: nothing that they depend on learns any more."""
        made = []
        for index in chosen:
            back, = send([self.views.host(index).back], self.device)
            deltas = pictures.still_deltas(self.talker, self.signals.drive.at(index), self.anchors)
            whole = pictures.whole_picture(self.talker, self.views.camera(index), back, deltas)
            made.append((whole.clamp(0, 1).cpu(),))
        return made

    def _field_step(self) -> Parts:
        assert self.optimizer is not None and self.density is not None
        done = self.step / self.steps()
        shaped = self.stage == "face" and self.priors is not None and done >= GEOMETRY_FROM
        index = self.frames[int(torch.randint(len(self.frames), (1,), generator=self.generator))]
        options = None if self.stage == "fuse" else self.config.signals
        sample = draw_sample(self.views, self._drive(), index, options, self.generator, self.priors if shaped else None)
        slow = self.config.fields.adapt_lr_scale if self.pretrained and done < GENERAL_HELD else 1.0
        set_rates(self.optimizer, done, slow)
        self.talker.show_bands(self.stage, self.step, self.config.gaussians.sh_every)
        loss, parts = self._loss(sample)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.stage != "fuse":
            self.density.observe(self.step + 1, sample.camera)
        self.optimizer.step()
        if self.stage != "fuse":
            self.density.update(self.step + 1, self.optimizer, self.splitting)
            self.talker.follow(self.region, self.step + 1)
        self.points = self.talker.gaussians(self.region).means.shape[0]
        return parts

    def _drive(self) -> Drive:
        """What drives this step: motion as tracked, or as heard."""
        share, heard = self.config.signals.heard_share, self.signals.heard
        if heard is None or (share < 1 and torch.rand((), generator=self.generator) >= share):
            return self.signals.drive
        return heard

    def _loss(self, sample: Sample) -> tuple[Tensor, Parts]:
        """Eq. 13, and the small regularisers of InsTaG."""
        talker, weights = self.talker, self.config.loss
        if self.stage == "fuse":
            deltas = pictures.still_deltas(talker, sample.signals, self.anchors)
            whole = pictures.whole_picture(talker, sample.camera, sample.view.back, deltas, sample.view.mouth)
            return pictures.image_loss(whole, pictures.image(sample.view.image), sample.lips, weights)
        moved = talker.rigged(self.region, sample.signals.expression)
        if self.pretrained or self.step >= self.config.schedule.warmup:
            moved = self.passes(sample.signals, sample.kept).parts | moved
        delta = total(moved) if moved else None
        if self.stage == "face":
            hair = pictures.hair_shown(weights.hair_hidden, self.step, self.step / self.steps())
            layer, *rest = pictures.face_picture(talker, sample, delta, sample.prior is not None, hair)
        else:
            face = pictures.still_deltas(talker, sample.signals, self.anchors)["face"]
            layer, *rest = pictures.mouth_picture(talker, sample, face, delta)
        picture, target, mask = rest
        loss, parts = pictures.image_loss(picture, target, sample.lips if self.stage == "face" else None, weights)
        loss = loss + weights.alpha * mask + weights.deformation * pictures.size_loss(moved, self.config.fields.means_scale)
        if sample.prior is not None:
            normal, depth = geometry(layer, sample.prior.normals, sample.prior.depth)
            loss = loss + weights.normal * normal + weights.depth * depth
            parts |= {"normal": normal.detach(), "depth": depth.detach()}
        return loss, parts

    def state(self) -> dict[str, Any]:
        return {
            "config": asdict(self.config), "model": self.talker.state_dict(),
            "density": None if self.density is None else self.density.state(),
            "signals": self.signals.state(), "pretrained": self.pretrained, "size": list(self.views.size),
            "refiner": None if self.refining is None else self.refining.state(),
        }

    def load(self, state: dict[str, Any]) -> None:
        load_model(self.talker, {name: value.to(self.device) for name, value in state["model"].items()})
        if self.refining is not None:
            self.refining.load(state["refiner"])

    def load_stage(self, state: dict[str, Any]) -> None:
        if self.density is not None:
            self.density.load(state["density"])


def train_identity(
    config: Config, subject: Subject, frames: Sequence[Frame], out: Path, seed: int, general: Path | None = None,
    motion: Path | None = None,
) -> tuple[float, bool]:
    """Adapt to `frames` of a subject in the folder `out`, or go on there, or find it done.

    general: folder of a finished pre-training; motion: model of `d3talker motion train`, or its folder.  Returns the seconds of
    training steps (reading data, compiling kernels and saving left out), and whether it was done before.  Raises UserError
    when `out` holds another training.
    """
    job = {
        "options": seen(config, UNSEEN_BY_ADAPTATION), "data": subject.data_hash, "frames": [frame.img_id for frame in frames],
        "general": None if general is None else sha256_file(general / PRETRAINED),
        "motion": None if motion is None else sha256_file(checkpoint_of(motion)),
    }
    before = finished(out / CHECKPOINT, job, seed)
    if before is not None:
        return before, True
    device = device_of(config)
    shared = None if general is None else load_general(general)
    signals = training_signals(subject, frames, _heard(config, shared, general), device, motion)
    held = held_out(subject, frames, signals, config.signals, device) if config.tensorboard else None
    adaptation = Adaptation(
        config, load_views(subject, frames, device), signals, load_priors(subject, frames), out, seed, device, shared, job, held,
    )
    adaptation.run()
    return adaptation.seconds, False


def _heard(config: Config, shared: Shared | None, general: Path | None) -> SignalConfig:
    """The signals' options, with the audio features that the pre-training heard.  Raises UserError where others are asked for."""
    wanted = config.signals.features
    if shared is None or wanted == shared.features:
        return config.signals
    if wanted != "auto":
        raise UserError(f"{general} was pre-trained on {shared.features} features, {wanted} are asked for; pre-train on these")
    return replace(config.signals, features=shared.features)  # type: ignore[arg-type]


def refiner_trainer(
    config: Config, views: Views, device: torch.device, generator: torch.Generator
) -> RefinerTrainer | None:
    """The coarse-to-fine module for frames of this size with its optimiser, or None where the ablation leaves it out."""
    if config.ablation.refiner == "off":
        return None
    height, width = views.size
    if height != width:
        raise UserError(f"the refiner needs square frames, these are {width}x{height}; give --model.ablation.refiner off")
    backbone, note = load_perceptual(device)
    return RefinerTrainer(Refiner(height, config.refiner), config.refiner, device, generator, backbone, note)


def load_model(talker: Talker, state: dict[str, Tensor]) -> None:
    """Load parameters, whatever number of Gaussians they have."""
    for region in REGIONS:
        gaussians = talker.gaussians(region)
        for name in gaussians.NAMES:
            setattr(gaussians, name, nn.Parameter(state[f"identity.gaussians.{region}.{name}"].clone()))
    talker.load_state_dict(state)
