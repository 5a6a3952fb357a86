"""Options are frozen dataclasses: read back from JSON, and compared without those that a training does not see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from d3talker.errors import UserError

ALL = None
Options = Mapping[str, tuple[str, ...] | None]  # sections of a configuration, and of each the options meant, or ALL


def from_dict(kind: type, values: dict) -> Any:
    """A (nested) dataclass from the dict that dataclasses.asdict made and JSON carried.

    Raises UserError for a field that does not exist, as happens with a checkpoint of another version.
    """
    known = {f.name: f for f in fields(kind)}
    unknown = set(values) - set(known)
    if unknown:
        raise UserError(f"{kind.__name__} has no option {', '.join(sorted(unknown))}; it comes from another d3talker version")
    hints = get_type_hints(kind)
    built = {}
    for name, value in values.items():
        if is_dataclass(hints[name]):
            built[name] = from_dict(hints[name], value)
        else:
            built[name] = tuple(value) if isinstance(value, list) else value
    return kind(**built)


def without(value: Mapping[str, Any], options: Options) -> dict[str, Any]:
    """Nested options, less whole sections (ALL) or some names of a section."""
    kept = {}
    for section, content in value.items():
        if section not in options:
            kept[section] = content
        elif (names := options[section]) is not None:
            kept[section] = {
                name: item for name, item in content.items()
                if name not in names or (name == "motion_source" and item == "imported")  # that drives training, too
            }
    return kept
