"""Host memory for what training reads frame by frame, and its way to the device."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from d3talker.progress import track

ALIGNED = 16  # bytes: every tensor of a transfer begins at a multiple, which any dtype may
SHARE = 8  # frames may fill one part in eight of the machine's memory, and priors another
FALLBACK = 2 << 30  # bytes, where the machine does not say how much it has


def room() -> int:
    """Bytes of host memory that one kind of data may take."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // SHARE
    except (AttributeError, ValueError, OSError):
        return FALLBACK


class Shelf:
    """Tensors of each of `count` frames: kept while they fit into `room` bytes, read again each time beyond that.

    read: indices -> one tuple of host tensors each, the same whenever and in whatever company it is asked.  batch: how many are
    read together at the start; 0 = each when it is first asked for.
    """

    def __init__(
        self, read: Callable[[Sequence[int]], Sequence[tuple[Tensor, ...]]], count: int, room: int, title: str = "", batch: int = 1
    ) -> None:
        self.count, self._read, self._room, self._kept = count, read, room, dict[int, tuple[Tensor, ...]]()
        for first in track(range(0, count, batch), title) if batch else ():
            if self._room <= 0:
                break
            indices = range(first, min(first + batch, count))
            for index, tensors in zip(indices, read(indices), strict=True):
                self._keep(index, tensors)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        found = self._kept.get(index)
        if found is None:
            found = self._read([index])[0]
            self._keep(index, found)
        return found

    def _keep(self, index: int, tensors: tuple[Tensor, ...]) -> None:
        self._room -= sum(tensor.nbytes for tensor in tensors)
        if self._room >= 0:
            self._kept[index] = tensors


def send(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Host tensors on the device: on CUDA by one copy from page-locked memory that nothing waits for, on the CPU as they are."""
    if device.type == "cpu":
        return list(tensors)
    starts, end = [], 0
    for tensor in tensors:
        starts.append(end)
        end += -(-tensor.nbytes // ALIGNED) * ALIGNED
    buffer = torch.empty(end, dtype=torch.uint8, pin_memory=True)  # torch hands it out again once the copy is done

    def part(whole: Tensor, start: int, like: Tensor) -> Tensor:
        return whole[start:start + like.nbytes].view(like.dtype).view(like.shape)

    for start, tensor in zip(starts, tensors, strict=True):
        part(buffer, start, tensor).copy_(tensor)
    arrived = buffer.to(device, non_blocking=True)
    return [part(arrived, start, tensor) for start, tensor in zip(starts, tensors, strict=True)]
