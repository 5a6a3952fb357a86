"""Find native outputs by pattern: the folder given may be the run's own, one above, or one inside."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from baselines.adapter import Native, Setting
from baselines.spec import MethodSpec
from d3talker.errors import UserError

LAST_NUMBER = re.compile(r"(.*?)(\d+)(\D*)", re.DOTALL)
IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"}
VIDEOS = {".mp4", ".mov", ".mkv", ".avi", ".webm"}


def matches(folder: Path, pattern: str) -> list[Path]:
    """Files that fit `pattern`, in natural order; `folder` may stand at any level of the pattern, or one above it."""
    parts = PurePosixPath(pattern).parts
    own = folder.resolve().parts
    found: list[Path] = []
    for inside in range(len(parts)):
        leading = own[len(own) - inside:]
        if len(leading) == inside and all(fnmatchcase(name, part) for name, part in zip(leading, parts)):
            found = [p for p in folder.glob("/".join(parts[inside:])) if p.is_file()]
            if found:
                break
    if not found:
        found = [p for p in folder.glob("*/" + pattern) if p.is_file()]
        runs = sorted({p.relative_to(folder).parts[0] for p in found})
        if len(runs) > 1:
            raise UserError(f"{folder} holds outputs of several runs ({', '.join(runs)}); give one of them")
    return sorted(found, key=natural)


def natural(path: Path) -> list[int | str]:
    """Sort key by which 2.png comes before 10.png."""
    return [int(t) if t.isdigit() else t for t in re.split(r"(\d+)", str(path))]


def need_folder(folder: Path) -> None:
    """Raises UserError when `folder` is not a folder."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give the output folder of a finished run")


def nothing(spec_title: str, folder: Path, pattern: str, hint: str = "") -> UserError:
    """The error for a folder without the expected outputs."""
    return UserError(f"{folder} holds no {spec_title} output ({pattern}){hint}; render the test split first")


def numbered(paths: Sequence[Path], number: re.Pattern[str], origin: int) -> tuple[Path, ...]:
    """Images ordered by the number in their names, which must run without a gap from `origin`.

    number: a pattern with one group.  Raises UserError naming the first missing number.
    """
    by_number: dict[int, Path] = {}
    for path in paths:
        match = number.search(path.name)
        if match:
            by_number[int(match.group(1))] = path
    for expected, got in enumerate(sorted(by_number), origin):
        if expected != got:
            place = next(iter(by_number.values())).parent
            raise UserError(f"{place} lacks image {expected} (numbers start at {origin}); render the clip again")
    return tuple(by_number[k] for k in sorted(by_number))


def one_series(paths: Sequence[Path], lost: Collection[int] = ()) -> tuple[Path, ...]:
    """Images of one kind and one way of naming, in the order of the last number in their names.

    lost: numbers that may be missing, since the subject itself lacks them.
    Raises UserError when kinds or namings are mixed, a name has no number, or a number is missing or there twice.
    """
    place = paths[0].parent
    suffixes = sorted({p.suffix.lower() for p in paths})
    if len(suffixes) > 1:
        raise UserError(f"{place} mixes {' and '.join(suffixes)} images; give a folder with one kind")
    by_number: dict[int, Path] = {}
    namings: dict[tuple[str, str], Path] = {}
    for path in paths:
        match = LAST_NUMBER.fullmatch(path.stem)
        if match is None:
            raise UserError(f"{path} has no number in its name, so its place in time is not known; number it or remove it")
        first = next(iter(namings.values()), path)
        if namings.setdefault((match[1], match[3]), path) is path and first is not path:
            raise UserError(f"{place} holds images named like {first.name} and like {path.name}; keep one kind alone")
        other = by_number.setdefault(int(match[2]), path)
        if other is not path:
            raise UserError(f"{place} holds {other.name} and {path.name}, twice the same number; keep one of them")
    gaps = sorted(set(range(min(by_number), max(by_number))) - set(by_number) - set(lost))
    if gaps:
        missing = f"image {gaps[0]}" + (f" and {len(gaps) - 1} more" if len(gaps) > 1 else "")
        raise UserError(f"{place} lacks {missing}: all that follow would be compared with their neighbours; render it again")
    return tuple(by_number[k] for k in sorted(by_number))


def newest(paths: Sequence[Path], step: re.Pattern[str]) -> list[Path]:
    """Those paths whose training step or epoch, the one group of `step`, is the highest."""
    steps = {p: int(m.group(1)) for p in paths if (m := step.search(str(p)))}
    return [p for p in paths if p in steps and steps[p] == max(steps.values())]


def by_pattern(spec: MethodSpec, folder: Path, setting: Setting) -> list[Native]:
    """The outputs that the spec's own pattern names: one video, or images in natural order."""
    need_folder(folder)
    found = matches(folder, spec.outputs) if spec.outputs else []
    videos = [p for p in found if p.suffix.lower() in VIDEOS]
    images = tuple(p for p in found if p.suffix.lower() in IMAGES)
    if len(videos) > 1:
        raise UserError(f"{folder} holds {len(videos)} videos that fit '{spec.outputs}'; narrow the pattern")
    if not videos and not images:
        raise nothing(spec.title, folder, spec.outputs)
    return [Native(videos[0] if videos else one_series(images))]


def anything(path: Path, lost: Collection[int] = ()) -> list[Native]:
    """A video file, or a folder of images or with one video, for methods that nobody declared; lost: as of `one_series`."""
    if path.is_file():
        return [Native(path)]
    if not path.is_dir():
        raise UserError(f"{path} does not exist; give a video or a folder of images")
    files = sorted((p for p in path.iterdir() if p.is_file()), key=natural)
    images = tuple(p for p in files if p.suffix.lower() in IMAGES)
    videos = [p for p in files if p.suffix.lower() in VIDEOS]
    if images:
        return [Native(one_series(images, lost))]
    if len(videos) != 1:
        raise UserError(f"{path} holds {len(videos)} videos and no images; give the video itself")
    return [Native(videos[0])]
