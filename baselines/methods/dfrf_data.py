"""A subject as DFRF reads it: dataset/<id>/0 with com_imgs, JPEG torso, boxes in the transforms, and a config file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from baselines.official.budget import write_copy
from d3talker.files import read_json, write_json, write_text
from d3talker.people.subject.layout import Frame, Layout, Subject, write_image

REFERENCES = (50, 100, 150, 200)  # rows of the train split that its renderer looks at (run_nerf_deform.py:821-825)

TRAINING = {"testskip": 1, "L2loss_weight": 5e-8, "train_length": 15, "bc_type": "torso_imgs"}  # its process_data.py
RENDERING = {  # its dataset/test_config.txt
    "testskip": 1, "with_test": 1, "test_file": "transforms_val.json", "L2loss_weight": 5e-8, "N_samples": 32,
    "N_importance": 64, "bc_type": "torso_imgs",
}


def copy_dfrf(subject: Subject, train: Sequence[Frame], out: Path) -> list[str]:
    """Write out/train/0, out/render/0 and out/config.txt; returns footnotes.

    Its loader takes every entry of the data folder for an identity, so train/ holds nothing but 0/.  Rendering looks up
    rows 50, 100, 150 and 200 of the train split: where the budget is shorter, render/ repeats the budget's frames, so
    that the references stay inside the budget and no code is patched.
    """
    folder = out / "train" / "0"
    write_copy(subject, train, folder, replaced=("torso_imgs", "gt_imgs"))
    layout = Layout(folder)
    for split in ("train", "val"):
        content = read_json(layout.transforms(split))
        layout.transforms(split).unlink()  # val is a link into the subject
        write_json(layout.transforms(split), with_boxes(content, subject))
    for row in [*train, *subject.frames("val")]:
        write_image(folder / "com_imgs" / f"{row.img_id}.jpg", subject.gt(row.img_id))
        write_image(folder / "torso_imgs" / f"{row.img_id}.jpg", subject.torso_over_background(row.img_id))
    near, far = bounds(train)
    planes = {"near": near, "far": far}
    write_text(out / "config.txt", config({**TRAINING, **planes}))
    write_text(out / "render.txt", config({**RENDERING, **planes}))
    return _write_render(folder, out / "render" / "0", len(train))


def _write_render(source: Path, target: Path, frames: int) -> list[str]:
    target.mkdir(parents=True)
    train = Layout(source).transforms("train")
    for path in source.iterdir():
        if path != train:
            (target / path.name).symlink_to(Path("../../train/0") / path.name)
    content = read_json(train)
    content["frames"] = [content["frames"][k % frames] for k in range(max(frames, REFERENCES[-1] + 1))]
    write_json(Layout(target).transforms("train"), content)
    if frames > REFERENCES[-1]:
        return []
    shown = ", ".join(str(k % frames) for k in REFERENCES)
    return [f"DFRF's reference views 50, 100, 150, 200 reach beyond the budget; its frames {shown} stand in"]


def with_boxes(content: dict[str, Any], subject: Subject) -> dict[str, Any]:
    """Add face_rect and lip_rect, [x, y, w, h] in pixels, to each row (data_util/process_data.py, step 7)."""
    height, width = subject.size
    rows = []
    for row in content["frames"]:
        points = subject.landmarks([int(row["img_id"])])[0]
        left, right = points[:, 0].min(), points[:, 0].max()
        x = int((left + right) / 2)
        brow, lip = int(points[27, 1]), int(points[66, 1])
        face = _box(x, brow, (right - x) * 1.5, (points[8, 1] - brow) * 1.15, width, height)
        lips = _box(x, lip, (points[54, 0] - x) * 1.2, (points[57, 1] - lip) * 1.2, width, height)
        rows.append({**row, "face_rect": face, "lip_rect": lips})
    return {**content, "frames": rows}


def _box(x: int, y: int, half_width: float, half_height: float, width: int, height: int) -> list[int]:
    w, h = int(half_width), int(half_height)
    left, top = max(x - w, 0), max(y - h, 0)
    return [left, top, min(width - 1 - left, 2 * w), min(height - 1 - top, 2 * h)]


def bounds(train: Sequence[Frame]) -> tuple[float, float]:
    """Near and far plane: the head's mean distance minus 0.2 and plus 0.4 (data_util/process_data.py, step 7)."""
    rotations, centres = (np.stack([f.c2w[:3, part] for f in train]) for part in (slice(0, 3), 3))
    depth = np.einsum("tji,tj->ti", rotations, centres)[:, 2].mean()  # of the camera, along its own axis
    return float(depth - 0.2), float(depth + 0.4)


def config(values: dict[str, object]) -> str:
    """Options as its argument parser reads them from a file."""
    return "".join(f"{key} = {value}\n" for key, value in values.items())
