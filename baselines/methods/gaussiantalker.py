"""GaussianTalker (Cho et al.): what is published about it, how its outputs are read, and how its code is run."""

from __future__ import annotations

import re
from pathlib import Path

from baselines.adapter import Adapter, Native, Setting
from baselines.recipe import LANDMARKS, TORSO, TRACK, UNITS, Recipe, Step
from baselines.spec import MINUTE, MethodSpec, table_1, table_3
from baselines.trained.gaussiantalker.method import GaussianTalker

SPEC = MethodSpec(
    name="gaussiantalker",
    title="GaussianTalker",
    kind="3DGS",
    paper="GaussianTalker: Real-Time High-Fidelity Talking Head Synthesis with Audio-Driven 3D Gaussian Splatting",
    year="ACM MM'24",
    url="https://github.com/cvlab-kaist/GaussianTalker",
    commit="250fb93",
    licence="parts under the non-commercial Gaussian-Splatting licence (its file headers)",
    lossless=False,
    outputs="test/ours_*/renders/*_renders.mov",
    status="outputs are read; recipe tested with stand-ins, its own code has not been run by us",
    published=table_1(30.895, 0.921, 0.039, 3.793, 2.086, 12.523, 53 * MINUTE, 62)
    + table_3(a=(1.860, 13.227), b=(1.501, 13.558)),
)

_ARGS = ("-s", "{data}", "--model_path", "{run}/model", "--configs", "arguments/64_dim_1_transformer.py")
RECIPE = Recipe(
    environment="gaussiantalker.sh",
    copy="baselines.official.budget:copy_gaussiantalker",
    needs=(LANDMARKS, TORSO, UNITS, TRACK),
    steps=(
        Step(
            "train", ("{python}", "train.py", *_ARGS), ("model/point_cloud/*iteration_10000/*.ply",),
        ),
        Step(
            "render",
            ("{python}", "render.py", *_ARGS, "--iteration", "10000", "--batch", "128", "--skip_train"),
            ("model/test/ours_10000/renders/*_renders.mov",), train=False,
        ),
    ),
    cross=(
        Step(
            "cross",
            (
                "{python}", "render.py", *_ARGS, "--iteration", "10000", "--batch", "128", "--skip_train",
                "--skip_test", "--custom_aud", "{features}", "--custom_wav", "{wav}",
            ),
            ("model/custom/ours_10000/renders/*_renders.mov",), train=False,
        ),
    ),
    outputs="model",
    cross_outputs="model",
    notes=("GaussianTalker starts anew, unseen, when its loss becomes NaN; its training time then counts twice",),
)


def locate(folder: Path, setting: Setting) -> list[Native]:
    """The .mov of the highest iteration, not its audio, eye, null or cam variants (protocol 2.5)."""
    from baselines.outputs.locating import matches, need_folder, newest, nothing
    from d3talker.errors import UserError

    need_folder(folder)
    split, step = ("test" if setting == "self" else "custom"), re.compile(r"ours_(\d+)")
    found = newest(matches(folder, f"{split}/ours_*/renders/*_renders.mov"), step)
    if not found:
        raise nothing(SPEC.title, folder, f"{split}/ours_*/renders/*_renders.mov")
    if len(found) > 1:
        raise UserError(f"{found[0].parent} holds {len(found)} renderings; delete those that are not the test's")
    truths = sorted((found[0].parent.parent / "gt").glob("*_gt.mov")) if setting == "self" else []
    return [Native(found[0], truth=truths[0] if truths else None, follows="poses")]


ADAPTER = Adapter(locate=locate, run=RECIPE, train=GaussianTalker())
