"""Training of a head of two branches, stage by stage; TalkingGaussian and InsTaG say what moves and which losses join."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from baselines.trained.shared import pictures
from baselines.trained.shared.clip import Clip, camera_extent
from baselines.trained.shared.curriculum import Draw
from baselines.trained.shared.head import Head, Moved, composed
from baselines.trained.shared.options import HeadOptions
from baselines.trained.shared.pictures import Shot
from baselines.trained.shared.rates import bent, means_factor, set_rates
from d3talker.graphics.density import DensityControl
from d3talker.graphics.layers import Layer, Posed, draw
from d3talker.graphics.options import REGIONS, DensityConfig, Region
from d3talker.learning.fields import pose
from d3talker.learning.loop import Loop, Parts
from d3talker.learning.losses import mask_loss
from d3talker.learning.optimisers import COLOR, fuse_groups, gaussian_groups, optimiser
from d3talker.learning.patches import crop_loss, load_patch_lpips, patch_loss, patch_size
from d3talker.learning.staging import Shelf

HAIR_SHOWN = 7  # TG train_face.py:173-175: on one step in seven
FACE_PATCH, FINE_PATCH = (32, 48), (16, 21)  # TG: half sides of LPIPS patches at 512 pixels, of the face and of mouth and whole
DENSE, LARGEST = 0.005, 0.1  # TG arguments/__init__.py:86, gaussian_model.py:436: of the extent, split above and pruned above
FACE_GREEN = (30, 225)  # TG train_face.py:268-279: red and blue below, green above, of 255


class HeadTraining(Loop):
    """One person's training; its subclasses name the stages, and what moves in them."""

    title: str
    density: DensityControl | None = None

    def __init__(
        self, options: HeadOptions, head: Head, clip: Clip, out: Path, name: str, seed: int, device: torch.device,
        job: dict[str, Any] | None = None, priors: Shelf | None = None,
    ) -> None:
        """name: of the checkpoint; priors: depth and normals of each frame."""
        super().__init__(out, name, job or {}, seed, options.schedule.checkpoint_seconds, device)
        self.options, self.head, self.clip, self.priors = options, head.to(device), clip, priors
        self.extent = camera_extent(clip.views)
        self.frames = Draw(options.curriculum, clip.measures, clip.views.size)
        w, s = options.loss, options.schedule
        wanted = ((w.lips_lpips or w.face_lpips) and s.face) or (w.mouth_lpips and s.mouth) or (w.fuse_lpips and s.fuse)
        self.lpips, note = load_patch_lpips(device) if wanted else (None, None)
        self.notes = [note] if note else []

    @abstractmethod
    def move(self, region: Region, shot: Shot) -> Moved:
        """How a region moves in the present step."""

    @abstractmethod
    def net_groups(self, region: Region) -> list[dict[str, Any]]:
        """Optimiser groups of the nets that learn in a region's stage."""

    def fuse_groups(self) -> list[dict[str, Any]]:
        """Optimiser groups of nets that learn in the fuse stage."""
        return []

    def net_factor(self, region: Region, done: float) -> float:
        """Factor on the nets' rates."""
        s = self.options.schedule
        return bent(done, s.face_bend) if region == "face" else bent(done, s.mouth_bend, s.mouth_end)

    def further_loss(self, layer: Layer, shot: Shot) -> tuple[Tensor | float, Parts]:
        """What a method adds to a region's loss."""
        return 0.0, {}

    def behind(self, means: Tensor) -> Tensor | None:
        """Gaussians of the face that a method prunes for where they are, bool [N]."""
        return None

    def steps(self) -> int:
        return getattr(self.options.schedule, self.stage)

    @property
    def region(self) -> Region:
        """The region that learns; in the last stage the face stands for the whole."""
        return "mouth" if self.stage == "mouth" else "face"

    @property
    def done(self) -> float:
        """Share of the stage's steps that are over."""
        return self.step / self.steps()

    def begin_stage(self) -> None:
        g, region = self.options.gaussians, self.region
        for gaussians in map(self.head.of, REGIONS):
            gaussians.shown = None
        if self.stage == "fuse":  # the official --opacity_lr has no effect: the loaded optimiser brings its own rate back
            groups = fuse_groups(self.head.of("face"), self.head.of("mouth"), g, opacity_lr=g.opacity_lr) + self.fuse_groups()
            self.density = None
        else:
            groups = gaussian_groups(self.head.of(region), g, self.extent) + self.net_groups(region)
            self.density = DensityControl(self.head.of(region), self.density_options(region), region, g.max_points, self.steps())
        self.optimizer = optimiser(groups)
        self.frames.left.clear()

    def density_options(self, region: Region) -> DensityConfig:
        """The region's density control, with sizes that follow from the extent and pixels from the pictures' size.

        By a head that hardly moves a tenth of the extent would be a few millimetres, and prune the face: 1 cm is the least.
        """
        config = self.options.density if region == "face" else self.options.mouth_density
        radius = config.max_radius * self.clip.views.size[0] / 512
        largest = max(LARGEST * self.extent, config.max_size)
        return replace(config, dense_size=DENSE * self.extent, max_size=largest, max_radius=radius)

    def train_step(self) -> Parts:
        assert self.optimizer is not None
        s, region = self.options.schedule, self.region
        warm = s.regular_from if self.stage != "fuse" else 0.0
        if self.stage == "fuse":
            index = int(torch.randint(len(self.clip), (1,), generator=self.generator))
        else:
            index = self.frames.next(region, self.step, self.done, warm, self.generator)
            self.head.of(region).shown = self.step // s.sh_every
        shot = pictures.take(self.clip, index, self.priors if self.shaped() else None)
        set_rates(self.optimizer, means_factor(self.done, s.means_horizon), self.net_factor(region, self.done))
        step = {"face": self._face, "mouth": self._mouth, "fuse": self._fuse}[self.stage]
        loss, parts, posed = step(shot)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.density is not None:
            assert posed is not None
            self._change(shot, posed)
        else:
            self.optimizer.step()
        self.points = self.head.of(region).means.shape[0]
        return parts

    def shaped(self) -> bool:
        """Whether depth and normals join in the present step."""
        return False

    def colours_alone(self) -> bool:
        """Whether the mouth is at its end, where its colours alone learn."""
        return self.stage == "mouth" and self.done >= self.options.schedule.colours_from

    def _change(self, shot: Shot, posed: Posed) -> None:
        """The optimiser's step, and what changes the number of Gaussians after it."""
        assert self.optimizer is not None and self.density is not None
        after = self.step + 1
        if self.colours_alone():
            for group in self.optimizer.param_groups:
                if group["name"] not in COLOR:
                    for parameter in group["params"]:
                        parameter.grad = None
            self.optimizer.step()
            return
        self.density.observe(after, shot.camera, posed)
        self.optimizer.step()
        self.density.update(after, self.optimizer, self.splitting)
        self._prune(after, shot)

    @torch.no_grad()
    def _prune(self, after: int, shot: Shot) -> None:
        """Prune what shows the green behind the branches, and what lies where a method wants nothing."""
        assert self.optimizer is not None and self.density is not None
        density, s, gaussians = self.density, self.options.schedule, self.head.of(self.region)
        if after < density.config.start or after % density.config.every:
            return
        posed = pose(gaussians, shot.camera.viewmat, None)
        if self.region == "face":
            away = pictures.is_green(posed, *FACE_GREEN)
            behind = self.behind(posed.means)
            density.keep(self.optimizer, ~away if behind is None else ~(away | behind))
        elif after < density.stop and self.done >= s.damp_from:
            density.keep(self.optimizer, ~pictures.is_green(posed, *s.damp_green))

    def _posed(self, region: Region, shot: Shot, moved: Moved) -> Posed:
        posed = pose(self.head.of(region), shot.camera.viewmat, moved.delta)
        if not posed.means.is_leaf:
            posed.means.retain_grad()  # density control looks at where a centre was drawn, not at what nets send back
        return posed

    def _face(self, shot: Shot) -> tuple[Tensor, Parts, Posed]:
        s, w, moved = self.options.schedule, self.options.loss, self.move("face", shot)
        posed = self._posed("face", shot, moved)
        layer = draw(posed, shot.camera, normals=shot.prior is not None, check_values=self.checks())
        picture, target = pictures.over(layer, pictures.green(layer.rgb)), pictures.face_target(shot)
        hair_shown = not (s.hair[0] < self.done < s.hair[1] and self.step % HAIR_SHOWN)
        if not hair_shown:
            picture, target = pictures.without_hair(shot, picture, target)
        loss, parts = pictures.image_loss(picture, target, w.dssim)
        if self.done >= s.regular_from:
            loss = loss + w.motion * moved.size + w.alpha * mask_loss(layer.alpha, shot.head)
            if moved.colors is not None:
                loss = loss + pictures.attention_losses(posed, moved.colors, shot, w, hair_shown, self.checks())
        if self.lpips is not None and self.done >= s.face_lpips_from:
            loss = loss + self._face_lpips(shot, picture, target)
        further, more = self.further_loss(layer, shot)
        return loss + further, parts | more, posed

    def _face_lpips(self, shot: Shot, picture: Tensor, target: Tensor) -> Tensor | float:
        """LPIPS of the lips' box, and of patches in which that box is painted out."""
        assert self.lpips is not None
        w, loss = self.options.loss, 0.0  # type: Any, Any
        if w.lips_lpips:
            loss = loss + w.lips_lpips * crop_loss(self.lpips, picture, target, shot.lips)
        if w.face_lpips:
            box, color = pictures.in_box(shot), pictures.green(picture)
            size = patch_size(*FACE_PATCH, picture.shape[0], self.generator)
            painted, wanted = (torch.where(box, color, one) for one in (picture, target))
            loss = loss + w.face_lpips * patch_loss(self.lpips, painted, wanted, size)
        return loss

    def _fine_lpips(self, weight: float, picture: Tensor, target: Tensor) -> Tensor | float:
        """LPIPS of small patches of mouth or whole."""
        if self.lpips is None or not weight:
            return 0.0
        return weight * patch_loss(self.lpips, picture, target, patch_size(*FINE_PATCH, picture.shape[0], self.generator))

    def _mouth(self, shot: Shot) -> tuple[Tensor, Parts, Posed]:
        s, w, moved = self.options.schedule, self.options.loss, self.move("mouth", shot)
        posed = self._posed("mouth", shot, moved)
        layer = draw(posed, shot.camera, check_values=self.checks())
        back = pictures.green(layer.rgb) * (not self.colours_alone())
        picture, target = pictures.mouth_pictures(shot, layer, back, self.done >= s.closed_from)
        loss, parts = pictures.image_loss(picture, target, w.dssim)
        if self.done >= s.regular_from:
            loss = loss + w.motion * moved.size + w.alpha * pictures.mouth_alpha_loss(layer, shot)
        if self.done >= s.mouth_lpips_from:
            loss = loss + self._fine_lpips(w.mouth_lpips, picture, target)
        further, more = self.further_loss(layer, shot)
        return loss + further, parts | more, posed

    def _fuse(self, shot: Shot) -> tuple[Tensor, Parts, None]:
        face, mouth = (
            draw(pose(self.head.of(r), shot.camera.viewmat, self.move(r, shot).delta), shot.camera, check_values=self.checks())
            for r in REGIONS
        )
        whole = composed(face, mouth, shot.back)
        loss, parts = pictures.image_loss(whole, shot.target, self.options.loss.dssim)
        if self.done >= self.options.schedule.fuse_lpips_from:
            loss = loss + self._fine_lpips(self.options.loss.fuse_lpips, whole, shot.target)
        return loss, parts, None

    def state(self) -> dict[str, Any]:
        return {
            "config": asdict(self.options), "model": self.head.state_dict(), "frames": self.frames.state(),
            "density": None if self.density is None else self.density.state(), "hearing": self.clip.hearing.state(),
            "eyes": self.clip.eyes.tolist(), "columns": self.clip.drive.features.shape[-1],
            "notes": self.notes,
        }

    def load(self, state: dict[str, Any]) -> None:
        self.head.load({name: value.to(self.device) for name, value in state["model"].items()})

    def load_stage(self, state: dict[str, Any]) -> None:
        self.frames.load(state["frames"])
        if self.density is not None:
            self.density.load(state["density"])
