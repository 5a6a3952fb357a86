"""The mark in a video's metadata: that it is synthetic, which method made it, and when; `inspect VIDEO` reads it back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from d3talker.people.media.video import probe

COPIES = ("ground-truth", "ground-truth-h264")  # a subject's own frames: no method made them


@dataclass(frozen=True)
class Mark:
    """What a video says of itself.  methods: who made its frames.  made: ISO 8601 in UTC, empty where it is not said."""

    methods: tuple[str, ...]
    made: str = ""

    @property
    def synthetic(self) -> bool:
        """False when all that is seen are a subject's own frames, copied."""
        return any(method not in COPIES for method in self.methods)

    def metadata(self) -> dict[str, str]:
        """The container's metadata, for VideoWriter."""
        names = ", ".join(self.methods)
        what = "synthetic video made by" if self.synthetic else "not synthesised: frames of"
        entries = {"comment": f"{what} {names} with d3talker", "synthetic": str(self.synthetic).lower(), "method": names}
        return {**entries, "made": self.made} if self.made else entries


def mark_now(method: str) -> Mark:
    """The mark of a video that `method` makes now, or at $SOURCE_DATE_EPOCH where files must come out byte for byte."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = datetime.fromtimestamp(int(epoch), timezone.utc) if epoch.isdigit() else datetime.now(timezone.utc)
    return Mark((method,), moment.isoformat(timespec="seconds"))


def read_mark(path: Path | str) -> Mark | None:
    """The mark of a video, None where it has none.  Raises UserError when it is no readable video."""
    found = probe(path).metadata
    if "synthetic" not in found or not found.get("method"):
        return None
    return Mark(tuple(found["method"].split(", ")), found.get("made", ""))


def joined(marks: Sequence[Mark]) -> Mark:
    """The mark of clips that are shown together: all methods, and the latest date."""
    return Mark(tuple(dict.fromkeys(m for mark in marks for m in mark.methods)), max(mark.made for mark in marks))


def video_facts(path: Path) -> dict[str, Any]:
    """What `d3talker inspect VIDEO` says, by name.  Raises UserError when it is no readable video."""
    info, mark = probe(path), read_mark(path)
    facts = {
        "size": f"{info.width} x {info.height}", "rate": f"{info.fps:g} fps", "codec": info.codec,
        "sound": "yes" if info.has_audio else "none",
        "length": "not said" if info.duration is None else f"{info.duration:.2f} s",
    }
    if mark is None:
        return {**facts, "synthetic": "no mark: not made here, or its metadata was removed"}
    answer = "yes" if mark.synthetic else "no: a subject's own frames, copied (the subject may be synthetic itself)"
    return {**facts, "synthetic": answer, "method": ", ".join(mark.methods), "made": mark.made or "not said"}
