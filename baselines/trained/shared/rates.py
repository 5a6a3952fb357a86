"""Learning rates of the re-implementations' optimiser groups over a stage."""

from __future__ import annotations

from torch.optim import Optimizer

from d3talker.learning.optimisers import MEANS_END


def bent(done: float, bend: float, end: float = 1.0) -> float:
    """Factor on the nets' rates (TG train_face.py:58): .5 ^ (done / bend) below `bend`, then .1 ^ (done / end), a jump down."""
    return 0.5 ** (done / bend) if done < bend else 0.1 ** (done / end)


def means_factor(done: float, horizon: float) -> float:
    """Factor on the centres' rate: to a hundredth over `horizon` lengths of the stage, and there it stays."""
    return max(MEANS_END ** (done / horizon), MEANS_END)


def set_rates(optimizer: Optimizer, means: float, net: float) -> None:
    """Rates as made, times `means` for the groups "means" and `net` for the groups "net"; all others stay."""
    factors = {"means": means, "net": net}
    for group in optimizer.param_groups:
        group["lr"] = group["rate"] * factors.get(group["name"], 1.0)
