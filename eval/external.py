"""`d3talker run`: the protocol's frames, given to the recipes of official codes (which lie below the protocol)."""

from __future__ import annotations

from baselines.official import running
from baselines.official.options import RunConfig
from eval.protocol import D3_V1

__all__ = ["RunConfig", "run"]


def run(config: RunConfig) -> int:
    """Run one recipe and print where its predictions are; returns 0, raises UserError on any failure."""
    predictions = running.run(config, D3_V1.train, D3_V1.test)
    if not config.dry_run:
        print(predictions)
    return 0
