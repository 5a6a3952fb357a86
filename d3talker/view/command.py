"""`d3talker view RUN | SUBJECT`: look into a trained head, or at a subject's tracking, in the browser."""

from __future__ import annotations

import time
from typing import Any

from d3talker.errors import UserError, require
from d3talker.progress import say
from d3talker.view.options import HOST, ViewConfig


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
    raise UserError(f"{config.path} is neither a finished training of D³-Talker nor a subject folder")
