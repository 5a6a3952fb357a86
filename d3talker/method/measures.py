"""What is measured while a training runs, for its log alone: PSNR of a frame it never learns from, how far each field moves, and
how hard each loss pulls at the fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from d3talker.graphics.options import REGIONS, Region
from d3talker.learning.loop import Parts
from d3talker.learning.views import Views, load_views
from d3talker.method import pictures
from d3talker.method.config import SignalConfig
from d3talker.method.driving import Drive, TrainingSignals, drive
from d3talker.method.talker import Talker
from d3talker.people.subject.layout import Frame, Subject

AFTER = 25  # frames behind the last training frame, so that the held-out one is no near copy of it
SPREAD_FRAMES = 8


@dataclass(frozen=True)
class HeldOut:
    """A frame of the train split behind the budget, and the signals that drive it: its sound, and its motion as tracked."""

    views: Views
    drive: Drive
    index: int  # of the frame in `drive`

    @torch.no_grad()
    def psnr(self, talker: Talker) -> Tensor:
        """PSNR in dB of the coarse frame, before the refiner."""
        view, camera = self.views.host(0), self.views.camera(0)
        deltas = pictures.still_deltas(talker, self.drive.at(self.index), {r: talker.anchors(r) for r in REGIONS})
        whole = pictures.whole_picture(talker, camera, view.back.to(camera.viewmat.device), deltas).clamp(0, 1)
        error = (whole - pictures.image(view.image.to(whole.device))).square().mean()
        return -10 * error.clamp_min(1e-10).log10()


def held_out(
    subject: Subject, frames: Sequence[Frame], signals: TrainingSignals, config: SignalConfig, device: torch.device
) -> HeldOut | None:
    """One second behind the last of `frames`, else the last frame there is; None where the budget takes the whole train split."""
    rest = [frame for frame in subject.frames("train") if frame.img_id > frames[-1].img_id]
    if not rest:
        return None
    chosen = rest[min(AFTER, len(rest)) - 1]
    features, expression = subject.features(signals.feature_name), subject.expression()
    reach = max(config.neighbours, config.audio_window)
    first = max(chosen.aud_id - reach, 0)
    rows = np.arange(first, min(chosen.aud_id + reach + 1, len(features), len(expression)))
    units = subject.action_units()[rows]
    audio = signals.statistics.apply(features[rows])
    whole = drive(subject.identity(), expression[rows], audio, units, config, device)
    return HeldOut(load_views(subject, [chosen], device), whole, chosen.aud_id - first)


@torch.no_grad()
def branch_spreads(talker: Talker, region: Region, signals: Drive) -> Parts:
    """How far each field moves a region's Gaussians over a clip, in mm: the standard deviation over frames of their shift, root
    mean square over Gaussians and axes, by the field's name."""
    chosen = torch.linspace(0, len(signals) - 1, min(SPREAD_FRAMES, len(signals))).long().tolist()
    anchors = talker.anchors(region)
    shifts: dict[str, list[Tensor]] = {}
    for index in chosen:
        for name, delta in talker.deformations(region, talker.encode(signals.at(index)), anchors).items():
            shifts.setdefault(name, []).append(delta.means)
    return {
        f"spread/{region}_{name}_mm": 1e3 * torch.stack(means).var(0, correction=0).mean().sqrt()
        for name, means in shifts.items()
    }


def pulls(losses: Mapping[str, Tensor], at: Sequence[Tensor]) -> Parts:
    """Norm of each weighted loss' gradient with respect to the tensors `at`, by the loss' name.  The graph stays."""
    found = {}
    for name, loss in losses.items():
        given = torch.autograd.grad(loss, list(at), retain_graph=True, allow_unused=True) if loss.requires_grad else ()
        parts = [gradient.norm() for gradient in given if gradient is not None]
        found[f"gradient/{name}"] = torch.stack(parts).norm() if parts else torch.zeros(())
    return found
