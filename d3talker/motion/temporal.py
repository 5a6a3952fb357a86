"""Audio-to-motion for any speaker: a temporal convolutional network from audio features to expression coefficients."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from d3talker.audio.features import OWN
from d3talker.motion.options import NetworkConfig


class Block(nn.Module):
    """Two convolutions over three frames, `dilation` apart, added to the input [B, C, T]."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation), nn.GELU(), nn.Dropout(dropout),
            nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation), nn.GELU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class MotionNetwork(nn.Module):
    """Audio features [B, T, 16, C] of unit variance for their speaker -> expression [B, T, E] about the speaker's mean.

    The output is in units of `spread` [E], the coefficients' standard deviation over all training speakers.  `means`
    [N, E] are learnt with the network, one a training speaker, and are replaced by a new speaker's own mean.
    """

    spread: Tensor

    def __init__(self, columns: int, expressions: int, identities: int, config: NetworkConfig) -> None:
        super().__init__()
        self.columns, steps = columns, OWN.stop - OWN.start
        self.inlet = nn.Sequential(nn.Conv1d(steps * columns, config.width, 3, padding=1), nn.GELU())
        self.blocks = nn.Sequential(*[Block(config.width, d, config.dropout) for d in config.dilations])
        self.outlet = nn.Conv1d(config.width, expressions, 1, bias=False)  # the mean is the speakers' own
        nn.init.zeros_(self.outlet.weight)
        self.means = nn.Parameter(torch.zeros(identities, expressions))
        self.register_buffer("spread", torch.ones(expressions))

    def hidden(self, features: Tensor) -> Tensor:
        """[B, T, 16, C] -> [B, T, width]: what the coefficients are a linear function of."""
        x = features[:, :, OWN].flatten(2).transpose(1, 2)
        return self.blocks(self.inlet(x)).transpose(1, 2)

    def forward(self, features: Tensor) -> Tensor:
        return self.outlet(self.hidden(features).transpose(1, 2)).transpose(1, 2)
