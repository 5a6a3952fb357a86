"""Pictures as people's files hold them: oblong pixels, changes midway, cuts, parts, high dynamic range; all made here."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from d3talker.cli import main
from d3talker.errors import UserError
from d3talker.people.media.video import Span, VideoWriter, picture_notes, probe, read_audio, read_frames
from d3talker.people.preparation.cuts import CutWatch, jumps


def scene(seed: int, shift: float = 0.0) -> np.ndarray:
    """A soft random picture uint8 [64, 64, 3], moved sideways."""
    noise = np.random.default_rng(seed).normal(size=(16, 24, 3)).astype(np.float32)
    big = cv2.resize(noise, (96, 64), interpolation=cv2.INTER_CUBIC)
    moved = cv2.warpAffine(big, np.float32([[1, 0, -16 + shift], [0, 1, 0]]), (64, 64))
    return (128 + 50 * moved).clip(0, 255).astype(np.uint8)


def test_oblong_pixels_become_square(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    disc = np.zeros((60, 40, 3), np.uint8)
    cv2.ellipse(disc, (20, 30), (10, 20), 0, 0, 360, (255, 255, 255), -1)  # a circle, when shown twice as wide
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 40, 60, "yuv444p"
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)
        for k in range(3):
            frame = av.VideoFrame.from_ndarray(disc, format="rgb24").reformat(format="yuv444p")
            frame.pts, frame.time_base = k, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert probe(path).pixel_aspect == 2
    shown = next(iter(read_frames(path)))
    assert shown.shape == (60, 80, 3)
    columns, rows = np.flatnonzero(shown[30, :, 0] > 128), np.flatnonzero(shown[:, 40, 0] > 128)
    assert abs(len(columns) - len(rows)) <= 2


def test_a_size_that_changes_midway_is_named_with_its_second(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for k in range(50):
            size = (48, 64, 3) if k < 30 else (48, 32, 3)
            encoder = stream.codec_context if k < 30 else av.CodecContext.create("mjpeg", "w")
            if k >= 30:
                encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 32, 48, "yuvj420p", Fraction(1, 25)
            frame = av.VideoFrame.from_ndarray(np.full(size, 100, np.uint8), format="rgb24")
            frame.pts, frame.time_base = k, Fraction(1, 25)
            for packet in encoder.encode(frame.reformat(format="yuvj420p")):
                packet.stream, packet.pts, packet.dts, packet.time_base = stream, k, k, Fraction(1, 25)
                container.mux(packet)
    with pytest.raises(UserError, match=r"changes at 1\.20 s from 64x48 .* to 32x48 .*--from, --to"):
        list(read_frames(path, 25))
    assert len(list(read_frames(path, 25, Span(0, 1.2)))) == 30
    assert {f.shape for f in read_frames(path, 25, Span(1.2))} == {(48, 32, 3)}


def test_a_part_is_cut_by_time(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with VideoWriter(path, codec="ffv1", fps=50) as writer:
        for k in range(100):
            writer.write(np.full((16, 16, 3), k, np.uint8))
    shown = [int(f[0, 0, 0]) for f in read_frames(path, 25, Span(0.4, 1.2))]
    whole = [int(f[0, 0, 0]) for f in read_frames(path, 25)]
    assert shown == whole[10:30]


@pytest.mark.parametrize("args", [("--from", "-1"), ("--from", "2", "--to", "1"), ("--from", "nan")])
def test_parts_that_are_none(tmp_path: Path, args: tuple[str, ...], capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "Talk [id].mkv"
    with VideoWriter(path, codec="ffv1", audio=np.zeros(3200, np.float32)) as writer:
        writer.write(np.zeros((64, 64, 3), np.uint8))
    assert main(["prepare", str(path), "--out", str(tmp_path / "out"), *args]) == 2
    assert "no part of a video" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_cuts_are_found_and_nothing_else_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    watch = CutWatch()
    for k in range(60):
        flash = 60 * (k == 10)
        picture = scene(1 if k < 37 else 2, 2 * np.sin(k / 3)).astype(int) + flash + rng.integers(-4, 5, (64, 64, 1))
        watch.add(picture.clip(0, 255).astype(np.uint8))
    assert watch.cuts() == watch.new_scenes() == [37]
    take = CutWatch()
    moved = scene(1)
    moved[10:45, 10:45] //= 2
    for k in range(60):
        take.add(scene(1) if k < 20 else moved)
    assert take.cuts() == [20] and take.new_scenes() == []
    still = CutWatch()
    for k in range(40):
        still.add(scene(1, (k // 10) * 0.3))  # repeated pictures, as of a low rate
    assert still.cuts() == []


def test_a_face_that_jumps(tmp_path: Path) -> None:
    face = np.random.default_rng(0).uniform(0, 40, (68, 2))
    face[8], face[17:27, 1] = (20, 100), 20
    points = face + np.linspace(0, 5, 50)[:, None, None]
    assert jumps(points) == []
    points[30:] += 30
    assert jumps(points) == [30]


def test_high_dynamic_range_and_half_frames_are_noted(tmp_path: Path) -> None:
    plain = tmp_path / "plain.mkv"
    with VideoWriter(plain, codec="h264") as writer:
        writer.write(np.zeros((64, 64, 3), np.uint8))
    assert picture_notes(plain) == []
    for name, trc, options, said in (("hlg", 18, {}, "HDR .HLG."), ("pq", 16, {}, "HDR .PQ."), ("i", 1, {"x264-params": "tff=1"}, "interlaced")):
        path = tmp_path / f"{name}.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25, options=options)
            stream.width = stream.height = 64
            stream.pix_fmt = "yuv420p"
            stream.codec_context.color_trc = trc
            for k in range(4):
                frame = av.VideoFrame.from_ndarray(scene(k), format="rgb24").reformat(format="yuv420p")
                frame.pts, frame.time_base, frame.color_trc = k, Fraction(1, 25), trc
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        (note,) = picture_notes(path)
        assert said.replace(".", "") in note.replace("(", "").replace(")", "")


def test_a_picture_clock_that_runs_back_is_named(tmp_path: Path) -> None:
    parts = []
    for k in range(2):
        with av.open(str(tmp_path / f"{k}.ts"), "w", format="mpegts") as container:
            stream = container.add_stream("mpeg2video", rate=25)
            stream.width = stream.height = 64
            stream.pix_fmt = "yuv420p"
            for i in range(75):
                frame = av.VideoFrame.from_ndarray(scene(i), format="rgb24")
                frame.pts, frame.time_base = i, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        parts.append((tmp_path / f"{k}.ts").read_bytes())
    (tmp_path / "joined.ts").write_bytes(b"".join(parts))
    with pytest.raises(UserError, match=r"time stamps in .* jump"):
        list(read_frames(tmp_path / "joined.ts", 25))


def test_sound_of_a_video_without_any_is_named(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mkv", codec="ffv1") as writer:
        writer.write(np.zeros((16, 16, 3), np.uint8))
    with pytest.raises(UserError, match="has no sound"):
        read_audio(tmp_path / "a.mkv")
