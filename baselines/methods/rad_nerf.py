"""RAD-NeRF: what is published about it, how its outputs are read, and how its code is run."""

from __future__ import annotations

from pathlib import Path

from baselines.adapter import Adapter, Native, Setting
from baselines.recipe import LANDMARKS, TORSO, Recipe, Step
from baselines.spec import HOUR, MethodSpec, table_1, table_3
from baselines.trained.rad_nerf.method import RADNeRF

SPEC = MethodSpec(
    name="rad-nerf",
    title="RAD-NeRF",
    kind="NeRF",
    paper="Real-time Neural Radiance Talking Portrait Synthesis via Audio-spatial Decomposition",
    year="arXiv'22",
    url="https://github.com/ashawkey/RAD-NeRF",
    commit="0de5ed2",
    outputs="validation/ngp_ep*_*_rgb.png (lossless, 1-based) or results/ngp_ep*.mp4",
    status="outputs are read; recipe tested with stand-ins, its own code has not been run by us",
    published=table_1(29.511, 0.907, 0.053, 3.678, 1.792, 12.575, 6 * HOUR, 24)
    + table_3(a=(3.031, 10.986), b=(3.399, 10.814)),
)

_MAIN = ("{python}", "main.py", "{data}", "--workspace", "{run}", "-O", "--asr_model", "deepspeech")
RECIPE = Recipe(
    environment="rad-nerf.sh",
    copy="baselines.official.budget:copy_family",
    needs=(LANDMARKS, TORSO),
    steps=(
        Step("head", (*_MAIN, "--iters", "200000"), ("checkpoints/*.pth",)),
        Step("lips", (*_MAIN, "--iters", "250000", "--finetune_lips"), ("checkpoints/*.pth",)),
        Step("test", (*_MAIN, "--test"), ("results/*.mp4",), train=False),
    ),
    cross=(
        Step("cross", (*_MAIN, "--test", "--test_train", "--aud", "{features}"), ("results/*.mp4",), train=False),
    ),
    notes=("RAD-NeRF renders the head over the real torso (no --torso)",),
)


def locate(folder: Path, setting: Setting) -> list[Native]:
    """The lossless PNGs of --test, or the result video."""
    from baselines.methods import nerf_layout

    return nerf_layout.locate(SPEC, folder, setting)


ADAPTER = Adapter(locate=locate, run=RECIPE, train=RADNeRF())
