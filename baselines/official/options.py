"""The command line of `d3talker run`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class RunConfig:
    """Train and render with a method's official code, in its own environment, and collect a predictions folder."""

    method: tyro.conf.Positional[str]
    """A name from `d3talker methods`."""
    subject: Path
    """The subject folder."""
    out: Path
    """Work folder of this run; its predictions/ is what `d3talker evaluate` reads.  Run again to go on."""
    code: Path | None = None
    """Checkout of the official code at the pinned commit."""
    python: Path = Path("python")
    """Interpreter of the code's own environment."""
    weights: Path | None = None
    """Folder with the code's pre-trained weights, for the methods that start from some."""
    budget: float = 10.0
    """Seconds of training video."""
    audio: Path | None = None
    """Another sound: render the finished model with it too, cross-driven."""
    features: Path | None = None
    """DeepSpeech features [N, 16, 29] of --audio, from the code's own extract_ds_features.py."""
    gpu: str | None = None
    """Value of CUDA_VISIBLE_DEVICES."""
    timeout_h: float | None = None
    """Hours after which one step is stopped; by default the recipe's."""
    any_commit: bool = False
    """Accept another commit than the pinned one."""
    shared_machine: bool = False
    """Other work runs on this machine meanwhile: the times are then recorded, but not shown."""
    dry_run: bool = False
    """Print everything that would be done, and stop."""
    plugin: tuple[Path, ...] = ()
    """Python files that define more methods."""
