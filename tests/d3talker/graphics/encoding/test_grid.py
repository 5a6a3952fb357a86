"""2D and 3D grids: the official index rule in exact integers, equality of the backends, gradients; the frequency encoding."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from d3talker.errors import UserError
from d3talker.graphics.encoding.grid import GridEncoder, frequency, rows_of

SETTINGS = {
    "tiled 3D": {"dims": 3, "index": "tiled", "levels": 6, "desired_resolution": 128, "log2_table": 13},
    "hashed 3D": {"dims": 3, "index": "hash", "levels": 4, "desired_resolution": 64, "log2_table": 13},
    "tiled 2D": {"dims": 2, "index": "tiled", "levels": 5, "desired_resolution": 300, "log2_table": 9},
    "hashed 2D": {"dims": 2, "index": "hash", "levels": 3, "features": 1, "desired_resolution": 100, "log2_table": 9},
}


def encoder(name: str, backend: str, dtype: torch.dtype = torch.float32, **kwargs) -> GridEncoder:
    module = GridEncoder(backend=backend, **SETTINGS[name] | kwargs)
    with torch.no_grad():
        module.table.copy_(torch.rand(module.table.shape, generator=torch.Generator().manual_seed(0)) - 0.5)
    return module.to(dtype)


def places(count: int, dims: int, dtype: torch.dtype = torch.float32, reach: float = 1.1) -> torch.Tensor:
    return ((torch.rand(count, dims, generator=torch.Generator().manual_seed(1)) * 2 - 1) * reach).to(dtype)


def official_row(corner: tuple[int, ...], side: int, rows: int, index: str) -> int:
    """The row of a corner, a coordinate at a time (sheet 1.2)."""
    stride, row = 1, 0
    for coordinate in corner:
        if stride > rows:
            break
        row += coordinate * stride
        stride *= side
    if index == "hash" and stride > rows:
        row = 0
        for coordinate, prime in zip(corner, (1, 2654435761, 805459861)):
            row ^= coordinate * prime % 2**32
    return row % rows


@pytest.mark.parametrize("name", SETTINGS)
def test_rows_follow_the_rule(name):
    module = encoder(name, "reference")
    g, kinds = np.random.default_rng(0), set()
    for level in module.layout:
        kinds.add(level.dense)
        corners = [tuple(int(v) for v in g.integers(0, level.side, module.dims)) for _ in range(50)]
        got = rows_of(torch.tensor(corners), level, module.index).tolist()
        assert got == [official_row(corner, level.side, level.rows, module.index) for corner in corners]
    assert kinds == {True, False}


def test_published_sizes():
    space, plane = GridEncoder(3, "tiled"), GridEncoder(2, "tiled")
    assert len(space.table) == 903_480 and len(plane.table) == 555_520, "RAD-NeRF's embeddings"
    assert [level.dense for level in space.layout] == [True] * 3 + [False] * 13
    corner = torch.tensor([[7, 300, 5], [7, 300, 900]])
    fine = [level for level in space.layout if level.side > 256]
    assert len(fine) == 7
    assert all(rows_of(corner, level, "tiled").unique().numel() == 1 for level in fine), "levels 9-15 pass over z"


@pytest.mark.parametrize("name", SETTINGS)
def test_values_equal_the_formula(name):
    module = encoder(name, "reference", torch.float64)
    points = places(30, module.dims, torch.float64)
    points[0], points[1], points[2] = 1.0, -1.0, 1.0001
    got = module(points).detach().numpy()
    for point, features in zip(points.numpy(), got):
        unit, expected = (point + 1) / 2, []
        for level in module.layout:
            value = np.zeros(module.table.shape[1])
            position = unit * level.scale + 0.5
            cell = np.floor(position).astype(int)
            for step in product((0, 1), repeat=module.dims) if ((unit >= 0) & (unit <= 1)).all() else ():
                weight = np.prod([p - c if s else 1 - p + c for p, c, s in zip(position, cell, step)])
                row = official_row(tuple(int(v) for v in cell + step), level.side, level.rows, module.index)
                value += weight * module.table[level.start + row].detach().numpy()
            expected += value.tolist()
        np.testing.assert_allclose(features, expected, atol=1e-12)
    assert not got[2].any() and got[0].any()


@pytest.mark.parametrize("name", SETTINGS)
def test_backends_agree_in_values_and_gradients(name):
    one, other = encoder(name, "reference", torch.float64), encoder(name, "cpu")
    points = places(700, one.dims)
    weights = torch.randn(700, one.width, generator=torch.Generator().manual_seed(2))
    results = []
    for module, dtype in ((one, torch.float64), (other, torch.float32)):
        leaf = points.to(dtype).requires_grad_()
        out = module(leaf)
        results.append((out, *torch.autograd.grad(out, [leaf, module.table], weights.to(dtype))))
    for what, a, b in zip(("features", "positions", "table"), *results):
        off = (a - b).abs() > 1e-4 * a.abs().max()
        assert off.float().mean() < (0.005 if what == "positions" else 1e-6), what  # it jumps at cell borders


@pytest.mark.parametrize("name", SETTINGS)
def test_gradients_are_those_of_finite_differences(name):
    module = encoder(name, "reference", torch.float64, levels=2, base_resolution=3, desired_resolution=9, log2_table=6)
    points = places(4, module.dims, torch.float64, 0.9).requires_grad_()

    def features(points, table):
        return torch.func.functional_call(module, {"table": table}, (points,)).sin().sum()

    assert torch.autograd.gradcheck(features, (points, module.table.detach().requires_grad_()), eps=1e-7, atol=1e-5)


def test_a_bound_for_each_axis():
    one, other = encoder("tiled 3D", "cpu"), encoder("tiled 3D", "cpu", bound=(0.25, 0.25, 0.125))
    points = places(50, 3)
    torch.testing.assert_close(one(points), other(points * torch.tensor([0.25, 0.25, 0.125])), atol=1e-5, rtol=0)


def test_wrong_input_is_one_sentence():
    with pytest.raises(UserError, match="dims are 2 or 3"):
        GridEncoder(4, "tiled")
    with pytest.raises(UserError, match=r"pass \[N, 3\]"):
        GridEncoder(3, "tiled", levels=1)(torch.zeros(3, 2))
    with pytest.raises(UserError, match="float32"):
        encoder("tiled 2D", "cpu", torch.float64)(places(3, 2, torch.float64))


def test_frequencies_by_hand():
    x = np.array([0.3, -1.2])
    got = frequency(torch.from_numpy(x)[None], 2)[0].numpy()
    np.testing.assert_allclose(got, np.concatenate([x, np.sin(x), np.cos(x), np.sin(2 * x), np.cos(2 * x)]))
    assert frequency(torch.zeros(5, 6), 4).shape == (5, 54) and frequency(torch.zeros(5, 2), 10).shape == (5, 42)
