"""Options of `d3talker view`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

HOST = "127.0.0.1"


@dataclass(frozen=True)
class ViewConfig:
    """Show a trained head that speaks, or the frames, cameras, landmarks, mesh and masks of a subject folder."""

    path: tyro.conf.Positional[Path]
    """Folder of a finished training, or a subject folder."""
    subject: Path | None = None
    """For a training: the subject folder it was trained on."""
    audio: Path | None = None
    """For a training: any file with sound to speak; by default the subject's own test frames."""
    port: int = 8080
    """Port of the page; a training's scene takes the next one, too; 0 takes free ones."""
    host: str = HOST
    """Address to listen on; by default this machine alone can see it (over ssh: -L 8080:localhost:8080 -L 8081:localhost:8081)."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to render."""
