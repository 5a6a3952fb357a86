"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The checkout's root."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real clips and weights for local tests; skips where they are absent (they are never part of the project)."""
    folder = Path(os.environ.get("D3TALKER_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "clips").is_dir():
        pytest.skip(f"real clips are not at {folder}; set D3TALKER_SHARED_DATA to test with them")
    return folder
