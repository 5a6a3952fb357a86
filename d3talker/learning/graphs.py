"""CUDA graphs: work of unchanging shapes, recorded once and then launched as one; on the CPU it just runs.

D3TALKER_GRAPHS=off runs it launch by launch on CUDA, too; so does a card or a torch that refuses to record, which is said.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from d3talker.progress import say

ENVIRONMENT = "D3TALKER_GRAPHS"
WARM_UP = 3  # runs before a recording: libraries choose their kernels then
Tensors = tuple[Tensor, ...]


def wanted(device: torch.device) -> bool:
    """Whether work on this device is to be recorded."""
    return device.type == "cuda" and os.environ.get(ENVIRONMENT, "on") != "off"


def capture(function: Callable[[], Tensors]) -> tuple[Tensors, Callable[[], None]]:
    """Record `function`; returns its outputs, whose memory stays, and what fills them anew."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            function()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = function()
    return outputs, graph.replay


class Replayed:
    """A function of tensors without gradient, one launch on CUDA.  What it gives is overwritten by the next call.

    Whatever it reads beside its arguments must stay where it is in memory.
    """

    def __init__(self, function: Callable[..., Tensors]) -> None:
        self.function = function
        self._inputs: list[Tensor] = []
        self._replay: Callable[[], None] | None = None
        self._refused = False

    @torch.no_grad()
    def __call__(self, *inputs: Tensor) -> Tensors:
        if self._refused or not wanted(inputs[0].device):
            return self.function(*inputs)
        if self._replay is None or [x.shape for x in inputs] != [x.shape for x in self._inputs]:
            self._inputs = [x.clone() for x in inputs]
            try:
                self._outputs, self._replay = capture(lambda: self.function(*self._inputs))
            except RuntimeError as error:
                self._refused = refused(error)
                return self.function(*inputs)
        torch._foreach_copy_(self._inputs, list(inputs))
        self._replay()
        return self._outputs


def trainable(module: nn.Module, samples: Tensors) -> Callable[..., Tensors]:
    """The module with gradients for its parameters, one launch forward and one backward on CUDA.

    Valid while `samples`' shapes, its parameters' places in memory and all that it reads beside them stay.
    """
    if not wanted(samples[0].device):
        return module
    try:
        recorded: Any = torch.cuda.make_graphed_callables(module, tuple(x.clone() for x in samples), allow_unused_input=True)
        return recorded
    except RuntimeError as error:
        refused(error)
        return module


def refused(error: Exception) -> bool:
    """Say that work goes on launch by launch; returns True."""
    say(f"CUDA graphs are not used: {' '.join(str(error).split())[:200]}")
    return True
