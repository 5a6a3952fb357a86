"""`d3talker synth`: talking people out of thin air, in subject folders like those of `prepare`, with exact truth."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from d3talker.errors import UserError
from d3talker.files import atomic_folder, read_json, write_json, write_npy
from d3talker.people.audio.features import content, extract
from d3talker.people.audio.speech import Phoneme, speak
from d3talker.people.head.embedded import embedded_head
from d3talker.people.head.face import FaceModel
from d3talker.people.head.pncc import pncc
from d3talker.people.media.mark import Mark
from d3talker.people.media.video import FPS, SAMPLE_RATE, VideoWriter, write_wav
from d3talker.people.subject import palette
from d3talker.people.subject.action_units import BLINK_MAX, write_action_units
from d3talker.people.subject.eyes import action_units
from d3talker.people.subject.layout import (
    FEATURES,
    SCHEMA,
    Frame,
    Layout,
    test_split,
    transforms,
    write_image,
    write_landmarks,
    write_track,
)
from d3talker.people.synthetic.acting import Performance, perform
from d3talker.people.synthetic.looks import Look, draw_look
from d3talker.people.synthetic.scene import CAMERA, FOCAL, Pictures, Scene
from d3talker.people.synthetic.sentences import LANGUAGES
from d3talker.progress import Bar
from d3talker.version import __version__

DEPTH_UNIT = 1e-4  # metres a step of truth/depth
PNCC_SIZE = 64
TRUTH = {  # under truth/; the masks in parsing/ and teeth_mask/, the cameras and ori_imgs/*.lms are exact as well
    "depth/{i}.png": "uint16, 0.1 mm along the camera's axis, 0 where nothing is; at pixel centres",
    "normals/{i}.png": "RGB = (n + 1) / 2, camera axes x right, y up, z towards the camera; 0 where nothing is",
    "pncc/{i}.png": "PNCC of the expression at zero pose, 64 pixels",
    "landmarks.npy": "[T, 68, 2] projected model landmarks in pixels, centre of the top-left pixel at (0, 0)",
    "expression.npy, identity.npy": "coefficients of the embedded head",
    "euler.npy, translation.npy": "head to camera, x_camera = Rx(a) Ry(b) Rz(-c) x_head + t, rad, m, OpenGL axes",
    "gaze.npy": "[T, 2] shift of the iris in mm, right and up",
    "phonemes.json": "IPA symbol, start and end in seconds",
}


@dataclass(frozen=True)
class SynthConfig:
    """Make subject folders of synthetic people who talk."""

    out: Path = Path("data/synth")
    """Folder for the subject folders synth00, synth01, ..."""
    identities: int = 7
    """How many people."""
    seconds: float = 33.0
    """Length of each clip; 33 is a 20 s budget, the 12 s test and a little between."""
    size: int = 256
    """Side of the square pictures in pixels."""
    seed: int = 0
    """Same seed, same bytes."""


def run(config: SynthConfig) -> None:
    """Make all subjects; those that are complete already stay.  Raises UserError for senseless arguments."""
    if not 1 <= config.identities <= 1000:
        raise UserError(f"--identities is {config.identities}; give 1 to 1000")
    for index in range(config.identities):
        made = make_subject(config.out / f"synth{index:02d}", config.seed, config.seconds, config.size, index)
        print(f"{made}: ready")


def make_subject(out: Path, seed: int = 0, seconds: float = 33.0, size: int = 256, index: int = 0) -> Path:
    """Make one person's subject folder `out` and return it: `index` picks the person of the group with this seed.

    Writes everything that `prepare` writes, `<name>.mp4` with sound, `teeth_mask/`, and `truth/` (see TRUTH).  A folder
    that these arguments made already is left alone.  Raises UserError for arguments out of range, or where `out` holds
    something else.
    """
    _check(seconds, size)
    mark = {"version": __version__, "seed": seed, "index": index, "seconds": seconds, "size": size}
    if out.exists() and any(out.iterdir()):
        meta = out / "subject.json"
        if meta.exists() and read_json(meta).get("synth") == mark:
            return out
        raise UserError(f"{out} already holds something else; give another folder, or remove it first")
    face = embedded_head()
    look = draw_look(seed, index, face)
    frames = round(seconds * FPS)
    rng = np.random.default_rng([seed, index, 1])
    audio, phonemes, said = _talk(look, frames, rng)
    performance = perform(phonemes, frames, face, look.style, CAMERA, rng)
    with atomic_folder(out) as folder:
        writer = _Writer(folder, out.resolve().name, face, look, size)
        writer.sound(audio, phonemes)
        writer.motion(performance)
        writer.pictures(performance, audio)
        writer.meta(mark, frames, said)
    return out


def _check(seconds: float, size: int) -> None:
    if not 0.4 <= seconds <= 3600:
        raise UserError(f"a synthetic clip of {seconds:g} s cannot be made; give 0.4 to 3600 seconds")
    if not 32 <= size <= 2048:
        raise UserError(f"a synthetic picture of {size} pixels cannot be made; give 32 to 2048")


def _talk(look: Look, frames: int, rng: np.random.Generator) -> tuple[np.ndarray, list[Phoneme], list[str]]:
    """Sound of exactly the frames' length, its phonemes, and the sentences."""
    texts = LANGUAGES[look.voice.language]
    needed, said, pauses = frames / FPS, [], []
    while needed > 0:
        for k in rng.permutation(len(texts)):
            said.append(texts[k])
            pauses.append(float(rng.uniform(0.35, 0.8)))
            needed -= 0.028 * len(texts[k]) + pauses[-1]  # no voice speaks faster than that
    audio, phonemes = speak(said, pauses, look.voice)
    length = frames * SAMPLE_RATE // FPS
    audio = np.pad(audio, (0, max(0, length - len(audio))))[:length]
    fade = min(800, length)
    audio[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return audio, [p for p in phonemes if p.start < frames / FPS], said


class _Writer:
    """Writes one subject's files into a folder that appears only when complete."""

    def __init__(self, folder: Path, name: str, face: FaceModel, look: Look, size: int) -> None:
        self.folder, self.name, self.layout = folder, name, Layout(folder)
        self.face, self.look, self.size = face, look, size
        self.features = ["mel", *content()[0]]

    def sound(self, audio: np.ndarray, phonemes: list[Phoneme]) -> None:
        write_wav(self.layout.audio, audio)
        for name in self.features:
            write_npy(self.folder / FEATURES[name][0], extract(name, audio, len(audio) * FPS // SAMPLE_RATE))
        rows = [{"symbol": p.symbol, "start": round(p.start, 4), "end": round(p.end, 4)} for p in phonemes]
        write_json(self.folder / "truth" / "phonemes.json", rows)

    def motion(self, performance: Performance) -> None:
        frames = len(performance.expression)
        turn, move = performance.rotation, performance.translation
        c2w = np.tile(np.eye(4), (frames, 1, 1))
        c2w[:, :3, :3], c2w[:, :3, 3] = turn.transpose(0, 2, 1), -np.einsum("tji,tj->ti", turn, move)
        rows = [Frame(i, i, pose) for i, pose in enumerate(c2w)]
        test, _ = test_split(frames)
        for split, part in (("train", rows[:-test]), ("val", rows[-test:])):
            write_json(self.layout.transforms(split), transforms(FOCAL * self.size, (self.size, self.size), part))
        arrays = {
            "expression": performance.expression,
            "identity": self.look.identity,
            "euler": performance.euler,
            "translation": move,
        }
        for name, values in {**arrays, "gaze": performance.gaze}.items():
            write_npy(self.folder / "truth" / f"{name}.npy", values.astype(np.float32))
        write_npy(self.layout.expression, performance.expression.astype(np.float32))
        write_npy(self.layout.identity, self.look.identity)
        pose = (performance.euler, move)
        write_track(self.layout.track, self.look.identity, performance.expression, *pose, FOCAL * self.size)

    def pictures(self, performance: Performance, audio: np.ndarray) -> None:
        scene = Scene(self.face, self.look, self.size)
        write_image(self.layout.background, scene.background)
        landmarks, total = [], len(performance.expression)
        mark = Mark(("d3talker-synth",)).metadata()  # without a date: same seed, same bytes
        with (
            VideoWriter(self.folder / f"{self.name}.mp4", codec="h264", audio=audio, metadata=mark) as video,
            ThreadPoolExecutor(2) as pool, Bar(self.name, total) as bar,
        ):
            waiting: list[Future[None]] = []
            for start, batch in _batches(scene, performance, total):
                _finish(waiting)
                waiting = [pool.submit(self._frame, start + k, batch, k) for k in range(len(batch.image))]
                colors = pncc(
                    self.face, self.look.identity, performance.expression[start : start + len(batch.image)], PNCC_SIZE
                )
                for k, image in enumerate(batch.image):
                    video.write(image)
                    write_image(
                        self.folder / "truth" / "pncc" / f"{start + k}.png", np.round(colors[k] * 255).astype(np.uint8)
                    )
                landmarks.append(batch.landmarks)
                bar.step(len(batch.image))
            _finish(waiting)
        points = np.concatenate(landmarks)
        write_npy(self.folder / "truth" / "landmarks.npy", points.astype(np.float32))
        names = self.face.expression_names
        units = action_units(points, performance.expression, names)
        blinks = performance.expression[:, [names.index("blink_left"), names.index("blink_right")]]
        units[:, -1] = BLINK_MAX * blinks.mean(1)
        write_action_units(self.layout.action_units, units)

    def _frame(self, i: int, batch: Pictures, k: int) -> None:
        """All files of frame i, which is number k of its batch."""
        original = self.layout.image("ori_imgs", i)
        write_image(original, batch.image[k])
        write_landmarks(self.layout.image("ori_imgs", i, ".lms"), batch.landmarks[k])
        truth = self.layout.image("gt_imgs", i)
        truth.parent.mkdir(exist_ok=True)
        shutil.copyfile(original, truth)  # the background never moves, so that both are the same picture
        write_image(self.layout.image("parsing", i, ".png"), palette.encode(batch.labels[k]))
        write_image(self.layout.image("torso_imgs", i, ".png"), batch.torso[k])
        teeth = self.folder / "teeth_mask" / f"{i}.npy"
        teeth.parent.mkdir(exist_ok=True)
        np.save(teeth, batch.teeth[k])
        seen = (batch.depth[k] > 0)[..., None]
        write_image(
            self.folder / "truth" / "normals" / f"{i}.png",
            (np.round(batch.normals[k] * 127.5 + 127.5) * seen).astype(np.uint8),
        )
        depth = self.folder / "truth" / "depth" / f"{i}.png"
        depth.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(depth), np.round(batch.depth[k] / DEPTH_UNIT).astype(np.uint16))

    def meta(self, mark: dict[str, object], frames: int, said: list[str]) -> None:
        test, rule = test_split(frames)
        write_json(
            self.layout.meta,
            {
                "schema": SCHEMA,
                "name": self.name,
                "kind": "synthetic",
                "synthetic": True,
                "fps": FPS,
                "size": self.size,
                "frames": frames,
                "test_frames": test,
                "test_rule": rule,
                "palette": "talkinggaussian",
                "features": self.features,
                "face_model": self.face.name,
                "focal": FOCAL * self.size,
                "voice": asdict(self.look.voice),
                "sentences": said,
                "truth": TRUTH,
                "synth": mark,
            },
        )


def _batches(scene: Scene, performance: Performance, total: int) -> Iterator[tuple[int, Pictures]]:
    count = int(np.clip(2**20 // scene.size**2, 1, 32))
    for start in range(0, total, count):
        yield start, scene.render(performance, slice(start, min(start + count, total)))


def _finish(waiting: list[Future[None]]) -> None:
    for future in waiting:
        future.result()
