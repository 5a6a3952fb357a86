"""Sound as people's files hold it: channels, holes, delays, several tracks; every file is made here."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from d3talker.errors import UserError
from d3talker.people.media.soundtrack import SAMPLE_RATE, place, read_audio
from d3talker.people.media.video import VideoWriter, read_frames

RATE = 48000


def speech(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """Noise in bursts, band-limited so that resampling keeps it, float32 [S]."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate)
    spectrum = np.fft.rfft(rng.normal(size=count))
    spectrum[np.fft.rfftfreq(count, 1 / rate) > 4000] = 0
    sound = np.fft.irfft(spectrum, count)
    loud = np.interp(np.arange(count), np.linspace(0, count, 40), rng.uniform(0, 1, 40) ** 2)
    sound *= loud
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


def write(
    path: Path, tracks: Sequence[Sequence[tuple[float, np.ndarray]]], *, picture: int | None = 50, codec: str = "pcm_s16le",
    begin: float = 0.0, rate: int = RATE,
) -> Path:
    """A file whose tracks are lists of (start in seconds, channels [C, S]); picture: so many frames from `begin` on."""
    with av.open(str(path), "w") as container:
        if picture is not None:
            video = container.add_stream("ffv1", rate=25)
            video.width = video.height = 32
            video.pix_fmt = "bgr0"
        sounds = [
            container.add_stream(codec, rate=rate, layout={1: "mono", 2: "stereo", 6: "5.1"}[pieces[0][1].shape[0]]) for pieces in tracks
        ]
        for k in range(picture or 0):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), k, np.uint8), format="rgb24")
            frame.pts, frame.time_base = k + round(begin * 25), Fraction(1, 25)
            container.mux(video.encode(frame))
        if picture is not None:
            container.mux(video.encode(None))
        for stream, pieces in zip(sounds, tracks):
            for start, channels in pieces:
                _mux(container, stream, round(start * rate), channels, rate)
            container.mux(stream.encode(None))
    return path


def _mux(container, stream, first: int, channels: np.ndarray, rate: int) -> None:
    pcm = np.round(channels.clip(-1, 1) * 32767).astype(np.int16)
    planar = stream.codec_context.format.is_planar
    for at in range(0, pcm.shape[1], 1152):
        block = pcm[:, at:at + 1152]
        layout = stream.codec_context.layout.name
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block.T.reshape(1, -1)), "s16", layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, first + at, Fraction(1, rate)
        if planar:
            frame = av.AudioResampler(stream.codec_context.format, layout, rate).resample(frame)[0]
            frame.pts, frame.time_base = first + at, Fraction(1, rate)
        container.mux(stream.encode(frame))


def at_16k(sound: np.ndarray, rate: int = RATE) -> np.ndarray:
    """The same sound at 16 kHz by numpy alone: cut the spectrum (the sound has nothing above 4 kHz)."""
    count = round(len(sound) * SAMPLE_RATE / rate)
    return np.fft.irfft(np.fft.rfft(sound)[: count // 2 + 1], count) * count / len(sound)


def close(got: np.ndarray, expected: np.ndarray, edge: int = 400) -> None:
    """Equal but for rounding and the resampler's edges."""
    assert abs(len(got) - len(expected)) <= 2
    inner = slice(edge, min(len(got), len(expected)) - edge)
    assert np.abs(got[inner] - expected[inner]).max() < 2e-3


def test_channels_are_averaged_and_nothing_is_clipped(tmp_path: Path) -> None:
    left, right = 2 * speech(2), speech(2, 1)
    path = write(tmp_path / "a.mkv", [[(0, np.stack([left, right]))]])
    close(read_audio(path), at_16k((left + right) / 2))
    both = write(tmp_path / "b.mkv", [[(0, np.stack([left, left]))]])
    close(read_audio(both), at_16k(left))
    assert np.abs(read_audio(both)).max() > 0.95  # full scale stays full scale


def test_channels_that_cancel_give_one_of_them(tmp_path: Path) -> None:
    left = speech(2)
    path = write(tmp_path / "a.mkv", [[(0, np.stack([left, -left]))]])
    close(np.abs(read_audio(path)), np.abs(at_16k(left)))
    centre = np.zeros((6, len(left)), np.float32)
    centre[2] = left
    close(read_audio(write(tmp_path / "b.mkv", [[(0, centre)]])), at_16k(left) / 6)


@pytest.mark.parametrize("gap", [1.0, 0.1])
def test_a_hole_is_silence(tmp_path: Path, gap: float) -> None:
    first, second = speech(1), speech(1, 1)
    got = read_audio(write(tmp_path / "a.mkv", [[(0, first[None]), (1 + gap, second[None])]], picture=80))
    start = round((1 + gap) * SAMPLE_RATE)
    close(got[:SAMPLE_RATE], at_16k(first))
    close(got[start:], at_16k(second))
    assert not got[SAMPLE_RATE + 10 : start - 10].any() and len(got) == pytest.approx(start + SAMPLE_RATE, abs=2)


def test_rounded_time_stamps_are_no_holes(tmp_path: Path) -> None:
    sound = speech(2)
    jitter = [(k * 0.1 + 0.0015 * (-1) ** k * (k > 0), sound[None, k * 4800 : (k + 1) * 4800]) for k in range(20)]
    close(read_audio(write(tmp_path / "a.mkv", [jitter])), at_16k(sound))


def test_what_overlaps_is_cut() -> None:
    """No muxer here writes time stamps that run back, so the pieces are given."""
    first, second, third = np.full(100, 1.0, np.float32), np.full(80, 2.0, np.float32), np.full(10, 3.0, np.float32)
    placed = place([(0.0, first), (0.06, second), (0.1, third)], 1000, -0.01)
    expected = np.concatenate([np.zeros(10), first, np.full(40, 2.0)])
    np.testing.assert_array_equal(placed, expected)
    np.testing.assert_array_equal(place([(5.0, first), (5.2, third)], 1000, None), np.concatenate([first, np.zeros(100), third]))


def test_sound_late_early_and_before_the_picture(tmp_path: Path) -> None:
    sound = speech(2)
    late = read_audio(write(tmp_path / "late.mkv", [[(0.5, sound[None])]]))
    close(late[SAMPLE_RATE // 2 :], at_16k(sound))
    early = read_audio(write(tmp_path / "early.mkv", [[(0, sound[None])]], begin=0.6))
    close(early, at_16k(sound)[round(0.6 * SAMPLE_RATE) :])
    with pytest.raises(UserError, match="ends before its picture begins"):
        read_audio(write(tmp_path / "never.mkv", [[(0, sound[None])]], begin=4))


def test_a_stream_cut_between_key_frames_starts_with_its_first_picture(tmp_path: Path) -> None:
    """A broadcast cut anywhere: what can be decoded first is the next key frame, and sound before it is no one's."""
    whole, sound = tmp_path / "whole.ts", speech(6)
    with av.open(str(whole), "w", format="mpegts") as container:
        options = {"bf": "0", "g": "50", "keyint_min": "50", "sc_threshold": "0", "x264-params": "scenecut=0"}
        video = container.add_stream("libx264", rate=25, options=options)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("mp2", rate=RATE, layout="mono")
        for k in range(150):
            image = np.full((64, 64, 3), 16 + k, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = k, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        _mux(container, audio, 0, sound[None], RATE)
        container.mux(audio.encode(None))
    packets = {"video": [], "audio": []}
    with av.open(str(whole)) as source:
        for packet in source.demux():
            if packet.dts is not None:
                packets[packet.stream.type].append(packet)
        cut = tmp_path / "cut.ts"
        with av.open(str(cut), "w", format="mpegts") as container:
            streams = {kind: container.add_stream_from_template(source.streams.get({kind: 0})[0]) for kind in packets}
            origin = float(packets["video"][0].pts * packets["video"][0].time_base)
            chosen = [p for kind in packets for p in packets[kind] if float(p.pts * p.time_base) >= origin + 0.4]
            for packet in sorted(chosen, key=lambda p: p.dts * p.time_base):
                packet.stream = streams[packet.stream.type]
                container.mux(packet)
    grey = int(next(iter(read_frames(cut, 25)))[0, 0, 0])
    shown = 50  # the second group of pictures begins at 2 s
    assert abs(grey - (16 + shown)) <= 3
    got = read_audio(cut)
    expected = at_16k(sound)[round(shown / 25 * SAMPLE_RATE) :]
    lags = [float(got[2000 + k : 40000 + k] @ expected[2000:40000]) for k in range(-800, 801)]
    assert abs(int(np.argmax(lags)) - 800) < 0.02 * SAMPLE_RATE


@pytest.mark.parametrize(("name", "codec", "rate"), [("a.mp3", "mp3", 44100), ("a.m4a", "aac", 48000), ("a.ogg", "libvorbis", 48000)])
def test_a_song_begins_with_its_own_first_sample(tmp_path: Path, name: str, codec: str, rate: int) -> None:
    sound = speech(2, rate=rate)
    try:
        path = write(tmp_path / name, [[(0, np.stack([sound, sound]))]], picture=None, codec=codec, rate=rate)
    except (av.FFmpegError, ValueError) as error:
        pytest.skip(f"this PyAV cannot write {codec}: {error}")
    got, expected = read_audio(path), at_16k(sound, rate)
    lags = [float(got[1000 + k : 25000 + k] @ expected[1000:25000]) for k in range(-900, 901)]
    assert abs(int(np.argmax(lags)) - 900) <= 16  # a millisecond


def test_silent_tracks_are_passed_over_and_a_choice_is_asked_for(tmp_path: Path) -> None:
    sound, other = speech(2)[None], speech(2, 1)[None]
    silent = write(tmp_path / "silent.mkv", [[(0, 0 * sound)], [(0, sound)]])
    close(read_audio(silent), at_16k(sound[0]))
    copies = write(tmp_path / "copies.mkv", [[(0, sound)], [(0, 0.3 * sound)]])
    close(read_audio(copies), at_16k(sound[0]))
    two = write(tmp_path / "two.mkv", [[(0, other)], [(0, sound)]])
    with pytest.raises(UserError, match=r"several sound tracks.*--sound-track 2"):
        read_audio(two)
    close(read_audio(two, track=2), at_16k(sound[0]))
    with pytest.raises(UserError, match="2 sound tracks, there is no track 3"):
        read_audio(two, track=3)


def test_mono_that_turns_to_stereo(tmp_path: Path) -> None:
    """Two programmes of one broadcast, joined: the layout changes where the second begins."""
    first, second = speech(1), speech(1, 1)
    parts = [write(tmp_path / f"{k}.ts", [[(0, s)]], picture=None, codec="mp2") for k, s in enumerate((first[None], np.stack([second] * 2)))]
    joined = tmp_path / "joined.ts"
    with av.open(str(joined), "w", format="mpegts") as container:
        offset, stream = 0, None
        for part in parts:
            with av.open(str(part)) as source:
                stream = stream or container.add_stream_from_template(source.streams.audio[0])
                begin = None
                for packet in source.demux(source.streams.audio[0]):
                    if packet.dts is None:
                        continue
                    begin = packet.pts if begin is None else begin
                    packet.pts = packet.dts = packet.pts - begin + offset
                    end = packet.pts + packet.duration
                    packet.stream = stream
                    container.mux(packet)
                offset = end
    got = read_audio(joined)
    assert len(got) == pytest.approx(2 * SAMPLE_RATE, abs=0.08 * SAMPLE_RATE)
    for piece, at in ((first, 0), (second, SAMPLE_RATE)):
        expected = at_16k(piece)[2000:12000]
        lags = [float(got[at + 2000 + k : at + 12000 + k] @ expected) for k in range(-1000, 1001)]
        assert max(lags) > 0.95 * float(expected @ expected)


def test_a_song_with_a_cover_is_no_video(tmp_path: Path) -> None:
    """A cover has no time: the song begins with its own first sample."""
    from d3talker.people.media.video import probe

    sound = speech(1, rate=44100)
    song, cover = tmp_path / "song.mp3", tmp_path / "cover.png"
    write(song, [[(0, sound[None])]], picture=None, codec="mp3", rate=44100)
    import cv2

    cv2.imwrite(str(cover), np.zeros((16, 16, 3), np.uint8))
    covered = tmp_path / "covered.mp3"
    with av.open(str(song)) as source, av.open(str(cover)) as image, av.open(str(covered), "w") as container:
        audio = container.add_stream_from_template(source.streams.audio[0])
        picture = container.add_stream_from_template(image.streams.video[0])
        picture.disposition = picture.disposition.__class__.attached_pic
        for stream, packets in ((picture, image.demux()), (audio, source.demux())):
            for packet in packets:
                if packet.dts is not None:
                    packet.stream = stream
                    container.mux(packet)
    np.testing.assert_allclose(read_audio(covered), read_audio(song), atol=1e-6)
    with pytest.raises(UserError, match="no picture"):
        probe(covered)


def test_time_stamps_far_off_are_named(tmp_path: Path) -> None:
    sound = speech(1)[None]
    with pytest.raises(UserError, match=r"time stamps in .* jump from 1\.00 s to 2000\.00 s"):
        read_audio(write(tmp_path / "a.mkv", [[(0, sound), (2000, sound)]]))


def test_writer_still_fits(tmp_path: Path) -> None:
    sound = at_16k(speech(2)).astype(np.float32)
    with VideoWriter(tmp_path / "a.mkv", codec="ffv1", audio=sound) as writer:
        for _ in range(50):
            writer.write(np.zeros((16, 16, 3), np.uint8))
    np.testing.assert_allclose(read_audio(tmp_path / "a.mkv"), sound, atol=1e-4)
