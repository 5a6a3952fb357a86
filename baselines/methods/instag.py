"""InsTaG: what is published about it, how its outputs are read, and how its code is run."""

from __future__ import annotations

from pathlib import Path

from baselines.adapter import Adapter, Native, Setting
from baselines.recipe import LANDMARKS, TEETH, TORSO, UNITS, Need, Recipe, Step
from baselines.spec import MINUTE, MethodSpec, table_1, table_2, table_3
from baselines.trained.instag.method import InsTaG

SPEC = MethodSpec(
    name="instag",
    title="InsTaG",
    kind="3DGS",
    paper="InsTaG: Learning Personalized 3D Talking Head from Few-Second Video",
    year="CVPR'25",
    url="https://github.com/Fictionarry/InsTaG",
    commit="42f68f8",
    licence="research only (its readme)",
    lossless=False,
    outputs="test/ours_None/renders/out.mp4",
    status="outputs are read; recipe tested with stand-ins, its own code has not been run by us",
    published=table_1(31.129, 0.921, 0.042, 3.195, 4.411, 10.379, 16 * MINUTE, 69)
    + table_2(
        psnr=(30.493, 31.129, 31.686, 32.068), ssim=(0.916, 0.921, 0.928, 0.932),
        lpips_alex=(0.047, 0.042, 0.040, 0.038), lmd=(3.395, 3.195, 3.182, 3.140),
        sync_c=(3.992, 4.411, 4.888, 4.984), sync_d=(10.661, 10.379, 10.023, 9.900),
    )
    + table_3(a=(3.510, 11.275), b=(4.484, 10.876)),
)

_ARGS = ("-s", "{data}", "-m", "{run}", "--audio_extractor", "deepspeech")
_FEW = ("--iterations", "10000", "--sh_degree", "1", "--N_views", "{frames}")
_SAPIENS = "the code's own data_utils/sapiens/run.sh"
RECIPE = Recipe(  # scripts/train_xx_few.sh, with the paper's DeepSpeech in place of the script's AVE
    environment="instag.sh",
    copy="baselines.official.budget:copy_talkinggaussian_colours",
    needs=(
        LANDMARKS, TORSO, UNITS, TEETH,
        Need("sapiens/normal/sapiens_*/*.npy", _SAPIENS), Need("sapiens/depth/sapiens_*/*.npy", _SAPIENS),
    ),
    weights=("chkpnt_ema_face_latest.pth", "chkpnt_ema_mouth_latest.pth"),
    steps=(
        Step(
            "face",
            (
                "{python}", "train_face.py", "--type", "face", *_ARGS, "--init_num", "2000", "--densify_grad_threshold",
                "0.0005", "--pretrain_path", "{weights}/chkpnt_ema_face_latest.pth", *_FEW,
            ),
            ("chkpnt_face_latest.pth",),
        ),
        Step(
            "mouth",
            (
                "{python}", "train_mouth.py", "--type", "mouth", *_ARGS, "--init_num", "5000",
                "--pretrain_path", "{weights}/chkpnt_ema_mouth_latest.pth", *_FEW,
            ),
            ("chkpnt_mouth_latest.pth",),
        ),
        Step(
            "fuse",
            (
                "{python}", "train_fuse_con.py", *_ARGS, "--opacity_lr", "0.001", "--iterations", "2000",
                "--sh_degree", "1", "--N_views", "{frames}",
            ),
            ("chkpnt_fuse_latest.pth",),
        ),
        Step(
            "render", ("{python}", "synthesize_fuse.py", *_ARGS, "--eval", "--dilate"),
            ("test/ours_None/renders/out.mp4",), train=False,
        ),
    ),
    cross=(
        Step(
            "cross", ("{python}", "synthesize_fuse.py", *_ARGS, "--dilate", "--use_train", "--audio", "{features}"),
            ("train/ours_None/renders/out.mp4",), train=False,
        ),
    ),
    notes=("InsTaG's released weights were pre-trained on May and Obama, whose speech may be the driving sound",),
)


def locate(folder: Path, setting: Setting) -> list[Native]:
    """The composite video; synthesize_fuse.py leaves out the last val frame."""
    from baselines.methods import gaussian_layout

    return gaussian_layout.locate(SPEC, folder, setting, drops=1)


ADAPTER = Adapter(locate=locate, run=RECIPE, train=InsTaG())
