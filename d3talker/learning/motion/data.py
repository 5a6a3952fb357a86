"""What audio-to-motion networks learn from: speakers with tracked motion and what is heard of their sound."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from d3talker.errors import UserError
from d3talker.files import atomic_path
from d3talker.people.head.embedded import embedded_head
from d3talker.people.motion.hearing import Heard, hear, hear_subject
from d3talker.people.motion.lips import lip_basis, opening
from d3talker.people.preparation.speakers import INDEX, TrackedClip, read_speakers
from d3talker.people.subject.layout import Subject
from d3talker.progress import track

SHORTEST = 25  # frames in a row with a face
STILL = 0.05  # mm, standard deviation of the opening: lips that never move teach nothing
HEARD = "heard"  # folder beside the tracked clips: what was heard of each, so that the next training need not listen again


@dataclass(frozen=True)
class Piece:
    """Frames in a row of one clip: heard [T, 2, C] by name, expression [T, E], seen bool [T]; video: SHA-256 of its file.

    lag: frames by which the sound comes late.
    """

    heard: Heard
    expression: np.ndarray
    seen: np.ndarray
    video: str | None = None
    lag: int = 0

    def shifted(self, lag: int) -> Piece:
        """Sound moved to fit the picture: frame i hears what sounds `lag` frames later; frames without sound go."""
        if lag == 0:
            return self
        total = len(self.seen)
        here = np.arange(max(0, -lag), min(total, total - lag))
        heard = {name: rows[here + lag] for name, rows in self.heard.items()}
        return replace(self, heard=heard, expression=self.expression[here], seen=self.seen[here], lag=self.lag + lag)

    @cached_property
    def moves(self) -> np.ndarray:
        """Expression about its mean over the frames with a face, [T, E] float64."""
        return self.expression - self.expression[self.seen].mean(0, dtype=np.float64)

    def runs(self) -> list[slice]:
        """Frames in a row with a face, at least SHORTEST."""
        edges = np.flatnonzero(np.diff(np.r_[0, self.seen.astype(int), 0]))
        return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2]) if b - a >= SHORTEST]


@dataclass(frozen=True)
class Speaker:
    """One person's clips."""

    name: str
    pieces: tuple[Piece, ...]
    language: str | None = None

    def __len__(self) -> int:
        return sum(int(piece.seen.sum()) for piece in self.pieces)

    @cached_property
    def moves(self) -> np.ndarray:
        """Expression of all frames with a face, about each clip's mean, [T, E]."""
        return np.concatenate([piece.moves[piece.seen] for piece in self.pieces])

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean expression [E]."""
        return np.concatenate([piece.expression[piece.seen] for piece in self.pieces]).mean(0, dtype=np.float64)

    @property
    def amplitude(self) -> float:
        """Standard deviation of the lips' opening, mm."""
        return float((self.moves @ lip_basis(embedded_head()) @ opening()).std())

    @property
    def heard(self) -> dict[str, np.ndarray]:
        """The sounds of all clips, one after another."""
        return {name: np.concatenate([piece.heard[name] for piece in self.pieces]) for name in self.pieces[0].heard}

    def shifted(self, lag: int) -> Speaker:
        """All clips' sound moved by as many frames."""
        return replace(self, pieces=tuple(piece.shifted(lag) for piece in self.pieces))

    def digest(self) -> str:
        """SHA-256 of all that training sees of them."""
        digest = hashlib.sha256(self.name.encode())
        for piece in self.pieces:
            for name, rows in (*sorted(piece.heard.items()), ("expression", piece.expression), ("seen", piece.seen)):
                digest.update(name.encode() + np.ascontiguousarray(rows).tobytes())
        return digest.hexdigest()


def load_speakers(folders: Sequence[Path], names: Iterable[str], without: Sequence[str] = ()) -> list[Speaker]:
    """Speakers of subject folders (their training frames; the test stays unseen) and of folders of `d3talker motion speakers`.

    names: what is heard; without: speakers passed over.  Clips of one name are one speaker.  Raises UserError for a folder that is
    neither, a speaker in `without` that is in none, and when nobody is left.
    """
    names = tuple(names)
    found: dict[str, Speaker] = {}
    for folder in folders:
        for speaker in _clips(folder, names) if (folder / INDEX).exists() else [_subject(folder, names)]:
            before = found.get(speaker.name)
            pieces = speaker.pieces if before is None else before.pieces + speaker.pieces
            found[speaker.name] = replace(speaker, pieces=pieces)
    if unknown := set(without) - set(found):
        raise UserError(f"there is no speaker {sorted(unknown)[0]}; there are {', '.join(sorted(found))}")
    left = [s for name, s in found.items() if name not in without and any(p.runs() for p in s.pieces) and s.amplitude > STILL]
    if not left:
        raise UserError(f"no speaker in {', '.join(map(str, folders))} has {SHORTEST} frames in a row of a face that speaks")
    return left


def _subject(root: Path, names: Sequence[str]) -> Speaker:
    subject = Subject(root)
    rows = np.array([frame.aud_id for frame in subject.frames("train")])
    heard, expression = hear_subject(subject, names), subject.expression()
    if rows.max() >= len(expression):
        raise UserError(
            f"{root} has {len(expression)} rows of expression, frame {rows.max()} is asked for; run d3talker prepare again"
        )
    if expression.shape[1] != len(embedded_head().expression_names):
        raise UserError(
            f"{subject.name} was fitted with {expression.shape[1]} expressions, the face model has "
            f"{len(embedded_head().expression_names)}; run d3talker prepare again"
        )
    seen = np.ones(len(rows), bool)
    seen[np.isin(rows, subject.meta.get("lost_frames", []))] = False
    seen[1:] &= np.diff(rows) == 1  # a seam between frames that do not follow each other ends a run
    video = subject.meta.get("source", {}).get("sha256")
    piece = Piece({name: steps[rows] for name, steps in heard.items()}, expression[rows], seen, video)
    return Speaker(subject.name, (piece,), subject.meta.get("language"))


def _clips(folder: Path, names: Sequence[str]) -> list[Speaker]:
    found: dict[str, Speaker] = {}
    for tracked in track(list(read_speakers(folder)), f"sounds of {folder.name}"):
        piece = Piece(_heard(folder / HEARD, tracked, names), tracked.expression, tracked.seen, tracked.video)
        before = found.get(tracked.speaker, Speaker(tracked.speaker, (), tracked.language))
        found[tracked.speaker] = replace(before, pieces=(*before.pieces, piece))
    return list(found.values())


def _heard(cache: Path, tracked: TrackedClip, names: Sequence[str]) -> Mapping[str, np.ndarray]:
    """What is heard of a clip: kept from before, or listened to and kept."""
    path, sound = cache / f"{tracked.name}.npz", hashlib.sha256(tracked.audio.tobytes()).hexdigest()
    kept: dict[str, np.ndarray] = {}
    if path.exists():
        with np.load(path, allow_pickle=False) as saved:
            if str(saved["sound"]) == sound:
                kept = {name: saved[name] for name in names if name in saved}
    lacking = [name for name in names if name not in kept]
    if lacking:
        kept |= hear(tracked.audio, lacking, len(tracked.seen))
        with atomic_path(path) as temporary:
            np.savez(temporary, sound=np.array(sound), **kept)  # type: ignore[arg-type]
    return {name: kept[name] for name in names}
