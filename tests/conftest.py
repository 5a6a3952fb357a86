"""Fixtures that every test may use."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "helpers"))


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


@pytest.fixture(scope="session")
def person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic person's subject folder: 5 s at 64 px, exact truth beside it.  Read only."""
    pytest.importorskip("espeakng_loader", reason="synthetic people need espeak-ng; install the extra 'synth'")
    from d3talker.people.synthetic.subjects import make_subject

    return make_subject(tmp_path_factory.mktemp("people") / "person", seed=3, seconds=5.0, size=64)


@pytest.fixture(scope="session")
def other_person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another one, 3 s.  Read only."""
    pytest.importorskip("espeakng_loader", reason="synthetic people need espeak-ng; install the extra 'synth'")
    from d3talker.people.synthetic.subjects import make_subject

    return make_subject(tmp_path_factory.mktemp("people") / "other", seed=3, seconds=3.0, size=64, index=1)
