"""gsplat against the CPU backends where a GPU is; its projection, our call of it and its messages anywhere."""

from __future__ import annotations

import inspect
import sys
import time
from types import SimpleNamespace

import pytest
import torch

from d3talker.errors import UserError
from d3talker.graphics.render import gsplat_backend, rasterize, reference
from d3talker.graphics.render.geometry import camera_normals, covariances
from d3talker.graphics.render.scene import make_scene as checked
from d3talker.jit import compiled_seconds


def test_cpu_tensors_are_refused(make_scene):
    scene = {key: value.float() for key, value in make_scene(5, 8).items()}
    with pytest.raises(UserError, match="float32 CUDA tensors"):
        rasterize(**scene, width=8, height=8, backend="gsplat")


@pytest.fixture
def anew():
    """gsplat looked for anew, and again after the test."""
    gsplat_backend._gsplat.cache_clear()
    yield
    gsplat_backend._gsplat.cache_clear()


def test_kernels_that_were_never_compiled_are_named(monkeypatch, anew):
    for name in ("gsplat", "gsplat.cuda", "gsplat.cuda._backend"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(_C=None))
    with pytest.raises(UserError, match="no CUDA toolkit"):
        gsplat_backend._gsplat()
    monkeypatch.setattr(sys.modules["gsplat.cuda._backend"], "_C", object())
    assert gsplat_backend._gsplat() is sys.modules["gsplat"]


def test_a_failed_build_is_one_sentence_and_compiling_is_not_training(monkeypatch, anew):
    def failing(module, *rest):
        if module.endswith("_backend"):
            time.sleep(0.05)
            raise RuntimeError("Error building extension 'gsplat_cuda': [1/30] nvcc\n" + "x" * 5000)
        return SimpleNamespace()

    monkeypatch.setattr(gsplat_backend, "require", failing)
    with pytest.raises(UserError, match=r"could not be compiled \(Error building .*d3talker doctor") as caught:
        gsplat_backend._gsplat()
    assert len(str(caught.value)) < 450

    def slow(module, *rest):
        time.sleep(0.05)
        return SimpleNamespace(_C=object())

    monkeypatch.setattr(gsplat_backend, "require", slow)
    before = compiled_seconds()
    gsplat_backend._gsplat()
    gsplat_backend._gsplat()
    assert 0.05 <= compiled_seconds() - before < 0.09


@pytest.mark.parametrize("spread", [1, 8])  # 8: most lie off screen, where the Jacobian is clamped, and some behind the camera
def test_projection_is_that_of_gsplats_torch_code(make_scene, spread):
    project = pytest.importorskip("gsplat.cuda._torch_impl")._fully_fused_projection
    scene = make_scene(500, 64)
    means, cov = spread * scene["means"], covariances(scene["quats"], scene["scales"])
    ours = reference.project(means, cov, scene["opacities"], scene["viewmats"][0], scene["Ks"][0], 64, 64)
    radii, centres, depths, conics, _ = project(means, cov, scene["viewmats"], scene["Ks"], 64, 64)
    seen = radii[0].all(-1)
    assert 20 < seen.sum() <= 500
    assert (ours.reach[seen] > 0).all()
    assert (ours.reach[seen] <= radii[0][seen]).all()  # ours ends where alpha does, gsplat's is rounded up
    for name, theirs in (("centres", centres), ("conics", conics), ("depths", depths)):
        torch.testing.assert_close(getattr(ours, name)[seen], theirs[0][seen], rtol=1e-12, atol=1e-12, msg=lambda text, name=name: f"{name}: {text}")


class OnCuda(torch.Tensor):
    """A CPU tensor that claims to be on CUDA."""

    is_cuda = True


def gsplat_double(means, quats, scales, opacities, colors, viewmats, Ks, width, height, **options):
    """gsplat.rasterization for what our backend asks of it, by the reference: [B, N, ...] and one camera an entry."""
    assert options == {
        "near_plane": 0.01, "eps2d": 0.3, "packed": False, "render_mode": "RGB+D", "rasterize_mode": "classic"
    }  # fmt: skip
    entries = len(means)
    assert viewmats.shape == (entries, 1, 4, 4) and Ks.shape == (entries, 1, 3, 3) and colors.shape[:2] == (entries, 1)
    images = []
    for b in range(entries):
        cov = covariances(quats[b], scales[b])
        flat = reference.project(means[b], cov, opacities[b], viewmats[b, 0], Ks[b, 0], width, height)
        features = torch.cat([colors[b, 0], flat.depths[:, None]], 1)
        images.append(reference.render_camera(flat, opacities[b], features, width, height))
    image = torch.stack(images)[:, None]
    return image[..., :-1], image[..., -1:], {}


@pytest.mark.parametrize("normals", [False, True])
@pytest.mark.parametrize(("views", "batched"), [(1, False), (3, False), (3, True)])
def test_the_call_fits_gsplats_signature_and_layout(make_scene, monkeypatch, views, batched, normals):
    signature = inspect.signature(pytest.importorskip("gsplat").rasterization)
    calls = []

    def rasterization(*arguments, **options):
        signature.bind(*arguments, **options)
        calls.append(options)
        return gsplat_double(*arguments, **options)

    monkeypatch.setattr(gsplat_backend, "_gsplat", lambda: SimpleNamespace(rasterization=rasterization))
    tensors = {name: value.float() for name, value in make_scene(60, 24, views=views, batched=batched).items()}
    scene = checked(
        {name: tensors[name] for name in ("means", "quats", "scales", "opacities", "colors")},
        tensors["viewmats"], tensors["Ks"], 24, 24, tensors["background"],
    )  # fmt: skip
    extra = camera_normals(scene.means, scene.quats, scene.scales, scene.viewmats) if normals else None
    want = reference.rasterize(scene, extra)
    object.__setattr__(scene, "means", scene.means.as_subclass(OnCuda))
    got = gsplat_backend.rasterize(scene, extra)
    assert len(calls) == 1
    for name, a, b in zip(want._fields, got, want):
        assert (a is None) == (b is None), name
        if a is not None:
            torch.testing.assert_close(torch.Tensor(a), b, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.gpu
@pytest.mark.parametrize(("views", "batched"), [(1, False), (3, True)])
def test_equals_reference_and_cpu(make_scene, render, views, batched):
    pytest.importorskip("gsplat")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    scene = make_scene(400, 64, views=views, batched=batched)
    got, grads = render(scene, 64, "gsplat", torch.float32, device="cuda")
    for backend, dtype in (("reference", torch.float64), ("cpu", torch.float32)):
        want, wanted = render(scene, 64, backend, dtype)
        for a, b in zip(got, want):
            assert (a.cpu().double() - b.double()).abs().max() < 5e-3, backend  # a flip at alpha = 1/255 is 0.4 %
            assert (a.cpu().double() - b.double()).abs().mean() < 1e-5, backend
        for name in set(grads) - {"Ks"}:  # gsplat has no gradient for Ks
            a, b = grads[name].cpu().double(), wanted[name].double()
            assert (a - b).norm() < 1e-2 * b.norm(), f"{backend}: gradient of {name}"
