"""InsTaG's networks: universal ones that pre-training shares, a personal one of each identity, and the Face-Mouth Hook."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from baselines.trained.instag.options import InsTaGOptions
from baselines.trained.shared.motion_net import ALL, MotionNet, Signals
from d3talker.graphics.options import REGIONS, Region
from d3talker.learning.encoders import EYE_WIDTH, mlp
from d3talker.learning.fields import Anchors

ALIGN_SHIFT = 1e-2  # IT motion_net.py:643: metres
ALIGN_SCALE, ALIGN_SOFT = 0.25, 5.0  # IT motion_net.py:645: 1 + .25 tanh(out / 5)
HOOK_GAIN = 100.0  # IT gaussian_renderer/__init__.py:305-308
ADAM = {"betas": (0.9, 0.999), "eps": 1e-15}  # personal networks sit in the Gaussians' Adam
MOUTH = ("means", "quats")  # seven numbers; the rotation is computed and regularised, never applied


class Personal(MotionNet):
    """One identity's network of a region: in pre-training a motion of its own, in adaptation the Motion Aligner alone (IT
    motion_net.py:518-656)."""

    def __init__(self, region: Region, options: InsTaGOptions, columns: int) -> None:
        p, n = options.personal, options.nets
        face = region == "face"
        hidden = p.hidden if face else p.mouth_hidden
        encoding = n.encoding  # the face's grid for both regions
        super().__init__(region, n, columns, hidden, ALL if face else MOUTH, eyes=face, encoding=encoding)
        self.aligner = mlp(self.field.encoder.width, hidden, 6)

    def align(self, means: Tensor) -> tuple[Tensor, Tensor]:
        """How far from the centres [N, 3] the universal net is asked, in metres; and what its motion there is scaled with."""
        shift, scale = self.aligner(self.field.encoder(means)).split(3, -1)
        return shift * ALIGN_SHIFT, 1 + ALIGN_SCALE * torch.tanh(scale / ALIGN_SOFT)

    def own_groups(self, options: InsTaGOptions) -> list[dict[str, Any]]:
        """Optimiser groups: the aligner learns at half the layers' rate, and nothing is scheduled (IT motion_net.py:662-674)."""
        p, aligner = options.personal, list(self.aligner.parameters())
        groups = self.groups("own", p.grid_lr, p.mlp_lr, **ADAM)
        apart = {id(parameter) for parameter in aligner}
        for group in groups:
            group["params"] = [parameter for parameter in group["params"] if id(parameter) not in apart]
        return [*groups, {"name": "own", "params": aligner, "lr": p.mlp_lr / 2, "weight_decay": 0.0, **ADAM}]

    def aligner_groups(self, options: InsTaGOptions) -> list[dict[str, Any]]:
        """The aligner and the grid that it reads: what learns of it in the fuse stage."""
        rates = ((self.field.encoder, options.personal.grid_lr), (self.aligner, options.personal.mlp_lr / 2))
        return [
            {"name": "own", "params": list(part.parameters()), "lr": rate, "weight_decay": 0.0, **ADAM} for part, rate in rates
        ]


def universal_nets(options: InsTaGOptions, columns: int) -> dict[str, nn.Module]:
    """TalkingGaussian's net for the face; the mouth's hears the hook (IT motion_net.py:356-369); columns: of the audio features."""
    n = options.nets
    return {
        "face": MotionNet("face", n, columns, n.hidden),
        "mouth": MotionNet("mouth", n, columns, n.mouth_hidden, MOUTH, gated=False, eyes=False, hooked=True),
    }


def personal_nets(options: InsTaGOptions, columns: int) -> dict[str, nn.Module]:
    """The personal networks of one identity by name."""
    return {own(region): Personal(region, options, columns) for region in REGIONS}


def own(region: Region) -> str:
    """Name of a region's personal network."""
    return f"own_{region}"


@torch.no_grad()
def hook(face: MotionNet, anchors: Anchors, audio: Tensor, rank: int) -> Tensor:
    """Face-Mouth Hook [3]: the rank-th largest vertical shift in metres that a net predicts for the face's Gaussians by a window of
    audio features, with still eyes; the rank-th smallest; their difference; all times 100.

    anchors: of the face's centres, unaligned.  (The official code does so in training, and takes the frame's own motion at test.)
    """
    heard = face.hear(Signals(audio, audio.new_zeros(EYE_WIDTH)))
    return hooked(face.move(anchors, heard).means[:, 1], rank)


def hooked(vertical: Tensor, rank: int) -> Tensor:
    """The same from the vertical shifts [N] themselves; with fewer than `rank` Gaussians, the last."""
    rank = min(rank, len(vertical))
    high, low = vertical.topk(rank).values[-1], vertical.topk(rank, largest=False).values[-1]
    return HOOK_GAIN * torch.stack([high, low, high - low])
