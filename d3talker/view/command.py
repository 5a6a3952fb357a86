"""`d3talker view RUN | SUBJECT`: look into a trained head, or at a subject's tracking, in the browser."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from d3talker.errors import UserError, require
from d3talker.progress import say

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


def run(config: ViewConfig) -> int:
    """Serve until interrupted; returns 0.  Raises UserError for a folder that is neither, and MissingExtra without viser."""
    with open_view(config) as (url, _):
        say(f"{url}   (Ctrl-C ends)")
        if config.host != HOST:
            say(f"warning: everybody who reaches {config.host} sees it, the footage included")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            return 0


def open_view(config: ViewConfig) -> Any:
    """A context that gives the page's address and the view, ready to be looked at."""
    from d3talker.method.adapt import CHECKPOINT

    viser = require("viser", "view", "the viewer")
    if (config.path / CHECKPOINT).is_file():
        from d3talker.view.head import head_view

        if config.subject is None:
            raise UserError(f"--subject is missing: {config.path} is a training, whose cameras and sound are its subject's")
        return head_view(viser, config)
    if (config.path / "transforms_train.json").is_file():
        from d3talker.view.tracking import tracking_view

        return tracking_view(viser, config)
    raise UserError(f"{config.path} is neither a finished training nor a subject folder")
