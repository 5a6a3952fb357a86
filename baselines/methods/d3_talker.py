"""D³-Talker, the method that this project implements; no official code is public."""

from __future__ import annotations

from pathlib import Path

from baselines.adapter import Adapter, Native, Setting, Skip
from baselines.spec import MINUTE, MethodSpec, table_1, table_2, table_3, table_4
from d3talker.method.ablations import ROWS
from d3talker.method.entry import D3Talker

SPEC = MethodSpec(
    name="d3talker",
    title="D³-Talker",
    kind="3DGS",
    paper="D³-Talker: Dual-Branch Decoupled Deformation Fields for Few-Shot 3D Talking Head Synthesis",
    year="arXiv'25",
    url="https://arxiv.org/abs/2508.14449",
    licence="Apache-2.0 (this implementation)",
    outputs="manifest.json, frames.mkv (a predictions folder)",
    status="implemented here; the authors' code is not public, so nothing can be compared with it",
    published=table_1(31.518, 0.927, 0.043, 3.194, 6.015, 9.037, 32 * MINUTE, 65)
    + table_2(
        psnr=(30.595, 31.518, 32.291, 32.566), ssim=(0.916, 0.927, 0.934, 0.936),
        lpips_alex=(0.050, 0.043, 0.043, 0.042), lmd=(3.283, 3.194, 3.156, 3.060),
        sync_c=(5.761, 6.015, 6.538, 6.453), sync_d=(9.224, 9.037, 8.659, 8.659),
    )
    + table_3(a=(6.966, 8.345), b=(6.142, 9.262))
    + table_4(
        full=(32.566, 0.936, 3.060, 6.453),
        without_facial_motion=(32.176, 0.932, 3.251, 5.012),
        without_sc_loss=(32.539, 0.936, 3.228, 6.021),
        without_c2f=(32.049, 0.931, 3.126, 6.333),
        audio_only=(32.176, 0.932, 3.251, 5.012),
        motion_only=(32.552, 0.938, 3.133, 6.128),
        general_only=(30.546, 0.913, 3.472, 4.414),
        individual_only=(30.391, 0.901, 3.930, 0.681),
        negative_contrast_only=(32.539, 0.936, 3.228, 6.021),
        similarity_contrast_only=(32.528, 0.935, 3.157, 6.217),
        no_contrast=(30.584, 0.916, 3.907, 5.004),
        attributes_mu=(32.356, 0.935, 3.114, 6.326),
        attributes_all=(32.552, 0.935, 3.117, 5.495),
        attributes_mu_r_s=(32.566, 0.936, 3.060, 6.453),
    ),
    rows=ROWS,
)


def locate(folder: Path, setting: Setting) -> list[Native]:
    """The lossless frames of a predictions folder."""
    from baselines.outputs.locating import matches, need_folder, nothing

    need_folder(folder)
    found = matches(folder, "frames.mkv")
    if not found:
        raise nothing(SPEC.title, folder, SPEC.outputs)
    return [Native(found[0])]


ADAPTER = Adapter(locate=locate, run=Skip("it is trained here: d3talker adapt, d3talker bench"), train=D3Talker())
