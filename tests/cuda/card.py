"""A pretended card: tensors that say they are on cuda:0, hold their values on the CPU, and obey CUDA's rules.

Built on torch's pure-Python device backend (torch.utils.backend_registration, private, seen in torch 2.9 to 2.13), so that autograd
takes them for tensors of a device.  A dispatch mode carries each operation out on the CPU and refuses what a card would: operands on
two devices, a generator of another device, a fused optimiser whose step lies elsewhere, numpy() of a card's tensor.  It counts what
costs time on a card: launches, waits (an upload from pageable memory is one), and uploads.  Use it in a process of its own: the
backend is renamed for good.

It cannot see: autocast's choice of dtypes, atomics, memory, alignment, and what the real gsplat, tiny-cuda-nn and CUDA graphs do.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

_setup_privateuseone_for_python_backend("card")
HIDDEN, SHOWN = torch.device("card", 0), torch.device("cuda", 0)

# no kernel of their own: views, and memory that nobody fills
FREE = {
    "view", "_unsafe_view", "expand", "permute", "transpose", "t", "detach", "slice", "select", "unsqueeze", "squeeze",
    "as_strided", "unbind", "split", "split_with_sizes", "alias", "lift_fresh", "unfold", "_reshape_alias", "diagonal",
    "narrow", "unsafe_split", "set_", "is_same_size", "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided",
    "resize_", "view_as_real", "_to_copy", "_local_scalar_dense",
}
WAITING = {"nonzero", "masked_select", "unique", "_unique2", "unique_dim", "equal", "bincount", "repeat_interleave"}
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
MIXING = INDEXING | {"copy_", "_to_copy"}  # CPU operands are legal
NO_SCALARS = {"cat", "stack", "_fused_adam_", "_fused_adamw_", "index_select", "gather", "mm", "addmm", "bmm", "convolution"}
PROJECT = ("/d3talker/", "/eval/", "/benchmarks/")


class DeviceMix(RuntimeError):
    """What a real card would have refused."""


class Meter:
    """What was asked of the card, by the line of the project that caused it."""

    def __init__(self) -> None:
        self.within = 0  # > 0: inside something that a card runs as one launch, counted by whoever entered it
        self.pinned: set[int] = set()  # storages of page-locked memory
        self.counting = False
        self.reset()

    def reset(self) -> None:
        """Count from zero."""
        self.launches: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self.uploads: Counter[str] = Counter()

    def total(self) -> dict[str, int]:
        """Sums of all lines."""
        return {name: sum(getattr(self, name).values()) for name in ("launches", "waits", "uploads")}

    @contextmanager
    def one(self, name: str, launches: int, waits: int = 0) -> Iterator[None]:
        """Count these instead of what happens inside."""
        if self.counting and not self.within:
            self.launches[name] += launches
            self.waits += Counter({name: waits} if waits else {})
        self.within += 1
        try:
            yield
        finally:
            self.within -= 1


METER = Meter()


class Card(torch.Tensor):
    """A tensor that claims to be on cuda:0; `inner` holds it on the CPU."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Card:
        return torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype, device=HIDDEN
        )

    def __init__(self, inner: torch.Tensor) -> None:
        self.inner = inner

    device = property(lambda self: SHOWN)  # type: ignore[assignment]
    is_cuda = property(lambda self: True)  # type: ignore[assignment]
    is_cpu = property(lambda self: False)  # type: ignore[assignment]

    @property
    def data(self) -> torch.Tensor:  # type: ignore[override]
        return self.detach()

    @data.setter
    def data(self, value: torch.Tensor) -> None:
        if not isinstance(value, Card):
            raise DeviceMix(".data of a card's tensor set to a CPU tensor")
        torch.Tensor.data.__set__(self, value)
        self.inner = value.inner

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first.")

    def __array__(self, dtype: Any = None) -> Any:
        return self.numpy()

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"Card({self.inner!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return execute(func, args, kwargs or {})


def here() -> str:
    """The innermost line of the project on the stack; autograd's own calls have none."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if any(part in name for part in PROJECT) and "/tests/" not in name and "/torch/" not in name:
            return f"{next(name.split(part)[-1] for part in PROJECT if part in name)}:{frame.f_lineno}"
        frame = frame.f_back
    return "autograd"


def execute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One operation: checked, counted, and done on the CPU."""
    name = func._schema.name.removeprefix("aten::")
    flat, spec = tree_flatten((args, kwargs))
    cards = [x for x in flat if isinstance(x, Card)]
    others = [x for x in flat if isinstance(x, torch.Tensor) and not isinstance(x, Card)]
    target = kwargs.get("device")
    on_card = bool(cards) if target is None else torch.device(target).type in ("card", "cuda")
    _check(name, on_card, cards, others, kwargs.get("generator"))
    if METER.counting and not METER.within:
        _count(name, args, kwargs, on_card, bool(cards))
    inner = [x.inner if isinstance(x, Card) else x for x in flat]
    plain_args, plain_kwargs = tree_unflatten(inner, spec)
    if target is not None:
        plain_kwargs["device"] = torch.device("cpu")
    plain_kwargs.pop("pin_memory", None)
    if name == "_local_scalar_dense":
        return plain_args[0].item()
    result = func(*plain_args, **plain_kwargs)
    if not on_card:
        return result
    if torch.Tag.inplace_view in func.tags:  # the wrapper's own shape follows
        with no_dispatch():
            func(*args, **kwargs)
    known = {id(x.inner): x for x in cards}  # an in-place operation gives back the tensor that it got
    return tree_map(lambda x: _wrapped(x, known), result)


def _wrapped(value: Any, known: dict[int, Card]) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    return known[id(value)] if id(value) in known else Card(value)


def _check(name: str, on_card: bool, cards: list[Card], others: list[torch.Tensor], generator: Any) -> None:
    if generator is not None and on_card and generator.device.type == "cpu":
        raise DeviceMix(f"{name}: Expected a 'cuda' device type for generator but found 'cpu', at {here()}")
    if cards and others and name not in MIXING and (name in NO_SCALARS or any(x.dim() for x in others)):
        shapes = [tuple(x.shape) for x in others]
        raise DeviceMix(f"{name}: Expected all tensors on one device, found cuda:0 and cpu {shapes}, at {here()}")


def _count(name: str, args: Any, kwargs: dict[str, Any], on_card: bool, from_card: bool) -> None:
    line = here()
    if from_card and (name in WAITING or name == "_local_scalar_dense"):
        METER.waits[f"{line} {name}"] += 1
    if name in INDEXING and from_card:
        indices = [index for index in args[1] if index is not None]
        METER.waits += Counter(f"{line} mask" for index in indices if index.dtype in (torch.bool, torch.uint8))
        for index in indices:
            if not isinstance(index, Card):
                _upload(line, index, False)
    if name == "_to_copy" and on_card and not from_card:
        _upload(line, args[0], kwargs.get("non_blocking", False))
    elif name == "_to_copy" and from_card and not on_card:
        METER.waits[f"{line} to the CPU"] += 1
    elif name == "copy_" and isinstance(args[0], Card) and not isinstance(args[1], Card):
        _upload(line, args[1], len(args) > 2 and args[2])
    elif name == "copy_" and isinstance(args[1], Card) and not isinstance(args[0], Card):
        METER.waits[f"{line} to the CPU"] += 1
    elif on_card and (name not in FREE or (name == "_to_copy" and from_card)):
        METER.launches[line] += -(-len(args[0]) // 50) if name.startswith("_foreach") else 1


def _upload(line: str, source: torch.Tensor, asynchronous: bool) -> None:
    METER.uploads[line] += 1
    if not (asynchronous and source.untyped_storage().data_ptr() in METER.pinned):
        METER.waits[f"{line} upload"] += 1


class Dispatch(TorchDispatchMode):
    """Catches what makes a card's tensor out of a CPU tensor or out of nothing."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        device = kwargs.get("device")
        if device is not None and torch.device(device).type in ("card", "cuda"):
            return execute(func, args, kwargs)
        if any(isinstance(x, Card) for x in tree_flatten((args, kwargs))[0]):
            return execute(func, args, kwargs)
        if kwargs.pop("pin_memory", None):
            made = func(*args, **kwargs)
            METER.pinned.add(made.untyped_storage().data_ptr())
            return made
        return func(*args, **kwargs)


class Devices(TorchFunctionMode):
    """"cuda" as the code says it becomes the backend's device; what torch does for CUDA in C++ is done here."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = {key: _hidden(value) for key, value in (kwargs or {}).items()}
        args = tuple(_hidden(x) for x in args)
        name = getattr(func, "__name__", "")
        if name in ("__getitem__", "__setitem__") and isinstance(args[0], Card):
            args = (args[0], _uploaded(args[1]), *args[2:])
            if name == "__setitem__" and isinstance(args[2], torch.Tensor) and not isinstance(args[2], Card) and args[2].dim():
                raise DeviceMix(f"a card's tensor assigned to from the CPU, at {here()}")
        if name in ("tensor", "new_tensor") or (name == "as_tensor" and not isinstance(args[0], Card)):
            device = kwargs.pop("device", None)
            if name == "new_tensor":
                device = HIDDEN if device is None and isinstance(args[0], Card) else device
                func, args = torch.tensor, args[1:]
            made = func(*args, **kwargs)
            return made.to(HIDDEN) if device == HIDDEN else made
        return func(*args, **kwargs)


def _hidden(value: Any) -> Any:
    if isinstance(value, torch.device):
        return HIDDEN if value.type == "cuda" else value
    return HIDDEN if isinstance(value, str) and (value == "cuda" or value.startswith("cuda:")) else value


def _uploaded(index: Any) -> Any:
    """Sequences in an index become tensors on the card, each by a copy that waits."""
    def upload(part: Any) -> Any:
        return torch.tensor(list(part)).to(HIDDEN) if isinstance(part, (list, tuple, range)) else part

    return tuple(upload(part) for part in index) if isinstance(index, tuple) else upload(index)
