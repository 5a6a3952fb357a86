"""What the pretended card has in place of CUDA's libraries: gsplat, graphs, autocast; and the context in which cuda exists."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any
from unittest import mock

import gsplat
import torch
from card import METER, Card, Devices, Dispatch

from d3talker.graphics.render import gsplat_backend, rasterize
from d3talker.learning import graphs

FORWARD, BACKWARD = 12, 12  # launches of gsplat 1.5.3's projection, sorting and blending, counted in its source


@contextmanager
def card() -> Iterator[None]:
    """Within it, cuda exists: one pretended card with gsplat."""
    nothing: Any = lambda *_: None  # noqa: E731
    properties = SimpleNamespace(name="pretended card", total_memory=80 << 30)
    cuda = {
        "is_available": lambda: True, "synchronize": nothing, "reset_peak_memory_stats": nothing, "max_memory_allocated": lambda *_: 0,
        "get_device_properties": lambda *_: properties, "get_device_name": lambda *_: properties.name,
        "get_device_capability": lambda *_: (9, 0), "make_graphed_callables": graphed,
    }
    with (
        mock.patch.multiple(torch.cuda, **cuda), mock.patch.object(torch, "autocast", Autocast),
        mock.patch.object(graphs, "capture", capture), mock.patch.object(gsplat_backend, "_gsplat", lambda: SimpleNamespace(rasterization=rasterization)),
        Dispatch(), Devices(),
    ):
        yield


class Autocast(nullcontext):
    """torch's own refuses "cuda" here; numbers stay float32."""

    def __init__(self, kind: str, dtype: torch.dtype | None = None, enabled: bool = True, cache_enabled: bool = True) -> None:
        super().__init__()


class Graphed(torch.autograd.Function):
    """A callable as one launch forward and one backward, as torch.cuda.make_graphed_callables gives it."""

    @staticmethod
    def forward(ctx: Any, module: Any, count: int, *tensors: Any) -> Any:
        inputs = [x.detach().requires_grad_(x.requires_grad) for x in tensors[:count]]
        with METER.one("graph forward", 1 + count), torch.enable_grad():  # inputs are copied to where the graph reads them
            ctx.outputs = module(*inputs)
        ctx.wanted = [*inputs, *tensors[count:]]
        result = tuple(x.detach() for x in ctx.outputs)
        ctx.mark_non_differentiable(*(given for given, made in zip(result, ctx.outputs, strict=True) if not made.requires_grad))
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        wanted = [x for x in ctx.wanted if x.requires_grad]
        pairs = [(made, given) for made, given in zip(ctx.outputs, gradients, strict=True) if made.requires_grad]
        with METER.one("graph backward", 1 + len(pairs)):
            made, given = zip(*pairs, strict=True)
            found = iter(torch.autograd.grad(made, wanted, given, allow_unused=True))
        return None, None, *(next(found) if x.requires_grad else None for x in ctx.wanted)


def graphed(module: torch.nn.Module, samples: tuple[torch.Tensor, ...], **_: Any) -> Any:
    """torch.cuda.make_graphed_callables for one module and tensors whose shapes must stay those of `samples`."""
    shapes, parameters = [x.shape for x in samples], tuple(module.parameters())

    def replay(*inputs: torch.Tensor) -> Any:
        assert [x.shape for x in inputs] == shapes, "a graph was captured for other shapes"
        return Graphed.apply(module, len(inputs), *inputs, *parameters)

    return replay


def capture(function: Any) -> tuple[Any, Any]:
    """d3talker.learning.graphs.capture: a replay is one launch and fills the memory that the outputs were given in."""
    with METER.one("graph recording", 0):
        outputs = function()

    def replay() -> None:
        with METER.one("graph", 1):
            for kept, made in zip(outputs, function(), strict=True):
                kept.inner.copy_(made.inner)

    return outputs, replay


def rasterization(
    means: Any, quats: Any, scales: Any, opacities: Any, colors: Any, viewmats: Any, Ks: Any, width: int, height: int, **options: Any
) -> Any:
    """gsplat.rasterization for [B, N, .] and one camera an entry, by the project's CPU kernels; gsplat waits once, for a count."""
    inspect.signature(gsplat.rasterization).bind(means, quats, scales, opacities, colors, viewmats, Ks, width, height, **options)
    entries, count = means.shape[:2]
    assert quats.shape == (entries, count, 4) and scales.shape == (entries, count, 3) and opacities.shape == (entries, count)
    assert colors.shape[:3] == (entries, 1, count) and viewmats.shape == (entries, 1, 4, 4) and Ks.shape == (entries, 1, 3, 3)
    assert all(x.is_contiguous() for x in (means, quats, scales, opacities, colors))
    image, alpha = Drawn.apply(means, quats, scales, opacities, colors[:, 0], viewmats[:, 0], Ks[:, 0], width, height)
    return image[:, None], alpha[:, None], {}


class Drawn(torch.autograd.Function):
    """The CPU kernels as the card's own; gsplat pads channel counts that it was not compiled for, by two launches."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Any:
        *tensors, width, height = inputs
        ctx.padding = 2 * (tensors[4].shape[-1] + 1 not in (1, 2, 3, 4, 5, 8, 9, 16, 17, 32))
        with METER.one("gsplat forward", FORWARD + ctx.padding, waits=1), torch.enable_grad():
            ctx.plain = [x.inner.detach().requires_grad_(ctx.needs_input_grad[i]) for i, x in enumerate(tensors)]
            m, q, s, o, c, v, k = ctx.plain
            drawn = rasterize(m, q, s, o, c[..., :3], v, k, width, height, backend="cpu")
            parts = [drawn.rgb]
            if c.shape[-1] == 6:
                parts.append(rasterize(m, q, s, o, c[..., 3:], v, k, width, height, backend="cpu").rgb)
            ctx.outputs = torch.cat([*parts, drawn.depth], -1), drawn.alpha
        return tuple(Card(x.detach().clone()) for x in ctx.outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        with METER.one("gsplat backward", BACKWARD + ctx.padding):
            wanted = [x for x in ctx.plain if x.requires_grad]
            found = iter(torch.autograd.grad(ctx.outputs, wanted, [g.inner for g in gradients], allow_unused=True))
            given = [next(found) if x.requires_grad else None for x in ctx.plain]
        return *(None if g is None else Card(g) for g in given), None, None
