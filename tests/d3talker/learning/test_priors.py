"""Depth and normals for the geometry loss: the fitted face against exact truth, and Sapiens' folders."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from d3talker.errors import UserError
from d3talker.graphics.layers import Layer
from d3talker.graphics.render import rasterize
from d3talker.learning.losses import geometry
from d3talker.learning.priors import Prior, load_priors
from d3talker.learning.staging import Shelf
from d3talker.people.subject.layout import Subject


def stacked(shelf: Shelf | None) -> Prior:
    """All frames of a shelf together."""
    assert shelf is not None
    frames = [shelf[index] for index in range(shelf.count)]
    return Prior(*map(torch.stack, zip(*frames)))


def test_a_frame_is_the_same_alone_and_in_company(person):
    subject = Subject(person)
    frames = subject.frames("train")[:20]
    together, alone = stacked(load_priors(subject, frames)), load_priors(subject, frames[7:8])
    assert together.normals[7].equal(alone[0][1]) and together.depth[7].nan_to_num().equal(alone[0][0].nan_to_num())


def test_the_fitted_face_has_the_true_depth_and_normals(person):
    """The truth's pictures come from another renderer's pass over the whole scene, hair and torso with it."""
    subject = Subject(person)
    frames = subject.frames("train")[:3]
    priors = stacked(load_priors(subject, frames))
    for k, frame in enumerate(frames):
        depth = cv2.imread(str(person / "truth" / "depth" / f"{frame.img_id}.png"), cv2.IMREAD_UNCHANGED) / 1e4
        normals = cv2.imread(str(person / "truth" / "normals" / f"{frame.img_id}.png"))[..., ::-1] / 127.5 - 1
        ours, known = priors.depth[k].numpy(), ~np.isnan(priors.depth[k].numpy())
        assert 0.04 < known.mean() < 0.5 and (np.isnan(ours) == (np.abs(priors.normals[k].numpy()).sum(-1) == 0)).all()
        off = np.abs(ours - depth)[known]
        assert np.median(off) < 2e-3 and np.quantile(off, 0.9) < 6e-3  # metres; hair hides some of the face
        towards = priors.normals[k].numpy() * (1, -1, -1)  # OpenCV's axes -> the truth's
        assert np.median((towards * normals).sum(-1)[known]) > 0.97


def test_sapiens_folders_come_first_and_fit_the_pictures(person, tmp_path):
    root = tmp_path / "x"
    shutil.copytree(person, root)
    subject, rng = Subject(root), np.random.default_rng(0)
    frames, (height, width) = subject.frames("train")[:2], subject.size
    for frame in frames:
        normals = rng.normal(size=(2 * height, 2 * width, 3)).astype(np.float32)
        normals *= 1.3 / np.linalg.norm(normals, axis=-1, keepdims=True)
        normals[: height // 2] = 0  # no person there
        for kind, values in (("normal", normals), ("depth", np.full((2 * height, 2 * width), 3.0 + frame.img_id))):
            folder = root / "sapiens" / kind / "sapiens_1b"
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / f"{frame.img_id}.npy", values)
    priors = stacked(load_priors(subject, frames))
    assert priors.depth.shape == (2, height, width) and priors.normals.shape == (2, height, width, 3)
    np.testing.assert_array_equal(priors.depth[:, 0, 0], [3.0 + frame.img_id for frame in frames])
    length = priors.normals.norm(dim=-1)
    assert not length[:, : height // 4].any() and torch.allclose(length[:, height // 4 :], torch.ones(()), atol=1e-5)
    later = stacked(load_priors(subject, subject.frames("train")[1:4]))  # InsTaG makes the first 500 frames only
    assert later.normals[0].equal(priors.normals[1]) and not later.normals[1:].any() and later.depth[1:].isnan().all()
    np.save(root / "sapiens" / "normal" / "sapiens_1b" / "1.npy", np.zeros((8, 8)))
    with pytest.raises(UserError, match=r"not \[H, W, 3\]"):
        load_priors(subject, frames)
    np.save(root / "sapiens" / "normal" / "sapiens_1b" / "1.npy", normals)
    shutil.rmtree(root / "sapiens" / "depth")
    normals_only = stacked(load_priors(subject, frames))
    assert normals_only.depth.isnan().all() and normals_only.normals.equal(priors.normals)


def test_a_sphere_of_gaussians_fits_sapiens_normals_of_it(person, tmp_path):
    """A perfect surface scores 0: Sapiens' axes (y up, z to the camera) and the rasteriser's (y down, z away) are brought together."""
    root = tmp_path / "x"
    shutil.copytree(person, root)
    subject = Subject(root)
    frame, (height, width), K = subject.frames("train")[0], subject.size, torch.from_numpy(subject.K).float()
    center, radius = torch.tensor([0.02, -0.01, 0.6]), 0.08  # in the camera, OpenCV's axes
    out = F.normalize(torch.randn(6000, 3, generator=torch.Generator().manual_seed(0)), dim=-1)
    z = torch.tensor([0.0, 0.0, 1.0]).expand_as(out)
    quats = torch.cat([1 + (z * out).sum(-1, keepdim=True), torch.linalg.cross(z, out)], -1)  # turns the short axis outwards
    scales = torch.tensor([0.004, 0.004, 0.0005]).expand(6000, 3)
    drawn = rasterize(
        center + radius * out, quats, scales, torch.full((6000,), 0.99), torch.ones(6000, 3), torch.eye(4)[None], K[None],
        width, height, normals=True,
    )
    rows, columns = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    rays = torch.stack([(columns - K[0, 2]) / K[0, 0], (rows - K[1, 2]) / K[1, 1], torch.ones(height, width)], -1)
    a, b, c = (rays**2).sum(-1), rays @ center, center @ center - radius**2
    hit = b**2 - a * c > 0
    nearest = (b - (b**2 - a * c).clamp_min(0).sqrt()) / a
    truth = torch.where(hit[..., None], (rays * nearest[..., None] - center) / radius, 0)
    assert truth[hit][:, 2].mean() < -0.5  # OpenCV: towards the camera is -z
    folder = root / "sapiens" / "normal" / "sapiens_1b"
    folder.mkdir(parents=True)
    np.save(folder / f"{frame.img_id}.npy", (truth * torch.tensor([1.0, -1.0, -1.0])).numpy())
    read = stacked(load_priors(subject, [frame])).normals[0]
    torch.testing.assert_close(read, truth, atol=1e-4, rtol=0)
    layer = Layer(drawn.rgb[0], drawn.alpha[0], drawn.depth[0], drawn.normals[0])
    unknown = torch.full((height, width), torch.nan)
    assert geometry(layer, read, unknown)[0] < 0.05
    assert geometry(layer, read * torch.tensor([1.0, -1.0, -1.0]), unknown)[0] > 1.0


def test_a_subject_with_neither_has_none(person, tmp_path):
    root = tmp_path / "x"
    shutil.copytree(person, root)
    shutil.rmtree(root / "motion")
    assert load_priors(Subject(root), Subject(root).frames("train")[:1]) is None
