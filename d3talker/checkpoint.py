"""Checkpoints: tensors in one safetensors file, everything else as JSON in its header; nothing is ever unpickled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from d3talker.errors import UserError
from d3talker.files import atomic_path

SCHEMA = 1
_TENSOR = "__tensor__"


def save(path: Path | str, tree: dict[str, Any]) -> None:
    """Write a nested dict or list of tensors, numbers, strings and None atomically; keys become strings."""
    tensors: dict[str, Tensor] = {}
    text = json.dumps({"schema": SCHEMA, "tree": _strip(tree, "", tensors)}, allow_nan=False)
    with atomic_path(path) as temporary:
        save_file(tensors, str(temporary), metadata={"d3talker": text})


def load(path: Path | str, device: str | torch.device = "cpu") -> dict[str, Any]:
    """Read what `save` wrote.  Raises UserError naming the file when it is absent, damaged, or not ours."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist; train it first")
    try:
        with safe_open(str(path), framework="pt", device=str(device)) as file:
            header = json.loads((file.metadata() or {})["d3talker"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, KeyError, json.JSONDecodeError, OSError) as error:
        raise UserError(f"{path} is not a readable d3talker checkpoint ({error}); delete it and train again") from None
    if header.get("schema") != SCHEMA:
        raise UserError(f"{path} has checkpoint schema {header.get('schema')}, this d3talker reads {SCHEMA}")
    return _fill(header["tree"], tensors)


def _strip(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        tensors[name] = value.detach().contiguous().clone()  # safetensors refuses tensors that share memory
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
