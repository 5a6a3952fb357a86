"""Spherical harmonics against scipy's complex ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y

from d3talker.errors import UserError
from d3talker.graphics.render import eval_sh
from d3talker.graphics.render.sh import sh_basis


def real_harmonic(degree: int, order: int, directions: np.ndarray) -> np.ndarray:
    """Real form of Y_lm as 3D Gaussian splatting signs it: (-1)^m is kept for odd orders."""
    theta, phi = np.arccos(directions[:, 2]), np.arctan2(directions[:, 1], directions[:, 0])
    value = sph_harm_y(degree, abs(order), theta, phi)
    return value.real if order == 0 else np.sqrt(2) * (value.imag if order < 0 else value.real)


@pytest.fixture
def directions() -> np.ndarray:
    vectors = np.random.default_rng(0).normal(size=(50, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_basis_is_the_closed_formula(directions, degree):
    want = [real_harmonic(n, m, directions) for n in range(degree + 1) for m in range(-n, n + 1)]
    got = sh_basis(degree, torch.from_numpy(directions))
    np.testing.assert_allclose(got, np.stack(want, 1), atol=1e-12)


def test_colours(directions):
    g = torch.Generator().manual_seed(0)
    sh = torch.randn(50, 16, 3, generator=g, dtype=torch.float64)
    rays = torch.from_numpy(directions)
    full = eval_sh(3, sh, 7 * rays)
    want = torch.einsum("nk,nkc->nc", sh_basis(3, rays), sh) + 0.5
    assert torch.allclose(full, want.clamp_min(0), atol=1e-12)
    assert torch.allclose(eval_sh(1, sh, rays), eval_sh(1, sh[:, :4], rays))
    assert torch.equal(eval_sh(0, torch.zeros(50, 1, 3), rays.float()), torch.full((50, 3), 0.5))


def test_wrong_input_is_named():
    with pytest.raises(UserError, match="3 coefficients for degree 1"):
        eval_sh(1, torch.zeros(2, 3, 3), torch.ones(2, 3))
    with pytest.raises(UserError, match="not 4"):
        sh_basis(4, torch.ones(2, 3))
