"""`d3talker import`: the protocol's test frames, given to the methods' adapters (which lie below the protocol)."""

from __future__ import annotations

from baselines.outputs import importing
from baselines.outputs.importing import ImportConfig
from eval.protocol import D3_V1

__all__ = ["ImportConfig", "run"]


def run(config: ImportConfig) -> int:
    """Import one method's outputs and print what was found; returns 0, raises UserError on any mismatch."""
    found = importing.run(config, D3_V1.test)
    print("\n".join([*found.checks, *(f"note: {note}" for note in found.notes), str(config.out)]))
    return 0
