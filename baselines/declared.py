"""Methods that a user declared by `d3talker methods add`: one JSON file each, no Python needed."""

from __future__ import annotations

import os
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from baselines.spec import MethodSpec, TorsoMode
from d3talker.errors import UserError
from d3talker.files import read_json, write_json

FOLDER = "D3TALKER_METHODS"
FIELDS = {"name", "title", "paper", "year", "url", "commit", "licence", "torso_mode", "outputs", "status"}
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


def folder() -> Path:
    """Where declarations are kept: $D3TALKER_METHODS, else d3talker/methods in the user's configuration folder."""
    if FOLDER in os.environ:
        return Path(os.environ[FOLDER])
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "d3talker" / "methods"


def files() -> list[Path]:
    """All declarations, by name."""
    return sorted(folder().glob("*.json"))


def read(path: Path) -> MethodSpec:
    """Read one declaration.  Raises UserError naming the file and what is wrong."""
    value: Any = read_json(path)
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise UserError(f"{path} is no declaration of a method; delete it and use: d3talker methods add")
    unknown = set(value) - FIELDS
    if unknown or not {"name", "outputs"} <= set(value):
        fault = f"has the unknown field '{min(unknown)}'" if unknown else "lacks name or outputs"
        raise UserError(f"{path} {fault}; delete it and use: d3talker methods add")
    spec = MethodSpec(kind="other", **{"title": value["name"], **value})
    check(spec)
    return spec


def check(spec: MethodSpec) -> None:
    """Raises UserError when a spec's name, torso mode or pattern cannot be used."""
    if not NAME.fullmatch(spec.name):
        raise UserError(f"the name '{spec.name}' cannot be used; give small letters, digits and hyphens")
    if spec.torso_mode not in get_args(TorsoMode):
        modes = ", ".join(get_args(TorsoMode))
        raise UserError(f"the torso mode '{spec.torso_mode}' is unknown; choose one of {modes}")
    parts = Path(spec.outputs).parts
    if not parts or ".." in parts or Path(spec.outputs).is_absolute():
        raise UserError(f"the pattern '{spec.outputs}' must lie inside the run's folder, as in 'renders/*.png'")


def add(spec: MethodSpec) -> Path:
    """Write a declaration, and return its file.  Raises UserError when it cannot be used or exists already."""
    check(spec)
    path = folder() / f"{spec.name}.json"
    if path.exists():
        raise UserError(f"{path} exists already; delete it first, or choose another name")
    write_json(path, {key: value for key, value in asdict(spec).items() if key in FIELDS})
    return path
