"""The inner loops must compile to vector code: a scalar loop gives the same numbers five to ten times slower."""

from __future__ import annotations

import platform
import re

import numba
import numpy as np
import pytest

from d3talker.graphics.render import blend_gradients, blend_kernels, tile_kernels
from d3talker.graphics.render.projection_gradients import PARTS
from d3talker.jit import FAST
from d3talker.learning import dssim_kernels

pytestmark = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="looks for x86 vector registers")

FLOATS = np.zeros(64, np.float32)
BUFFER, SPLAT = np.zeros(int(tile_kernels.BUFFER), np.float32), np.zeros(16, np.float32)
ONE, ALL = np.float32(1), np.uint64(2**64 - 1)
CALLS = {
    "blend": (blend_kernels.blend_splat, (SPLAT, BUFFER, ONE, ONE, ALL, None)),
    "unblend": (blend_gradients.unblend_splat, (SPLAT, BUFFER, ONE, ONE, ALL, None, np.zeros(PARTS, np.float32))),
    "ssim": (dssim_kernels.similarity, (np.zeros(3000, np.float32), FLOATS.copy(), FLOATS.copy(), FLOATS.copy())),
    "gradient of ssim": (
        dssim_kernels.combine, (np.zeros(3000, np.float32), FLOATS.copy(), FLOATS.copy(), FLOATS.copy(), ONE)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_uses_packed_registers(name):
    function, arguments = CALLS[name]
    # compiled anew: numba shows no code that it took from its cache
    fresh = numba.njit(error_model="numpy", fastmath=FAST)(function.py_func)
    fresh(*arguments)
    (code,) = fresh.inspect_asm().values()
    packed = re.findall(r"^\s*v?(?:mul|add|fmadd\w*|fnmadd\w*|fmsub\w*)ps\s.*%[yz]mm", code, re.MULTILINE)
    if not re.search(r"\sv(?:mul|add)[sp]s\s", code):
        pytest.skip("this CPU has no AVX")
    assert len(packed) >= 15, f"{name}: only {len(packed)} packed float instructions"
