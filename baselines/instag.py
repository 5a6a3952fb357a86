"""InsTaG: what is published about it, and how its outputs are read."""

from __future__ import annotations

from pathlib import Path

from baselines.adapter import Adapter, Native, Setting
from baselines.spec import MINUTE, MethodSpec, table_1, table_2, table_3

SPEC = MethodSpec(
    name="instag",
    title="InsTaG",
    kind="3DGS",
    paper="InsTaG: Learning Personalized 3D Talking Head from Few-Second Video",
    year="CVPR'25",
    url="https://github.com/Fictionarry/InsTaG",
    commit="42f68f8",
    lossless=False,
    outputs="test/ours_None/renders/out.mp4",
    status="outputs are read; its own code has not been run by us",
    published=table_1(31.129, 0.921, 0.042, 3.195, 4.411, 10.379, 16 * MINUTE, 69)
    + table_2(
        psnr=(30.493, 31.129, 31.686, 32.068), ssim=(0.916, 0.921, 0.928, 0.932),
        lpips_alex=(0.047, 0.042, 0.040, 0.038), lmd=(3.395, 3.195, 3.182, 3.140),
        sync_c=(3.992, 4.411, 4.888, 4.984), sync_d=(10.661, 10.379, 10.023, 9.900),
    )
    + table_3(a=(3.510, 11.275), b=(4.484, 10.876)),
)


def locate(folder: Path, setting: Setting) -> list[Native]:
    """The composite video; synthesize_fuse.py leaves out the last val frame."""
    from baselines import gaussian_layout

    return gaussian_layout.locate(SPEC, folder, setting, drops=1)


ADAPTER = Adapter(locate=locate)
