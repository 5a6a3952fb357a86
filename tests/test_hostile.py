"""Hostile input on the command line: one sentence that names the cause, exit code 2, nothing half made; or the right value."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baselines.sample import picture, sample_subject
from d3talker.cli import main
from d3talker.errors import UserError
from d3talker.files import read_json, read_npy
from d3talker.people.media.predictions import Manifest, Predictions, PredictionsWriter
from d3talker.people.media.video import VideoWriter, read_audio, write_wav
from d3talker.people.preparation.inspect import inspect
from d3talker.people.subject.checks import examine
from d3talker.people.subject.layout import Subject

TEST = range(60, 90)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A subject, a good predictions folder and a good video of it; hostile inputs are made beside them."""
    root = tmp_path_factory.mktemp("hostile")
    sample_subject(root / "subject")
    facts = {"method": "m", "subject": "subject", "setting": "self", "first_img_id": 60, "torso_mode": "gt", "source": "test"}
    with PredictionsWriter(root / "good", audio=np.zeros(30 * 640, np.float32), **facts) as writer:
        for i in TEST:
            writer.write(picture(i)[0])
    return root


def clip(path: Path, frames=None, **options) -> Path:
    with VideoWriter(path, codec="ffv1", **options) as writer:
        for frame in frames if frames is not None else (picture(i)[0] for i in TEST):
            writer.write(frame)
    return path


def npy(path: Path, header: str, data: bytes = b"") -> Path:
    """A .npy file with any header."""
    text = header.encode()
    text += b" " * (63 - (len(text) + 10) % 64) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data)
    return path


def manifest(place: Path, out: Path, **changes) -> Path:
    """A copy of the good predictions whose manifest says something else."""
    out.mkdir()
    for name in ("frames.mkv", "audio.wav"):
        os.link(place / "good" / name, out / name)
    facts = json.loads((place / "good" / "manifest.json").read_text()) | changes
    (out / "manifest.json").write_text(json.dumps(facts))
    return out


def record_folder(out: Path, text: str | bytes) -> Path:
    (out / "records").mkdir(parents=True)
    (out / "records" / "a.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    return out


def zipped(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "no video")
    return path


def loop(path: Path) -> Path:
    path.symlink_to(path)
    return path


def dangling(path: Path) -> Path:
    path.symlink_to(path.with_name("nowhere"))
    return path


def text(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def folder(path: Path, **files: bytes) -> Path:
    path.mkdir()
    for name, content in files.items():
        (path / name.replace("__", ".")).write_bytes(content)
    return path


def subject_with(place: Path, out: Path, name: str, content: bytes | str) -> Path:
    """The good subject with one file of other content."""
    out.mkdir()
    for item in (place / "subject").iterdir():
        if item.name != name:
            (out / item.name).symlink_to(item)
    text(out / name, content)
    return out


def transforms_text(place: Path, **changes) -> str:
    return json.dumps(json.loads((place / "subject" / "transforms_val.json").read_text()) | changes)


def prepare(video: Path, out: Path, *more: str) -> list[str]:
    return ["prepare", str(video), "--out", str(out), *more]


def bring(kind: str, what: Path, place: Path, out: Path, *more: str) -> list[str]:
    return ["import", kind, str(what), "--subject", str(place / "subject"), "--out", str(out), "--name", "x", "--torso-mode", "gt", *more]


Make = Callable[[Path, Path], list[str]]  # (the good things, an empty folder) -> arguments; "out" is where results would go
REFUSED: dict[str, tuple[Make, str]] = {
    # names and kinds of files
    "prepare: a folder for a video": (lambda g, t: prepare(g, t / "out"), "not a file"),
    "prepare: a link to itself": (lambda g, t: prepare(loop(t / "a.mp4"), t / "out"), "does not exist or is not a file"),
    "prepare: a link to nowhere": (lambda g, t: prepare(dangling(t / "a.mp4"), t / "out"), "does not exist or is not a file"),
    "prepare: a name of brackets and lines": (lambda g, t: prepare(t / "[/bold]\nx.mp4", t / "out"), "does not exist"),
    "prepare: a name too long": (lambda g, t: prepare(t / ("x" * 300), t / "out"), "x"),
    "prepare: a null byte in the name": (lambda g, t: prepare(t / "a\0b.mp4", t / "out"), "a"),
    "prepare: out under a file": (lambda g, t: prepare(clip(t / "a.mkv", audio=np.ones(9600, "f4") / 9), text(t / "f", "") / "out"), "f"),
    # containers
    "prepare: an archive named mp4": (lambda g, t: prepare(zipped(t / "a.mp4"), t / "out"), "cannot be opened"),
    "prepare: subtitles alone": (lambda g, t: prepare(text(t / "a.srt", "1\n00:00:00,000 --> 00:00:01,000\nhello\n"), t / "out"), "no picture"),
    "prepare: a playlist": (lambda g, t: prepare(text(t / "a.m3u8", "#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"), t / "out"), "a.m3u8"),
    "prepare: a concat script": (lambda g, t: prepare(text(t / "a.ffconcat", "ffconcat version 1.0\nfile /etc/passwd\n"), t / "out"), "a.ffconcat"),
    "prepare: a picture": (lambda g, t: prepare(text(t / "a.png", cv2.imencode(".png", picture(0)[0])[1].tobytes()), t / "out"), "no sound"),
    "prepare: one frame": (lambda g, t: prepare(clip(t / "a.mkv", [np.zeros((80, 80, 3), "u1")], audio=np.ones(9600, "f4") / 9), t / "out"), "has 1 frames"),
    "prepare: 48 pixels high": (lambda g, t: prepare(clip(t / "a.mkv", audio=np.ones(9600, "f4") / 9), t / "out"), "at least 64 a side"),
    "prepare: silence": (lambda g, t: prepare(clip(t / "a.mkv", audio=np.zeros(9600, "f4")), t / "out"), "silent throughout"),
    "prepare: --from after the end": (
        lambda g, t: prepare(clip(t / "a.mkv", audio=np.ones(9600, "f4") / 9), t / "out", "--from", "100"), "ends before --from 100"),
    "prepare: a track that is not there": (
        lambda g, t: prepare(clip(t / "a.mkv", audio=np.ones(9600, "f4") / 9), t / "out", "--sound-track", "9"), "there is no track 9"),
    "prepare: no pixels": (lambda g, t: prepare(clip(t / "a.mkv", audio=np.ones(9600, "f4") / 9), t / "out", "--size", "0"), "--size is 0"),
    # JSON texts
    "inspect: UTF-16": (lambda g, t: ["inspect", str(subject_with(g, t / "s", "transforms_val.json", transforms_text(g).encode("utf-16")))], "not valid JSON"),
    "inspect: nested deep": (lambda g, t: ["inspect", str(subject_with(g, t / "s", "transforms_val.json", "[" * 99999))], "not valid JSON"),
    "inspect: a number of 5000 digits": (
        lambda g, t: ["inspect", str(subject_with(g, t / "s", "transforms_val.json", '{"a": ' + "9" * 5000 + "}"))], "not valid JSON"),
    "inspect: a folder for transforms": (
        lambda g, t: ["inspect", str(folder(t / "s")), *(["--json"] if (t / "s" / "transforms_val.json").mkdir() else [])], "transforms"),
    "import: ids beyond any machine": (
        lambda g, t: ["import", "video", str(clip(t / "a.mkv")), "--subject", str(subject_with(g, t / "s", "transforms_val.json", transforms_text(
            g, frames=[{"img_id": 1e300, "aud_id": 1e300, "transform_matrix": np.eye(4).tolist()}] * 3))), "--out", str(t / "out"), "--name", "x",
            "--torso-mode", "gt"], "img_id"),
    # arrays
    "inspect: a pickled array": (lambda g, t: ["inspect", str(subject_with(g, t / "s", "aud.npy", _object_array()))], "not a readable .npy"),
    "inspect: an archive of arrays": (lambda g, t: ["inspect", str(subject_with(g, t / "s", "aud.npy", _npz()))], "not a single array"),
    "inspect: a header of a terabyte": (
        lambda g, t: ["inspect", str(subject_with(g, t / "s", "aud.npy", npy(
            t / "big.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 16, 29), }").read_bytes()))], "not a readable .npy"),
    "inspect: complex numbers": (lambda g, t: ["inspect", str(subject_with(g, t / "s", "aud.npy", _array(np.zeros((91, 16, 29), "c8"))))], "complex64"),
    "motion import: four axes": (
        lambda g, t: ["motion", "import", "--coefficients", str(text(t / "c.npy", _array(np.zeros((1, 1, 91, 64), "f4")))),
                      "--subject", str(g / "subject")], "floats .T, 64."),
    "motion import: no rows": (
        lambda g, t: ["motion", "import", "--coefficients", str(text(t / "c.npy", _array(np.zeros((0, 64), "f4")))), "--subject", str(g / "subject")], "has 0 frames"),
    "motion import: a text": (
        lambda g, t: ["motion", "import", "--coefficients", str(text(t / "c.npy", "x")), "--subject", str(g / "subject")], "not a readable .npy"),
    "motion train: the same speaker twice": (
        lambda g, t: ["motion", "train", "--subjects", str(g / "subject"), str(g / "subject"), "--out", str(t / "out")], "subject"),
    # sound files
    "evaluate: a WAV without samples": (
        lambda g, t: ["evaluate", str(g / "good"), "--metrics", "avc_r", "--audio", str(write_wav(t / "a.wav", np.zeros(0, "f4")) or t / "a.wav")], "a.wav"),
    "evaluate: a text named wav": (lambda g, t: ["evaluate", str(g / "good"), "--audio", str(text(t / "a.wav", "RIFF"))], "a.wav"),
    "import: cross-driven without sound": (lambda g, t: bring("video", clip(t / "a.mkv"), g, t / "out", "--setting", "cross"), "needs its driving sound"),
    # manifests
    "evaluate: frames below zero": (lambda g, t: ["evaluate", str(manifest(g, t / "p", frames=-3)), "--against", str(g / "subject")], "frames"),
    "evaluate: a size of nothing": (lambda g, t: ["evaluate", str(manifest(g, t / "p", width=0)), "--against", str(g / "subject")], "width"),
    "evaluate: another schema": (lambda g, t: ["evaluate", str(manifest(g, t / "p", schema_version=99))], "schema 99"),
    "evaluate: a field of the future": (lambda g, t: ["evaluate", str(manifest(g, t / "p", colour="red"))], "colour"),
    "evaluate: a first frame that is not there": (
        lambda g, t: ["evaluate", str(manifest(g, t / "p", first_img_id=500)), "--against", str(g / "subject")], "no 30 frames from frame 500"),
    "evaluate: one frame more than there is": (
        lambda g, t: ["evaluate", str(manifest(g, t / "p", frames=31)), "--against", str(g / "subject"), "--metrics", "psnr"], "its manifest says 31|goes on"),
    "evaluate: 30 frames a second": (lambda g, t: ["evaluate", str(manifest(g, t / "p", fps=30.0)), "--against", str(g / "subject")], "defined at 25"),
    "evaluate: a manifest without frames": (
        lambda g, t: ["evaluate", str(folder(t / "p", manifest__json=(g / "good" / "manifest.json").read_bytes()))], "frames.mkv"),
    # videos of predictions
    "evaluate: a video of 31 frames": (
        lambda g, t: ["evaluate", str(clip(t / "a.mkv", (picture(i)[0] for i in range(60, 91)))), "--against", str(g / "subject")], "d3talker import"),
    "evaluate: a video one frame late": (
        lambda g, t: ["evaluate", str(clip(t / "a.mkv", (picture(i)[0] for i in range(59, 89)))), "--against", str(g / "subject")], "1 earlier.*d3talker import"),
    "evaluate: a mirrored video": (
        lambda g, t: ["evaluate", str(clip(t / "a.mkv", (picture(i)[0][:, ::-1] for i in TEST))), "--against", str(g / "subject")], "d3talker import"),
    "evaluate: against and reference": (
        lambda g, t: ["evaluate", str(g / "good"), "--against", str(g / "subject"), "--reference", str(g / "good")], "not both"),
    "import: a first frame below zero": (lambda g, t: bring("video", clip(t / "a.mkv"), g, t / "out", "--first-frame", "-1"), "--first-frame is -1"),
    "import: a first frame after the end": (lambda g, t: bring("video", clip(t / "a.mkv"), g, t / "out", "--first-frame", "99"), "--first-frame"),
    "import: the subject as out": (lambda g, t: bring("video", clip(t / "a.mkv"), g, g / "subject"), "is no predictions folder"),
    "import: an empty folder": (lambda g, t: bring("folder", folder(t / "r"), g, t / "out"), "no images"),
    "import: images without numbers": (lambda g, t: bring("folder", folder(t / "r", a__png=b"x"), g, t / "out"), "no number"),
    "import: images that are none": (lambda g, t: bring("folder", _texts(t / "r"), g, t / "out"), "not a readable image"),
    # results folders
    "report: no results": (lambda g, t: ["report", str(folder(t / "r")), "--out", str(t / "out")], "no records folder"),
    "report: a record of null": (lambda g, t: ["report", str(record_folder(t / "r", "null")), "--out", str(t / "out")], "damaged"),
    "report: a record of nesting": (lambda g, t: ["report", str(record_folder(t / "r", "[" * 99999)), "--out", str(t / "out")], "damaged"),
    "report: a record of zeros": (lambda g, t: ["report", str(record_folder(t / "r", b"\0" * 64)), "--out", str(t / "out")], "damaged"),
    "report: results as out": (lambda g, t: ["report", str(record_folder(t / "r", "{}")), "--out", str(t / "r")], "r"),
    "compare: no name": (lambda g, t: ["compare", str(record_folder(t / "r", "{}")), "--method", str(g / "good"), "--out", str(t / "out")], "NAME|damaged"),
    "compare: a video for a folder": (
        lambda g, t: ["compare", str(record_folder(t / "r", "{}")), "--method", f"x={clip(t / 'a.mkv')}", "--out", str(t / "out")], "a.mkv|damaged"),
}


def _array(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def _object_array() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], object), allow_pickle=True)
    return stream.getvalue()


def _npz() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, a=np.zeros(3))
    return stream.getvalue()


def _texts(path: Path) -> Path:
    path.mkdir()
    for k in range(30):
        (path / f"{k}.png").write_text("no picture")
    return path


@pytest.mark.parametrize("what", REFUSED)
def test_hostile_input_is_one_sentence(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture, what: str) -> None:
    make, said = REFUSED[what]
    args = make(place, tmp_path)
    code = main(args)
    output = capsys.readouterr()
    import re

    if args[0] == "inspect":
        assert "ready for training" not in output.out and re.search(said, output.out + output.err), output
        assert code in (0, 2)
    else:
        assert code == 2, output
        (line,) = [text for text in output.err.replace("[/bold]\n", "").splitlines() if text.startswith("d3talker: ")]
        assert re.search(said, line), line
    assert not (tmp_path / "out").exists() and "Traceback" not in output.err
    assert sorted(p.name for p in (place / "subject").iterdir()) == [
        "aud.npy", "aud.wav", "gt_imgs", "parsing", "transforms_train.json", "transforms_val.json"]


@pytest.mark.parametrize("name", ["Talk_[id].mkv", "[bold]x.mkv"])
def test_names_in_brackets_are_printed_as_they_are(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture, name: str) -> None:
    """rich reads [...] as markup."""
    path = clip(tmp_path / name)
    assert main(["evaluate", str(path), "--against", str(place / "subject"), "--metrics", "psnr"]) == 0
    assert path.name in "".join(capsys.readouterr().out.split())


def test_sound_of_any_kind_of_samples(tmp_path: Path) -> None:
    """8, 24 and 32 bits, floats, 96 kHz and three channels: all the same second."""
    from scipy.io import wavfile

    time = np.arange(48000) / 48000
    wave = 0.5 * np.sin(2 * np.pi * 300 * time)
    expected = 0.5 * np.sin(2 * np.pi * 300 * np.arange(16000) / 16000)
    kinds = {
        "u1": (128 + 127 * wave).round().astype(np.uint8), "i2": (32767 * wave).astype(np.int16), "i4": (2147483647 * wave).astype(np.int32),
        "f4": wave.astype(np.float32), "f8": wave, "three": (32767 * np.stack([wave] * 3, 1)).astype(np.int16),
    }
    for name, values in kinds.items():
        wavfile.write(tmp_path / f"{name}.wav", 48000, values)
        got = read_audio(tmp_path / f"{name}.wav")
        assert len(got) == pytest.approx(16000, abs=2) and np.abs(got[200:-200] - expected[200 : len(got) - 200]).max() < 0.02, name


def test_arrays_in_other_orders_and_bytes_are_the_same(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(91, 16, 29))
    for name, kind in (("big", ">f4"), ("half", "<f2"), ("double", "<f8")):
        np.save(tmp_path / f"{name}.npy", np.asfortranarray(values.astype(kind)))
        np.testing.assert_allclose(read_npy(tmp_path / f"{name}.npy"), values, atol=0.01)


def test_a_png_named_jpg_and_turned_pictures(place: Path, tmp_path: Path) -> None:
    """What a file is stands in its first bytes; a rotation note of a camera does not turn frames one way and masks another."""
    from d3talker.people.subject.image_header import image_size

    data = cv2.imencode(".png", picture(3)[0])[1].tobytes()
    assert image_size(text(tmp_path / "a.jpg", data)) == (48, 64)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=8,
)
ROW = st.fixed_dictionaries({}, optional={"img_id": JSON, "aud_id": JSON, "transform_matrix": JSON | st.just(np.eye(4).tolist())})
TRANSFORMS = JSON | st.fixed_dictionaries(
    {}, optional={"focal_len": JSON | st.just(100.0), "cx": JSON | st.just(32.0), "cy": JSON | st.just(24.0), "frames": JSON | st.lists(ROW, max_size=3)}
)
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@FUZZ
@given(value=TRANSFORMS)
def test_fuzzed_transforms(place: Path, tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    """Any JSON for transforms_val.json: a finding of inspect, or frames with finite poses."""
    root = tmp_path_factory.mktemp("fuzz") / "s"
    subject_with(place, root, "transforms_val.json", json.dumps(value))
    found = inspect(root)
    try:
        frames = Subject(root).frames("val")
    except UserError:
        assert found.missing
    else:
        assert all(np.isfinite(f.c2w).all() and f.img_id >= 0 and f.aud_id >= 0 for f in frames)
    examine(Subject(root))


@FUZZ
@given(key=st.sampled_from(sorted(Manifest.model_fields)), value=JSON)
def test_fuzzed_manifests(place: Path, tmp_path_factory: pytest.TempPathFactory, key: str, value: object) -> None:
    """One field of a manifest replaced by any JSON: refused with the field's name, or as it was meant."""
    out = manifest(place, tmp_path_factory.mktemp("fuzz") / "p", **{key: value})
    try:
        made = Predictions(out)
        made.digest(), made.verify()
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert made.manifest.frames > 0 and made.manifest.width > 0 and made.manifest.fps > 0


@FUZZ
@given(value=JSON)
def test_fuzzed_subject_json_records_and_alignment(place: Path, tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    from eval.alignment import write_alignment
    from reports.load import load_results

    root = tmp_path_factory.mktemp("fuzz")
    subject_with(place, root / "s", "subject.json", json.dumps(value))
    inspect(root / "s")
    text(root / "s" / "alignment.json", json.dumps(value))
    subject = Subject(root / "s")
    try:
        write_alignment(subject, subject.frames("val"), root)
        read_json(root / "alignment.json")
    except UserError:
        pass
    with pytest.raises(UserError):
        load_results(record_folder(root / "r", json.dumps(value)))
