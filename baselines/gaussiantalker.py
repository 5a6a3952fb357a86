"""GaussianTalker (Cho et al.): what is published about it, and how its outputs are read."""

from __future__ import annotations

import re
from pathlib import Path

from baselines.adapter import Adapter, Native, Setting
from baselines.spec import MINUTE, MethodSpec, table_1, table_3

SPEC = MethodSpec(
    name="gaussiantalker",
    title="GaussianTalker",
    kind="3DGS",
    paper="GaussianTalker: Real-Time High-Fidelity Talking Head Synthesis with Audio-Driven 3D Gaussian Splatting",
    year="ACM MM'24",
    url="https://github.com/cvlab-kaist/GaussianTalker",
    commit="250fb93",
    lossless=False,
    outputs="test/ours_*/renders/*_renders.mov",
    status="outputs are read; its own code has not been run by us",
    published=table_1(30.895, 0.921, 0.039, 3.793, 2.086, 12.523, 53 * MINUTE, 62)
    + table_3(a=(1.860, 13.227), b=(1.501, 13.558)),
)


def locate(folder: Path, setting: Setting) -> list[Native]:
    """The .mov of the highest iteration, not its audio, eye, null or cam variants (protocol 2.5)."""
    from baselines.locating import matches, need_folder, newest, nothing
    from d3talker.errors import UserError

    need_folder(folder)
    split, step = ("test" if setting == "self" else "custom"), re.compile(r"ours_(\d+)")
    found = newest(matches(folder, f"{split}/ours_*/renders/*_renders.mov"), step)
    if not found:
        raise nothing(SPEC.title, folder, f"{split}/ours_*/renders/*_renders.mov")
    if len(found) > 1:
        raise UserError(f"{found[0].parent} holds {len(found)} renderings; delete those that are not the test's")
    truths = sorted((found[0].parent.parent / "gt").glob("*_gt.mov")) if setting == "self" else []
    return [Native(found[0], truth=truths[0] if truths else None)]


ADAPTER = Adapter(locate=locate)
