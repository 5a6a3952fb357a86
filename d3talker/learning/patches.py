"""LPIPS as a training loss: of patches of a picture, and of a crop, whatever their size (TalkingGaussian, InsTaG)."""

from __future__ import annotations

import torch
from torch import Tensor

from d3talker.errors import UserError
from d3talker.learning.backbones import SMALLEST
from d3talker.learning.lpips import LPIPS, load_lpips
from d3talker.weights import MissingWeights

LEAST = 32  # pixels a side: AlexNet's poolings need 31
assert SMALLEST["alexnet"] <= LEAST
REFERENCE = 512  # pixels a side of the official pictures, which patch sizes are given for


def load_patch_lpips(device: torch.device) -> tuple[LPIPS | None, str | None]:
    """LPIPS on AlexNet; where its weights are absent, None and a note that says so."""
    try:
        return load_lpips("alex", device=str(device)).requires_grad_(False), None
    except MissingWeights as missing:
        return None, f"Trained without its LPIPS terms: {missing}"


def patch_size(low: int, high: int, height: int, generator: torch.Generator) -> int:
    """Side of a patch for pictures of this height: 2 U{low ... high} at 512 pixels, in proportion elsewhere, 32 at least."""
    drawn = 2 * int(torch.randint(low, high + 1, (1,), generator=generator))
    return max(LEAST, round(drawn * height / REFERENCE))


def patches(picture: Tensor, size: int) -> Tensor:
    """Squares [P, 3, size, size] of a picture [H, W, 3], side by side; what is left at its right and bottom edge is left out.

    Raises UserError where the picture is smaller than one.
    """
    height, width = picture.shape[:2]
    if min(height, width) < size:
        raise UserError(f"LPIPS patches of {size} px need pictures of at least that side, not {width}x{height}; enlarge them")
    rows, columns = height // size, width // size
    cut = picture[:rows * size, :columns * size].view(rows, size, columns, size, 3)
    return cut.permute(0, 2, 4, 1, 3).reshape(rows * columns, 3, size, size)


def patch_loss(lpips: LPIPS, picture: Tensor, target: Tensor, size: int) -> Tensor:
    """Mean LPIPS of the patches of two pictures [H, W, 3] in [0, 1]; the target gives no gradient."""
    return lpips(patches(picture, size), patches(target.detach(), size)).mean()


def crop_loss(lpips: LPIPS, picture: Tensor, target: Tensor, box: tuple[int, int, int, int]) -> Tensor:
    """LPIPS of a box (x0, y0, x1, y1) of two pictures, enlarged to 32 px about its middle where it is smaller."""
    height, width = picture.shape[:2]
    x0, x1 = widened(box[0], box[2], width)
    y0, y1 = widened(box[1], box[3], height)
    crops = [one[y0:y1, x0:x1].permute(2, 0, 1)[None] for one in (picture, target.detach())]
    return lpips(*crops).mean()


def widened(first: int, last: int, end: int) -> tuple[int, int]:
    """The range first ... last, at least LEAST long about its middle and inside 0 ... end."""
    length = min(max(last - first, LEAST), end)
    start = min(max((first + last - length) // 2, 0), end - length)
    return start, start + length
