"""A fitted head as binary glTF 2.0: the neutral mesh, expressions as morph targets, their weights over time as an animation."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from d3talker.files import atomic_path
from d3talker.people.head.face import FaceModel

FLOAT, UNSIGNED = 5126, 5125
VERTICES, INDICES = 34962, 34963
SKIN = [0.8, 0.65, 0.58, 1]


class _Buffer:
    """Bytes of a .glb, and the views and accessors that say what they are."""

    def __init__(self) -> None:
        self.data, self.views, self.accessors = bytearray(), list[dict[str, Any]](), list[dict[str, Any]]()

    def add(self, values: np.ndarray, kind: str, target: int | None = None) -> int:
        """An accessor's number; values [N] or [N, C], float32 or uint32."""
        raw = np.ascontiguousarray(values).tobytes()
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(raw)}
        self.views.append(view if target is None else {**view, "target": target})
        self.data += raw
        accessor: dict[str, Any] = {
            "bufferView": len(self.views) - 1, "componentType": FLOAT if values.dtype == np.float32 else UNSIGNED,
            "count": len(values), "type": kind,
        }
        if kind != "SCALAR" or target is None:
            low, high = np.atleast_1d(values.min(0)), np.atleast_1d(values.max(0))
            accessor |= {"min": low.tolist(), "max": high.tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def write_glb(path: Path, face: FaceModel, identity: np.ndarray, expression: np.ndarray, fps: float, comment: str) -> None:
    """identity [I] and expression [T, E] of `face`; in metres, y up, as glTF has it."""
    buffer = _Buffer()
    neutral = face.vertices(identity, np.zeros(len(face.expression_names)))
    attributes = {
        "POSITION": buffer.add(neutral, "VEC3", VERTICES), "NORMAL": buffer.add(_unit(face.normals(neutral)), "VEC3", VERTICES),
    }
    indices = buffer.add(face.triangles.astype(np.uint32).ravel(), "SCALAR", INDICES)
    targets = [{"POSITION": buffer.add(basis.astype(np.float32), "VEC3", VERTICES)} for basis in face.expression_basis]
    times = buffer.add(np.arange(len(expression), dtype=np.float32) / np.float32(fps), "SCALAR")
    weights = buffer.add(expression.astype(np.float32).ravel(), "SCALAR")
    tree = {
        "asset": {"version": "2.0", "generator": "d3talker", "copyright": comment}, "scene": 0, "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "head"}],
        "meshes": [{
            "name": face.name, "primitives": [{"attributes": attributes, "indices": indices, "targets": targets, "material": 0}],
            "weights": [0.0] * len(targets), "extras": {"targetNames": list(face.expression_names)},
        }],
        "materials": [{"pbrMetallicRoughness": {"baseColorFactor": SKIN, "metallicFactor": 0}, "doubleSided": True}],
        "animations": [{
            "name": "speech", "samplers": [{"input": times, "output": weights, "interpolation": "LINEAR"}],
            "channels": [{"sampler": 0, "target": {"node": 0, "path": "weights"}}],
        }],
        "accessors": buffer.accessors, "bufferViews": buffer.views, "buffers": [{"byteLength": len(buffer.data)}],
    }
    text = json.dumps(tree, separators=(",", ":"), allow_nan=False).encode()
    chunks = [(b"JSON", text + b" " * (-len(text) % 4)), (b"BIN\0", bytes(buffer.data) + b"\0" * (-len(buffer.data) % 4))]
    body = b"".join(struct.pack("<I", len(chunk)) + name + chunk for name, chunk in chunks)
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"glTF" + struct.pack("<II", 2, 12 + len(body)) + body)


def _unit(normals: np.ndarray) -> np.ndarray:
    """Normals of length 1, as glTF demands, also where a vertex has none."""
    lengths = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.where(lengths > 0, normals / np.maximum(lengths, 1e-12), np.array([0.0, 0.0, 1.0])).astype(np.float32)
