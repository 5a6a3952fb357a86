"""TalkingGaussian: what is published about it, and how its outputs are read."""

from __future__ import annotations

from pathlib import Path

from baselines.adapter import Adapter, Native, Setting
from baselines.spec import MINUTE, MethodSpec, table_1, table_3

SPEC = MethodSpec(
    name="talkinggaussian",
    title="TalkingGaussian",
    kind="3DGS",
    paper="TalkingGaussian: Structure-Persistent 3D Talking Head Synthesis via Gaussian Splatting",
    year="ECCV'24",
    url="https://github.com/Fictionarry/TalkingGaussian",
    commit="9bd34f7",
    lossless=False,
    outputs="test/ours_None/renders/out.mp4",
    status="outputs are read; its own code has not been run by us",
    published=table_1(30.833, 0.918, 0.039, 3.473, 3.055, 11.553, 37 * MINUTE, 89)
    + table_3(a=(3.810, 10.519), b=(3.291, 11.284)),
)


def locate(folder: Path, setting: Setting) -> list[Native]:
    """The composite video; all val frames are in it."""
    from baselines import gaussian_layout

    return gaussian_layout.locate(SPEC, folder, setting, drops=0)


ADAPTER = Adapter(locate=locate)
