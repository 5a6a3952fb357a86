"""When which sound is spoken: an optional alignment beside a clip gives key frames their instants and labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from d3talker.errors import UserError
from d3talker.files import read_json
from eval.alignment import FILE

SILENCE = {"", "sil", "sp", "_", "<eps>"}


@dataclass(frozen=True)
class Segment:
    """One spoken unit; seconds from the clip's first frame."""

    start: float
    end: float
    label: str


def read_alignment(folder: Path) -> list[Segment]:
    """Segments of `folder`/alignment.json, a list of {"start": s, "end": s, "word": "policy", "phoneme": "p"}.

    Either of word and phoneme may be left out; silence is passed over.  No file is no segment; raises UserError where
    the file is not such a list.
    """
    path = folder / FILE
    if not path.exists():
        return []
    try:
        entries = [
            (float(entry["start"]), float(entry["end"]), str(entry.get("word") or ""), str(entry.get("phoneme") or ""))
            for entry in read_json(path)
        ]
    except (TypeError, KeyError, ValueError, AttributeError):
        raise UserError(f'{path} must be a list of {{"start": s, "end": s, "word": "...", "phoneme": "..."}}') from None
    spoken = [entry for entry in entries if entry[1] > entry[0] and not {entry[2], entry[3]} <= SILENCE]
    return [
        Segment(start, end, " ".join(filter(None, (word, f"/{phoneme}/" if phoneme else ""))))
        for start, end, word, phoneme in spoken
    ]


def instants(frames: int, fps: float, segments: list[Segment], wanted: int = 6) -> list[tuple[int, str]]:
    """Frame numbers, ascending, with labels, spread over a clip: the middle of the longest segment in each part of it.

    Parts without a segment, and clips without an alignment, show their middle under its time.
    """
    wanted = min(wanted, frames)
    chosen: dict[int, str] = {}
    for part in range(wanted):
        first, last = part * frames / wanted, (part + 1) * frames / wanted
        inside = [s for s in segments if first <= (s.start + s.end) / 2 * fps < last]
        best = max(inside, key=lambda s: s.end - s.start, default=None)
        frame = int((best.start + best.end) / 2 * fps) if best else int((first + last) / 2)
        chosen.setdefault(min(frame, frames - 1), best.label if best else f"{min(frame, frames - 1) / fps:.2f} s")
    return sorted(chosen.items())
