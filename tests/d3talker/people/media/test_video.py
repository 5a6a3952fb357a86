"""Video and sound: lossless means bit for bit, and 25 fps means by time stamps."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d3talker.errors import UserError
from d3talker.people.media.video import VideoWriter, probe, read_audio, read_frames, write_wav


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 4), st.integers(16, 40), st.integers(16, 40), st.integers(0, 99))
def test_ffv1_keeps_every_bit(tmp_path_factory, count: int, height: int, width: int, seed: int) -> None:
    frames = np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("video") / "a.mkv"
    with VideoWriter(path, codec="ffv1") as writer:
        for frame in frames:
            writer.write(frame)
    np.testing.assert_array_equal(np.stack(list(read_frames(path))), frames)


def _numbered(path: Path, rate: Fraction, count: int) -> None:
    """A video whose frame i is a flat grey of 2 i."""
    with VideoWriter(path, codec="ffv1", fps=float(rate)) as writer:
        for index in range(count):
            writer.write(np.full((16, 16, 3), 2 * index, np.uint8))


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30), Fraction(50), Fraction(30000, 1001), Fraction(221, 10)])
def test_resampling_shows_the_frame_of_the_moment(tmp_path: Path, rate: Fraction) -> None:
    path = tmp_path / "a.mkv"
    _numbered(path, rate, 60)
    shown = [int(frame[0, 0, 0]) // 2 for frame in read_frames(path, 25)]
    assert abs(len(shown) - 60 * 25 / rate) <= 1
    for k, index in enumerate(shown):
        assert abs(index - k * rate / 25) <= 1, f"frame {k} shows source frame {index}"
    assert shown == sorted(shown)


def test_sound_survives_and_starts_with_the_picture(tmp_path: Path) -> None:
    audio = (0.5 * np.sin(np.arange(16000) * 2 * np.pi * 440 / 16000)).astype(np.float32)
    path = tmp_path / "a.mkv"
    with VideoWriter(path, codec="ffv1", audio=audio) as writer:
        for _ in range(25):
            writer.write(np.zeros((16, 16, 3), np.uint8))
    np.testing.assert_allclose(read_audio(path), audio, atol=1e-4)
    write_wav(tmp_path / "a.wav", audio)
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav"), audio, atol=1e-4)
    assert len(read_audio(path, rate=8000)) == pytest.approx(8000, abs=40)


def test_metadata_comes_back(tmp_path: Path) -> None:
    for codec, name in (("ffv1", "a.mkv"), ("h264", "a.mp4")):
        with VideoWriter(tmp_path / name, codec=codec, metadata={"synthetic": "true"}) as writer:
            writer.write(np.zeros((17, 33, 3), np.uint8))
        assert probe(tmp_path / name).metadata["synthetic"] == "true"


@pytest.mark.parametrize(("codec", "name"), [("ffv1", "{}.mkv"), ("h264", "{}.mp4")])
def test_equal_frames_make_equal_files(tmp_path: Path, codec: str, name: str) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    for copy in "ab":
        with VideoWriter(tmp_path / name.format(copy), codec=codec) as writer:
            for frame in frames:
                writer.write(frame)
    assert (tmp_path / name.format("a")).read_bytes() == (tmp_path / name.format("b")).read_bytes()


def test_failed_writing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected uint8"), VideoWriter(tmp_path / "a.mkv", codec="ffv1") as writer:
        writer.write(np.zeros((16, 16, 3), np.uint8))
        writer.write(np.zeros((8, 8, 3), np.uint8))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"not a video", b"\x00" * 4096])
def test_what_is_no_video_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    for read in (probe, lambda p: list(read_frames(p)), read_audio):
        with pytest.raises(UserError, match=r"a\.mp4"):
            read(path)
    with pytest.raises(UserError, match="does not exist"):
        probe(tmp_path / "missing.mp4")


def test_no_sound_and_no_picture_are_named(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mkv", codec="ffv1") as writer:
        writer.write(np.zeros((16, 16, 3), np.uint8))
    with pytest.raises(UserError, match="has no sound"):
        read_audio(tmp_path / "a.mkv")
    write_wav(tmp_path / "a.wav", np.zeros(1600, np.float32))
    with pytest.raises(UserError, match="has no picture"):
        probe(tmp_path / "a.wav")


def test_truncated_video_is_named(tmp_path: Path) -> None:
    whole = tmp_path / "whole.mp4"
    rng = np.random.default_rng(0)
    with VideoWriter(whole, codec="h264") as writer:
        for _ in range(40):
            writer.write(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    half = tmp_path / "half.mp4"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(UserError, match=r"half\.mp4"):
        list(read_frames(half))


@pytest.mark.parametrize(("tag", "what", "read"), [(b"FFV1", "picture", probe), (b"\x01\x00\x01\x00\x80>", "sound", read_audio)])
def test_an_unknown_codec_is_named(tmp_path: Path, tag: bytes, what: str, read: Callable) -> None:
    clip = tmp_path / "a.avi"
    with VideoWriter(clip, codec="ffv1", audio=np.zeros(6400, np.float32)) as writer:
        for _ in range(10):
            writer.write(np.zeros((32, 32, 3), np.uint8))
    content = clip.read_bytes()
    assert tag in content
    clip.write_bytes(content.replace(tag, b"QQ" + tag[2:]))
    with pytest.raises(UserError, match=f"the {what} of .* codec"):
        read(clip)


def test_a_phones_rotation_is_undone(tmp_path):
    """A turn of 90 degrees clockwise, as a phone writes it into the track's header (ISO 14496-12, tkhd matrix)."""
    stored = np.zeros((48, 64, 3), np.uint8)
    stored[:16, :16] = 255  # the top left corner as stored is the top right one as shown
    with VideoWriter(tmp_path / "phone.mp4", codec="h264") as writer:
        for _ in range(3):
            writer.write(stored)
    one, minus, last, none = b"\0\1\0\0", b"\xff\xff\0\0", b"\x40\0\0\0", b"\0\0\0\0"
    upright, turned = one + 3 * none + one + 3 * none + last, none + one + none + minus + 4 * none + last
    data = bytearray((tmp_path / "phone.mp4").read_bytes())
    at = data.index(upright, data.index(b"tkhd"))
    data[at : at + 36] = turned
    (tmp_path / "phone.mp4").write_bytes(data)
    shown = next(iter(read_frames(tmp_path / "phone.mp4")))
    assert shown.shape == (64, 48, 3)
    assert shown[:12, 36:].min() > 200 and shown[:, :28].max() < 60 and shown[24:].max() < 60


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_a_file_cut_off_behind_its_table_of_contents_is_refused(tmp_path, share):
    noise = np.random.default_rng(0)
    with VideoWriter(tmp_path / "whole.mp4", codec="h264", audio=np.zeros(64000, np.float32)) as writer:
        for _ in range(100):
            writer.write(noise.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    whole = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[:int(share * len(whole))])
    assert len(list(read_frames(tmp_path / "whole.mp4"))) == 100
    with pytest.raises(UserError, match=r"cut\.mp4 breaks off at \d\.\d\d s of 4\.00 s"):
        list(read_frames(tmp_path / "cut.mp4"))
