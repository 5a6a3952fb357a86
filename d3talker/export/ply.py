"""Gaussians as 3DGS files: the .ply of Kerbl et al. 2023, and antimatter15's .splat, which gsplat writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from d3talker.errors import require
from d3talker.export.splats import Splats
from d3talker.files import atomic_path


def columns(degree: int) -> list[str]:
    """Properties of a vertex, all float32, in the order of 3DGS gaussian_model.py: construct_list_of_attributes."""
    rest = 3 * ((degree + 1) ** 2 - 1)
    return [
        *"xyz", "nx", "ny", "nz", *(f"f_dc_{i}" for i in range(3)), *(f"f_rest_{i}" for i in range(rest)), "opacity",
        *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4)),
    ]


def write_ply(path: Path, gaussians: Splats, comment: str = "") -> None:
    """Write little-endian .ply: logarithms of scales, logits of opacities, harmonics colour by colour, rotations wxyz.

    No library writes it: plyfile is under the GPL, and this is a header before an array.
    """
    raw = [value.detach().cpu().float() for value in gaussians]
    means, quats, scales, opacities, sh = raw
    degree = int(sh.shape[1] ** 0.5) - 1
    limits = torch.finfo(torch.float32)
    parts = [
        means, torch.zeros_like(means), sh[:, 0], sh[:, 1:].transpose(1, 2).flatten(1),
        torch.logit(opacities.clamp(limits.tiny, 1 - limits.eps))[:, None], scales.clamp_min(limits.tiny).log(), quats,
    ]
    table = torch.cat(parts, 1).numpy().astype("<f4")
    lines = ["ply", "format binary_little_endian 1.0", *(f"comment {text}" for text in comment.splitlines())]
    lines += [f"element vertex {len(table)}", *(f"property float {name}" for name in columns(degree)), "end_header"]
    with atomic_path(path) as temporary:
        temporary.write_bytes(("\n".join(lines) + "\n").encode("ascii", "replace") + np.ascontiguousarray(table).tobytes())


def write_splat(path: Path, gaussians: Splats) -> None:
    """Write .splat (32 bytes a Gaussian, no view-dependent colour).  Raises MissingExtra without gsplat."""
    gsplat = require("gsplat", "gpu", "writing .splat")
    means, quats, scales, opacities, sh = (value.detach().cpu().float() for value in gaussians)
    with atomic_path(path) as temporary:
        gsplat.export_splats(
            means, scales.log(), quats, torch.logit(opacities), sh[:, :1], sh[:, 1:], format="splat", save_to=str(temporary)
        )
