"""DFRF: what is published about it, how its outputs are read, and how its code is run."""

from __future__ import annotations

import re
from pathlib import Path

from baselines.adapter import Adapter, Native, Setting
from baselines.recipe import LANDMARKS, TORSO, Recipe, Step
from baselines.spec import HOUR, MethodSpec, table_1, table_2, table_3
from baselines.trained.dfrf.method import DFRF

SPEC = MethodSpec(
    name="dfrf",
    title="DFRF",
    kind="NeRF",
    paper="Learning Dynamic Facial Radiance Fields for Few-Shot Talking Head Synthesis",
    year="ECCV'22",
    url="https://github.com/sstzal/DFRF",
    commit="2c7bd69ce2453a08c4f7b4ebcf96faa0a82a6af0",
    licence="MIT",
    outputs="renderonly_path_*/000.png ... (lossless, 0-based)",
    status="outputs are read; recipe tested with stand-ins, its own code has not been run by us",
    published=table_1(30.413, 0.909, 0.060, 3.460, 3.658, 10.927, 9 * HOUR, 0.02)
    + table_2(
        psnr=(29.774, 30.413, 30.772, 30.896), ssim=(0.902, 0.909, 0.913, 0.915),
        lpips_alex=(0.063, 0.060, 0.059, 0.059), lmd=(3.691, 3.460, 3.341, 3.290),
        sync_c=(2.775, 3.658, 4.040, 4.329), sync_d=(11.757, 10.927, 10.588, 10.360),
    )
    + table_3(a=(3.256, 11.056), b=(4.196, 10.390)),
)

_MAIN = ("{python}", "NeRFs/run_nerf_deform.py", "--basedir", "{run}")
_TRAINED = "{run}/train/300000_head.tar"  # the iteration of its rendering.sh
RECIPE = Recipe(
    environment="dfrf.sh",
    copy="baselines.methods.dfrf_data:copy_dfrf",
    needs=(LANDMARKS, TORSO),
    weights=("base.tar",),
    steps=(
        Step(
            "train",
            (
                *_MAIN, "--config", "{data}/config.txt", "--datadir", "{data}/train", "--expname", "train",
                "--expname_finetune", "train", "--ft_path", "{weights}/base.tar", "--N_iters", "300000",
            ),
            ("train/300000_head.tar",),
        ),
        Step(
            "render",
            (
                *_MAIN, "--config", "{data}/render.txt", "--datadir", "{data}/render/0", "--expname", "render",
                "--expname_finetune", "render", "--ft_path", _TRAINED, "--need_torso", "True", "--render_only",
            ),
            ("render/renderonly_path_*/video.mp4",), train=False,
        ),
    ),
    cross=(
        Step(
            "cross",
            (
                *_MAIN, "--config", "{data}/render.txt", "--datadir", "{data}/render/0", "--expname", "cross",
                "--expname_finetune", "cross", "--ft_path", _TRAINED, "--need_torso", "True", "--render_only",
                "--aud_file", "{features}",  # any name but aud.npy, which would be read by frame number
            ),
            ("cross/renderonly_path_*/video.mp4",), train=False,
        ),
    ),
    outputs="render",
    cross_outputs="cross",
    timeout_h=72.0,
    notes=("DFRF was trained to iteration 300000, as its rendering script expects; the paper does not say how long",),
)


def locate(folder: Path, setting: Setting) -> list[Native]:
    """The PNGs 000.png, 001.png, ... of the highest iteration (protocol 2.4)."""
    from baselines.outputs.locating import matches, need_folder, newest, nothing, numbered

    need_folder(folder)
    images = newest(matches(folder, "renderonly_path_*/*.png"), re.compile(r"renderonly_path_(\d+)"))
    frames = numbered(images, re.compile(r"^(\d+)\.png$"), 0)
    if not frames:
        raise nothing(SPEC.title, folder, SPEC.outputs)
    return [Native(frames, follows="poses")]


ADAPTER = Adapter(locate=locate, run=RECIPE, train=DFRF())
