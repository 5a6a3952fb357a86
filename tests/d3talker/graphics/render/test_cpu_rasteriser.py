"""The numba rasteriser against the torch reference: values and gradients, on random and on hostile scenes."""

from __future__ import annotations

import numba
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from d3talker.errors import UserError
from d3talker.graphics.render import rasterize


def assert_close(got, want, scale: float, what: str, rtol: float) -> None:
    assert torch.isfinite(got).all(), what
    error = (got.double() - want.double()).abs().max().item() if got.numel() else 0.0
    assert error <= rtol * scale, f"{what}: off by {error:.2e} of {scale:.2e}"


def compare(render, scene, size: int, rtol: float = 1e-4, rgrad: float = 1e-3, normals: bool = True) -> None:
    """float32 kernels against the float64 reference; errors relative to the largest entry of each tensor."""
    scene = {name: value.float().double() for name, value in scene.items()}  # both see the same numbers
    want, wanted = render(scene, size, "reference", torch.float64, normals)
    got, grads = render(scene, size, "cpu", torch.float32, normals)
    assert (got.normals is not None) == normals
    for name in want._fields[: 3 + normals]:
        value = getattr(want, name)
        assert_close(getattr(got, name), value, max(value.abs().max().item(), 1.0) if value.numel() else 1, name, rtol)
    for name, value in wanted.items():
        scale = value.abs().max().item() if value.numel() else 0.0
        assert_close(grads[name], value, max(scale, 1e-3), f"gradient of {name}", rgrad)


@pytest.mark.parametrize("normals", [True, False])
@pytest.mark.parametrize("size", [7, 16, 45])
@pytest.mark.parametrize(("views", "batched"), [(1, False), (3, False), (3, True)])
def test_values_and_gradients(make_scene, render, size, views, batched, normals):
    compare(render, make_scene(200, size, seed=size, views=views, batched=batched), size, normals=normals)


def test_mixed_batching(make_scene, render):
    scene = make_scene(80, 20, views=2)
    scene["means"] = torch.stack([scene["means"], scene["means"] + 0.01])
    scene["opacities"] = torch.stack([scene["opacities"], scene["opacities"] * 0.5])
    scene["background"] = torch.tensor([0.1, 0.9, 0.3], dtype=torch.float64)
    compare(render, scene, 20)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000), count=st.integers(1, 60), size=st.integers(1, 40), spread=st.floats(0.05, 8),
    stretch=st.floats(0.05, 6), zoom=st.floats(0.3, 4),
)  # fmt: skip
def test_any_scene(make_scene, render, seed, count, size, spread, stretch, zoom):
    scene = make_scene(count, size, seed)
    scene["means"] *= spread
    scene["scales"] *= stretch
    scene["Ks"][:, 0, 0] *= zoom
    # a contribution of about 1/255 may be counted by one side and skipped by the other: 0.4 % of one splat
    compare(render, scene, size, rtol=8e-3, rgrad=5e-2)


def hostile(name: str, scene, size: int):
    g = torch.Generator().manual_seed(5)
    count = len(scene["means"])
    if name == "behind":
        scene["means"][:] = torch.tensor([0.0, 0, 2])
    elif name == "near plane":
        scene["means"][:, 2] = 0.5 - 0.01 + 0.004 * torch.randn(count, generator=g)
    elif name == "transparent":
        scene["opacities"][:] = 0
    elif name == "below the cut":
        scene["opacities"][:] = 0.0039
    elif name == "opaque":
        scene["opacities"][:] = 1
    elif name == "huge":
        scene["scales"] *= 1e4
    elif name == "tiny":
        scene["scales"][:] = 0
    elif name == "needles":
        scene["scales"][:] = torch.tensor([0.3, 1e-6, 1e-6])
    elif name == "off screen":
        scene["means"][:, 0] += 40
    elif name == "beside the frustum":
        scene["means"][:, 0] += 0.5
        scene["scales"] *= 4
    elif name == "unnormalised":
        scene["quats"] *= 1e3
    elif name == "no rotation":
        scene["quats"][:] = 0
    elif name == "one depth":
        scene["means"][:, 2] = 0
    elif name == "stacked":
        scene["means"][:] = scene["means"][:1] * 0.1
        scene["opacities"][:] = 0.9
    elif name == "far":
        scene["means"][:, 2] = -1e3
    elif name == "wide lens":
        scene["Ks"][:, 0, 0] = scene["Ks"][:, 1, 1] = 0.2 * size
    return scene


HOSTILE = (
    "behind", "near plane", "transparent", "below the cut", "opaque", "huge", "tiny", "needles", "off screen",
    "beside the frustum", "unnormalised", "no rotation", "one depth", "stacked", "far", "wide lens",
)  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_scenes(make_scene, render, name):
    compare(render, hostile(name, make_scene(60, 33, seed=2, views=2), 33), 33, rtol=1e-3, rgrad=1e-2)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_empty_scene_shows_the_background(make_scene, render, backend):
    scene = make_scene(0, 10)
    out, grads = render(scene, 10, backend, torch.float32)
    assert torch.equal(out.rgb, scene["background"].float())
    assert out.alpha.abs().max() == 0
    assert out.depth.abs().max() == 0
    assert grads["means"].shape == (0, 3)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("name", ["means", "quats", "scales", "opacities", "colors", "viewmats", "Ks", "background"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_non_finite_input_is_named(make_scene, backend, name, bad):
    scene = {key: value.float() for key, value in make_scene(5, 8).items()}
    scene[name].view(-1)[3] = bad
    with pytest.raises(UserError, match=rf"1 NaN or infinite values in {name} "):
        rasterize(**scene, width=8, height=8, backend=backend)


def test_wrong_input_is_named(make_scene):
    scene = {key: value.float() for key, value in make_scene(5, 8).items()}
    cases = {
        "opacities of shape": scene | {"opacities": torch.rand(4)},
        "quats of shape": scene | {"quats": torch.rand(3, 5, 4)},
        "means of shape": scene | {"means": torch.rand(5)},
        "viewmats of shape": scene | {"viewmats": torch.eye(4)},
        "Ks of shape": scene | {"Ks": torch.eye(3)},
        "background of shape": scene | {"background": torch.rand(8, 8, 3)},
        "colors as torch.float64": scene | {"colors": scene["colors"].double()},
    }
    for message, bad in cases.items():
        with pytest.raises(UserError, match=message):
            rasterize(**bad, width=8, height=8)
    with pytest.raises(UserError, match="0x8 pixels"):
        rasterize(**scene, width=0, height=8)


def test_choice_of_backend(make_scene, monkeypatch):
    scene = {key: value.float() for key, value in make_scene(5, 8).items()}
    double = make_scene(5, 8)
    assert rasterize(**double, width=8, height=8).rgb.dtype == torch.float64, "auto takes the reference for float64"
    with pytest.raises(UserError, match="the cpu backend needs float32"):
        rasterize(**double, width=8, height=8, backend="cpu")
    with pytest.raises(UserError, match="the backend 'quick'"):
        rasterize(**scene, width=8, height=8, backend="quick")
    monkeypatch.setenv("D3TALKER_RENDER", "gsplat")
    with pytest.raises(UserError, match="gsplat backend needs float32 CUDA tensors"):
        rasterize(**scene, width=8, height=8)
    out = rasterize(**scene, width=8, height=8, backend="cpu")
    assert out.rgb.shape == (1, 8, 8, 3), "an argument beats the variable"


def test_same_bits_from_run_to_run_and_for_any_thread_count(make_scene, render):
    scene = make_scene(3000, 80, views=2)
    before = numba.get_num_threads()
    try:
        results = []
        for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS), 1):
            numba.set_num_threads(threads)
            out, grads = render(scene, 80, "cpu", torch.float32)
            results.append([*out, *grads.values()])
    finally:
        numba.set_num_threads(before)
    assert numba.config.NUMBA_NUM_THREADS > 1 or pytest.skip("one core: nothing to compare")
    for other in results[1:]:
        for a, b in zip(results[0], other):
            assert torch.equal(a, b)


def test_only_what_is_used_gets_a_gradient(make_scene):
    scene = {key: value.float().requires_grad_() for key, value in make_scene(50, 24).items()}
    out = rasterize(**scene, width=24, height=24, backend="cpu")
    leaves = [scene["means"], scene["colors"], scene["background"]]
    depth = torch.autograd.grad(out.depth.sum(), leaves, allow_unused=True)
    assert depth[0].abs().max() > 0
    assert depth[1].abs().max() == 0
    assert depth[2] is None
    with torch.no_grad():
        assert not rasterize(**scene, width=24, height=24, backend="cpu").rgb.requires_grad
