"""PSNR, SSIM and LPIPS against independent implementations, their properties, and what they refuse."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from d3talker.errors import UserError
from d3talker.learning.backbones import Backbone
from d3talker.learning.lpips import BACKBONES, LPIPS, load_lpips, to_images
from eval.metrics import lpips, psnr, ssim

RNG = np.random.default_rng(0)
PICTURE = np.ascontiguousarray(data.astronaut()[20:148, 150:262])
NOISY = np.clip(PICTURE.astype(int) + RNG.normal(0, 12, PICTURE.shape), 0, 255).astype(np.uint8)
DARK = (PICTURE * 0.6).astype(np.uint8)
CLIP, OTHER = np.stack([PICTURE, PICTURE, NOISY]), np.stack([NOISY, DARK, DARK])


def frames(draw_shape=(12, 13, 3)):
    return st.integers(0, 2**32 - 1).map(
        lambda seed: np.random.default_rng(seed).integers(0, 256, draw_shape, dtype=np.uint8)
    )


@pytest.fixture(scope="module")
def random_lpips():
    """Each network with seeded random convolutions and the published linear layers."""
    if importlib.util.find_spec("lpips") is None:
        pytest.skip("the linear layers ship in the package lpips")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return {net: LPIPS(net, Backbone(name)).eval() for net, name in BACKBONES.items()}


def test_psnr_equals_scikit_image():
    expected = [peak_signal_noise_ratio(b / 255, a / 255, data_range=1) for a, b in zip(CLIP, OTHER)]
    np.testing.assert_allclose(psnr(CLIP, OTHER), expected, rtol=1e-10)


def test_ssim_equals_scikit_image():
    options = dict(gaussian_weights=True, use_sample_covariance=False, sigma=1.5, data_range=1, channel_axis=-1)
    expected = [structural_similarity(a / 255, b / 255, **options) for a, b in zip(CLIP, OTHER)]
    np.testing.assert_allclose(ssim(CLIP, OTHER), expected, atol=1e-9)


@pytest.mark.parametrize("net", BACKBONES)
def test_lpips_equals_the_package(net, random_lpips, lpips_package, torchvision, monkeypatch):
    builder = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}[net]
    monkeypatch.setattr(
        torchvision.models, builder, lambda pretrained, build=getattr(torchvision.models, builder): build(weights=None)
    )
    official = lpips_package.LPIPS(net=net, version="0.1", verbose=False)
    ours = random_lpips[net]
    for name, tensor in official.net.named_parameters():
        layer, rest = name.split(".", 1)[1].split(".", 1)  # slice2.3.weight -> features.3.weight
        tensor.data = ours.backbone.features.get_submodule(layer).get_parameter(rest).data
    a, b = to_images(CLIP), to_images(OTHER)
    with torch.inference_mode():
        expected = official(a, b, normalize=True).flatten().numpy()
    assert expected.min() > 1e-3
    np.testing.assert_allclose(lpips(CLIP, OTHER, model=ours), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.shared
def test_lpips_known_answers(shared_data):
    import cv2

    folder = shared_data / "weights" / "lpips"
    images = {name: cv2.imread(str(folder / f"ex_{name}.png"))[..., ::-1].copy() for name in ("ref", "p0", "p1")}
    model = load_lpips("alex", shared_data / "weights")
    values = lpips(np.stack([images["p0"], images["p1"]]), np.stack([images["ref"]] * 2), model=model)
    np.testing.assert_allclose(values, [0.722, 0.138], atol=5e-4)
    assert load_lpips("squeeze", shared_data / "weights").net == "squeeze"


def test_identical_frames_score_the_ends_of_the_ranges(random_lpips):
    assert psnr(CLIP, CLIP).tolist() == [100, 100, 100]
    np.testing.assert_allclose(ssim(CLIP, CLIP), 1, rtol=1e-12)
    assert all(lpips(CLIP, CLIP, model=model).tolist() == [0, 0, 0] for model in random_lpips.values())


def test_mirrored_views_are_read_as_they_look(random_lpips):
    for metric in (psnr, ssim, lambda a, b: lpips(a, b, model=random_lpips["alex"])):
        flipped = metric(CLIP[:, :, ::-1], OTHER[:, :, ::-1])
        np.testing.assert_array_equal(flipped, metric(CLIP[:, :, ::-1].copy(), OTHER[:, :, ::-1].copy()))


def test_psnr_never_exceeds_its_cap():
    a = np.zeros((600, 600, 3), np.uint8)
    b = a.copy()
    b[0, 0, 0] = 1  # 108 dB
    assert psnr(a, b)[0] == 100


@settings(max_examples=25, deadline=None)
@given(frames(), frames())
def test_symmetry_and_range(a, b):
    for metric, low, high in ((psnr, 0, 100), (ssim, -1, 1)):
        forth, back = metric(a, b), metric(b, a)
        np.testing.assert_allclose(forth, back, rtol=1e-12)
        assert low <= forth[0] <= high


def test_lpips_is_symmetric_and_grows_with_noise(random_lpips):
    worse = np.clip(PICTURE.astype(int) + RNG.normal(0, 40, PICTURE.shape), 0, 255).astype(np.uint8)
    for model in random_lpips.values():
        near, far = lpips(NOISY, PICTURE, model=model), lpips(worse, PICTURE, model=model)
        assert 0 < near < far
        np.testing.assert_allclose(near, lpips(PICTURE, NOISY, model=model), rtol=1e-5)


def test_full_masks_change_nothing_and_empty_ones_measure_nothing(random_lpips):
    full, empty = np.ones(PICTURE.shape[:2], bool), np.zeros(PICTURE.shape[:2], bool)
    for metric in (psnr, ssim, lambda a, b, m=None: lpips(a, b, m, model=random_lpips["alex"])):
        plain, masked = metric(CLIP, OTHER), metric(CLIP, OTHER, [full, full, empty])
        np.testing.assert_allclose(masked[:2], plain[:2], rtol=1e-6)
        assert np.isnan(masked[2])


def test_masked_metrics_see_their_region_alone(random_lpips):
    mask = np.zeros(PICTURE.shape[:2], bool)
    mask[30:70, 20:80] = True
    changed = PICTURE.copy()
    changed[~mask] = 255 - changed[~mask]
    assert psnr(changed, PICTURE, [mask])[0] == 100 and psnr(changed, PICTURE, [~mask])[0] < 20
    inner = np.zeros_like(mask)
    inner[35:65, 25:75] = True  # a whole window away from what changed
    assert ssim(changed, PICTURE, [inner])[0] == pytest.approx(1, abs=1e-12)
    crop = (slice(30, 70), slice(20, 80))
    assert psnr(NOISY, PICTURE, [mask])[0] == pytest.approx(psnr(NOISY[crop], PICTURE[crop])[0], rel=1e-12)
    model = random_lpips["alex"]
    assert lpips(changed, PICTURE, [mask], model=model)[0] < lpips(changed, PICTURE, [~mask], model=model)[0]


@pytest.mark.parametrize(
    "bad",
    [
        PICTURE / 255, PICTURE[..., 0], PICTURE[..., :2], PICTURE.astype(np.int16), PICTURE[:-1], np.stack([NOISY] * 2),
        np.full(PICTURE.shape, np.nan), np.empty((0, 9, 9, 3), np.uint8), None, PICTURE.astype(np.float32),
    ],
)  # fmt: skip
@pytest.mark.parametrize("metric", [psnr, ssim, lpips])
def test_wrong_frames_are_refused(metric, bad):
    for pair in ((bad, PICTURE), (PICTURE, bad)):
        with pytest.raises(UserError):
            metric(*pair)


def test_too_small_frames_and_unknown_networks_are_refused(random_lpips):
    small = PICTURE[:10, :40]
    for metric in (ssim, lambda a, b: lpips(a, b, model=random_lpips["vgg"])):
        with pytest.raises(UserError, match="at least"):
            metric(small, small)
    with pytest.raises(UserError, match="choose one of"):
        load_lpips("resnet")
