"""Motion from many clips: who speaks, resuming, clips left out, and two real sentences."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from d3talker.cli import main
from d3talker.errors import UserError
from d3talker.files import read_json
from d3talker.learning.motion.data import load_speakers
from d3talker.people.head.embedded import embedded_head
from d3talker.people.media.video import VideoWriter
from d3talker.people.preparation import speakers
from d3talker.people.preparation.speakers import INDEX, Source, read_speakers, sources, track_speakers

E = len(embedded_head().expression_names)


@pytest.fixture
def clips(tmp_path):
    for name in ("a/1.mp4", "a/2.MOV", "b.mp4", "a/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.fixture
def tracked(monkeypatch) -> list[str]:
    """Stands for the tracker: notes what it was asked for, and refuses b."""
    asked: list[str] = []

    def track(source, detector, path):
        asked.append(source.path.stem)
        if source.path.stem == "b":
            raise UserError(f"{source.path} shows no face")
        rng = np.random.default_rng(len(asked))
        path.parent.mkdir(parents=True, exist_ok=True)
        values = {"expression": rng.random((40, E)).astype(np.float32), "seen": np.ones(40, bool)}
        np.savez(path, **values, audio=(3000 * rng.normal(size=40 * 640)).astype(np.int16))
        return {"frames": 40, "lost_frames": 0, "reprojection_px_at_512": 1.0}

    monkeypatch.setattr(speakers, "_track", track)
    monkeypatch.setattr(speakers, "LandmarkDetector", lambda kind: None)
    return asked


def test_files_are_speakers_folders_are_one_and_a_list_says_more(clips):
    found = sources([clips / "a", clips / "b.mp4"])
    assert [(s.path.stem, s.speaker) for s in found] == [("1", "a"), ("2", "a"), ("b", "b")]
    rows = [{"name": "b.mp4", "speaker": "ben", "language": "de", "licence": "CC0"}, {"name": "a/1.mp4", "speaker": "ann"}]
    (clips / "sources.json").write_text(json.dumps(rows))
    assert [s.speaker for s in sources([], clips / "sources.json")] == ["ben", "ann"]
    said = sources([clips / "b.mp4", clips / "a"], clips / "sources.json")
    assert [(s.speaker, s.language, s.licence) for s in said] == [("ben", "de", "CC0"), ("ann", None, None), ("a", None, None)]


def test_what_is_not_there_is_named(clips):
    (clips / "empty").mkdir()
    (clips / "c").mkdir()
    shutil.copy(clips / "b.mp4", clips / "c" / "b.mp4")
    (clips / "bad.json").write_text('[{"file": "x"}]')
    for given, words in (
        (([clips / "no.mp4"],), "does not exist"), (([clips / "empty"],), "no video"),
        (([clips / "b.mp4", clips / "c"],), "two clips are called b"), (([], clips / "bad.json"), "speaker"),
    ):
        with pytest.raises(UserError, match=words):
            sources(*given)


def test_bad_clips_are_named_and_done_ones_passed_over(clips, tracked, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["motion", "speakers", str(clips / "a"), str(clips / "b.mp4"), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "left out" in printed and "b.mp4" in printed and "2 clips of 1 speakers" in printed
    assert tracked == ["1", "2", "b"]
    index = track_speakers([*sources([clips / "a", clips / "b.mp4"])], out)
    assert tracked == ["1", "2", "b"] and "no face" in index["b"]["left_out"]
    (clips / "a" / "1.mp4").write_text("another take")
    (out / "2.npz").unlink()
    track_speakers(sources([clips / "a"]), out)
    assert tracked[3:] == ["1", "2"]
    assert [(c.name, c.speaker, c.expression.shape) for c in read_speakers(out)] == [("1", "a", (40, E)), ("2", "a", (40, E))]


def test_an_interrupted_run_goes_on(clips, tracked, tmp_path, monkeypatch):
    track, out = speakers._track, tmp_path / "out"

    def dies(source, *rest):
        if source.path.stem == "2":
            raise KeyboardInterrupt
        return track(source, *rest)

    monkeypatch.setattr(speakers, "_track", dies)
    with pytest.raises(KeyboardInterrupt):
        track_speakers(sources([clips / "a"]), out)
    monkeypatch.setattr(speakers, "_track", track)
    assert set(track_speakers(sources([clips / "a"]), out)) == {"1", "2"} and tracked == ["1", "2"]


def test_foreign_folders_and_damaged_files_are_refused(clips, tracked, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UserError, match="something else"):
        track_speakers([Source(clips / "b.mp4", "b")], clips)
    with pytest.raises(UserError, match="motion speakers"):
        list(read_speakers(clips))
    track_speakers(sources([clips / "a"]), out)
    (out / "1.npz").write_bytes(b"PK nonsense")
    with pytest.raises(UserError, match=r"1\.npz is missing or damaged"):
        list(read_speakers(out))


def test_clips_of_one_speaker_are_joined_and_heard_once(clips, tracked, tmp_path, monkeypatch):
    from d3talker.learning.motion import data as motion_data

    out = tmp_path / "out"
    track_speakers(sources([clips / "a"]), out)
    (one,) = load_speakers([out], ["mel"])
    assert one.name == "a" and [len(part.seen) for part in one.pieces] == [40, 40] and len(one) == 80
    assert one.pieces[0].video == read_json(out / INDEX)["clips"]["1"]["sha256"]
    np.testing.assert_allclose(one.moves[:40].mean(0), 0, atol=1e-6)
    monkeypatch.setattr(motion_data, "hear", lambda *_: pytest.fail("listened again"))
    (again,) = load_speakers([out], ["mel"])
    np.testing.assert_array_equal(again.heard["mel"], one.heard["mel"])
    with pytest.raises(UserError, match="no speaker nobody"):
        load_speakers([out], ["mel"], ["nobody"])


def test_a_clip_without_sound_or_too_short_is_left_out(tmp_path):
    pytest.importorskip("dlib", reason="needs the extra 'landmarks'")
    for name, audio, frames in (("mute", None, 30), ("short", np.random.default_rng(0).normal(0, 0.1, 6400).astype(np.float32), 10)):
        with VideoWriter(tmp_path / f"{name}.mp4", codec="h264", audio=audio) as writer:
            for _ in range(frames):
                writer.write(np.zeros((128, 128, 3), np.uint8))
    index = track_speakers(sources([tmp_path / "mute.mp4", tmp_path / "short.mp4"]), tmp_path / "out")
    assert "no sound" in index["mute"]["left_out"] and "at least 25" in index["short"]["left_out"]


@pytest.mark.shared
def test_real_sentences_of_one_speaker(shared_data, tmp_path):
    pytest.importorskip("dlib", reason="needs the extra 'landmarks'")
    files = sorted((shared_data / "clips" / "grid_s1").glob("*.mpg"))[:2]
    found = [Source(path, "s1", "en") for path in files]
    index = track_speakers(found, tmp_path / "out")
    assert [index[path.stem]["frames"] for path in files] == [75, 75]
    (one,) = load_speakers([tmp_path / "out"], ["mel"])
    assert len(one) == 150 and 0.3 < one.amplitude < 5
