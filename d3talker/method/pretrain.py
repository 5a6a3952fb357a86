"""Pre-training (paper 3.5, first stage): one General Field and N Individual Fields learn from N people together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from d3talker.errors import UserError
from d3talker.graphics.density import DensityControl
from d3talker.graphics.options import REGIONS, Region
from d3talker.learning.fields import DeformationField, shifts
from d3talker.learning.loop import Loop, Parts, finished
from d3talker.learning.losses import negative_contrast
from d3talker.learning.optimisers import MEANS_HORIZON_PRETRAINING, gaussian_groups, optimiser, set_rates
from d3talker.learning.views import Views, load_views
from d3talker.method import pictures
from d3talker.method.adapt import refiner_trainer
from d3talker.method.config import Config, check
from d3talker.method.contrast import similarity_contrast
from d3talker.method.driving import TrainingSignals, training_signals
from d3talker.method.field_pass import FieldPasses, Passed
from d3talker.method.groups import net_groups, own_groups
from d3talker.method.measures import branch_spreads, pulls
from d3talker.method.sampling import Sample, draw_sample
from d3talker.method.seen import UNSEEN_BY_PRETRAINING, seen
from d3talker.method.shared import CHECKPOINT
from d3talker.method.start import first_identity
from d3talker.method.talker import General, Signals, Talker, device_of, total
from d3talker.people.subject.layout import Subject, common_features


@dataclass(frozen=True)
class Person:
    """One identity of pre-training."""

    name: str
    views: Views
    signals: TrainingSignals


class Pretraining(Loop):
    """The shared training of N identities."""

    title, stages = "pretrain", ("face", "mouth")

    def __init__(
        self, config: Config, people: Sequence[Person], out: Path, seed: int, device: torch.device,
        job: dict[str, Any] | None = None,
    ) -> None:
        check(config)
        if len(people) < 2:
            raise UserError("pre-training needs at least two identities, for its losses tell them apart; give more subjects")
        super().__init__(out, CHECKPOINT, job or {}, seed, config.schedule.checkpoint_seconds, device, config.tensorboard)
        self.config, self.people = config, people
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            general = General(config, people[0].signals.columns)
            identities = [first_identity(config, p.views, p.signals.identity, self.generator) for p in people]
        self.general = general.to(device)
        self.talkers = [Talker(config, self.general, identity.to(device)) for identity in identities]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.refining = refiner_trainer(config, people[0].views, device, self.generator)
        self.average = {name: value.detach().clone() for name, value in self.general.state_dict().items()}

    def steps(self) -> int:
        return getattr(self.config.pretrain, self.stage)

    @property
    def region(self) -> Region:
        """The region that learns."""
        return "mouth" if self.stage == "mouth" else "face"

    def begin_stage(self) -> None:
        region, haste = self.region, self.config.haste
        groups = net_groups(self.general, region, self.config)
        for talker, person in zip(self.talkers, self.people):
            groups += gaussian_groups(talker.gaussians(region), self.config.gaussians, person.views.extent(), haste)
            groups += own_groups(talker.identity, region, self.config)
        self.optimizer = optimiser(groups)
        share = self.steps() // len(self.talkers)
        density = replace(self.config.density, reset_every=0)  # InsTaG resets opacity in adaptation alone
        self.densities = [
            DensityControl(t.gaussians(region), density, region, self.config.gaussians.max_points, share)
            for t in self.talkers
        ]
        self.visits = [0] * len(self.talkers)
        pixels = self.config.loss.mouth_pixels
        self.frames = [p.views.with_mouth(pixels) if region == "mouth" else list(range(len(p.views))) for p in self.people]
        ablation = self.config.ablation
        contrasted = ablation.contrast != "none" and ablation.fields == "both"
        self.passes = [FieldPasses(t, region, contrasted) for t in self.talkers]
        self.learning = self._learning()
        for talker in self.talkers:
            talker.show_bands(self.stage, 0, 0)
        if region == "mouth":  # they see the face as adaptation will find it: its average (InsTaG pretrain_mouth.py:88-92)
            held = {name: value for name, value in self.average.items() if name not in self.learning}
            self.general.load_state_dict(held, strict=False)
        with torch.no_grad():  # the faces stand still while the mouths learn
            self.faces = [t.anchors("face") for t in self.talkers] if region == "mouth" else []

    def _learning(self) -> dict[str, Tensor]:
        """The shared parameters that this stage trains, by name: those alone are averaged."""
        assert self.optimizer is not None
        trained = {id(parameter) for group in self.optimizer.param_groups for parameter in group["params"]}
        return {name: parameter for name, parameter in self.general.named_parameters() if id(parameter) in trained}

    def train_step(self) -> Parts:
        assert self.optimizer is not None
        k = int(torch.randint(len(self.people), (1,), generator=self.generator))
        person, talker = self.people[k], self.talkers[k]
        talker.check_values = self.checks()
        frames = self.frames[k]
        index = frames[int(torch.randint(len(frames), (1,), generator=self.generator))]
        sample = draw_sample(person.views, person.signals.drive, index, self.config.signals, self.generator)
        set_rates(self.optimizer, self.step / self.steps(), horizon=MEANS_HORIZON_PRETRAINING)
        talker.show_bands(self.stage, self.visits[k], self.config.gaussians.sh_every)
        loss, parts = self._loss(k, sample)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.visits[k] += 1
        self.densities[k].observe(self.visits[k], sample.camera)
        self.optimizer.step()
        self.densities[k].update(self.visits[k], self.optimizer, self.splitting)
        talker.follow(self.region, self.visits[k])
        with torch.no_grad():
            torch._foreach_lerp_(
                [self.average[name] for name in self.learning], list(self.learning.values()), 1 - self.config.pretrain.ema
            )
        if self.stage == "mouth" and self.refining is not None:
            parts |= self._refine(k, sample, person.signals.drive.at(index))
        self.points = sum(t.gaussians(self.region).means.shape[0] for t in self.talkers)
        return parts

    def measured(self) -> Parts:
        return branch_spreads(self.talkers[0], self.region, self.people[0].signals.drive)

    def _refine(self, k: int, sample: Sample, signals: Signals) -> Parts:
        """One step of the refiner on this step's frame, whole and coarse; the faces are finished by now (eq. 11)."""
        assert self.refining is not None
        talker = self.talkers[k]
        with torch.no_grad():
            deltas = pictures.still_deltas(talker, signals, {"face": self.faces[k], "mouth": talker.anchors("mouth")})
            coarse = pictures.whole_picture(talker, sample.camera, sample.view.back, deltas).clamp(0, 1)
        parts = self.refining.step(coarse[None], pictures.image(sample.view.image)[None], self.checks())
        return {f"refined {name}": part for name, part in parts.items()}

    def _loss(self, k: int, sample: Sample) -> tuple[Tensor, Parts]:
        """Eq. 12 for identity k, but for the refiner's part."""
        talker, weights = self.talkers[k], self.config.loss
        warming, contrast = self.step < self.config.pretrain.warmup, dict[str, Tensor]()
        moved = talker.rigged(self.region, sample.signals.expression)
        if not warming:
            passed = self.passes[k](sample.signals, sample.kept)
            moved, contrast = passed.parts | moved, self._contrast(k, passed)
        delta = total(moved) if moved else None
        if self.stage == "face":
            hair = pictures.hair_shown(weights.hair_hidden, self.step, self.step / self.steps())
            _, picture, target, mask = pictures.face_picture(talker, sample, delta, hair=hair)
        else:
            face = pictures.still_deltas(talker, sample.signals, {"face": self.faces[k]})["face"]
            _, picture, target, mask = pictures.mouth_picture(talker, sample, face, delta)
        loss, parts = pictures.image_loss(picture, target, sample.lips if self.stage == "face" else None, weights)
        loss = loss + weights.alpha * mask + weights.deformation * pictures.size_loss(moved, self.config.fields.means_scale)
        weighted = {name: getattr(weights, name) * value for name, value in contrast.items()}
        parts |= {name: value.detach() for name, value in contrast.items()}
        if contrast and self.measuring and self.logs():
            fields = [passed.parts[name].means for name in ("general", "individual")]
            parts |= pulls({"image": loss, **weighted}, fields)
        return loss + sum(weighted.values()), parts

    def _contrast(self, k: int, passed: Passed) -> dict[str, Tensor]:
        """The contrastive losses of identity k that its ablation asks for.

        The other identities' fields are queried at these Gaussians, with this identity's region-aware audio feature (eq. 10).
        """
        talker, region, wanted = self.talkers[k], self.region, self.config.ablation.contrast
        losses: dict[str, Tensor] = {}
        if not passed.shared:
            return losses
        others: list[DeformationField] = [t.identity.fields[region] for t in self.talkers if t is not talker]  # type: ignore[misc]
        own, means = passed.parts["individual"].means, talker.gaussians(region).means.detach()
        theirs = shifts(others, means, talker.identity.eye_floor, *passed.shared)
        if wanted in ("both", "similarity"):
            if self.config.loss.others == "still":
                theirs = theirs.detach()
            everyone = torch.cat([theirs[:k], own[None], theirs[k:]])
            losses["similarity"] = similarity_contrast(passed.parts["general"].means, everyone, k, self.config.loss.temperature)
        if wanted in ("both", "negative"):
            unit = 1.0 if self.config.loss.negative_units == "metres" else self.config.fields.means_scale
            losses["negative"] = negative_contrast(own / unit, theirs / unit)
        return losses

    def state(self) -> dict[str, Any]:
        return {
            "config": asdict(self.config), "names": [p.name for p in self.people],
            "features": self.people[0].signals.feature_name, "visits": self.visits,
            "general": self.general.state_dict(), "average": self.average,
            "identities": [t.identity.state_dict() for t in self.talkers],
            "density": [d.state() for d in self.densities],
            "refiner": None if self.refining is None else self.refining.state(),
        }

    def load(self, state: dict[str, Any]) -> None:
        self.general.load_state_dict(state["general"])
        self.average = {name: value.to(self.device) for name, value in state["average"].items()}
        if self.refining is not None:
            self.refining.load(state["refiner"])
        for talker, kept in zip(self.talkers, state["identities"], strict=True):
            for region in REGIONS:
                gaussians = talker.gaussians(region)
                for name in gaussians.NAMES:
                    setattr(gaussians, name, nn.Parameter(kept[f"gaussians.{region}.{name}"].to(self.device)))
            talker.identity.load_state_dict(kept)

    def load_stage(self, state: dict[str, Any]) -> None:
        self.visits = state["visits"]
        for density, kept in zip(self.densities, state["density"], strict=True):
            density.load(kept)


def pretrain(config: Config, subjects: Sequence[Subject], out: Path, seed: int) -> tuple[float, bool]:
    """Pre-train on the train split of `subjects` in the folder `out`, or go on there, or find it done.

    Returns the seconds of training steps, and whether it was done before.  Raises UserError when `out` holds another training.
    """
    job = {
        "subjects": [subject.name for subject in subjects], "data": [subject.data_hash for subject in subjects],
        "options": seen(config, UNSEEN_BY_PRETRAINING),
    }
    before = finished(out / CHECKPOINT, job, seed)
    if before is not None:
        return before, True
    device = device_of(config)
    people = []
    heard = replace(config.signals, features=common_features(subjects, config.signals.features))  # type: ignore[arg-type]
    for subject in subjects:
        frames = subject.frames("train")[:config.pretrain.frames or None]
        signals = training_signals(subject, frames, heard, device)
        people.append(Person(subject.name, load_views(subject, frames, device, 1 / len(subjects)), signals))
    training = Pretraining(config, people, out, seed, device, job)
    training.run()
    return training.seconds, False
