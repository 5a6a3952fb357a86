"""The rig: what the modes say at each vertex, skinning by kernels against its twin in torch, binding, and its checkpoint."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d3talker.errors import UserError
from d3talker.graphics.render.geometry import rotation_matrices
from d3talker.method.rig import REBIND, HeadRig, cpu, reference
from d3talker.method.rig.mesh import STRAIN, TURN, _gradients, mesh_modes
from d3talker.people.head.embedded import INSIDE, embedded_head

MODEL = embedded_head()
NAMES = MODEL.expression_names
IDENTITY = np.random.default_rng(0).normal(size=len(MODEL.identity_names)) * 0.5
STILL = np.zeros(len(NAMES))


@pytest.fixture(scope="module")
def rig() -> HeadRig:
    return HeadRig(IDENTITY, STILL)


def expression(**coefficients: float) -> np.ndarray:
    values = STILL.copy()
    for name, value in coefficients.items():
        values[NAMES.index(name)] = value
    return values


def bound(count: int, seed: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, ...]:
    """A field of 40 vertices, and rows, weights and quaternions of `count` Gaussians."""
    g = torch.Generator().manual_seed(seed)
    field, weights = torch.randn(40, 12, generator=g) * 0.3, torch.rand(count, 4, generator=g)
    rows, quats = torch.randint(40, (count, 4), generator=g), torch.randn(count, 4, generator=g) * 3
    return field.to(dtype), rows, weights.to(dtype), quats.to(dtype)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 70), st.integers(0, 2**31))
def test_kernels_give_what_torch_gives_values_and_gradients(count: int, seed: int) -> None:
    field, rows, weights, quats = bound(count, seed)
    g = torch.Generator().manual_seed(seed + 1)
    pulls = [torch.randn(count, width, generator=g) for width in (3, 4, 3)]
    results = []
    for skin in (cpu.skin, reference.skin):
        own = quats.clone().requires_grad_()
        parts = skin(field, rows, weights, own)
        sum((part * pull).sum() for part, pull in zip(parts, pulls, strict=True)).backward()
        results.append([*parts, own.grad])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-5, atol=2e-5)


def test_gradients_against_finite_differences() -> None:
    field, rows, weights, quats = bound(5, 3, torch.float64)
    field.requires_grad_()
    quats.requires_grad_()
    assert torch.autograd.gradcheck(lambda f, q: reference.skin(f, rows, weights, q), (field, quats))


def test_a_small_turn_and_stretch_are_those_of_the_gaussian() -> None:
    """The covariance of a skinned Gaussian is (I + G) covariance (I + G)' to first order, with G = strain + turn."""
    g = torch.Generator().manual_seed(0)
    turn, strain = torch.randn(3, generator=g, dtype=torch.float64) * 1e-4, torch.randn(6, generator=g, dtype=torch.float64) * 1e-4
    field = torch.zeros(1, 12, dtype=torch.float64)
    field[0, TURN], field[0, STRAIN] = turn, strain
    xx, yy, zz, xy, xz, yz = strain
    x, y, z = turn
    whole = torch.eye(3, dtype=torch.float64) + torch.stack([xx, xy - z, xz + y, xy + z, yy, yz - x, xz - y, yz + x, zz]).view(3, 3)
    size = torch.tensor([[0.01, 0.01, 0.01]], dtype=torch.float64)  # a round one: its own axes are principal ones
    quats = torch.randn(1, 4, generator=g, dtype=torch.float64)
    _, turned, stretch = reference.skin(field, torch.zeros(1, 1, dtype=torch.long), torch.ones(1, 1, dtype=torch.float64), quats)
    half = rotation_matrices(quats + turned) * (size * stretch.exp())[..., None, :]
    wanted = whole @ torch.diag(size[0] ** 2) @ whole.T
    along = rotation_matrices(quats)[0]
    ours, theirs = ((along.T @ c @ along).diagonal() for c in ((half @ half.mT)[0], wanted))
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)
    flat = torch.tensor([[0.01, 0.02, 1e-9]], dtype=torch.float64)  # a flat one, whose normal shows the turn
    _, turned, _ = reference.skin(field * torch.cat([torch.ones(6), torch.zeros(6)]), torch.zeros(1, 1, dtype=torch.long), torch.ones(1, 1).double(), quats)
    spin = torch.eye(3, dtype=torch.float64) + torch.stack([torch.zeros(()).double(), -z, y, z, torch.zeros(()).double(), -x, -y, x, torch.zeros(()).double()]).view(3, 3)
    torch.testing.assert_close(rotation_matrices(quats + turned)[0] @ torch.diag(flat[0]), spin @ along @ torch.diag(flat[0]), rtol=0, atol=1e-9)


def test_a_rigid_turn_of_the_head_is_that_turn_at_every_vertex() -> None:
    vertices = MODEL.vertices(IDENTITY, STILL).astype(float)
    normals = MODEL.normals(vertices.astype(np.float32)).astype(float)
    x, y, z = 0.3, -0.2, 0.5
    spin = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    gradient = _gradients(vertices, (vertices @ spin.T)[None], normals, MODEL.triangles)[0]
    assert np.abs(gradient - spin).max() < 2e-3


def test_what_lies_on_the_head_goes_with_it(rig: HeadRig) -> None:
    """Gaussians on the vertices follow jaw, brow and lid to within what their neighbours' motion blends in."""
    skin = ~MODEL.region_mask(*INSIDE)
    start = MODEL.vertices(IDENTITY, STILL)[skin]
    rig.bind("face", torch.from_numpy(start))
    for name, blend in (("jaw_open", 0.1), ("brow_inner_up", 0.1), ("blink_left", 0.3)):  # lids lie on a still eyeball
        moved = expression(**{name: 0.6})
        shift = rig("face", torch.from_numpy(moved).float(), torch.randn(len(start), 4)).means.numpy()
        wanted = MODEL.vertices(IDENTITY, moved)[skin] - start
        assert np.corrcoef(shift.ravel(), wanted.ravel())[0, 1] > 0.98, name
        assert np.abs(shift - wanted).mean() < blend * np.abs(wanted).mean(), name


def test_what_lies_far_off_stays_and_the_rest_expression_moves_nothing(rig: HeadRig) -> None:
    open_ = torch.from_numpy(expression(jaw_open=1.0)).float()
    chin = MODEL.vertices(IDENTITY, STILL)[MODEL.landmarks[8]].tolist()
    rig.bind("face", torch.tensor([[0.0, -0.1, 0.5], chin]))
    shift = rig("face", open_, torch.ones(2, 4)).means
    assert shift[0].abs().max() < 1e-6 and shift[1, 1] < -0.005  # half a metre before the face; on the chin
    ajar = HeadRig(IDENTITY, expression(jaw_open=1.0))
    ajar.bind("face", torch.randn(50, 3) * 0.1)
    for part in ajar("face", open_, torch.randn(50, 4))[:3]:
        assert part.abs().max() == 0


def test_lips_that_rest_apart_are_not_bound_to_both() -> None:
    """With the mouth shut, what lies on the edge of the upper lip would go half the way with the lower one."""
    upper, lower = MODEL.landmarks[62], MODEL.landmarks[66]
    moved = {}
    for name, rest in (("shut", STILL), ("ajar", expression(jaw_open=0.3))):
        rig = HeadRig(IDENTITY, rest)
        rig.bind("face", torch.from_numpy(MODEL.vertices(IDENTITY, rest)[[upper, lower]] - [[0, 3e-4, 0], [0, -3e-4, 0]]).float())
        ends = [rig("face", torch.from_numpy(expression(jaw_open=value)).float(), torch.ones(2, 4)).means for value in (0, 1)]
        moved[name] = (ends[1] - ends[0])[:, 1].tolist()
    wanted = MODEL.expression_basis[NAMES.index("jaw_open")][[upper, lower], 1]
    gap = {name: abs((up - low) - (wanted[0] - wanted[1])) for name, (up, low) in moved.items()}
    assert gap["ajar"] < 0.35 * abs(wanted[1]) and gap["ajar"] < gap["shut"]


def test_neighbours_by_tree_and_by_distances_are_the_same() -> None:
    g = torch.Generator().manual_seed(0)
    points, vertices = torch.randn(300, 3, generator=g), torch.randn(500, 3, generator=g)
    tree, plain = cpu.nearest(points, vertices, 4), reference.nearest(points, vertices, 4)
    assert torch.equal(tree[1], plain[1])
    torch.testing.assert_close(tree[0], plain[0], rtol=1e-3, atol=1e-4)
    assert reference.nearest(points[:0], vertices, 4)[1].shape == cpu.nearest(points[:0], vertices, 4)[1].shape == (0, 4)


def test_binding_follows_the_steps_and_the_number(rig: HeadRig) -> None:
    means = torch.randn(30, 3) * 0.1
    rig.bind("mouth", means)
    rig.follow("mouth", means + 1, REBIND + 1)
    assert torch.equal(rig.mouth, means)
    rig.follow("mouth", means + 1, 2 * REBIND)
    assert torch.equal(rig.mouth, means + 1)
    rig.follow("mouth", means[:7], 2 * REBIND + 1)
    assert torch.equal(rig.mouth, means[:7]) and rig("mouth", torch.zeros(33), torch.ones(7, 4)).means.shape == (7, 3)


def test_a_checkpoint_brings_the_same_motion_back(rig: HeadRig) -> None:
    rig.bind("face", torch.randn(40, 3) * 0.1)
    other, e, q = HeadRig(), torch.rand(33), torch.randn(40, 4)
    state = rig.state_dict()
    assert set(state) == {"identity", "rest", "face", "mouth"}
    other.load_state_dict(state)
    for ours, theirs in zip(rig("face", e, q)[:3], other("face", e, q)[:3], strict=True):
        assert torch.equal(ours, theirs)
    with pytest.raises(RuntimeError, match="rest"):
        HeadRig().load_state_dict({name: value for name, value in state.items() if name != "rest"})


def test_another_heads_coefficients_are_refused() -> None:
    with pytest.raises(UserError, match="identity has 80 coefficients"):
        HeadRig(np.zeros(80), STILL)


def test_modes_are_finite_and_still_where_nothing_moves() -> None:
    meshes = mesh_modes(IDENTITY, STILL)
    assert sum(len(mesh.rest) for mesh in meshes.values()) == len(MODEL.mean)
    for mesh in meshes.values():
        assert np.isfinite(mesh.modes).all() and mesh.modes.shape == (len(NAMES), len(mesh.rest), 12)
    assert np.abs(meshes["mouth"].modes[NAMES.index("brow_down")]).max() < 1e-6
