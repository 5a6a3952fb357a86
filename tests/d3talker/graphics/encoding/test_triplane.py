"""The tri-plane encoder: layout, a scalar transcription of torch-ngp's formula, and equality of the backends."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d3talker.errors import UserError
from d3talker.graphics.encoding import TriPlaneEncoder, make_levels
from d3talker.graphics.encoding.tcnn import upper_limit, vertex_rows

SETTINGS = {
    "face": {},
    "mouth": {"base_resolution": 64, "desired_resolution": 384 * 0.15},
    "hashed": {"levels": 4, "features": 2, "desired_resolution": 200, "log2_table": 12},
    "one level": {"levels": 1, "features": 4},
}


def encoder(backend: str, dtype: torch.dtype = torch.float32, **kwargs) -> TriPlaneEncoder:
    module = TriPlaneEncoder(backend=backend, **kwargs)
    with torch.no_grad():
        module.table.copy_(torch.rand(module.table.shape, generator=torch.Generator().manual_seed(0)) - 0.5)
    return module.to(dtype)


def points(count: int, dtype: torch.dtype = torch.float32, reach: float = 0.17) -> torch.Tensor:
    return ((torch.rand(count, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1) * reach).to(dtype)


def oracle(module: TriPlaneEncoder, mean: np.ndarray) -> list[float]:
    """One point's features by the kernel's formula, one corner at a time, in exact integers."""
    count, base = module.levels, module.layout[0].scale + 1
    growth = math.log2((module.layout[-1].scale + 1) / base) / max(count - 1, 1)
    features = []
    for plane, (i, j) in enumerate(((0, 1), (1, 2), (0, 2))):
        unit = [(mean[k] + module.bound) / (2 * module.bound) for k in (i, j)]
        start = 0
        for level in range(count):
            scale = 2 ** (level * growth) * base - 1
            side = math.ceil(scale - 1e-9) + 2
            rows = math.ceil(min(module.layout[level].rows, side**2) / 8) * 8
            value = np.zeros(module.features)
            if all(0 <= u <= 1 for u in unit):
                position = [u * scale + 0.5 for u in unit]
                cell = [math.floor(p) for p in position]
                for dx in (0, 1):
                    for dy in (0, 1):
                        wx = position[0] - cell[0] if dx else 1 - position[0] + cell[0]
                        wy = position[1] - cell[1] if dy else 1 - position[1] + cell[1]
                        x, y = cell[0] + dx, cell[1] + dy
                        row = x + y * side if side**2 <= rows else (x ^ (y * 2654435761 % 2**32)) % rows
                        value += wx * wy * module.table[plane, start + row].detach().numpy()
            features += value.tolist()
            start += module.layout[level].rows
    return features


def test_published_settings_never_hash():
    for kwargs, finest in ((SETTINGS["face"], 39), (SETTINGS["mouth"], 58)):
        layout = TriPlaneEncoder(**kwargs).layout
        assert all(level.dense for level in layout)
        assert layout[-1].side == finest + 1
        assert len(layout) == 12
    assert [level.side for level in make_levels(3, 16, 64, 17)] == [17, 33, 65], "exact powers are not rounded up"
    assert [level.rows for level in make_levels(2, 16, 32, 17)] == [296, 1096], "multiples of 8"
    assert make_levels(1, 64, 64, 10)[0].rows == 1024
    assert not make_levels(1, 64, 64, 10)[0].dense


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("backend", ["reference", "grid"])
def test_equals_the_formula(name, backend):
    module = encoder(backend, torch.float64, **SETTINGS[name])
    means = points(40, torch.float64)
    means[:4] = torch.tensor([[-0.15, -0.15, -0.15], [0.15, 0.15, 0.15], [0.0, 0.1501, 0.0], [0.15, -0.15, 0.02]])
    got = module(means).detach().numpy()
    assert got.shape == (40, module.width)
    for mean, row in zip(means.numpy(), got):
        np.testing.assert_allclose(row, oracle(module, mean), atol=1e-12)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("backend", ["grid", "cpu"])
def test_backends_agree_in_values_and_gradients(name, backend):
    one, other = encoder("reference", torch.float64, **SETTINGS[name]), encoder(backend, **SETTINGS[name])
    one.load_state_dict(other.state_dict())
    means = points(700)
    means[:2] = torch.tensor([[0.14999, 0.14999, 0.14999], [-0.14999, -0.14999, -0.14999]])
    weights = torch.randn(700, one.width, generator=torch.Generator().manual_seed(2))
    results = []
    for module, dtype in ((one, torch.float64), (other, torch.float32)):
        leaf = means.to(dtype).requires_grad_()
        out = module(leaf)
        results.append((out, *torch.autograd.grad(out, [leaf, module.table], weights.to(dtype))))
    for what, a, b in zip(("features", "position gradient", "table gradient"), *results):
        if what == "position gradient":  # it jumps at cell borders, where rounding may choose the other cell
            assert ((a - b).abs() > 1e-4 * a.abs().max()).float().mean() < 0.005
        else:
            assert (a - b).abs().max() < 5e-5 * a.abs().max(), what  # 200 cells x float32 rounding


@pytest.mark.parametrize("backend", ["reference", "grid"])
@pytest.mark.parametrize("name", ["face", "hashed"])
def test_gradients_are_those_of_finite_differences(backend, name):
    kwargs = {"levels": 2, "log2_table": 5 if name == "hashed" else 7, "base_resolution": 3, "desired_resolution": 8}
    module = encoder(backend, torch.float64, **SETTINGS[name] | kwargs)
    assert any(not level.dense for level in module.layout) == (name == "hashed")
    means = points(4, torch.float64, 0.14).requires_grad_()

    def features(means, table):
        return torch.func.functional_call(module, {"table": table}, (means,)).sin().sum()

    assert torch.autograd.gradcheck(features, (means, module.table.detach().requires_grad_()), eps=1e-7, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 300), st.integers(1, 5), st.sampled_from([1, 2, 4]), st.integers(5, 14), st.floats(0.01, 3))
def test_any_layout(count, levels, features, log2_table, bound):
    kwargs = {"levels": levels, "features": features, "log2_table": log2_table, "bound": bound}
    kwargs["desired_resolution"] = 70
    means = points(count, reach=1.2 * bound)
    want = encoder("reference", **kwargs)(means)
    for backend in ("grid", "cpu"):
        assert torch.allclose(encoder(backend, **kwargs)(means), want, atol=2e-5)


def test_same_bits_for_any_thread_count():
    module, means = encoder("cpu"), points(3000).requires_grad_()
    before = numba.get_num_threads()
    if numba.config.NUMBA_NUM_THREADS == 1:
        pytest.skip("one core: nothing to compare")
    try:
        results = []
        for threads in (1, 2):
            numba.set_num_threads(threads)
            out = module(means)
            results.append((out, *torch.autograd.grad(out.square().sum(), [means, module.table])))
    finally:
        numba.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results))


def test_outside_is_zero_and_nan_is_harmless():
    means = torch.tensor([[0.2, 0.0, 0.0], [float("nan"), 0.0, 0.0], [float("inf"), 0.0, 0.0], [0.0, 0.0, 0.0]])
    for backend in ("reference", "grid", "cpu"):
        out = encoder(backend)(means).view(4, 3, 12)
        assert (out[:3, [0, 2]] == 0).all(), "planes xy and xz leave the box"
        assert torch.equal(out[0, 1], out[3, 1]), "plane yz does not see x"


def test_initial_table_and_choice_of_backend(monkeypatch):
    module = TriPlaneEncoder()
    assert 0.9e-4 < module.table.abs().max() <= 1e-4
    with pytest.raises(UserError, match="backend 'fast'"):
        TriPlaneEncoder(backend="fast")
    with pytest.raises(UserError, match=r"means of shape \(4,\)"):
        module(torch.zeros(4))
    with pytest.raises(UserError, match="float32 tensors on the CPU"):
        encoder("cpu", torch.float64)(torch.zeros(2, 3, dtype=torch.float64))
    with pytest.raises(UserError, match="levels=0"):
        TriPlaneEncoder(levels=0)
    monkeypatch.setenv("D3TALKER_ENCODER", "tinycudann")
    with pytest.raises(UserError, match="float32 CUDA tensors"):
        module(torch.zeros(2, 3))
    monkeypatch.setenv("D3TALKER_ENCODER", "warp")
    with pytest.raises(UserError, match="D3TALKER_ENCODER names the backend 'warp'"):
        module(torch.zeros(2, 3))


def test_tinycudann_order_of_rows():
    """Its dense index x + y * (ceil(scale) + 1) reads the vertex that ours reads, up to the stated limit."""
    layout = make_levels(12, 16, 38.4, 17)
    rows, start = vertex_rows(layout), 0
    limit = upper_limit(layout)
    assert 0.95 < limit < 1
    for level in layout:
        side = math.ceil(level.scale) + 1
        reached = math.floor(limit * level.scale + 0.5 - 1e-9) + 1
        assert reached <= side - 1, "the far corner of the last cell inside the limit exists"
        for x, y in ((0, 0), (3, 7), (reached, reached)):
            assert rows[start + x + y * side] == level.start + x + y * level.side
        start += -(-(side**2) // 8) * 8
    assert start == len(rows)
    with pytest.raises(UserError, match="cannot hash"):
        vertex_rows(make_levels(2, 16, 64, 8))
