"""When which sound is spoken in the test clip, where the subject's folder says so: it labels the reports' key frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from d3talker.errors import UserError
from d3talker.files import read_json, write_json
from d3talker.people.media.video import FPS
from d3talker.people.subject.layout import Frame, Subject

FILE = "alignment.json"


def write_alignment(subject: Subject, test: Sequence[Frame], out: Path) -> None:
    """Write `out`/alignment.json in seconds from the first test frame, or nothing where no alignment is known.

    Sources: `alignment.json` of the subject folder, rows {"start", "end", "word"?, "phoneme"?} in seconds of the whole video (from
    any forced aligner), or a synthetic subject's truth/phonemes.json.  Raises UserError when a source is not such a list.
    """
    own, truth = subject.root / FILE, subject.root / "truth" / "phonemes.json"
    source = own if own.exists() else truth
    if not source.exists():
        return
    ids = np.array([frame.img_id for frame in test])
    first, last = ids[0] / FPS, (ids[-1] + 1) / FPS
    lost = ids - ids[0] - np.arange(len(ids))  # frames before each that the clip lacks

    def placed(seconds: float) -> float:
        """A moment of the video in the clip."""
        if not np.isfinite(seconds):
            raise ValueError(seconds)
        row = max(int(np.searchsorted(ids, seconds * FPS, "right")) - 1, 0)
        return seconds - float(first) - float(lost[row]) / FPS

    try:
        rows = [
            {
                "start": placed(float(row["start"])), "end": placed(float(row["end"])), "word": row.get("word", ""),
                "phoneme": row.get("phoneme", row.get("symbol", "")),
            }
            for row in read_json(source)
            if float(row["end"]) > first and float(row["start"]) < last
        ]
    except (TypeError, KeyError, ValueError, AttributeError):
        raise UserError(f'{source} must be a list of {{"start": s, "end": s, "word": "...", "phoneme": "..."}}') from None
    write_json(out / FILE, rows)
