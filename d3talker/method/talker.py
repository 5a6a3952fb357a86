"""The model: what all identities share (General), what belongs to one (Identity), and how both draw a frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from d3talker.graphics.gaussians import Gaussians
from d3talker.graphics.layers import Camera, Layer, Posed, draw
from d3talker.graphics.options import REGIONS, Region
from d3talker.learning.contract import device_named
from d3talker.learning.encoders import AudioEncoder, EyeEncoder
from d3talker.learning.fields import Anchors, Deformation, DeformationField, pose
from d3talker.method.config import Config, FieldConfig
from d3talker.method.rig import HeadRig
from d3talker.method.signals import MotionEncoder

ATTRIBUTES = {  # ablation `attributes` -> what the face's fields predict (paper Table 4, rows 14-16); the mouth's always means
    "mu": ("means",),
    "mu_r_s": ("means", "quats", "scales"),
    "all": ("means", "quats", "scales", "opacities", "sh"),
}

GENERAL_ATTRIBUTES = "mu_r_s"  # paper 3.1; the ablation of attributes is the Individual Field's alone (4.4)


class Signals(NamedTuple):
    """What drives one frame: PNCC differences [2j+1, 3, S, S]; audio features [window, 16, C]; eye units [6]; expression [E] of
    the fitted head, which the rig alone reads."""

    motion: Tensor
    audio: Tensor
    eyes: Tensor
    expression: Tensor


class General(nn.Module):
    """Shared by all identities: the signal encoders and the General Fields of both regions."""

    def __init__(self, config: Config, audio_columns: int) -> None:
        """audio_columns: of the audio features, 29 for DeepSpeech's."""
        super().__init__()
        f, width = config.fields, config.signals.width
        self.motion = MotionEncoder(config.signals)
        self.audio = AudioEncoder(audio_columns, width, config.signals.audio_window)
        self.eyes = EyeEncoder()
        self.fields = nn.ModuleDict(
            {r: build_field(r, f, width, f.general_hidden, GENERAL_ATTRIBUTES) for r in REGIONS}
        )

    def encoders(self) -> list[nn.Module]:
        """The signal encoders, without the fields."""
        return [self.motion, self.audio, self.eyes]


class Identity(nn.Module):
    """One person: static Gaussians and Individual Fields of both regions, and their head where the rig is on.

    eye_floor: height of the nose's foot, y in metres.  rig: that head, with the Gaussians bound to it.
    """

    eye_floor: Tensor

    def __init__(
        self, config: Config, gaussians: Mapping[Region, Gaussians], eye_floor: float = 0.0, rig: HeadRig | None = None
    ) -> None:
        super().__init__()
        f, width = config.fields, config.signals.width
        self.register_buffer("eye_floor", torch.tensor(eye_floor))
        self.gaussians = nn.ModuleDict({str(region): part for region, part in gaussians.items()})
        self.fields = nn.ModuleDict(
            {r: build_field(r, f, width, f.individual_hidden, config.ablation.attributes) for r in REGIONS}
        )
        self.rig = rig


class Talker(nn.Module):
    """General and one Identity together: signals -> deformed Gaussians -> picture (eq. 3-9)."""

    def __init__(self, config: Config, general: General, identity: Identity) -> None:
        super().__init__()
        self.config, self.general, self.identity = config, general, identity
        self.dropped: Literal["", "general", "individual"] = ""  # a finished model's field whose deformation is not applied
        self.check_values = True  # look for NaN in what is drawn, which on CUDA waits for the card

    def gaussians(self, region: Region) -> Gaussians:
        """The region's static Gaussians."""
        gaussians = self.identity.gaussians[region]
        assert isinstance(gaussians, Gaussians)
        return gaussians

    def show_bands(self, learning: str, step: int, every: int) -> None:
        """Of the region that learns, draw one more band of harmonics after each `every` steps; of others, and for 0, all."""
        for region in REGIONS:
            self.gaussians(region).shown = step // every if every and region == learning else None

    def active_fields(self, region: Region) -> dict[str, DeformationField]:
        """The fields that the ablation leaves on, by name."""
        wanted = self.config.ablation.fields
        if self.dropped:
            wanted = "individual" if self.dropped == "general" else "general"
        both = {"general": self.general.fields[region], "individual": self.identity.fields[region]}
        return {name: field for name, field in both.items() if wanted in ("both", name)}  # type: ignore[misc]

    def anchors(self, region: Region) -> dict[str, Anchors]:
        """What the fields know of the static centres; constant as long as these do not move."""
        means = self.gaussians(region).means.detach()
        fields = self.active_fields(region)
        cells = next(iter(fields.values())).encoder.cells(means)  # both fields of a region have one layout
        return {name: field.anchors(means, self.identity.eye_floor, cells) for name, field in fields.items()}

    def encode(self, signals: Signals) -> dict[str, Tensor]:
        """F_M, F_A and the eyes of one frame, each encoded once for both regions; only what the ablation uses."""
        control = self.config.ablation.control
        encoded = {"eyes": self.general.eyes(signals.eyes), "expression": signals.expression}
        if control != "audio":
            encoded["motion"] = self.general.motion(signals.motion)
        if control != "motion":
            encoded["audio"] = self.general.audio(signals.audio)
        encoded["general"] = encoded["audio" if control == "audio" else "motion"]
        encoded["individual"] = encoded["motion" if control == "motion" else "audio"]
        return encoded

    def deformations(
        self, region: Region, encoded: Mapping[str, Tensor], anchors: Mapping[str, Anchors] | None = None
    ) -> dict[str, Deformation]:
        """delta_G and delta_I of the active fields, and delta_rig where there is a rig, apart."""
        anchors = self.anchors(region) if anchors is None else anchors
        return self.by_fields(region, encoded, anchors) | self.rigged(region, encoded["expression"])

    def by_fields(
        self, region: Region, encoded: Mapping[str, Tensor], anchors: Mapping[str, Anchors]
    ) -> dict[str, Deformation]:
        """delta_G and delta_I of the active fields, apart."""
        return {
            name: field(anchors[name], encoded[name], encoded["eyes"]) for name, field in self.active_fields(region).items()
        }

    def rigged(self, region: Region, expression: Tensor) -> dict[str, Deformation]:
        """delta_rig for the expression [E] of the fitted head, or nothing where the rig is off."""
        rig = self.identity.rig
        return {} if rig is None else {"rig": rig(region, expression, self.gaussians(region).quats)}

    def follow(self, region: Region, step: int) -> None:
        """Let the rig, if there is one, see where the region's Gaussians are after so many steps of its training."""
        if self.identity.rig is not None:
            self.identity.rig.follow(region, self.gaussians(region).means, step)

    def draw(self, region: Region, camera: Camera, delta: Deformation | None, normals: bool = False) -> Layer:
        """Rasterise one region, deformed by `delta` or static (eq. 8-9), over nothing."""
        return self.drawn(self.posed(region, camera.viewmat, delta), camera, normals)

    def posed(self, region: Region, viewmat: Tensor, delta: Deformation | None) -> Posed:
        """One region's Gaussians, deformed by `delta` or static (eq. 8), in the colours that a camera [4, 4] sees."""
        return pose(self.gaussians(region), viewmat, delta)

    def drawn(self, posed: Posed, camera: Camera, normals: bool = False) -> Layer:
        """Rasterise what `posed` gave (eq. 9), over nothing."""
        return draw(posed, camera, normals, self.check_values)


def build_field(region: Region, config: FieldConfig, width: int, hidden: int, attributes: str) -> DeformationField:
    """A field with the region's grid and width."""
    encoding = config.encoding if region == "face" else config.mouth_encoding
    return DeformationField(
        region, encoding, width, hidden if region == "face" else hidden // 2, config.means_scale,
        ATTRIBUTES[attributes] if region == "face" else ("means",),
    )


def total(parts: Mapping[str, Deformation]) -> Deformation:
    """Sum of the fields' predictions (eq. 8) and of the rig's."""
    first, *rest = parts.values()
    for part in rest:
        first = first + part
    return first


def device_of(config: Config) -> torch.device:
    """The device that `config.device` names.  Raises UserError when CUDA is asked for and absent."""
    return device_named(config.device)
