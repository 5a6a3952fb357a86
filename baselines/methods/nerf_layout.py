"""The workspace that RAD-NeRF and ER-NeRF share: validation/*.png (1-based) and results/*.mp4 (protocol 2.3)."""

from __future__ import annotations

import re
from pathlib import Path

from baselines.adapter import Native, Setting
from baselines.outputs.locating import matches, need_folder, newest, nothing, numbered
from baselines.spec import MethodSpec
from d3talker.errors import UserError

EPOCH, NUMBER = re.compile(r"ngp_ep(\d+)"), re.compile(r"_(\d+)_rgb\.png$")


def locate(spec: MethodSpec, folder: Path, setting: Setting) -> list[Native]:
    """The newest epoch's lossless PNGs, then its mp4; the depth video is never taken.

    The PNGs of a training-time validation (first 100 frames) are told apart by their number, so both are offered.
    A custom sound leaves only the mp4 up to date.
    """
    need_folder(folder)
    images = numbered(newest(matches(folder, "validation/ngp_ep*_rgb.png"), EPOCH), NUMBER, 1)
    videos = [p for p in matches(folder, "results/ngp_ep*.mp4") if "_depth" not in p.name]
    latest = newest(videos, EPOCH)
    if len(latest) > 1:
        raise UserError(f"{folder} holds {len(latest)} videos of one epoch; delete those that are not the test's")
    lossless = [Native(images)] if images and setting == "self" else []
    found = lossless + [Native(video) for video in latest]
    if not found:
        raise nothing(spec.title, folder, spec.outputs)
    return found

