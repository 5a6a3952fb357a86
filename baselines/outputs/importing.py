"""d3talker import: native outputs of any method -> a predictions folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from baselines.adapter import Native, Skip
from baselines.outputs.locating import anything, by_pattern
from baselines.registry import Registry
from baselines.spec import MethodSpec, TorsoMode
from d3talker.errors import UserError

if TYPE_CHECKING:
    from baselines.outputs.collecting import Findings
    from d3talker.people.subject.layout import Frame, Subject

ANY = ("folder", "video")


@dataclass(frozen=True)
class ImportConfig:
    """Read a finished run's outputs, check them against the ground truth, and write a predictions folder.

    METHOD is a name from `d3talker methods`, or "folder" (numbered images) or "video" (one file) for anything else.
    """

    method: tyro.conf.Positional[str]
    """Whose outputs these are."""
    output: tyro.conf.Positional[Path]
    """The run's output folder, or the video."""
    subject: Path
    """The subject folder that was rendered."""
    out: Path
    """Where the predictions folder goes."""
    name: str | None = None
    """Name in the tables, for "folder" and "video"."""
    setting: Literal["self", "cross"] = "self"
    """Driven by the test clip's own sound, or by another one."""
    audio: Path | None = None
    """The driving sound of a cross-driven clip."""
    torso_mode: TorsoMode | None = None
    """What stands below the head, where it differs from the method's usual: gt, synthesised, pasted, none."""
    first_frame: int | None = None
    """Index of the frame that shows the first test frame, where it differs from the method's layout."""
    unverified: bool = False
    """Accept a clip whose frames cannot be found in the subject's video, as with free head motion."""
    plugin: tuple[Path, ...] = ()
    """Python files that define more methods."""


TestFrames = Callable[["Subject"], Sequence["Frame"]]
"""The protocol's test frames of a subject; the caller gives it, since the protocol lives above this package."""


def run(config: ImportConfig, test_frames: TestFrames) -> Findings:
    """Import; returns what was found on the way.  Raises UserError naming the likely cause of any mismatch."""
    from baselines.outputs.collecting import collect
    from d3talker.people.subject.checks import check
    from d3talker.people.subject.layout import Subject

    if config.first_frame is not None and config.first_frame < 0:
        raise UserError(f"--first-frame is {config.first_frame}; give the index of a frame, from 0")
    subject = Subject(config.subject)
    notes = check(subject, training=False)
    spec, candidates = _locate(config, subject)
    if config.torso_mode:
        candidates = [replace(native, torso_mode=config.torso_mode) for native in candidates]
    _check_target(config.out)
    return collect(
        spec, candidates, subject, test_frames(subject), config.out, name=config.name, setting=config.setting,
        audio=config.audio, first_frame=config.first_frame, unverified=config.unverified, notes=notes,
    )


def _locate(config: ImportConfig, subject: Subject) -> tuple[MethodSpec, Sequence[Native]]:
    if config.method in ANY:
        if not config.name:
            raise UserError(f"outputs of kind '{config.method}' need a name for the tables; give --name NAME")
        if not config.torso_mode:
            raise UserError("what stands below the head is not known; give --torso-mode: gt, synthesised, pasted, none")
        return MethodSpec(name=config.name, title=config.name, kind="other"), anything(config.output, _lost(subject))
    registry = Registry(config.plugin)
    spec, locate = registry.get(config.method), registry.adapter(config.method).locate
    if isinstance(locate, Skip):
        raise UserError(f"nothing can be imported for '{spec.name}': {locate.reason}")
    return spec, locate(config.output, config.setting) if locate else by_pattern(spec, config.output, config.setting)


def _lost(subject: Subject) -> set[int]:
    """Numbers of frames that the subject lacks, since the face was lost there: images named by img_id lack them too."""
    ids = {row.img_id for split in ("train", "val") for row in subject.frames(split)}
    return set(range(min(ids), max(ids))) - ids


def _check_target(out: Path) -> None:
    from d3talker.people.media.predictions import is_predictions

    if out.exists() and not is_predictions(out):
        raise UserError(f"{out} exists and is no predictions folder; give another --out, or remove it")
