"""ER-NeRF: what is published about it, how its outputs are read, and how its code is run."""

from __future__ import annotations

from pathlib import Path

from baselines.adapter import Adapter, Native, Setting
from baselines.recipe import LANDMARKS, TORSO, UNITS, Recipe, Step
from baselines.spec import HOUR, MethodSpec, table_1, table_3
from baselines.trained.er_nerf.method import ERNeRF

SPEC = MethodSpec(
    name="er-nerf",
    title="ER-NeRF",
    kind="NeRF",
    paper="Efficient Region-Aware Neural Radiance Fields for High-Fidelity Talking Portrait Synthesis",
    year="ICCV'23",
    url="https://github.com/Fictionarry/ER-NeRF",
    commit="0cf72d8",
    outputs="validation/ngp_ep*_*_rgb.png (lossless, 1-based) or results/ngp_ep*.mp4",
    status="outputs are read; recipe tested with stand-ins, its own code has not been run by us",
    published=table_1(30.966, 0.913, 0.041, 3.656, 2.363, 12.108, 2 * HOUR, 30)
    + table_3(a=(2.637, 11.892), b=(2.909, 11.923)),
)

_MAIN = ("{python}", "main.py", "{data}", "--workspace", "{run}", "-O", "--asr_model", "deepspeech")
RECIPE = Recipe(
    environment="er-nerf.sh",
    copy="baselines.official.budget:copy_family",
    needs=(LANDMARKS, TORSO, UNITS),
    steps=(
        Step("head", (*_MAIN, "--iters", "100000"), ("checkpoints/*.pth",)),
        Step("lips", (*_MAIN, "--iters", "125000", "--finetune_lips", "--patch_size", "32"), ("checkpoints/*.pth",)),
        Step("test", (*_MAIN, "--test"), ("results/*.mp4",), train=False),
    ),
    cross=(
        Step("cross", (*_MAIN, "--test", "--test_train", "--aud", "{features}"), ("results/*.mp4",), train=False),
    ),
    notes=("ER-NeRF renders the head over the real torso (no --torso)",),
)


def locate(folder: Path, setting: Setting) -> list[Native]:
    """The lossless PNGs of --test, or the result video."""
    from baselines.methods import nerf_layout

    return nerf_layout.locate(SPEC, folder, setting)


ADAPTER = Adapter(locate=locate, run=RECIPE, train=ERNeRF())
