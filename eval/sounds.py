"""The driving sounds of the cross setting."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from d3talker.files import sha256_file


@dataclass(frozen=True)
class Sound:
    """A driving sound of the cross setting; `name` heads its columns."""

    name: str
    path: Path

    @cached_property
    def digest(self) -> str:
        return sha256_file(self.path)
