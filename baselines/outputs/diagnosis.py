"""Name the likely cause when a clip does not fit the test frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from baselines.outputs.alignment import Alignment
    from d3talker.people.subject.layout import Frame, Subject


FAR = 12  # frames; a shorter way off is a shift, a longer one another split


@dataclass(frozen=True)
class Counts:
    """Frames of a subject's splits."""

    train: int
    val: int
    test: int

    @classmethod
    def of(cls, subject: Subject, test: Sequence[Frame]) -> Counts:
        return cls(len(subject.frames("train")), len(subject.frames("val")), len(test))


def wrong_count(found: int, counts: Counts, rate: float) -> str | None:
    """Why a clip of `found` frames cannot be the test clip; None when the number fits.

    Fitting are the whole val split and everything down to the test frames alone.
    """
    if counts.test <= found <= counts.val:
        return None
    total = counts.train + counts.val
    if abs(rate - 25) > 0.5 or _near(found, counts.val * 30 / 25):
        fps = rate if abs(rate - 25) > 0.5 else 30
        return f"it seems to be at {fps:g} fps; render at 25 fps, one frame for each pose"
    splits = {
        total - total * 10 // 11: "the split of AD-NeRF's process.py (first 10/11 to train on)",
        total - total // 2: "the split of DFRF's process_data.py (first half to train on)",
    }
    for frames, name in splits.items():
        if found in (frames, frames - 1):
            return f"it was rendered on {name}; run the method on this subject's transforms_val.json"
    if found in (counts.train, counts.train - 1):
        return "it shows the training frames (--use_train or --test_train); render the val split"
    if found == counts.test - 1:
        return "the method dropped its last frame, and val was cut already; keep one more frame in transforms_val.json"
    if found == 100 < counts.test:
        return "RAD-NeRF and ER-NeRF validate on the first 100 frames while training; render with --test"
    if found < counts.test:
        return "the rendering stopped early or used another split; render the whole val split again"
    return "it was rendered on another split or another subject; run the method on this subject's transforms_val.json"


def wrong_frames(found: Alignment, frames: int, start: int | None, end: int | None, expected: int) -> str | None:
    """Why a clip of the right length shows the wrong frames; None when nothing speaks against it.

    start, end: rows that a search through the video found for the clip's ends.  expected: the first test frame's row.
    """
    if start is not None and end is not None and abs(end - start + 1 - frames) > 2:
        rate = 25 * frames / max(end - start + 1, 1)
        return (
            f"its {frames} frames span {end - start + 1} of the video, as at {rate:.3g} fps; "
            "render at 25 fps, one frame for each pose"
        )
    if start is not None and end is not None and abs(start - expected) > FAR:
        return f"it starts with frame {start}, the test with {expected}: a wrong split; render transforms_val.json"
    if found.slip is not None:
        at, shift = found.slip
        return f"about its frame {at} it goes off by {shift:+d}: a frame is missing or doubled there; render again"
    if found.drifts:
        return f"it is off by {found.first} frames at its start, {found.last} at its end: some were lost; render again"
    if found.shifted:
        late = "later" if found.shift > 0 else "earlier"
        return (
            f"it shows frames {abs(found.shift)} {late} than it should (correlation of motion {found.score:.2f}, "
            f"{found.at_zero:.2f} in place); check its split and origin, or say where it starts (d3talker import --first-frame)"
        )
    if found.known or found.still:
        return None
    return "it moves otherwise than the subject: a wrong subject, or free head motion; if the latter: d3talker import --unverified"


def _near(found: int, expected: float) -> bool:
    return abs(found - expected) <= 2
