"""`d3talker prepare VIDEO --out DIR`: a video becomes a subject folder, stage by stage, going on where it was interrupted."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
import tyro

from d3talker.audio.features import mel_features
from d3talker.audio.lag import LagEstimate, estimate_lag
from d3talker.errors import UserError
from d3talker.files import atomic_path, read_json, sha256_file, write_json, write_npy
from d3talker.motion.head import embedded_head
from d3talker.progress import track as progress
from d3talker.subject import clip, palette, torso
from d3talker.subject.action_units import write_action_units
from d3talker.subject.eyes import action_units
from d3talker.subject.flow import choose_references, find_tracks
from d3talker.subject.landmarks import LandmarkDetector
from d3talker.subject.layout import SCHEMA, TEST_FRAMES, Frame, Layout, transforms, write_image, write_landmarks
from d3talker.subject.parsing import Parser, Placement, label_image
from d3talker.subject.seeds import seed_labels
from d3talker.subject.tracking import VIEW, Track, fit_track
from d3talker.version import __version__
from d3talker.video import FPS, SAMPLE_RATE, probe, read_audio, write_wav

MIN_TRAIN = 50  # frames that must be left for training when the last 301 are the test
KEY_FRAMES = 24  # that the parser learns from
BACKGROUND_FRAMES = 60


@dataclass(frozen=True)
class PrepareConfig:
    """Make a subject folder from a video of one talking person."""

    video: Annotated[Path, tyro.conf.Positional]
    """Any video with sound that ffmpeg reads."""
    out: Path
    """Folder to make; an interrupted run of the same video goes on there."""
    size: int = 512
    """Side of the square pictures in pixels."""
    landmarks: Literal["dlib", "fan"] = "dlib"
    """Landmark detector; fan needs face_alignment and its weights."""
    fix_lag: bool = False
    """Shift the sound so that it fits the lips, where the estimate can be trusted."""


def run(config: PrepareConfig) -> None:
    """Make the folder.  Raises UserError for a video that cannot serve, and then leaves no folder behind."""
    job = _Job(config)
    with _removed_on_error(config.out, job.work):
        job.run()


class _Job:
    """One run; every stage is a method that does nothing where its output is complete."""

    def __init__(self, config: PrepareConfig) -> None:
        _check(config)
        self.config, self.layout = config, Layout(config.out)
        self.work = config.out / ".prepare"  # what only an interrupted run needs
        self.seconds: dict[str, float] = {}

    def run(self) -> None:
        if self._claim():
            print(f"{self.config.out} is complete already")
            return
        stages: dict[str, Callable[[], None]] = {
            "landmarks": self.look, "sound": self.sound, "frames": self.frames, "tracking": self.track,
            "masks": self.masks, "background": self.background, "pictures": self.pictures, "features": self.features,
        }
        for name, stage in stages.items():
            started = time.monotonic()
            stage()
            self.seconds[name] = round(time.monotonic() - started, 2)
        self._finish()

    def _claim(self) -> bool:
        """Take the folder for this video and these options; True when it is complete.  Raises UserError if it holds others'."""
        options = {key: str(value) for key, value in asdict(self.config).items() if key != "out"}
        mark = {"schema": SCHEMA, "version": __version__, "sha256": sha256_file(self.config.video), "options": options}
        claim = self.work / "claim.json"
        if self.layout.meta.exists():
            made = read_json(self.layout.meta).get("prepare")
            if made and made["sha256"] == mark["sha256"] and {**made["options"], "video": ""} == {**options, "video": ""}:
                return True
        elif claim.exists():
            if read_json(claim) == mark:
                return False
        elif not self.layout.root.exists() or not any(self.layout.root.iterdir()):
            write_json(claim, mark)
            return False
        raise UserError(f"{self.config.out} already holds something else; give another --out, or remove it first")

    def look(self) -> None:
        """Landmarks of the whole clip in source pixels."""
        path = self.work / "scan.npz"
        if not path.exists():
            read_audio(self.config.video)  # a silent clip should fail before the long part
            found = clip.scan(self.config.video, LandmarkDetector(self.config.landmarks))
            with atomic_path(path) as temporary:
                np.savez(temporary, points=found.points, shape=(found.height, found.width))

    @cached_property
    def scan(self) -> clip.Scan:
        with np.load(self.work / "scan.npz", allow_pickle=False) as saved:
            return clip.Scan(saved["points"], *(int(n) for n in saved["shape"]))

    @cached_property
    def crop(self) -> clip.Crop:
        return clip.choose_crop(self.scan)

    @property
    def total(self) -> int:
        return len(self.scan.points)

    @cached_property
    def points(self) -> np.ndarray:
        """Landmarks [T, 68, 2] in pixels of the cropped picture; lost frames are interpolated."""
        points = self.crop.map(self.scan.points, self.config.size)
        seen = np.flatnonzero(~np.isnan(points[:, 0, 0]))
        flat = points.reshape(self.total, -1)
        return np.stack([np.interp(np.arange(self.total), seen, column[seen]) for column in flat.T], 1).reshape(points.shape)

    def sound(self) -> None:
        """aud.wav, as long as the picture; its lag is measured, and corrected if asked for."""
        path = self.work / "lag.json"
        if path.exists() and self.layout.audio.exists():
            return
        audio = read_audio(self.config.video)
        lag = self._lag(audio)
        shift = lag["lag"] if lag and self.config.fix_lag and lag["trustworthy"] else 0
        samples = shift * SAMPLE_RATE // FPS
        audio = audio[samples:] if samples > 0 else np.pad(audio, (-samples, 0))
        length = self.total * SAMPLE_RATE // FPS
        write_wav(self.layout.audio, np.pad(audio, (0, max(0, length - len(audio))))[:length])
        write_json(path, {"lag": lag, "corrected": shift})

    def _lag(self, audio: np.ndarray) -> dict[str, Any]:
        try:
            found: LagEstimate = estimate_lag(audio, self.points[:, 48:68].reshape(self.total, -1) - self.points[:, 27:36].mean(1).repeat(20, 0).reshape(self.total, -1))
        except UserError as error:
            return {"lag": None, "r": None, "trustworthy": False, "reason": str(error)}
        return {"lag": int(found.lag), "r": round(float(found.r), 4), "trustworthy": bool(found.trustworthy)}

    def frames(self) -> None:
        """ori_imgs: pictures and landmarks."""
        first = self._first_missing("ori_imgs", ".lms")
        if first == self.total:
            return
        for i, frame in enumerate(progress(clip.frames(self.config.video, self.crop, self.config.size), "frames", self.total)):
            if i >= first:
                write_image(self.layout.image("ori_imgs", i), frame)
                write_landmarks(self.layout.image("ori_imgs", i, ".lms"), self.points[i])

    def track(self) -> None:
        """Pose, shape and expression; transforms with the split."""
        path = self.work / "track.npz"
        if not path.exists():
            found = self._fit()
            with atomic_path(path) as temporary:
                np.savez(temporary, **asdict(found))
        track = self.tracked
        focal = track.focal * self.config.size / VIEW
        test, _ = self.test_rule
        rows = [Frame(i, i, pose) for i, pose in enumerate(track.c2w)]
        size = (self.config.size, self.config.size)
        write_json(self.layout.transforms("train"), transforms(focal, size, rows[:-test]))
        write_json(self.layout.transforms("val"), transforms(focal, size, rows[-test:]))
        write_npy(self.layout.expression, track.expression.astype(np.float32))
        write_npy(self.layout.identity, track.identity.astype(np.float32))
        _write_track_params(self.layout.track, track, focal)
        opened = action_units(self.points, track.expression, embedded_head().expression_names)
        write_action_units(self.layout.action_units, opened)

    def _fit(self) -> Track:
        """Landmarks first; then corners of the rigid face, found with that pose, make it steady to a twentieth of a pixel."""
        points, face, view = self.crop.map(self.scan.points, round(VIEW)) + 0.5, embedded_head(), round(VIEW)
        rough = fit_track(points, face)
        chosen = choose_references(rough.rotation, ~np.isnan(points[:, 0, 0]))
        pictures = {i: f for i, f in enumerate(clip.frames(self.config.video, self.crop, view)) if i in chosen}
        frames = progress(clip.frames(self.config.video, self.crop, view), "tracking", self.total)
        corners = find_tracks(frames, {i: pictures[i] for i in chosen}, rough, face, points)
        return fit_track(points, face, corners, rough, steps=150)

    @cached_property
    def tracked(self) -> Track:
        with np.load(self.work / "track.npz", allow_pickle=False) as saved:
            return Track(float(saved["focal"]), *(saved[key] for key in list(Track.__dataclass_fields__)[1:]))

    @property
    def test_rule(self) -> tuple[int, str]:
        """Test frames at the end, and the rule that says so."""
        if self.total >= TEST_FRAMES + MIN_TRAIN:
            return TEST_FRAMES, f"the last {TEST_FRAMES} frames (InsTaG data_utils/split.py)"
        return self.total - self.total * 10 // 11, "the last 1/11 (AD-NeRF's rule: the clip is too short for 12 s of test)"

    def masks(self) -> None:
        """parsing/: labels of every frame."""
        first = self._first_missing("parsing", ".png")
        if first == self.total:
            return
        side = int(np.clip(2 * self.config.size, 256, 512))
        parser = self._parser(side)
        lips = self.points[:, 60:68]
        for i, frame in enumerate(progress(clip.frames(self.config.video, self.crop, side), "masks", self.total)):
            if i >= first:
                place = self._place(i, side)
                labels = label_image(parser.probabilities(frame, place), place, lips[i], self.config.size)
                write_image(self.layout.image("parsing", i, ".png"), palette.encode(labels))

    def _parser(self, side: int) -> Parser:
        seen = np.flatnonzero(~np.isnan(self.scan.points[:, 0, 0]))
        keys = seen[np.linspace(0, len(seen) - 1, min(KEY_FRAMES, len(seen))).round().astype(int)]
        points = self.crop.map(self.scan.points, side)
        wanted = set(keys.tolist())
        images = np.stack([f for i, f in enumerate(clip.frames(self.config.video, self.crop, side)) if i in wanted])
        seeds = np.stack([seed_labels(image, points[k]) for image, k in zip(images, keys)])
        return Parser(images, seeds, [self._place(k, side) for k in keys])

    def _place(self, i: int, side: int) -> Placement:
        return Placement.of((self.tracked.rigid[i]) * (side / VIEW) - 0.5)

    def background(self) -> None:
        """bc.jpg"""
        if self.layout.background.exists():
            return
        picked = np.unique(np.linspace(0, self.total - 1, min(BACKGROUND_FRAMES, self.total)).round().astype(int))
        images = [_read(self.layout.image("ori_imgs", i)) for i in picked]
        labels = [palette.decode(_read(self.layout.image("parsing", i, ".png"))) for i in picked]
        with atomic_path(self.layout.background) as temporary:
            write_image(temporary, torso.static_background(images, labels))

    def pictures(self) -> None:
        """gt_imgs and torso_imgs."""
        first = self._first_missing("torso_imgs", ".png")
        background = _read(self.layout.background)
        for i in progress(range(first, self.total), "pictures"):
            labels = palette.decode(_read(self.layout.image("parsing", i, ".png")))
            truth = torso.ground_truth(_read(self.layout.image("ori_imgs", i)), labels, background)
            write_image(self.layout.image("gt_imgs", i), truth)
            write_image(self.layout.image("torso_imgs", i, ".png"), torso.torso_image(truth, labels))

    def features(self) -> None:
        """Audio features of every frame."""
        write_npy(self.layout.root / "aud_mel.npy", mel_features(read_audio(self.layout.audio), self.total))

    def _first_missing(self, folder: str, suffix: str) -> int:
        """First frame to write; the last one of an interrupted run may be broken, so it is written again."""
        count = next((i for i in range(self.total) if not self.layout.image(folder, i, suffix).exists()), self.total)
        return count if count == self.total else max(count - 1, 0)

    def _finish(self) -> None:
        claim, sound = read_json(self.work / "claim.json"), read_json(self.work / "lag.json")
        errors = self.tracked.errors
        info = probe(self.config.video)
        test, rule = self.test_rule
        write_json(self.layout.meta, {
            "schema": SCHEMA, "name": self.layout.root.resolve().name, "kind": "real", "fps": FPS, "size": self.config.size,
            "frames": self.total, "test_frames": test, "test_rule": rule, "palette": "talkinggaussian",
            "features": ["mel"], "face_model": embedded_head().name,
            "source": {"file": self.config.video.name, "sha256": claim["sha256"], "width": info.width, "height": info.height, "fps": info.fps, "codec": info.codec},
            "crop": asdict(self.crop), "focal_at_512": round(self.tracked.focal, 2),
            "lost_frames": self.scan.lost.tolist(), "reprojection_px_at_512": round(float(np.nanmean(errors)), 4),
            "sound": sound, "seconds": self.seconds, "tools": _tools(), "prepare": claim,
        })
        shutil.rmtree(self.work)
        lag = sound["lag"]
        heard = "lag not measured" if lag["lag"] is None else f"sound lag {lag['lag']:+d} frames (r {lag['r']:.2f})"
        print(
            f"{self.config.out}: {self.total} frames, {len(self.scan.lost)} without a face, "
            f"reprojection error {np.nanmean(errors):.2f} px at 512, {heard}"
        )
        if lag["trustworthy"] and lag["lag"] != 0 and not sound["corrected"]:
            print(f"the sound is {abs(lag['lag'])} frames {'late' if lag['lag'] > 0 else 'early'}; correct it with --fix-lag", file=sys.stderr)


def _check(config: PrepareConfig) -> None:
    if not 32 <= config.size <= 2048:
        raise UserError(f"--size is {config.size}; give 32 to 2048 pixels")
    if not config.video.is_file():
        raise UserError(f"{config.video} does not exist or is not a file; give a video")
    if not probe(config.video).has_audio:
        raise UserError(f"{config.video} has no sound; give a video with a sound track")


@contextmanager
def _removed_on_error(out: Path, work: Path) -> Iterator[None]:
    """Remove what was made when the video turns out not to serve; an interrupted run stays, to go on later."""
    try:
        yield
    except UserError:
        if work.exists():
            shutil.rmtree(out)
        raise


def _write_track_params(path: Path, track: Track, focal: float) -> None:
    """The official codes' names and shapes; their trans is in tenths of the transforms' unit (ER-NeRF process.py)."""
    import torch

    values = {
        "id": track.identity[None], "exp": track.expression, "euler": track.euler, "trans": track.translation * 10,
        "focal": np.array([focal]),
    }
    with atomic_path(path) as temporary:
        torch.save({key: torch.as_tensor(value, dtype=torch.float32) for key, value in values.items()}, temporary)


def _read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise UserError(f"{path} is not a readable image; remove it and run prepare again")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _tools() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    names = ("d3talker", "av", "opencv-python-headless", "dlib-bin", "torch", "numpy", "scipy")
    out = {}
    for name in names:
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            out[name] = __version__ if name == "d3talker" else "not installed"
    return out
