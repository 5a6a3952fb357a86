"""Finding other people's weights: order of places, digests, formats, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from d3talker import weights
from d3talker.errors import UserError
from d3talker.files import sha256_file
from d3talker.weights import MissingWeights, WeightFile, find_weights, load_state, packaged_file


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty machine that knows one weights file, `toy`, published as toy.pth or converted to toy.npz."""
    published = tmp_path / "published.pth"
    torch.save({"w": torch.arange(3.0)}, published)
    toy = WeightFile(("toy.pth", "toy.npz"), sha256_file(published)[:8], "https://example.invalid/toy.pth")
    monkeypatch.setitem(weights.FILES, "toy", toy)
    for name in ("D3TALKER_WEIGHTS", "TORCH_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("D3TALKER_OFFLINE", "1")
    return tmp_path


def put(place, folder, name="toy.pth"):
    target = place / folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes((place / "published.pth").read_bytes())
    return target


def test_places_are_searched_in_order(place, monkeypatch):
    monkeypatch.setenv("D3TALKER_WEIGHTS", str(place / "environment"))
    with pytest.raises(MissingWeights, match=r"toy\.pth is not on this machine; get it with: d3talker weights fetch toy"):
        find_weights("toy", download=True)
    for folder in ("cache/torch/hub/checkpoints", "cache/d3talker", "environment", "given/below"):
        target = put(place, folder)
        assert find_weights("toy", place / "given" if folder.startswith("given") else None) == target


def test_a_published_file_is_checked_and_a_converted_one_is_not(place):
    put(place, "given").write_bytes(b"other")
    with pytest.raises(UserError, match="sha256"):
        find_weights("toy", place / "given")
    target = put(place, "converted", "toy.npz")
    assert find_weights("toy", place / "converted") == target


def test_a_missing_folder_is_refused(place):
    with pytest.raises(UserError, match="does not exist"):
        find_weights("toy", place / "nowhere")


def test_formats_agree_and_pickles_are_refused(place):
    state = load_state(place / "published.pth")
    np.savez(place / "toy.npz", w=np.arange(3.0, dtype=np.float32))
    assert torch.equal(state["w"], load_state(place / "toy.npz")["w"])
    torch.save({"w": WeightFile((), "", "")}, place / "object.pth")
    (place / "rubbish.npz").write_bytes(b"rubbish")
    for name in ("object.pth", "rubbish.npz", "absent.pth"):
        with pytest.raises(UserError, match=name):
            load_state(place / name)


def test_packaged_files_are_found_without_import():
    import sys

    assert packaged_file("json", "decoder.py", "x", "reading").name == "decoder.py"
    for package, name in (("json", "absent.py"), ("no_such_package_here", "file")):
        with pytest.raises(MissingWeights, match=r"pip install '\.\[extra\]'"):
            packaged_file(package, name, "extra", "reading")
    assert "no_such_package_here" not in sys.modules
