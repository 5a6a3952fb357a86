"""InsTaG: pre-training on several people, adaptation to one, and from that to frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.trained.instag.nets import hook, personal_nets, universal_nets
from baselines.trained.instag.options import ADAPTATION, InsTaGOptions, check, pretraining
from baselines.trained.instag.pretraining import CHECKPOINT as PRETRAINED
from baselines.trained.instag.pretraining import InsTaGPretrainingRun
from baselines.trained.instag.training import CHECKPOINT, InsTaGTraining, asked
from baselines.trained.shared.clip import Drive, load_clip
from baselines.trained.shared.head import Head, composed, no_gaussians
from baselines.trained.shared.job import NEUTRAL, TEST_TIME, first_gaussians, job_of
from baselines.trained.shared.trained import TrainedBaseline
from d3talker import checkpoint
from d3talker.errors import UserError
from d3talker.files import sha256_file
from d3talker.graphics.layers import Camera, Layer, draw
from d3talker.graphics.options import REGIONS
from d3talker.learning.contract import device_named
from d3talker.learning.fields import pose
from d3talker.learning.loop import finished
from d3talker.learning.priors import load_priors
from d3talker.options import ALL, without
from d3talker.people.subject.layout import Frame, Subject, common_features

STAGE = "encode, deform, rasterise, compose"
DILATION = 13  # pixels at 512: --dilate of synthesize_fuse.py, which the few-shot script gives


def train(
    options: InsTaGOptions, subject: Subject, frames: Sequence[Frame], out: Path, seed: int, general: Path | None = None
) -> tuple[float, bool]:
    """Adapt to `frames` in `out`, or go on there, or find it done; the seconds of steps, and whether it was done before.

    general: folder of a finished pre-training; None learns the universal nets here.  Raises UserError when `out` holds another
    training, and where the pre-training is unfinished or heard other audio features.
    """
    check(options)
    origin = None if general is None else sha256_file(general / PRETRAINED)
    job = job_of(options, subject, frames, {"pretrain": ALL}, general=origin)
    before = finished(out / CHECKPOINT, job, seed)
    if before is not None:
        return before, True
    device, shared = device_named(options.device), None if general is None else load_general(general)
    wanted = _heard(options.features, shared, general)
    clip = load_clip(subject, frames, wanted, options.nets.window, device)
    columns = clip.drive.features.shape[-1]
    gaussians = first_gaussians(options.gaussians, clip, subject, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # layers draw their first weights from the global generator
        head = Head(gaussians, universal_nets(options, columns) | personal_nets(options, columns))
    if shared is not None:
        head.nets.load_state_dict(shared["average"], strict=False)
    priors = load_priors(subject, frames) if options.loss.normal or options.loss.depth else None
    training = InsTaGTraining(options, head, clip, out, CHECKPOINT, seed, device, job, priors)
    training.pretrained = shared is not None
    if shared is None:
        training.notes.append("Without pre-training: everything was learnt from this subject.")
    if priors is None:
        training.notes.append("Without geometry losses: the subject has neither Sapiens' output nor a fitted face model.")
    training.run()
    return training.seconds, False


def load_general(run: Path) -> dict[str, Any]:
    """A finished pre-training.  Raises UserError when it is missing or unfinished."""
    state = checkpoint.load(run / PRETRAINED)
    if not state["done"]:
        raise UserError(f"the pre-training in {run} is not finished; run the same d3talker pretrain command again to go on")
    return state


def _heard(wanted: str, shared: dict[str, Any] | None, general: Path | None) -> str:
    """The audio features that the pre-training heard.  Raises UserError where others are asked for."""
    name = None if shared is None else shared["hearing"]["name"]
    if name is None or wanted == name:
        return wanted
    if wanted != "auto":
        raise UserError(f"{general} was pre-trained on {name} features, {wanted} are asked for; pre-train on these")
    return name


def pretrain(options: InsTaGOptions, subjects: Sequence[Subject], out: Path, seed: int) -> tuple[float, bool]:
    """Pre-train on the train split of `subjects` in `out`, or go on there, or find it done; as `train`."""
    check(options)
    seen = without(without(without(asdict(options), NEUTRAL), TEST_TIME), ADAPTATION)
    job = {"subjects": [s.name for s in subjects], "data": [s.data_hash for s in subjects], "options": seen}
    before = finished(out / PRETRAINED, job, seed)
    if before is not None:
        return before, True
    device, wanted = device_named(options.device), common_features(subjects, options.features)
    heads, clips = [], []
    config = pretraining(options)
    for number, subject in enumerate(subjects):
        frames = subject.frames("train")[:options.pretrain.frames or None]
        clip = load_clip(subject, frames, wanted, options.nets.window, device, 1 / len(subjects))
        gaussians = first_gaussians(config.gaussians, clip, subject, seed + number)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + number)
            heads.append(Head(gaussians, personal_nets(options, clip.drive.features.shape[-1])))
        clips.append(clip)
    training = InsTaGPretrainingRun(options, heads, clips, out, seed, device, job)
    training.run()
    return training.seconds, False


class TrainedInsTaG(TrainedBaseline):
    """A finished adaptation, ready to render."""

    def __init__(self, run: Path, options: InsTaGOptions | None = None, device: str = "auto") -> None:
        super().__init__(run / CHECKPOINT, InsTaGOptions, options, device)
        o, columns = self.options, self.state["columns"]
        self.window = o.nets.window
        nets = universal_nets(o, columns) | personal_nets(o, columns)
        self.head = Head({r: no_gaussians(o.gaussians) for r in REGIONS}, nets)
        self.head.load(self.state["model"])
        self.ready(self.head)
        with torch.no_grad():  # where Gaussians lie does not change, nor where the aligner has the nets asked
            self.asked = {r: asked(self.head, r, aligned=True, moving=False) for r in REGIONS}
            self.unaligned = self.head.net("face").field.anchors(self.head.of("face").means)

    def stages(self) -> dict[str, Callable[..., Any]]:
        return {STAGE: self._frame}

    @torch.no_grad()
    def _frame(self, drive: Drive, index: int, camera: Camera, back: Tensor) -> Tensor:
        signals, (anchors, _, scale) = drive.at(index), self.asked["face"]
        face = self.head.net("face")
        delta = face.move(anchors, face.hear(signals))._replace(opacities=None)
        assert scale is not None
        delta = delta._replace(means=delta.means * scale)
        front = draw(pose(self.head.of("face"), camera.viewmat, delta), camera)
        mouth = self.head.net("mouth")
        heard = hook(face, self.unaligned, signals.audio, self.options.hook.rank)
        inner = mouth.move(self.asked["mouth"][0], mouth.hear(signals), heard)._replace(quats=None)
        behind = draw(pose(self.head.of("mouth"), camera.viewmat, inner), camera)
        return composed(front, behind, back, dilated(behind)).clamp(0, 1)


def dilated(mouth: Layer) -> Tensor:
    """The mouth's alpha [H, W, 1], widened by a maximum over 13x13 pixels at 512, which hides the torso's picture about it."""
    size = max(round(DILATION * mouth.alpha.shape[0] / 512) // 2 * 2 + 1, 3)
    return F.max_pool2d(mouth.alpha[None, ..., 0], size, 1, size // 2)[0, ..., None]
