"""One network that moves one region by sound: TalkingGaussian's, InsTaG's universal and InsTaG's personal ones are its settings."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from baselines.trained.shared.options import NetConfig
from d3talker.graphics.options import EncodingConfig, Region
from d3talker.learning.encoders import AudioEncoder, EyeEncoder, mlp, plain
from d3talker.learning.fields import Anchors, Deformation, DeformationField

ALL = ("means", "quats", "scales", "opacities")  # eleven numbers; the opacity is predicted and never applied
ATTENTION_FACTOR = 5  # TG motion_net.py:225: the audio attention learns five times as fast as the other layers


class Signals(NamedTuple):
    """What drives one frame: audio features [window, 16, C]; action units 1, 4, 5, 6, 7 (0 to 5) and 45 (0 to 2), [6]."""

    audio: Tensor
    eyes: Tensor


class Heard(NamedTuple):
    """One frame's signals as a net encodes them: audio [width], eyes [6]."""

    audio: Tensor
    eyes: Tensor


class MotionNet(nn.Module):
    """Hash grid, audio encoder, eye encoder, gates and decoder of one region (TG scene/motion_net.py; IT the same with options).

    The mouth has neither gates nor eyes.  InsTaG's hears three numbers of how the face moves, which also scale its shift.
    """

    def __init__(
        self, region: Region, config: NetConfig, columns: int, hidden: int, attributes: tuple[str, ...] = ALL, *,
        gated: bool = True, eyes: bool = True, hooked: bool = False, encoding: EncodingConfig | None = None,
    ) -> None:
        """columns: of the audio features; hooked: hears those three numbers; encoding: another grid than the region's."""
        super().__init__()
        grid: EncodingConfig = encoding or (config.encoding if region == "face" else config.mouth_encoding)
        self.audio = AudioEncoder(columns, config.width, config.window)
        if config.first_weights == "torch":
            plain(self.audio)
        self.eye_net = EyeEncoder() if eyes else None
        self.field = DeformationField(
            region, grid, config.width, hidden, config.means_scale, attributes, gated=gated, eyes=eyes,
            further=HOOK if hooked else 0, still=False,
        )
        self.scaler = mlp(self.field.encoder.width + HOOK, 16, 16, 1) if hooked else None

    def hear(self, signals: Signals) -> Heard:
        """Encode one frame's signals."""
        return Heard(self.audio(signals.audio), signals.eyes if self.eye_net is None else self.eye_net(signals.eyes))

    def move(self, anchors: Anchors, heard: Heard, hook: Tensor | None = None) -> Deformation:
        """The deformation of Gaussians with these anchors; hook [3]: how the face moves."""
        moved = self.field(anchors, heard.audio, heard.eyes, hook)
        if self.scaler is None:
            return moved
        assert hook is not None
        scale = self.scaler(torch.cat([anchors.position, hook.expand(len(anchors.position), -1)], 1))
        return moved._replace(means=moved.means * 2 * torch.sigmoid(scale))

    def groups(self, name: str, grid_lr: float, mlp_lr: float, **common: Any) -> list[dict[str, Any]]:
        """Optimiser groups: grid, audio attention, all else."""
        grid = list(self.field.encoder.parameters())
        attention = self.audio.over_time()
        apart = {id(p) for p in (*grid, *attention)}
        rest = [p for p in self.parameters() if id(p) not in apart]
        decay = common.pop("decay", (0.0, 0.0))
        return [
            {"name": name, "params": grid, "lr": grid_lr, "weight_decay": decay[0], **common},
            {"name": name, "params": attention, "lr": ATTENTION_FACTOR * mlp_lr, "weight_decay": decay[1], **common},
            {"name": name, "params": rest, "lr": mlp_lr, "weight_decay": 0.0, **common},
        ]

    def net_groups(self, config: NetConfig) -> list[dict[str, Any]]:
        """The groups of a net in AdamW of its own (TG train_face.py:57, motion_net.py:216-233)."""
        return self.groups(
            "net", config.grid_lr, config.mlp_lr, betas=(0.9, 0.99), eps=1e-8, decay=(config.grid_decay, config.attention_decay)
        )


HOOK = 3  # numbers of InsTaG's Face-Mouth Hook


def attention_colors(anchors: Anchors, second: Anchors | None = None) -> Tensor:
    """Lengths of the audio's and the eyes' gate at each Gaussian, as colours [N, 3] (TG motion_net.py:210-211); the third is the
    eyes' gate of a second net, or 0."""
    assert anchors.attention is not None and anchors.eye_gate is not None
    audio, eyes = (torch.linalg.vector_norm(gate, dim=-1) for gate in (anchors.attention, anchors.eye_gate))
    other = torch.zeros_like(audio)
    if second is not None:
        assert second.eye_gate is not None
        other = torch.linalg.vector_norm(second.eye_gate, dim=-1)
    return torch.stack([audio, eyes, other], 1)
