"""Checkpoints: tensors in one safetensors file, everything else as JSON in its header; nothing is ever unpickled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from d3talker.errors import UserError
from d3talker.files import atomic_path

SCHEMA = 2
_TENSOR = "__tensor__"


class Unusable(UserError):
    """The checkpoint at `path` is damaged or comes from another version: training has to begin anew."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} {reason}; delete it, or give another --out, and train again")
        self.path = path


def save(path: Path | str, tree: dict[str, Any]) -> None:
    """Write a nested dict or list of tensors, numbers, strings and None atomically; keys become strings."""
    tensors: dict[str, Tensor] = {}
    text = json.dumps({"schema": SCHEMA, "tree": _strip(tree, "", tensors)}, allow_nan=False)
    with atomic_path(path) as temporary:
        save_file(tensors, str(temporary), metadata={"d3talker": text})


def load(path: Path | str, device: str | torch.device = "cpu") -> dict[str, Any]:
    """Read what `save` wrote.  Raises UserError naming the file when it is absent, Unusable when it is damaged or not ours."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist; train it first")
    try:
        with safe_open(str(path), framework="pt", device=str(device)) as file:
            header = json.loads((file.metadata() or {})["d3talker"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, KeyError, json.JSONDecodeError, OSError) as error:
        raise Unusable(path, f"is not a readable d3talker checkpoint ({error})") from None
    if header.get("schema") != SCHEMA:
        raise Unusable(path, f"is of another version of d3talker (schema {header.get('schema')}, this one reads {SCHEMA})")
    return _fill(header["tree"], tensors)


def check_job(path: Path, kept: Any, wanted: dict[str, Any]) -> None:
    """Refuse to go on with a checkpoint that another job wrote.  Raises UserError naming the first difference and both values."""
    if not isinstance(kept, dict):
        raise Unusable(path, "does not say what it was trained on")
    found = _difference(kept, json.loads(json.dumps(wanted)), "")
    if found is not None:
        name, old, new = found
        raise UserError(f"{path} was trained with {name} = {old}, now {name} = {new} is asked for; give the same, or another --out")


@contextmanager
def usable(path: Path) -> Iterator[None]:
    """Around taking over what `load` read: a checkpoint that lacks a part, or has one of another shape, is one sentence."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise Unusable(path, f"does not fit this d3talker ({reason})") from error


def _difference(old: Any, new: Any, name: str) -> tuple[str, Any, Any] | None:
    """The first place where two trees of plain values differ, and both values."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return None if old == new else (name, old, new)
    for key in [*new, *(key for key in old if key not in new)]:
        found = _difference(old.get(key), new.get(key), f"{name}.{key}" if name else key)
        if found is not None:
            return found
    return None


def _strip(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()  # safetensors refuses tensors that share memory
        return {_TENSOR: name}
    if isinstance(value, dict):
        return {str(key): _strip(item, f"{name}/{key}", tensors) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strip(item, f"{name}/{index}", tensors) for index, item in enumerate(value)]
    return value


def _fill(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, dict):
        return tensors[value[_TENSOR]] if set(value) == {_TENSOR} else {k: _fill(v, tensors) for k, v in value.items()}
    return [_fill(item, tensors) for item in value] if isinstance(value, list) else value
