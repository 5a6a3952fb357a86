"""Which cells of space hold something: a running maximum of the density, and a bit for each cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from d3talker.errors import UserError

UNSEEN = -1.0
CHUNK = 8192  # points of one call of a density

Density = Callable[[Tensor], Tensor]  # positions [M, 3] in metres -> densities [M]


class OccupancyGrid(nn.Module):
    """The occupancy grid of instant-ngp as RAD-NeRF and ER-NeRF keep it (renderer.py:319-448).

    density [X, Y, Z]: -1 in cells that no training camera sees, for ever, else the running maximum; occupied bool [X, Y, Z].
    Nothing is occupied before the first `update`.
    """

    def __init__(
        self, cells: Sequence[int] = (128, 128, 128), halves: Sequence[float] = (0.25, 0.25, 0.25), threshold: float = 10.0,
        decay: float = 0.95,
    ) -> None:
        """cells: along x, y and z; halves: half sides in metres of the box about the origin that they fill."""
        super().__init__()
        if len(cells) != 3 or len(halves) != 3 or min(cells) < 1 or min(halves) <= 0:
            raise UserError(f"the occupancy grid got cells {cells} and half sides {halves}; give three of each, all positive")
        self.cells, self.halves, self.threshold, self.decay = tuple(cells), tuple(halves), threshold, decay
        self.density: Tensor
        self.occupied: Tensor
        self.register_buffer("density", torch.zeros(*cells))
        self.register_buffer("occupied", torch.zeros(*cells, dtype=torch.bool))

    @property
    def sides(self) -> Tensor:
        """Sides of a cell in metres [3]."""
        return 2 * torch.tensor(self.halves) / torch.tensor(self.cells)

    def centres(self, chosen: Tensor) -> Tensor:
        """Centres [M, 3] of cells given by their flat index [M]."""
        _, along, deep = self.cells
        steps = torch.stack([chosen // (along * deep), chosen // deep % along, chosen % deep], -1)
        return (steps + 0.5) * self.sides.to(chosen.device) - torch.tensor(self.halves, device=chosen.device)

    @torch.no_grad()
    def mark_unseen(self, viewmats: Tensor, K: Tensor) -> None:
        """Set cells outside every camera's picture to -1; one cell of margin (`mark_untrained_grid`).

        viewmats [T, 4, 4], K [3, 3] with the principal point in the picture's middle.
        """
        centres = self.centres(torch.arange(self.density.numel(), device=self.density.device))
        seen = torch.zeros(len(centres), dtype=torch.bool, device=centres.device)
        margin, reach = float(self.sides.max()), K[:2, 2] / torch.stack([K[0, 0], K[1, 1]])
        for viewmat in viewmats:
            x, y, z = (centres @ viewmat[:3, :3].T + viewmat[:3, 3]).unbind(-1)
            seen |= (z > 0) & (x.abs() < reach[0] * z + margin) & (y.abs() < reach[1] * z + margin)
        self.density[~seen.view(self.cells)] = UNSEEN

    @torch.no_grad()
    def update(self, density: Density, generator: torch.Generator, share: float = 1.0) -> None:
        """density = max(decay * density, new), new at a random place of each cell and dilated to the six neighbours.

        A cell is occupied where its density is above min(mean over all cells with unseen ones as 0, threshold).
        share: of the cells looked at this time; 1 in the official codes, a quarter in instant-ngp after its first 256 steps,
        half of them anywhere and half among occupied ones.
        Cells that can reach no seen one are passed over, which changes nothing.  Raises UserError where a density is not finite.
        """
        device, seen = self.density.device, self.density >= 0
        wanted = dilated(seen.float()).flatten().nonzero()[:, 0]
        if share < 1:
            wanted = self._some(wanted, share, generator)
        place = torch.rand(len(wanted), 3, generator=generator).to(device) - 0.5
        points = self.centres(wanted) + place * self.sides.to(device)
        found = torch.cat([density(part).float() for part in points.split(CHUNK)])
        if not torch.isfinite(found).all():
            raise UserError("a density became NaN or infinite; lower the learning rates and train again")
        new = torch.full((self.density.numel(),), UNSEEN, device=device)
        new[wanted] = found
        measured = (new >= 0).view(self.cells) & seen
        new = dilated(new.view(self.cells))
        self.density.copy_(torch.where(measured, torch.maximum(self.density * self.decay, new), self.density))
        self.occupied.copy_(self.density > min(self.density.clamp_min(0).mean().item(), self.threshold))

    def _some(self, wanted: Tensor, share: float, generator: torch.Generator) -> Tensor:
        """Indices of cells to look at, each once, in order."""
        half = max(int(share * len(wanted) / 2), 1)
        full = self.occupied.flatten().nonzero()[:, 0]
        pools = [pool for pool in (wanted, full) if len(pool)]
        chosen = [pool[torch.randint(len(pool), (half,), generator=generator).to(pool.device)] for pool in pools]
        mask = torch.zeros(self.density.numel(), dtype=torch.bool, device=wanted.device)
        mask[torch.cat(chosen)] = True
        return mask.nonzero()[:, 0]


def dilated(values: Tensor) -> Tensor:
    """Each cell's maximum over itself and its six neighbours, [X, Y, Z] (raymarching.cu:304-335)."""
    result = values
    for axis in range(3):
        kernel, padding = [1, 1, 1], [0, 0, 0]
        kernel[axis], padding[axis] = 3, 1
        result = torch.maximum(result, F.max_pool3d(values[None, None], kernel, 1, padding)[0, 0])
    return result
