"""Training of the Coarse-to-Fine module: its loss (paper eq. 11) and one step, for the loops of both stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from d3talker.errors import UserError
from d3talker.learning.backbones import Backbone, pretrained
from d3talker.learning.losses import l1
from d3talker.learning.optimisers import load_optimiser_state, optimiser_state
from d3talker.method.config import RefinerConfig
from d3talker.method.refiner import Refiner, fast_layout
from d3talker.weights import MissingWeights

BETAS = (0.9, 0.99)  # ours: with GAGAvatar's 0 the first steps spoil the picture, and learning is slower
STYLE_RATE = 0.1  # GAGAvatar: the style MLP's share of the learning rate
LAYER_WEIGHTS = (0.1, 0.1, 1.0, 1.0, 1.0)  # GAGAvatar: AlexNet's five activations, finest first


def load_perceptual(device: torch.device, weights: Path | None = None) -> tuple[Backbone | None, str | None]:
    """AlexNet for `c2f_loss`; where its weights are absent, None and a note for the user that says so."""
    try:
        return pretrained("alexnet", weights).to(device), None
    except MissingWeights as missing:
        return None, f"the refiner is trained with L1 alone, without its AlexNet perceptual term: {missing}"


def perceptual_distance(fine: Tensor, target: Tensor, backbone: Backbone) -> Tensor:
    """|phi(fine) - phi(target)| of images [B, H, W, 3].  No gradient reaches the target.

    Activations of unit length at each position, L1 over channels, mean over positions, weighted sum over layers
    (GAGAvatar utils_perceptual.py).
    """
    with torch.no_grad():
        wanted = backbone(target.permute(0, 3, 1, 2))
    found = backbone(fine.permute(0, 3, 1, 2))
    return torch.stack([
        weight * (_unit(a) - _unit(b)).abs().sum(1).mean()
        for weight, a, b in zip(LAYER_WEIGHTS, found, wanted, strict=True)
    ]).sum()


def c2f_loss(
    fine: Tensor, target: Tensor, backbone: Backbone | None, weight: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """L_C2F (eq. 11) of images [B, H, W, 3] in [0, 1], and its parts; without a backbone, L1 alone."""
    parts = {"l1": l1(fine, target)}
    loss = parts["l1"]
    if backbone is not None and weight > 0:
        parts["perceptual"] = perceptual_distance(fine, target, backbone)
        loss = loss + weight * parts["perceptual"]
    return loss, parts


class RefinerTrainer:
    """Adam on a refiner; mixed precision (bfloat16) on CUDA alone.

    `generator` picks frames; it may be the loop's own, which then keeps its state.
    """

    def __init__(
        self, refiner: Refiner, config: RefinerConfig, device: torch.device, generator: torch.Generator,
        backbone: Backbone | None = None, note: str | None = None,
    ) -> None:
        self.refiner = fast_layout(refiner.to(device))
        self.config, self.device, self.generator, self.backbone = config, device, generator, backbone
        self.note = note
        slow = {id(p) for p in refiner.style_parameters()}
        rate = config.learning_rate
        self.optimizer = torch.optim.Adam(
            [
                {"params": [p for p in refiner.parameters() if id(p) not in slow], "lr": rate},
                {"params": refiner.style_parameters(), "lr": rate * STYLE_RATE},
            ],
            betas=BETAS, fused=True,
        )
        self.steps = 0

    def step(self, coarse: Tensor, target: Tensor, check: bool = True) -> dict[str, Tensor]:
        """One step on coarse renders and their targets, float [B, S, S, 3] in [0, 1] -> the losses before it.

        No gradient reaches `coarse`.  check: raises FloatingPointError, and changes nothing, when the loss is not finite, which on
        CUDA waits for the card.
        """
        self.refiner.train()
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
            fine = self.refiner(coarse.detach())
            loss, parts = c2f_loss(fine.float(), target, self.backbone, self.config.perceptual)
        value = loss.item() if check else 0.0
        if value - value != 0:
            raise FloatingPointError(
                f"the refiner's loss became {value} at its step {self.steps}; lower refiner.learning_rate"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.steps += 1
        return {name: part.detach() for name, part in parts.items()}

    def pick(self, count: int) -> Tensor:
        """Indices of the next batch out of `count` frames, int64 [batch], on the CPU."""
        return torch.randint(count, (self.config.batch,), generator=self.generator)

    def state(self) -> dict[str, Any]:
        """What a checkpoint must keep; the generator is its owner's to keep."""
        return {
            "refiner": self.refiner.state_dict(), "steps": self.steps, "note": self.note,
            "optimizer": optimiser_state(self.optimizer),
        }

    def start_from(self, state: dict[str, Any] | None) -> None:
        """Take the weights that another training left; raises UserError when there are none or of another shape."""
        if state is None:
            raise UserError(
                "the pre-training was made without a refiner; pre-train again, or give --model.ablation.refiner off"
            )
        try:
            self.refiner.load_state_dict(state["refiner"])
        except RuntimeError:
            raise UserError(
                "the pre-trained refiner is of another size or width; pre-train on frames of this size with the same "
                "refiner.width"
            ) from None

    def load(self, state: dict[str, Any]) -> None:
        """Inverse of `state`: training goes on as if it had not stopped."""
        self.refiner.load_state_dict(state["refiner"])
        self.steps = state["steps"]
        load_optimiser_state(self.optimizer, state["optimizer"])


def _unit(activation: Tensor) -> Tensor:
    return activation / (activation.square().sum(1, keepdim=True) + 1e-10).sqrt()
