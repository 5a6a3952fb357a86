"""TalkingGaussian: what is published about it, how its outputs are read, and how its code is run."""

from __future__ import annotations

from pathlib import Path

from baselines.adapter import Adapter, Native, Setting
from baselines.recipe import LANDMARKS, TEETH, TORSO, UNITS, Recipe, Step
from baselines.spec import MINUTE, MethodSpec, table_1, table_3
from baselines.trained.talkinggaussian.method import TalkingGaussian

SPEC = MethodSpec(
    name="talkinggaussian",
    title="TalkingGaussian",
    kind="3DGS",
    paper="TalkingGaussian: Structure-Persistent 3D Talking Head Synthesis via Gaussian Splatting",
    year="ECCV'24",
    url="https://github.com/Fictionarry/TalkingGaussian",
    commit="9bd34f732e30cd94c0a9a087a125d2dda228e258",
    licence="research only (its readme); parts under the non-commercial Gaussian-Splatting licence",
    lossless=False,
    outputs="test/ours_None/renders/out.mp4",
    status="outputs are read; recipe tested with stand-ins, its own code has not been run by us",
    published=table_1(30.833, 0.918, 0.039, 3.473, 3.055, 11.553, 37 * MINUTE, 89)
    + table_3(a=(3.810, 10.519), b=(3.291, 11.284)),
)

_ARGS = ("-s", "{data}", "-m", "{run}", "--audio_extractor", "deepspeech")
RECIPE = Recipe(  # scripts/train_xx.sh
    environment="talkinggaussian.sh",
    copy="baselines.official.budget:copy_talkinggaussian_colours",
    needs=(LANDMARKS, TORSO, UNITS, TEETH),
    steps=(
        Step("mouth", ("{python}", "train_mouth.py", *_ARGS), ("chkpnt_mouth_latest.pth",)),
        Step(
            "face",
            ("{python}", "train_face.py", *_ARGS, "--init_num", "2000", "--densify_grad_threshold", "0.0005"),
            ("chkpnt_face_latest.pth",),
        ),
        Step("fuse", ("{python}", "train_fuse.py", *_ARGS, "--opacity_lr", "0.001"), ("chkpnt_fuse_latest.pth",)),
        Step(
            "render", ("{python}", "synthesize_fuse.py", *_ARGS, "--eval"), ("test/ours_None/renders/out.mp4",),
            train=False,
        ),
    ),
    cross=(
        Step(
            "cross", ("{python}", "synthesize_fuse.py", *_ARGS, "--use_train", "--audio", "{features}"),
            ("train/ours_None/renders/out.mp4",), train=False,
        ),
    ),
)


def locate(folder: Path, setting: Setting) -> list[Native]:
    """The composite video; all val frames are in it."""
    from baselines.methods import gaussian_layout

    return gaussian_layout.locate(SPEC, folder, setting, drops=0)


ADAPTER = Adapter(locate=locate, run=RECIPE, train=TalkingGaussian())
