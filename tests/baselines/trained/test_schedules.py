"""Schedules, curricula and losses of the re-implementations against values worked out by hand, and the traps of the official loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from baselines.trained.gaussiantalker.options import PAPER as GAUSSIANTALKER
from baselines.trained.instag.options import PAPER as INSTAG
from baselines.trained.instag.options import pretraining
from baselines.trained.shared import pictures
from baselines.trained.shared.curriculum import LEAST, Draw, Measures, Window, face_window, mouth_window
from baselines.trained.shared.motion_net import Signals
from baselines.trained.shared.pictures import Shot
from baselines.trained.shared.rates import bent, means_factor
from baselines.trained.talkinggaussian.options import PAPER as TALKINGGAUSSIAN
from d3talker.graphics.layers import Camera, Layer, Posed
from d3talker.learning.fields import Deformation
from d3talker.learning.losses import negative_contrast
from d3talker.learning.patches import crop_loss, patch_size, patches, widened


def measures(blink: float = 1.0, frames: int = 101) -> Measures:
    """Lip heights 2 ... 12 px, openings 0 ... 1, blinks 0 ... `blink`, mouth pixels 0 ... 100."""
    along = np.linspace(0, 1, frames)
    return Measures(2 + 10 * along, along, blink * along, np.arange(frames))


def test_talkinggaussian_rates() -> None:
    """x .5 at 40,000 steps of the face, where they jump to .158; .1 at the end.  The mouth's at 39,000 and 49,000."""
    s = TALKINGGAUSSIAN.schedule
    assert bent(39999 / 50000, s.face_bend) == pytest.approx(0.5, abs=1e-4)
    assert bent(40000 / 50000, s.face_bend) == pytest.approx(0.1 ** (40 / 50))
    assert bent(1.0, s.face_bend) == pytest.approx(0.1)
    assert bent(39000 / 50000, s.mouth_bend, s.mouth_end) == pytest.approx(0.1 ** (39 / 49))
    assert means_factor(45000 / 50000, s.means_horizon) == pytest.approx(0.01) == means_factor(1.0, s.means_horizon)
    assert means_factor(22500 / 50000, s.means_horizon) == pytest.approx(0.1)
    assert INSTAG.schedule.held == 0.3 and means_factor(1.0, INSTAG.schedule.means_horizon) == pytest.approx(0.36, abs=2e-3)
    before = pretraining(INSTAG).schedule
    assert bent(99999 / 150000, before.face_bend) == pytest.approx(0.5, abs=1e-4)
    assert means_factor(45000 / 150000, before.means_horizon) == pytest.approx(0.01)
    assert 0.1 ** (1 / GAUSSIANTALKER.schedule.fine_horizon) == pytest.approx(0.32, abs=4e-3)
    assert means_factor(1.0, GAUSSIANTALKER.schedule.fine_horizon) == pytest.approx(0.1)


def test_face_window_opens_the_lips_then_blinks() -> None:
    c, m = TALKINGGAUSSIAN.curriculum, measures()
    first = face_window(c, m, 0, 0.0, 0.06)
    assert first is not None and (first.low, first.high) == pytest.approx((2 + 10 * 0.04, 2 + 10 * 0.36))
    late = face_window(c, m, 2985, 2985 / 50000, 0.06)
    assert late is not None and late.low == pytest.approx(2 + 10 * (0.2 + 0.8 * 2985 / 40000 - 0.16))
    blinking = face_window(c, m, 20010, 20010 / 50000, 0.06)
    assert blinking is not None and (blinking.low, blinking.high) == pytest.approx((0.50025 - 0.15, 0.50025 + 0.3))
    assert face_window(c, m, 1, 1 / 50000, 0.06) is None and face_window(c, m, 45000, 0.9, 0.06) is None
    own = face_window(INSTAG.curriculum, m, 5000, 0.5, 0.3)
    assert own is not None and (own.low, own.high) == pytest.approx((-0.1, 0.9))


def test_mouth_window_begins_with_the_most_open_frames() -> None:
    m = measures()
    first = mouth_window(TALKINGGAUSSIAN.curriculum, m, 1, 0.0, 0.06)
    assert first is not None and first.frames(np.ones(101, bool)).nonzero()[0].tolist() == list(range(95, 101))
    half = mouth_window(TALKINGGAUSSIAN.curriculum, m, 7 * 2786, 0.39, 0.06)  # half of 39,000 steps
    assert half is not None and half.low == pytest.approx(0.95 - 0.5 * (0.95 - 0.25))
    assert half.frames(np.ones(101, bool))[100]  # an opening above the clip counts as clipped
    assert mouth_window(TALKINGGAUSSIAN.curriculum, m, 8, 0.39, 0.06) is None
    own = mouth_window(INSTAG.curriculum, m, 1, 0.1, 0.3)
    assert own is not None and own.low == pytest.approx(0.75)


@pytest.mark.parametrize("options", [TALKINGGAUSSIAN, INSTAG])
def test_a_clip_without_a_blink_or_a_mouth_never_hangs(options) -> None:
    """The official loops reject frames until one fits: for ever on such a clip."""
    still = Measures(np.full(125, 3.0), np.zeros(125), np.zeros(125), np.zeros(125, int))
    draw, generator = Draw(options.curriculum, still, (128, 128)), torch.Generator().manual_seed(0)
    for step in range(0, 1000, 5):
        for region in ("face", "mouth"):
            assert 0 <= draw.next(region, step, step / 1000, 0.06, generator) < 125  # type: ignore[arg-type]


def test_a_window_that_holds_too_few_takes_the_nearest() -> None:
    m = measures(blink=0.5)
    found = Window(m.blink, 0.8, 1.2).frames(np.ones(101, bool))
    assert found.nonzero()[0].tolist() == list(range(101 - LEAST, 101))
    among = np.zeros(101, bool)
    among[:3] = True
    assert Window(m.blink, 0.8, 1.2).frames(among).nonzero()[0].tolist() == [0, 1, 2]


def test_frames_come_without_replacement_and_go_on_from_a_checkpoint() -> None:
    m = measures(frames=20)
    draw, generator = Draw(TALKINGGAUSSIAN.curriculum, m, (512, 512)), torch.Generator().manual_seed(0)
    first = [draw.next("face", 1, 0.9, 0.06, generator) for _ in range(7)]
    again, kept = Draw(TALKINGGAUSSIAN.curriculum, m, (512, 512)), generator.get_state()
    again.load(draw.state())
    rest = [draw.next("face", 1, 0.9, 0.06, generator) for _ in range(13)]
    assert sorted(first + rest) == list(range(20))
    generator.set_state(kept)
    assert [again.next("face", 1, 0.9, 0.06, generator) for _ in range(13)] == rest
    assert min(draw.next("mouth", 1, 0.99, 0.06, generator) for _ in range(40)) >= 0
    showing = Draw(TALKINGGAUSSIAN.curriculum, measures(), (512, 512))
    assert min(showing.next("mouth", 8, 0.5, 0.06, generator) for _ in range(60)) >= 20  # mouth pixels
    smaller = Draw(TALKINGGAUSSIAN.curriculum, measures(), (128, 128))
    assert min(smaller.next("mouth", 8, 0.5, 0.06, generator) for _ in range(300)) < 20


def shot(size: int = 8) -> Shot:
    """Left half face, of which the top row is hair; a mouth of four pixels in a box of nine."""
    head, mouth, hair = (torch.zeros(size, size, 1, dtype=torch.bool) for _ in range(3))
    head[:, :4], mouth[4:6, 1:3], hair[0, :4] = True, True, True
    head &= ~mouth
    camera = Camera(torch.eye(4), torch.tensor([[8.0, 0, 4], [0, 8.0, 4], [0, 0, 1]]), size, size)
    picture = torch.rand(size, size, 3, generator=torch.Generator().manual_seed(0))
    return Shot(picture, picture, head, mouth, hair, camera, (1, 4, 4, 7), Signals(torch.zeros(1), torch.zeros(6)))


def test_the_face_learns_a_hole_and_the_mouth_is_free_in_its_box() -> None:
    s = shot()
    target = pictures.face_target(s)
    green = torch.tensor([0.0, 1, 0])
    assert torch.equal(target[4, 1], green) and torch.equal(target[2, 6], green) and torch.equal(target[2, 1], s.target[2, 1])
    drawn, wanted = pictures.without_hair(s, s.target, target)
    assert torch.equal(drawn[0, 0], green) and torch.equal(wanted[0, 3], green) and torch.equal(drawn[1], s.target[1])
    layer = Layer(torch.full((8, 8, 3), 0.3), torch.full((8, 8, 1), 0.5), torch.zeros(8, 8, 1), None)
    picture, wanted = pictures.mouth_pictures(s, layer, green)
    assert torch.equal(picture[6, 3], green)  # in the box, no mouth: any colour may be drawn
    torch.testing.assert_close(picture[4, 1], torch.tensor([0.3, 0.8, 0.3]))  # in the mouth: as drawn over green
    torch.testing.assert_close(picture[0, 0], torch.tensor([0.3, 0.8, 0.3]))  # outside the box, too
    assert torch.equal(wanted[4, 1], s.target[4, 1]) and torch.equal(wanted[0, 0], green)


def test_mouth_alpha_counts_the_box() -> None:
    layer = Layer(torch.zeros(8, 8, 3), torch.full((8, 8, 1), 0.25), torch.zeros(8, 8, 1), None)
    assert float(pictures.mouth_alpha_loss(layer, shot())) == pytest.approx((9 * 0.75 + 55 * 0.25) / 64)


def test_holes_of_the_mask_are_closed() -> None:
    s = shot()
    mask = torch.zeros(8, 8, 1, dtype=torch.bool)
    mask[3:6, 1:4] = True
    mask[4, 2] = False
    s = s._replace(mouth=mask)
    layer = Layer(torch.zeros(8, 8, 3), torch.zeros(8, 8, 1), torch.zeros(8, 8, 1), None)
    _, wanted = pictures.mouth_pictures(s, layer, torch.zeros(3), closed=True)
    assert torch.equal(wanted[4, 2], s.target[4, 2]) and not wanted[3, 4].any()


def test_motion_size_adds_what_the_nets_predict() -> None:
    moved = Deformation(torch.full((2, 3), -0.01), torch.full((2, 4), 0.5), torch.full((2, 3), 2.0), torch.full((2,), -1.0))
    assert float(pictures.motion_size(moved)) == pytest.approx(0.01 + 0.5 + 2 + 1)


def test_attention_on_lips_and_hair() -> None:
    """One opaque Gaussian over the whole picture: its attentions are seen everywhere, and weigh as they should."""
    posed = Posed(
        torch.tensor([[0.0, 0, 1]], requires_grad=True), torch.tensor([[1.0, 0, 0, 0]]), torch.full((1, 3), 10.0),
        torch.tensor([0.9]), torch.zeros(1, 3),
    )
    colors = torch.tensor([[2.0, 3.0, 0.0]], requires_grad=True)
    w = TALKINGGAUSSIAN.loss
    loss = pictures.attention_losses(posed, colors, shot(), w, True, True)
    assert float(loss.detach()) == pytest.approx(1e-4 * 0.9 * 3 + 1e-4 * 0.9 * 5, rel=2e-3)
    hidden = pictures.attention_losses(posed, colors, shot(), w, False, True)
    assert float(hidden.detach()) == pytest.approx(1e-4 * 0.9 * 3, rel=2e-3)
    loss.backward()
    assert posed.means.grad is None and colors.grad is not None  # the Gaussians do not learn by it


def test_green_is_found() -> None:
    colors = torch.tensor([[0.0, 1.0, 0.0], [0.2, 0.95, 0.1], [0.05, 0.8, 0.05], [1.0, 1.0, 1.0]])
    posed = Posed(torch.zeros(4, 3), torch.zeros(4, 4), torch.zeros(4, 3), torch.zeros(4), colors)
    assert pictures.is_green(posed, 30, 225).tolist() == [True, False, False, False]
    assert pictures.is_green(posed, 100, 180).tolist() == [True, True, True, False]


def test_negative_contrast_is_one_sided() -> None:
    own = torch.tensor([[1.0, 0, 0], [0, 2.0, 0]], requires_grad=True)
    others = torch.tensor([[[2.0, 0, 0], [0, -5.0, 0]], [[0, 1.0, 0], [0, 1.0, 0]]], requires_grad=True)
    loss = negative_contrast(own, others)
    assert float(loss) == pytest.approx((2 + 0) / 2 + (0 + 2) / 2)
    loss.backward()
    assert others.grad is None


def test_patches_and_crops_too_small_for_lpips_are_enlarged() -> None:
    assert {patch_size(16, 21, 128, torch.Generator().manual_seed(s)) for s in range(20)} == {32}
    assert {patch_size(32, 48, 512, torch.Generator().manual_seed(s)) for s in range(200)} <= set(range(64, 97, 2))
    picture = torch.arange(70 * 100 * 3, dtype=torch.float32).view(70, 100, 3)
    found = patches(picture, 32)
    assert found.shape == (6, 3, 32, 32) and torch.equal(found[4].permute(1, 2, 0), picture[32:64, 32:64])
    assert widened(10, 18, 128) == (0, 32) and widened(120, 126, 128) == (96, 128) and widened(3, 80, 128) == (3, 80)

    class Seen:
        def __call__(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            self.shape = tuple(a.shape)
            return (a - b).abs().mean((1, 2, 3))

    seen = Seen()
    crop_loss(seen, torch.rand(128, 128, 3), torch.rand(128, 128, 3), (60, 100, 72, 105))  # type: ignore[arg-type]
    assert seen.shape == (1, 3, 32, 32)
