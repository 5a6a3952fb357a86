"""The rig (beyond the paper): Gaussians bound to the fitted head follow its expression, delta = delta_rig + delta_G + delta_I."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from d3talker.errors import UserError
from d3talker.graphics.options import REGIONS, Region
from d3talker.learning.fields import Deformation
from d3talker.method.rig import reference
from d3talker.method.rig.mesh import TURN, mesh_modes
from d3talker.people.head.embedded import embedded_head

NEIGHBOURS = 4
CLOSE = 1e-4  # metres, added to distances before they are inverted
REACH = 0.01  # metres: from this distance to the head on its hold fades
MOST = 0.5  # radians, and log stretch: rims of lids and lips fold further, where a first order means nothing
REBIND = 50  # steps of training between two looks at where the Gaussians are


class HeadRig(nn.Module):
    """One person's head as what carries their Gaussians.

    `identity` [I] and `rest` [E] (the expression at which the static Gaussians lie) make the mesh; `face` and `mouth` [N, 3] are
    the centres when they were last bound.  These alone are in a checkpoint, whatever their number; all else follows from them.
    """

    identity: Tensor
    rest: Tensor

    def __init__(self, identity: np.ndarray | None = None, rest: np.ndarray | None = None) -> None:
        """Without coefficients: the mean head, to be loaded into."""
        super().__init__()
        model = embedded_head()
        for name, values, names in (("identity", identity, model.identity_names), ("rest", rest, model.expression_names)):
            values = np.zeros(len(names)) if values is None else values
            if values.shape != (len(names),):
                raise UserError(f"the rig's {name} has {len(values)} coefficients, the face model {len(names)}; run d3talker "
                                "prepare again")
            self.register_buffer(name, torch.from_numpy(np.asarray(values, np.float32)))
        for region in REGIONS:
            self.register_buffer(region, torch.zeros(0, 3))
        if identity is not None:
            self._build()

    def _build(self) -> None:
        """Mesh and bindings from the four buffers that a checkpoint holds."""
        device = self.rest.device
        meshes = mesh_modes(self.identity.cpu().numpy(), self.rest.cpu().numpy())
        for region, mesh in meshes.items():
            self._keep(f"{region}_vertices", torch.from_numpy(mesh.rest).to(device))
            self._keep(f"{region}_modes", torch.from_numpy(mesh.modes).to(device))
            self.bind(region, self.get_buffer(region))

    def _keep(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)

    @torch.no_grad()
    def bind(self, region: Region, means: Tensor) -> None:
        """Tie Gaussians with centres [N, 3] to the vertices around them: the four nearest, by inverse distance."""
        means = means.detach().clone()
        vertices = self.get_buffer(f"{region}_vertices")
        distances, rows = _backend(means).nearest(means, vertices, NEIGHBOURS)
        weights = 1 / (distances + CLOSE)
        hold = torch.exp(-(distances[:, :1] - REACH).clamp_min(0) / REACH)
        self.register_buffer(region, means)
        self._keep(f"{region}_rows", rows)
        self._keep(f"{region}_weights", weights / weights.sum(1, keepdim=True) * hold)

    def follow(self, region: Region, means: Tensor, step: int) -> None:
        """Bind again every REBIND steps, and when the number of Gaussians has changed."""
        if step % REBIND == 0 or len(means) != len(self.get_buffer(region)):
            self.bind(region, means)

    def forward(self, region: Region, expression: Tensor, quats: Tensor) -> Deformation:
        """delta_rig of the region's bound Gaussians for expression [E] of the head; quats [N, 4] are their rotations at rest.

        Scales are stretched by exp: softplus is exp at the sizes that Gaussians have (millimetres, of metres).
        """
        field = reference.mode_sum(self.get_buffer(f"{region}_modes"), expression - self.rest)
        field[:, TURN.start:].clamp_(-MOST, MOST)
        rows, weights = self.get_buffer(f"{region}_rows"), self.get_buffer(f"{region}_weights")
        return Deformation(*_backend(quats).skin(field, rows, weights, quats))

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take buffers of any length, then build anew."""
        missing = rest[2]
        for name in ("identity", "rest", *REGIONS):
            if prefix + name not in state:
                missing.append(prefix + name)
                return
            self.register_buffer(name, state[prefix + name].detach().to(self.rest.device, copy=True))
        self._build()


def _backend(tensor: Tensor) -> Any:
    """numba for float32 on the CPU, torch otherwise."""
    if tensor.device.type == "cpu" and tensor.dtype == torch.float32:
        from d3talker.method.rig import cpu

        return cpu
    return reference
