"""Read the constants of a frozen TensorFlow graph without TensorFlow: the few protobuf messages that hold them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from d3talker.errors import UserError

FLOAT = 1  # tensorflow.DataType.DT_FLOAT


def float_constants(path: Path) -> dict[str, np.ndarray]:
    """Every float32 constant of a GraphDef file by its node's name.

    GraphDef.node = 1; NodeDef: name = 1, op = 2, attr = 5 (map entry: key = 1, value = 2); AttrValue.tensor = 8;
    TensorProto: dtype = 1, tensor_shape = 2, tensor_content = 4, float_val = 5; TensorShapeProto.dim = 2 (size = 1).
    Raises UserError when the file is no such graph.
    """
    data = memoryview(np.memmap(path, np.uint8, "r") if path.stat().st_size else b"")  # type: ignore[arg-type]
    constants = {}
    try:
        for number, node in _fields(data):
            if number == 1 and isinstance(node, memoryview):
                found = _constant(node)
                if found is not None:
                    constants[found[0]] = found[1]
    except (IndexError, ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a frozen TensorFlow graph ({error}); get it again") from None
    if not constants:
        raise UserError(f"{path} holds no float constants: it is not a frozen TensorFlow graph; get it again")
    return constants


def _constant(node: memoryview) -> tuple[str, np.ndarray] | None:
    name, kind, value = "", "", None
    for number, content in _fields(node):
        if number == 1 and isinstance(content, memoryview):
            name = bytes(content).decode()
        elif number == 2 and isinstance(content, memoryview):
            kind = bytes(content).decode()
        elif number == 5 and isinstance(content, memoryview):
            entry = dict(_fields(content))
            if bytes(entry.get(1, b"")) == b"value":  # type: ignore[arg-type]
                value = dict(_fields(entry[2])).get(8)  # type: ignore[arg-type]
    if kind != "Const" or not isinstance(value, memoryview):
        return None
    array = _tensor(value)
    return None if array is None else (name, array)


def _tensor(message: memoryview) -> np.ndarray | None:
    kind: int | memoryview = 0
    shape: list[int] = []
    content: int | memoryview | None = None
    values = []
    for number, part in _fields(message):
        if number == 1:
            kind = part
        elif number == 2 and isinstance(part, memoryview):
            dims = [dim for field, dim in _fields(part) if field == 2 and isinstance(dim, memoryview)]
            shape = [int(dict(_fields(dim)).get(1, 0)) for dim in dims]  # type: ignore[arg-type]
        elif number == 4:
            content = part
        elif number == 5 and isinstance(part, memoryview):
            values.append(np.frombuffer(part, "<f4"))
    if kind != FLOAT:
        return None
    if isinstance(content, memoryview) and len(content):
        flat = np.frombuffer(content, "<f4")
    else:
        flat = np.concatenate([*values, np.zeros(0, "<f4")])
    size = int(np.prod(shape, dtype=np.int64))
    return np.full(shape, flat[0]) if flat.size == 1 and size != 1 else flat.reshape(shape)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, integer or bytes) in a protobuf message's wire format."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        length, at = _varint(message, at) if wire == 2 else ({1: 8, 5: 4}.get(wire, -1), at)
        if length < 0 or at + length > len(message):
            raise ValueError("it breaks off or holds an unknown field")
        yield number, message[at:at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
