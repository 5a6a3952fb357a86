"""The predictions folder: whole or not there, and every change to it is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from d3talker.errors import UserError
from d3talker.files import read_json, write_json
from d3talker.people.media.predictions import Predictions, PredictionsWriter, is_predictions

FACTS = {"method": "toy", "subject": "nobody", "setting": "self", "first_img_id": 7, "torso_mode": "gt", "source": "test"}


def write(out: Path, frames: np.ndarray, audio: np.ndarray | None = None) -> None:
    with PredictionsWriter(out, audio=audio, **FACTS) as writer:
        for frame in frames:
            writer.write(frame)


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 24, 20, 3), dtype=np.uint8)


def test_round_trip(tmp_path: Path, frames: np.ndarray) -> None:
    audio = np.linspace(-0.5, 0.5, 3200, dtype=np.float32)
    write(tmp_path / "p", frames, audio)
    read = Predictions(tmp_path / "p")
    read.verify()
    np.testing.assert_array_equal(np.stack(list(read.frames())), frames)
    np.testing.assert_allclose(read.audio(), audio, atol=1e-4)
    assert (read.manifest.frames, read.manifest.height, read.manifest.width) == (5, 24, 20)
    assert read.manifest.lossless and read.manifest.first_img_id == 7


def test_interrupted_writing_leaves_the_old_folder(tmp_path: Path, frames: np.ndarray) -> None:
    write(tmp_path / "p", frames)
    with pytest.raises(KeyboardInterrupt), PredictionsWriter(tmp_path / "p", **FACTS) as writer:
        writer.write(frames[0])
        raise KeyboardInterrupt
    assert Predictions(tmp_path / "p").manifest.frames == 5
    assert [p.name for p in tmp_path.iterdir()] == ["p"]


def test_nothing_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no frame was written"), PredictionsWriter(tmp_path / "p", **FACTS):
        pass
    assert not is_predictions(tmp_path / "p")


def test_changed_and_missing_files_are_seen(tmp_path: Path, frames: np.ndarray) -> None:
    write(tmp_path / "p", frames)
    video = tmp_path / "p" / "frames.mkv"
    video.write_bytes(video.read_bytes() + b"x")
    with pytest.raises(UserError, match="has changed"):
        Predictions(tmp_path / "p").verify()
    video.unlink()
    with pytest.raises(UserError, match="missing"):
        Predictions(tmp_path / "p").verify()


@pytest.mark.parametrize(("change", "message"), [
    ({"frames": "many"}, "frames"), ({"torso_mode": "glued"}, "torso_mode"), ({"extra": 1}, "extra"),
    ({"schema_version": 99}, "schema 99"),
])
def test_bad_manifest_is_named(tmp_path: Path, frames: np.ndarray, change: dict, message: str) -> None:
    write(tmp_path / "p", frames)
    path = tmp_path / "p" / "manifest.json"
    write_json(path, read_json(path) | change)
    with pytest.raises(UserError, match=message):
        Predictions(tmp_path / "p")


def test_wrong_frame_count_is_seen(tmp_path: Path, frames: np.ndarray) -> None:
    write(tmp_path / "p", frames)
    path = tmp_path / "p" / "manifest.json"
    write_json(path, read_json(path) | {"frames": 6})
    with pytest.raises(UserError, match="holds 5 frames, its manifest says 6"):
        list(Predictions(tmp_path / "p").frames())
