"""DFRF: what is published about it, and how its outputs are read."""

from __future__ import annotations

import re
from pathlib import Path

from baselines.adapter import Adapter, Native, Setting
from baselines.spec import HOUR, MethodSpec, table_1, table_2, table_3

SPEC = MethodSpec(
    name="dfrf",
    title="DFRF",
    kind="NeRF",
    paper="Learning Dynamic Facial Radiance Fields for Few-Shot Talking Head Synthesis",
    year="ECCV'22",
    url="https://github.com/sstzal/DFRF",
    commit="2c7bd69",
    outputs="renderonly_path_*/000.png ... (lossless, 0-based)",
    status="outputs are read; its own code has not been run by us",
    published=table_1(30.413, 0.909, 0.060, 3.460, 3.658, 10.927, 9 * HOUR, 0.02)
    + table_2(
        psnr=(29.774, 30.413, 30.772, 30.896), ssim=(0.902, 0.909, 0.913, 0.915),
        lpips_alex=(0.063, 0.060, 0.059, 0.059), lmd=(3.691, 3.460, 3.341, 3.290),
        sync_c=(2.775, 3.658, 4.040, 4.329), sync_d=(11.757, 10.927, 10.588, 10.360),
    )
    + table_3(a=(3.256, 11.056), b=(4.196, 10.390)),
)


def locate(folder: Path, setting: Setting) -> list[Native]:
    """The PNGs 000.png, 001.png, ... of the highest iteration (protocol 2.4)."""
    from baselines.locating import matches, need_folder, newest, nothing, numbered

    need_folder(folder)
    images = newest(matches(folder, "renderonly_path_*/*.png"), re.compile(r"renderonly_path_(\d+)"))
    frames = numbered(images, re.compile(r"^(\d+)\.png$"), 0)
    if not frames:
        raise nothing(SPEC.title, folder, SPEC.outputs)
    return [Native(frames)]


ADAPTER = Adapter(locate=locate)
