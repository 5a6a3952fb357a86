"""Deformation fields: where a Gaussian lies decides how a control signal moves it (paper 3.3, eq. 2, 5-8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from d3talker.graphics.encoding import Cells, TriPlaneEncoder
from d3talker.graphics.gaussians import Gaussians
from d3talker.graphics.layers import Posed
from d3talker.graphics.options import EncodingConfig, Region
from d3talker.graphics.render.sh import eval_sh
from d3talker.learning.encoders import EYE_WIDTH, mlp

OUTPUTS = {"means": 3, "quats": 4, "scales": 3, "opacities": 1, "sh": 3}


class Anchors(NamedTuple):
    """What depends on the Gaussians' centres alone; computed once a checkpoint at inference, once a step in training.

    position: H(mu); hidden: its share of the first layer; attention and eye_gate: None in a field without them.
    """

    position: Tensor
    hidden: Tensor
    attention: Tensor | None
    eye_gate: Tensor | None


class Deformation(NamedTuple):
    """delta of eq. 8: means [N, 3] m; quats [N, 4]; raw scales [N, 3]; raw opacities [N]; sh, zeroth band [N, 3].

    None = not deformed.
    """

    means: Tensor
    quats: Tensor | None = None
    scales: Tensor | None = None
    opacities: Tensor | None = None
    sh: Tensor | None = None

    def __add__(self, other: object) -> Deformation:
        """Eq. 8: the two fields' predictions are added."""
        assert isinstance(other, Deformation)
        rest = [a if b is None else b if a is None else a + b for a, b in zip(self[1:], other[1:], strict=True)]
        return Deformation(self.means + other.means, *rest)


def pose(gaussians: Gaussians, viewmat: Tensor, delta: Deformation | None) -> Posed:
    """Gaussians deformed by `delta` or static (eq. 8), in the colours that a camera [4, 4] sees."""
    g = gaussians
    means = g.means if delta is None else g.means + delta.means
    delta = delta or Deformation(means)
    sh = g.sh
    if delta.sh is not None:
        sh = torch.cat([sh[:, :1] + delta.sh[:, None], sh[:, 1:]], 1)
    directions = means.detach() + viewmat[:3, 3] @ viewmat[:3, :3]  # from the camera's centre -R't
    quats = g.quats if delta.quats is None else g.quats + delta.quats
    colors = eval_sh(g.degree, sh, directions)
    return Posed(means, quats, g.scales(delta.scales), g.opacities(delta.opacities), colors)


class DeformationField(nn.Module):
    """One field of one region: delta = MLP(H(mu) + gated signal + gated eyes); D³-Talker's General or Individual, or a baseline's.

    The first layer is split by its inputs, so that H(mu)'s share is computed once for unmoving centres.
    """

    def __init__(
        self, region: Region, encoding: EncodingConfig, width: int, hidden: int, means_scale: float,
        attributes: tuple[str, ...], *, gated: bool = True, eyes: bool = True, further: int = 0, still: bool = True,
    ) -> None:
        """gated: a gate by place for the signal (region attention); eyes: the eyes' signal and its gate; further: numbers that join
        them; still: the last layer starts at zero, else all layers as torch has them (TalkingGaussian, InsTaG)."""
        super().__init__()
        self.attributes = attributes
        self.means_scale = means_scale
        # The inside of the mouth moves mainly up and down (InsTaG scene/motion_net.py: x and z divided by 5).
        self.register_buffer("axes", torch.tensor([1.0, 1.0, 1.0] if region == "face" else [0.2, 1.0, 0.2]), persistent=False)
        self.encoder = TriPlaneEncoder(
            encoding.levels, encoding.features, encoding.base_resolution, encoding.desired_resolution,
            encoding.log2_table, encoding.bound,
        )
        encoded = 3 * encoding.levels * encoding.features
        self.attention = mlp(encoded, width, width) if gated else None
        self.eye_gate = nn.Sequential(mlp(encoded, 16, EYE_WIDTH), nn.ReLU()) if eyes else None
        self.from_position = nn.Linear(encoded, hidden, bias=False)
        self.from_signal = nn.Linear(width, hidden, bias=False)
        self.from_eyes = nn.Linear(EYE_WIDTH, hidden, bias=False) if eyes else None
        self.from_further = nn.Linear(further, hidden, bias=False) if further else None
        # A field starts as no deformation at all; its last layer draws nothing, so that any attributes start from the same draws.
        last = skip_init(nn.Linear, hidden, sum(OUTPUTS[name] for name in self.attributes), bias=False)
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        self.decoder = nn.Sequential(nn.ReLU(), nn.Sequential(*mlp(hidden, hidden), nn.ReLU(inplace=True), last))
        if not still:
            last.reset_parameters()
            self._like_one_layer()

    def _like_one_layer(self) -> None:
        """Draw the first layer's parts as torch draws the whole of it: by the number of all its inputs."""
        parts = [p for p in (self.from_position, self.from_signal, self.from_eyes, self.from_further) if p is not None]
        whole = nn.Linear(sum(part.in_features for part in parts), parts[0].out_features, bias=False).weight.detach()
        for part, weight in zip(parts, whole.split([part.in_features for part in parts], 1), strict=True):
            part.weight.data.copy_(weight)

    def anchors(
        self, means: Tensor, eye_floor: Tensor | None = None, cells: Cells | None = None, moving: bool = False
    ) -> Anchors:
        """Encode the centres [N, 3]; gradients do not reach them, as the static field is learnt from the picture alone, unless the
        centres are `moving`: TalkingGaussian's and InsTaG's learn from the nets, too.

        The eyes' signal reaches what lies above `eye_floor` (y in metres) alone.  Six numbers tell the frames of a short clip
        apart, so that the lips would else be learnt from the eyes; InsTaG has a loss against it (5e-3 in the lips' box).
        cells: those of the encoder, if known.
        """
        position = self.encoder(means if moving else means.detach(), cells)
        gate = None if self.eye_gate is None else self.eye_gate(position)
        if gate is not None and eye_floor is not None:
            gate = gate * (means.detach()[:, 1:2] > eye_floor).to(position)
        return Anchors(position, self.from_position(position), None if self.attention is None else self.attention(position), gate)

    def forward(self, anchors: Anchors, signal: Tensor, eyes: Tensor | None = None, further: Tensor | None = None) -> Deformation:
        """signal [width], eyes [6] and further numbers [further] of one frame -> the deformation of all N Gaussians (eq. 5-7)."""
        hidden = anchors.hidden + self.from_signal(signal if anchors.attention is None else anchors.attention * signal)
        if self.from_eyes is not None:
            assert anchors.eye_gate is not None and eyes is not None
            hidden = hidden + self.from_eyes(anchors.eye_gate * eyes)
        if self.from_further is not None:
            hidden = hidden + self.from_further(further)
        parts = dict(zip(
            self.attributes, self.decoder(hidden).split([OUTPUTS[name] for name in self.attributes], -1), strict=True
        ))
        parts["means"] = parts["means"] * self.means_scale * self.axes
        if "opacities" in parts:
            parts["opacities"] = parts["opacities"][:, 0]
        return Deformation(**parts)


def shifts(
    fields: Sequence[DeformationField], means: Tensor, eye_floor: Tensor, attention: Tensor, signal: Tensor, eyes: Tensor
) -> Tensor:
    """Delta mu [K, N, 3] that K fields of one shape predict at unlearning centres [N, 3], all with one `attention` [N, width].

    The same as each field's `forward`, in one pass over stacked weights.
    """
    first, axes = fields[0], fields[0].axes
    assert isinstance(axes, Tensor)
    cells = first.encoder.cells(means)
    position = torch.stack([field.encoder(means, cells) for field in fields])

    def weight(name: str) -> Tensor:
        return torch.stack([field.get_parameter(f"{name}.weight") for field in fields]).transpose(1, 2)

    gate = torch.relu(torch.relu(position @ weight("eye_gate.0.0")) @ weight("eye_gate.0.2")) * (means[:, 1:2] > eye_floor)
    hidden = position @ weight("from_position") + (attention * signal) @ weight("from_signal")
    hidden = torch.relu(hidden + (gate * eyes) @ weight("from_eyes"))
    outputs = torch.relu(hidden @ weight("decoder.1.0")) @ weight("decoder.1.2")[..., :OUTPUTS["means"]]
    return outputs * (first.means_scale * axes)
