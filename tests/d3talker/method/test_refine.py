"""The refiner's loss against hand-computed values, and its training: it learns, resumes, says what it lacks."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from d3talker import checkpoint
from d3talker.errors import UserError
from d3talker.learning.backbones import Backbone
from d3talker.method import refine
from d3talker.method.config import RefinerConfig
from d3talker.method.refine import RefinerTrainer, c2f_loss, load_perceptual
from d3talker.method.refiner import Refiner

CPU = torch.device("cpu")
CONFIG = RefinerConfig(width=1 / 32, learning_rate=2e-3, batch=2)


def toy(count: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Blurred and sharp random textures [count, 64, 64, 3]."""
    noise = torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    sharp = F.interpolate(noise, scale_factor=2, mode="bilinear")
    blurred = F.avg_pool2d(F.pad(sharp, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return blurred.permute(0, 2, 3, 1).contiguous(), sharp.permute(0, 2, 3, 1).contiguous()


def trainer(seed: int = 0, backbone: Backbone | None = None, config: RefinerConfig = CONFIG) -> RefinerTrainer:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Refiner(64, config)
    return RefinerTrainer(model, config, CPU, torch.Generator().manual_seed(seed), backbone)


def train(subject: RefinerTrainer, steps: int) -> None:
    coarse, target = toy()
    for _ in range(steps):
        at = subject.pick(len(coarse))
        subject.step(coarse[at], target[at])


def test_weights_of_another_training_are_taken_and_their_absence_or_other_width_is_named():
    old, new = trainer(), trainer(seed=1)
    new.start_from(old.state())
    assert all(torch.equal(v, new.refiner.state_dict()[k]) for k, v in old.refiner.state_dict().items())
    with pytest.raises(UserError, match="without a refiner"):
        new.start_from(None)
    with pytest.raises(UserError, match="width"):
        trainer(config=RefinerConfig(width=1 / 16)).start_from(old.state())


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return -10 * (a - b).square().mean().log10().item()


def test_sharpening_is_learnt():
    coarse, target = toy()
    subject = trainer(config=RefinerConfig(width=1 / 16, learning_rate=3e-3, batch=2))
    train(subject, 120)
    with torch.no_grad():
        fine = subject.refiner.eval()(coarse)
    assert psnr(fine, target) > psnr(coarse, target) + 1


def test_an_interrupted_training_ends_bit_for_bit_as_an_uninterrupted_one(tmp_path):
    whole, first, second = trainer(), trainer(), trainer(seed=9)
    train(whole, 6)
    train(first, 3)
    checkpoint.save(tmp_path / "c.safetensors", first.state())
    second.load(checkpoint.load(tmp_path / "c.safetensors"))
    second.generator.set_state(first.generator.get_state())
    train(second, 3)
    assert second.steps == whole.steps == 6
    for name, value in whole.refiner.state_dict().items():
        assert torch.equal(value, second.refiner.state_dict()[name]), name


def test_the_style_network_learns_at_a_tenth():
    subject = trainer()
    rates = {id(p): group["lr"] for group in subject.optimizer.param_groups for p in group["params"]}
    assert len(rates) == len(list(subject.refiner.parameters()))
    slow = {id(p) for p in subject.refiner.to_style[1].parameters()}
    assert slow and all(rate == pytest.approx(2e-4 if p in slow else 2e-3) for p, rate in rates.items())


def test_a_loss_that_is_not_finite_changes_nothing():
    subject = trainer()
    before = {name: value.clone() for name, value in subject.refiner.state_dict().items()}
    coarse, target = toy(1)
    with pytest.raises(FloatingPointError, match="learning_rate"):
        subject.step(coarse, target * float("nan"))
    assert subject.steps == 0 and all(torch.equal(v, before[k]) for k, v in subject.refiner.state_dict().items())


def test_no_gradient_reaches_the_coarse_image():
    coarse, target = toy(1)
    coarse.requires_grad_()
    trainer().step(coarse, target)
    assert coarse.grad is None


class Identity(torch.nn.Module):
    """Five times the picture itself, in place of AlexNet's activations."""

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return [images] * 5


def test_loss_against_a_value_by_hand():
    fine = torch.tensor([3.0, 0.0, 4.0]).expand(1, 2, 2, 3) / 5  # unit length
    target = torch.tensor([0.0, 1.0, 0.0]).expand(1, 2, 2, 3) / 2
    loss, parts = c2f_loss(fine, target, Identity(), 0.5)  # type: ignore[arg-type]
    distance = (0.6 + 1.0 + 0.8) * (0.1 + 0.1 + 1 + 1 + 1)
    assert parts["l1"].item() == pytest.approx((0.6 + 0.5 + 0.8) / 3)
    assert parts["perceptual"].item() == pytest.approx(distance, rel=1e-6)
    assert loss.item() == pytest.approx((0.6 + 0.5 + 0.8) / 3 + 0.5 * distance, rel=1e-6)


def test_perceptual_term_with_alexnet_is_zero_for_equal_images_and_pulls_at_the_fine_one_alone():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = Backbone("alexnet")
    coarse, target = toy(2)
    assert refine.perceptual_distance(target, target, backbone).item() == 0
    fine, target = coarse.clone().requires_grad_(), target.clone().requires_grad_()
    refine.perceptual_distance(fine, target, backbone).backward()
    assert fine.grad is not None and fine.grad.abs().sum() > 0 and target.grad is None


def test_absent_weights_are_stated(monkeypatch, tmp_path):
    for name in ("D3TALKER_WEIGHTS", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    backbone, note = load_perceptual(CPU)
    assert backbone is None and note is not None and "without its AlexNet perceptual term" in note and "alexnet" in note
    coarse, target = toy(1)
    loss, parts = c2f_loss(coarse, target, backbone, 0.5)
    assert set(parts) == {"l1"} and loss is parts["l1"]


@pytest.mark.shared
def test_real_weights_are_found(shared_data):
    backbone, note = load_perceptual(CPU, shared_data / "weights")
    assert backbone is not None and note is None
    assert set(trainer(backbone=backbone).step(*toy(2))) == {"l1", "perceptual"}
