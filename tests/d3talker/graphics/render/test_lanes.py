"""The 16-lane values that the tile kernels are written in, each operation against numpy or plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from numba.core.errors import TypingError

from d3talker.graphics.render import lanes
from d3talker.graphics.render.lanes import load, store
from d3talker.jit import kernel

START, OTHER, OUT = np.uint64(0), np.uint64(16), np.uint64(32)
RNG = np.random.default_rng(0)
FLOATS = np.concatenate([RNG.uniform(-9, 9, 16), RNG.uniform(0.5, 4, 16), np.zeros(16)]).astype(np.float32)
SCALAR = np.float32(1.75)


@kernel
def arithmetic(array):
    store(array, OUT, (load(array, START) + SCALAR) * load(array, OTHER) - SCALAR / load(array, OTHER))


@kernel
def rounding(array):
    x, y = load(array, START), load(array, OTHER)
    store(array, OUT, lanes.root(y) + lanes.ceiling(x) * SCALAR + lanes.nearest(x) + lanes.size(x))


@kernel
def choice(array):
    x, y = load(array, START), load(array, OTHER)
    store(array, OUT, lanes.above(x, SCALAR, lanes.least(x, y), lanes.most(x, SCALAR)))


@kernel
def powers(array):
    store(array, OUT, lanes.power_of_two(load(array, OTHER), lanes.nearest(load(array, START))))


def test_lanes_do_what_numpy_does():
    x, y = FLOATS[:16], FLOATS[16:32]
    wanted = {
        arithmetic: (x + SCALAR) * y - SCALAR / y,
        rounding: np.sqrt(y) + np.ceil(x) * SCALAR + np.rint(x) + np.abs(x),
        choice: np.where(x > SCALAR, np.minimum(x, y), np.maximum(x, SCALAR)),
        powers: np.ldexp(y, np.rint(x).astype(int)),
    }
    for function, want in wanted.items():
        array = FLOATS.copy()
        function(array)
        np.testing.assert_allclose(array[32:], want, rtol=1e-5, err_msg=str(function))
        np.testing.assert_array_equal(array[:32], FLOATS[:32])


@kernel
def signs(array):
    x = load(array, START)
    return lanes.any_positive(x), lanes.any_positive(lanes.spread(np.float32(0)) - lanes.size(x))


def test_signs():
    assert signs(FLOATS) == (True, False)


@kernel
def ten_sums(array, out):
    x, y = load(array, START), load(array, OTHER)
    store(out, START, lanes.totals((x, y, x + y, x * x, y * y, x * y, x - y, x, y, x * SCALAR)))


@kernel
def one_sum(array, out):
    store(out, START, lanes.totals((load(array, START),)))


@kernel
def sixteen_sums(array, out):
    x, y = load(array, START), load(array, OTHER)
    store(out, START, lanes.totals((x, y, x, x, y, y, x, x, x, x, y, y, y, y, x, y)))


def test_sums():
    x, y = FLOATS[:16].astype(float), FLOATS[16:32].astype(float)
    several = [x, y, x + y, x * x, y * y, x * y, x - y, x, y, x * SCALAR]
    full = [{"x": x, "y": y}[v] for v in "xyxxyyxxxxyyyyxy"]
    for function, values in ((ten_sums, several), (one_sum, [x]), (sixteen_sums, full)):
        out = np.full(16, np.nan, np.float32)
        function(FLOATS, out)
        np.testing.assert_allclose(out, [v.sum() for v in values] + [0] * (16 - len(values)), rtol=2e-5, err_msg=str(function))


@kernel
def spans(array):
    return lanes.byte_spans(load(array, START))


@kernel
def lowest(mask):
    return lanes.lowest_bit(mask)


def test_bits():
    first, last = RNG.integers(0, 9, 8), RNG.integers(0, 9, 8)
    want = sum(1 << (8 * k + bit) for k in range(8) for bit in range(first[k], last[k]))
    assert spans(np.concatenate([first, last]).astype(np.float32)) == want != 0
    for bit in (0, 5, 63):
        assert lowest(np.uint64((1 << 63) | (1 << bit))) == bit


@kernel
def mixed(array):
    store(array, OUT, load(array, START) + 1.0)


def test_a_double_does_not_fit():
    with pytest.raises(TypingError, match="Lanes"):
        mixed(FLOATS)
