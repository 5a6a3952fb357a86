"""Losses against values computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from d3talker.graphics.layers import Layer
from d3talker.learning.losses import geometry, mask_loss, negative_contrast
from d3talker.method.contrast import similarity_contrast

AXES = torch.eye(3, dtype=torch.float64) * 1e-2


def test_similarity_contrast_equals_equation_10() -> None:
    general = AXES[0].repeat(4, 1)
    individuals = [AXES[0].repeat(4, 1), -AXES[0].repeat(4, 1), AXES[1].repeat(4, 1)]  # cosines 1, -1, 0
    tau = 0.5
    for k, similarity in enumerate((1.0, -1.0, 0.0)):
        expected = -math.log(math.exp(similarity / tau) / sum(math.exp(s / tau) for s in (1.0, -1.0, 0.0)))
        assert similarity_contrast(general, torch.stack(individuals), k, tau).item() == pytest.approx(expected, abs=1e-9)


def test_similarity_contrast_is_a_mean_of_cosines_over_gaussians() -> None:
    rng = torch.Generator().manual_seed(0)
    general, *individuals = (torch.randn(50, 3, generator=rng, dtype=torch.float64) * 1e-3 for _ in range(4))
    cosines = [np.mean([float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)) for a, b in zip(general.numpy(), other.numpy())])
               for other in individuals]
    logits = np.array(cosines) / 0.1
    expected = np.log(np.exp(logits).sum()) - logits[1]
    assert similarity_contrast(general, torch.stack(individuals), 1, 0.1).item() == pytest.approx(expected, rel=1e-6)


def test_similarity_contrast_gradient() -> None:
    rng = torch.Generator().manual_seed(1)
    tensors = [torch.randn(6, 3, generator=rng, dtype=torch.float64, requires_grad=True) for _ in range(4)]
    assert torch.autograd.gradcheck(lambda g, *i: similarity_contrast(g, torch.stack(i), 2, 0.3), tensors)


def test_no_deformation_gives_no_gradient() -> None:
    still = torch.zeros(5, 3, requires_grad=True)
    loss = similarity_contrast(still, torch.stack([still, torch.zeros(5, 3)]), 0, 0.1)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2)) and torch.equal(still.grad, torch.zeros(5, 3))


def test_negative_contrast_is_one_sided_and_spares_the_others() -> None:
    own = (AXES[0] * 2).repeat(3, 1).requires_grad_()
    others = [AXES[0].repeat(3, 1).requires_grad_(), (-AXES[0]).repeat(3, 1).requires_grad_()]
    loss = negative_contrast(own, torch.stack(others))
    assert loss.item() == pytest.approx(2e-2 * 1e-2)  # the opposite one counts nothing
    loss.backward()
    assert others[0].grad is None and own.grad is not None


def test_mask_loss() -> None:
    mask = torch.tensor([[[1.0], [0.0]]])
    assert mask_loss(mask, mask > 0).item() == 0
    assert mask_loss(1 - mask, mask > 0).item() == 1
    alpha = torch.tensor([[[0.25], [0.5]]], requires_grad=True)
    mask_loss(alpha, mask > 0).backward()
    assert alpha.grad.flatten().tolist() == [-0.5, 0.5]


def _layer(normals: torch.Tensor, depth: torch.Tensor) -> Layer:
    height, width = depth.shape
    ones = torch.ones(height, width, 1, dtype=depth.dtype)
    return Layer(torch.zeros(height, width, 3, dtype=depth.dtype), ones, depth[..., None], normals)


def test_geometry_is_zero_for_the_truth_in_any_affine_unit_and_ignores_what_is_unknown() -> None:
    rng = torch.Generator().manual_seed(0)
    normals = torch.nn.functional.normalize(torch.randn(6, 8, 3, generator=rng), dim=-1)
    depth = torch.rand(6, 8, generator=rng) + 1
    prior_normals, prior_depth = normals.clone(), depth * 3 + 7
    prior_normals[0], prior_depth[0] = 0, float("nan")
    normal, shape = geometry(_layer(normals * 0.9, depth), prior_normals, prior_depth)
    assert normal.item() == pytest.approx(0, abs=1e-6) and shape.item() == pytest.approx(0, abs=1e-4)
    normal, shape = geometry(_layer(-normals, 5 - depth), prior_normals, prior_depth)
    assert normal.item() == pytest.approx(2, abs=1e-5) and shape.item() > 0.5


def test_geometry_without_any_prior_is_zero_and_finite() -> None:
    layer = _layer(torch.ones(4, 4, 3, requires_grad=True), torch.ones(4, 4))
    normal, depth = geometry(layer, torch.zeros(4, 4, 3), torch.full((4, 4), float("nan")))
    assert (normal.item(), depth.item()) == (0, 0)
