"""Finished predictions of other codes (`d3talker import`, `d3talker run`), found in folders and put beside our own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from d3talker.errors import UserError
from d3talker.people.media.predictions import AUDIO, MANIFEST, Predictions
from d3talker.people.media.video import read_audio

if TYPE_CHECKING:
    from eval.sounds import Sound

SAME_SOUND = 1e-3  # of full scale: what two decoders of one file may differ in


@dataclass(frozen=True)
class Import:
    """One predictions folder and where it belongs.  digest: of its content.  audio: the name of its driving sound."""

    folder: Path
    method: str
    subject: str
    setting: Literal["self", "cross"]
    budget: float
    digest: str
    audio: str | None = None

    @property
    def text(self) -> str:
        """One phrase that names it."""
        return f"{self.method} on {self.subject}, {self.budget:g} s, {self.setting}-driven"


def find_imports(given: Sequence[str], budgets: Sequence[float], sounds: Sequence[Sound]) -> tuple[Import, ...]:
    """All predictions folders in `given`, each "SECONDS=FOLDER", or "FOLDER" when there is but one budget.

    Raises UserError when a folder holds none, its budget is not known, or the sound of a cross-driven one is not among
    `sounds`.
    """
    found = [one for text in given for one in _find(text, budgets, sounds)]
    places: dict[tuple[str, str, str, float, str | None], Import] = {}
    for one in found:
        other = places.setdefault((one.method, one.subject, one.setting, one.budget, one.audio), one)
        if other is not one:
            raise UserError(f"{other.folder} and {one.folder} are both {one.text}; give one of them")
    return tuple(found)


def _find(text: str, budgets: Sequence[float], sounds: Sequence[Sound]) -> Iterable[Import]:
    seconds, folder = _split(text)
    if seconds is None and len(budgets) != 1:
        raise UserError(f"how much training video {folder} had is not known; write --predictions SECONDS={folder}")
    manifests = sorted(folder.rglob(MANIFEST))
    if not manifests:
        raise UserError(f"{folder} holds no predictions; make some with: d3talker import METHOD OUTPUT --out {folder}")
    for path in manifests:
        predictions = Predictions(path.parent)
        facts = predictions.manifest
        yield Import(
            path.parent, facts.method, facts.subject, facts.setting, budgets[0] if seconds is None else seconds,
            predictions.digest(),
            _heard(predictions, sounds) if facts.setting == "cross" else None,
        )


def _split(text: str) -> tuple[float | None, Path]:
    head, equals, tail = text.partition("=")
    if not equals or Path(text).exists():
        return None, Path(text)
    try:
        return float(head), Path(tail)
    except ValueError:
        raise UserError(f"--predictions {text}: '{head}' is no number of seconds; write SECONDS=FOLDER") from None


def _heard(predictions: Predictions, sounds: Sequence[Sound]) -> str:
    """The name of the sound that drives a cross-driven clip, recognised by listening."""
    own = predictions.audio()
    if own is None:
        raise UserError(f"{predictions.root} is cross-driven but has no {AUDIO}; import it again with --audio FILE")
    for sound in sounds:
        other = read_audio(sound.path)
        length = min(len(own), len(other))
        if length and np.abs(own[:length] - other[:length]).max() < SAME_SOUND:
            return sound.name
    raise UserError(f"the sound of {predictions.root} is none of --audio; give the file that drives it")
