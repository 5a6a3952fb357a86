"""The stages of `d3talker prepare`: each writes its part of the subject folder, or finds it complete."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from d3talker.errors import UserError
from d3talker.files import atomic_path, read_json, write_json, write_npy
from d3talker.people.audio import features
from d3talker.people.head.embedded import embedded_head
from d3talker.people.media.video import FPS, SAMPLE_RATE, WHOLE, Span, picture_notes, read_audio, write_wav
from d3talker.people.preparation import clip, cuts, torso
from d3talker.people.preparation.flow import choose_references, find_tracks
from d3talker.people.preparation.focal import find_focal
from d3talker.people.preparation.hidden import Plate
from d3talker.people.preparation.parsing import SIDE, Parser, label_image
from d3talker.people.preparation.person import person_finder
from d3talker.people.preparation.resting import Face, Resting
from d3talker.people.preparation.seeds import first_labels
from d3talker.people.preparation.tracking import VIEW, Track, fit_track
from d3talker.people.subject import palette
from d3talker.people.subject.action_units import write_action_units
from d3talker.people.subject.eyes import action_units
from d3talker.people.subject.landmarks import LandmarkDetector
from d3talker.people.subject.layout import (
    FEATURES,
    Frame,
    Layout,
    test_split,
    transforms,
    write_image,
    write_landmarks,
    write_track,
)
from d3talker.people.subject.lips import lip_measures
from d3talker.progress import track as progress

KEY_FRAMES = 24  # that the parser learns from
ROUGH_STEPS, FINE_STEPS = 120, 200  # of the two fits
BACKGROUND_FRAMES = 60  # that the background is the median of
PLATE_SECONDS, PLATE_FRAMES = 5, 32  # the torso's hidden part: of the training's first seconds, which every budget holds
NAMES = ("landmarks", "sound", "frames", "tracking", "masks", "background", "pictures", "features")


class Stages:
    """The stages over one video, run in the order of NAMES; what only an interrupted run needs lies in `work`."""

    def __init__(
        self, video: Path, root: Path, size: int, detector: str = "dlib", person: str = "auto",
        weights: Path | None = None, keep_lag: bool = False, feature_names: tuple[str, ...] = ("auto",),
        span: Span = WHOLE, sound_track: int | None = None,
    ) -> None:
        self.video, self.size, self.detector, self.person = video, size, detector, person
        self.weights, self.keep_lag, self.feature_names = weights, keep_lag, feature_names
        self.layout = Layout(root)
        self.span, self.sound_track = span, sound_track
        self.work = root / ".prepare"

    def landmarks(self) -> None:
        """Landmarks of the whole clip in source pixels."""
        path = self.work / "scan.npz"
        if path.exists():
            return
        self._heard()  # a silent clip should fail before the long part
        found = clip.scan(self.video, LandmarkDetector(self.detector), span=self.span)  # type: ignore[arg-type]
        with atomic_path(path) as temporary:
            np.savez(temporary, points=found.points, shape=(found.height, found.width), cuts=np.array(found.cuts, int))

    @cached_property
    def scan(self) -> clip.Scan:
        with np.load(self.work / "scan.npz", allow_pickle=False) as saved:
            height, width = (int(n) for n in saved["shape"])
            return clip.Scan(saved["points"], height, width, tuple(saved["cuts"].tolist()) if "cuts" in saved else ())

    @cached_property
    def crop(self) -> clip.Crop:
        return clip.choose_crop(self.scan)

    @property
    def total(self) -> int:
        """Frames at 25 fps."""
        return len(self.scan.points)

    @cached_property
    def points(self) -> np.ndarray:
        """Landmarks [T, 68, 2] in pixels of the cropped picture; lost frames are interpolated."""
        points = self.crop.map(self.scan.points, self.size)
        seen, frames = np.flatnonzero(~np.isnan(points[:, 0, 0])), np.arange(self.total)
        columns = points.reshape(self.total, -1).T
        return np.stack([np.interp(frames, seen, column[seen]) for column in columns], 1).reshape(points.shape)

    def _pictures(self, size: int) -> Iterator[np.ndarray]:
        return clip.frames(self.video, self.crop, size, self.span)

    def _heard(self) -> np.ndarray:
        """The span's sound [S], at most 1 loud: what a lossy codec overshoots is made quieter, not clipped."""
        first, stop = self.span.frames()
        step = SAMPLE_RATE // FPS
        audio = read_audio(self.video, track=self.sound_track)[first * step:None if stop is None else stop * step]
        if not audio.size:
            raise UserError(f"the sound of {self.video} ends before --from {self.span.start:g}; choose an earlier part")
        if not np.isfinite(audio).all():
            raise UserError(f"the sound of {self.video} holds NaN or infinity; re-encode it")
        if np.abs(audio).max() < 1e-4:
            raise UserError(f"the sound of {self.video} is silent throughout; give a video of someone who talks")
        return audio / max(float(np.abs(audio).max()), 1.0)

    def sound(self) -> None:
        """aud.wav, as long as the picture; its lag is measured on the training frames, and corrected where it is sure."""
        path = self.work / "lag.json"
        if path.exists() and self.layout.audio.exists():
            return
        audio = self._heard()
        heard = round(len(audio) / SAMPLE_RATE, 2)
        lag = self._lag(audio)
        shift = lag["lag"] if lag["sure"] and not self.keep_lag else 0
        samples = shift * SAMPLE_RATE // FPS
        audio = audio[samples:] if samples > 0 else np.pad(audio, (-samples, 0))
        length = self.total * SAMPLE_RATE // FPS
        missing = max(0, length - len(audio))
        silent = min(max(shift, 0), -(-missing * FPS // SAMPLE_RATE))  # frames at the end that the shift left without sound
        write_wav(self.layout.audio, np.pad(audio, (0, missing))[:length])
        write_json(path, {**lag, "corrected": shift, "frames": [max(0, -shift), self.total - silent], "heard_s": heard})

    def _lag(self, audio: np.ndarray) -> dict[str, Any]:
        from d3talker.people.motion.lag import find_lag

        train = self.total - test_split(self.total)[0]  # what the test frames show is nobody's business
        try:
            found = find_lag(audio, lip_measures(self.crop.map(self.scan.points[:train], round(VIEW))))
        except UserError as error:
            return {"lag": None, "r": None, "r_at_0": None, "confidence": None, "sure": False, "reason": str(error)}
        return {key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(found).items()}

    @cached_property
    def sounding(self) -> range:
        """Frames that have sound of their own: all, but for those at one end that a corrected lag left without."""
        return range(*read_json(self.work / "lag.json")["frames"])

    def frames(self) -> None:
        """ori_imgs: pictures and landmarks."""
        first = self._first_missing("ori_imgs", ".lms")
        if first == self.total:
            return
        for i, frame in enumerate(progress(self._pictures(self.size), "frames", self.total)):
            if i >= first:
                write_image(self.layout.image("ori_imgs", i), frame)
                write_landmarks(self.layout.image("ori_imgs", i, ".lms"), self.points[i])

    def tracking(self) -> None:
        """Pose, shape, expression, action units; transforms with the split."""
        path = self.work / "track.npz"
        if not path.exists():
            found = self._fit()
            with atomic_path(path) as temporary:
                np.savez(temporary, **asdict(found))
        track, focal, size = self.tracked, self.tracked.focal * self.size / VIEW, (self.size, self.size)
        test, _ = test_split(len(self.sounding))
        rows = [Frame(i, i, track.c2w[i]) for i in self.sounding]
        write_json(self.layout.transforms("train"), transforms(focal, size, rows[:-test]))
        write_json(self.layout.transforms("val"), transforms(focal, size, rows[-test:]))
        write_npy(self.layout.expression, track.expression.astype(np.float32))
        write_npy(self.layout.identity, track.identity.astype(np.float32))
        write_track(self.layout.track, track.identity, track.expression, track.euler, track.translation, focal)
        units = action_units(self.points, track.expression, embedded_head().expression_names)
        write_action_units(self.layout.action_units, units)

    def _fit(self) -> Track:
        """Landmarks first; then corners of the rigid face, found with that pose, make it steady."""
        points, face, view = self.crop.map(self.scan.points, round(VIEW)) + 0.5, embedded_head(), round(VIEW)
        rough = fit_track(points, face, steps=ROUGH_STEPS)
        chosen = choose_references(rough.rotation, ~np.isnan(points[:, 0, 0]))
        pictures = {i: f for i, f in enumerate(self._pictures(view)) if i in chosen}
        frames = progress(self._pictures(view), "tracking", self.total)
        corners = find_tracks(frames, {i: pictures[i] for i in chosen}, rough, face, points)
        return fit_track(points, face, corners, rough, FINE_STEPS, find_focal(points, face, rough))

    @cached_property
    def tracked(self) -> Track:
        with np.load(self.work / "track.npz", allow_pickle=False) as saved:
            return Track(float(saved["focal"]), *(saved[key] for key in list(Track.__dataclass_fields__)[1:]))

    def masks(self) -> None:
        """parsing/: labels of every frame."""
        mark = self.work / "resting.npy"
        first = self._first_missing("parsing", ".png") if mark.exists() else 0  # of a version without: made again
        if first == self.total:
            return
        parser, resting = self._parser()
        write_npy(mark, resting.evidence)
        fine = max(self.size, SIDE)
        for i, frame in enumerate(progress(self._pictures(fine), "masks", self.total)):
            if i >= first:
                face = self._face(i)
                labels = label_image(parser.probabilities(frame, face.place), face.place, self.points[i, 60:68], self.size)
                write_image(self.layout.image("parsing", i, ".png"), palette.encode(resting.to_torso(labels, face)))

    def _parser(self) -> tuple[Parser, Resting]:
        seen = np.flatnonzero(~np.isnan(self.scan.points[:, 0, 0]))
        keys = seen[np.linspace(0, len(seen) - 1, min(KEY_FRAMES, len(seen))).round().astype(int)].tolist()
        images = np.stack([f for i, f in enumerate(self._pictures(SIDE)) if i in set(keys)])
        points = self.crop.map(self.scan.points, SIDE)[keys]
        find, faces = person_finder(self.person, self.weights), [self._face(k) for k in keys]
        labels = first_labels(images, points, [find(image, at) for image, at in zip(images, points)])
        places = [face.place for face in faces]
        parser = Parser(images, labels, places)
        known = [label_image(parser.probabilities(image, place), place, at[60:68], SIDE)
                 for image, place, at in zip(images, places, points)]
        return parser, Resting.learn(list(images), known, faces)

    def _face(self, i: int) -> Face:
        return Face.of(self.tracked.rigid[i] * (SIDE / VIEW) - 0.5)

    def background(self) -> None:
        """bc.jpg, the median of what is background."""
        if self.layout.background.exists():
            return
        count = min(BACKGROUND_FRAMES, self.total)
        picked = np.unique(np.linspace(0, self.total - 1, count).round().astype(int)).tolist()
        images = [_read(self.layout.image("ori_imgs", i)) for i in picked]
        labels = [palette.decode(_read(self.layout.image("parsing", i, ".png"))) for i in picked]
        with atomic_path(self.layout.background) as temporary:
            write_image(temporary, torso.static_background(images, labels))

    def pictures(self) -> None:
        """gt_imgs and torso_imgs."""
        background, mark = _read(self.layout.background), self.work / "plate.json"
        first = self._first_missing("torso_imgs", ".png") if mark.exists() else 0  # of a version without: made again
        if first == self.total:
            return
        shown = self.plate_frames
        write_json(mark, shown)
        truths, masks = zip(*(self._truth(i, background) for i in shown), strict=True)
        plate = Plate.of(truths, masks)
        for i in progress(range(first, self.total), "pictures"):
            truth, labels = self._truth(i, background)
            write_image(self.layout.image("gt_imgs", i), truth)
            write_image(self.layout.image("torso_imgs", i, ".png"), torso.torso_image(truth, labels, background, plate))

    @property
    def plate_frames(self) -> list[int]:
        """Frames that show what the head hides of the torso in others: all in the first seconds of the train split."""
        train = self.sounding[:-test_split(len(self.sounding))[0]][:PLATE_SECONDS * FPS]
        return [train[k] for k in np.unique(np.linspace(0, len(train) - 1, PLATE_FRAMES).round().astype(int))]

    def _truth(self, i: int, background: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frame i with the static background, and its labels."""
        labels = palette.decode(_read(self.layout.image("parsing", i, ".png")))
        return torso.ground_truth(_read(self.layout.image("ori_imgs", i)), labels, background), labels

    def features(self) -> None:
        """Audio features of every frame, from aud.wav."""
        audio = read_audio(self.layout.audio)
        for name in features.choose(self.feature_names, self.weights):
            path = self.layout.root / FEATURES[name][0]
            if not path.exists():
                write_npy(path, features.extract(name, audio, self.total, self.weights))

    def notes(self) -> list[str]:
        """What a reader of subject.json should know of the video, beside what was refused."""
        notes = picture_notes(self.video)
        heard, shown = read_json(self.work / "lag.json").get("heard_s", self.total / FPS), self.total / FPS
        if abs(heard - shown) > 0.2:
            lengths = f"the sound lasts {heard:.2f} s, the picture {shown:.2f} s"
            notes.append(f"{lengths}: " + ("silence stands for the rest" if heard < shown else "the rest of the sound is cut off"))
        if jumped := sorted({*cuts.jumps(self.scan.points), *self.scan.cuts}):
            notes.append(
                f"the picture or the face jumps at {self.span.times(jumped)} s, as in a cut to another take or person: look there, "
                "or choose a part with --from and --to"
            )
        return notes

    def _first_missing(self, folder: str, suffix: str) -> int:
        """First frame to write; the last one of an interrupted run may be broken, so it is written again."""
        there = (self.layout.image(folder, i, suffix).exists() for i in range(self.total))
        count = next((i for i, exists in enumerate(there) if not exists), self.total)
        return count if count == self.total else max(count - 1, 0)


def _read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise UserError(f"{path} is not a readable image; remove it and run prepare again")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
