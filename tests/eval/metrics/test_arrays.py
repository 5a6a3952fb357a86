"""Metrics of arrays as the field passes them: the same answers for every form, and a sentence where two readings are possible."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from d3talker.errors import UserError
from eval.metrics import psnr, ssim

RNG = np.random.default_rng(4)
A = RNG.random((2, 24, 30, 3))
B = np.clip(A + RNG.normal(0, 0.05, A.shape), 0, 1)
BYTES_A, BYTES_B = ((255 * clip).round().astype(np.uint8) for clip in (A, B))
FORMS = {
    "float64 HWC": lambda clip: clip, "float32 CHW": lambda clip: np.moveaxis(clip, -1, 1).astype(np.float32),
    "torch CHW": lambda clip: torch.from_numpy(clip).permute(0, 3, 1, 2).float().requires_grad_(),
    "torch HWC": torch.from_numpy, "0 ... 255": lambda clip: 255 * clip,
}


@pytest.mark.parametrize("form", FORMS)
def test_floats_are_measured_as_they_are_not_rounded(form: str) -> None:
    a, b, data_range = FORMS[form](A), FORMS[form](B), 255 if form == "0 ... 255" else 1
    options = dict(gaussian_weights=True, use_sample_covariance=False, data_range=1, channel_axis=-1)
    expected = [peak_signal_noise_ratio(y, x, data_range=1) for x, y in zip(A, B)]
    np.testing.assert_allclose(psnr(a, b, data_range=data_range), expected, rtol=1e-5)
    similar = [structural_similarity(x, y, **options) for x, y in zip(A, B)]
    np.testing.assert_allclose(ssim(a, b, data_range=data_range), similar, atol=1e-6)


def test_lpips_reads_floats_too(random_network) -> None:
    lpips, model = random_network
    a, b = (np.repeat(np.repeat(clip, 3, 1), 3, 2) for clip in (A, B))
    same = [clip.astype(np.float32) / 255 for clip in ((255 * a).round(), (255 * b).round())]
    expected = lpips((255 * a).round().astype(np.uint8), (255 * b).round().astype(np.uint8), model=model)
    np.testing.assert_allclose(lpips(*same, model=model, data_range=1), expected, rtol=1e-4)


@pytest.fixture
def random_network():
    pytest.importorskip("lpips")
    from d3talker.learning.backbones import Backbone
    from d3talker.learning.lpips import LPIPS
    from eval.metrics.perceptual import lpips

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return lpips, LPIPS("alex", Backbone("alexnet")).eval()


def test_bytes_of_any_form_agree() -> None:
    expected = psnr(BYTES_A, BYTES_B)
    tensors = [torch.from_numpy(clip).permute(0, 3, 1, 2) for clip in (BYTES_A, BYTES_B)]
    assert (psnr(*tensors) == expected).all() and (psnr(BYTES_A, BYTES_B, data_range=255) == expected).all()
    assert psnr(BYTES_A[0], BYTES_B[0]) == expected[:1]


@pytest.mark.parametrize(("a", "b", "options", "words"), [
    (A, B, {}, "say data_range=1 or data_range=255"),
    (A, B, {"data_range": 255}, r"looks like \[0, 1\]"),
    (255 * A, 255 * B, {"data_range": 1}, "where data_range=1 means 0 to 1"),
    (2 * A - 1, B, {"data_range": 1}, "rescale or clip it yourself"),
    (A, B, {"data_range": 2}, "give 1 for values"),
    (BYTES_A, BYTES_B, {"data_range": 1}, "uint8, whose range is 255"),
    (BYTES_A, B, {"data_range": 1}, "give both as uint8 or both as floats"),
    (np.where(A > 0.99, np.nan, A), B, {"data_range": 1}, "NaN"),
    (A[:, :3], B[:, :3], {"data_range": 1}, "either axis may be colour"),
    (A, B, {"data_range": 1, "layout": "CHW"}, "has the shape"),
    (A[..., :1], B[..., :1], {"data_range": 1}, "has the shape"),
    (A, B[:1], {"data_range": 1}, "2 frames, the reference 1"),
    (A, B[:, :-1], {"data_range": 1}, "30x24 px, the reference 30x23"),
    ([A], B, {"data_range": 1}, "is list"),
    (A.astype(np.int64), B, {}, "is int64"),
])
@pytest.mark.parametrize("metric", [psnr, ssim])
def test_what_can_be_read_in_two_ways_is_refused(metric, a, b, options, words) -> None:
    with pytest.raises(UserError, match=words):
        metric(a, b, **options)


def test_a_said_layout_settles_it() -> None:
    a, b = A[:, :3], B[:, :3]
    assert (psnr(a, b, data_range=1, layout="HWC") == psnr(np.moveaxis(a, -1, 1), np.moveaxis(b, -1, 1), data_range=1, layout="CHW")).all()
