"""The predictions folder: lossless frames, sound, and a manifest; metrics read this and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from d3talker.errors import UserError
from d3talker.files import atomic_folder, read_json, sha256_file, sha256_json, write_json
from d3talker.people.media.mark import Mark, mark_now, read_mark
from d3talker.people.media.video import FPS, VideoWriter, probe, read_audio, read_frames, write_wav

SCHEMA = 1
FRAMES, AUDIO, MANIFEST = "frames.mkv", "audio.wav", "manifest.json"
TorsoMode = Literal["gt", "synthesised", "pasted", "none"]


class Timing(BaseModel):
    """Seconds a frame, measured as eval/timing.py says; None where it was not measured.

    train_s: wall clock of a foreign code's training steps, from `d3talker run`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    render_s: list[float] | None = None
    refine_s: list[float] | None = None
    train_s: float | None = None
    device: str | None = None
    exclusive: bool = False


class Manifest(BaseModel):
    """What a predictions folder holds, and how it came about.

    notes: footnotes for any table that shows it.  checks: what was verified when foreign outputs were imported.
    sha256: of each file.  pixels: of the decoded frames alone, for the video file also holds the date of its making.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    schema_version: int = SCHEMA
    method: str
    subject: str
    setting: Literal["self", "cross"]
    fps: float = Field(FPS, gt=0, le=1000)
    first_img_id: int = Field(ge=0)
    frames: int = Field(gt=0)
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    torso_mode: TorsoMode
    source: str
    lossless: bool
    notes: list[str] = []
    checks: list[str] = []
    timing: Timing | None = None
    sha256: dict[str, str] = {}
    pixels: str = ""


class PredictionsWriter:
    """Write a predictions folder frame by frame; it appears, whole, only when the `with` block ends well.

    frames: uint8 RGB [H, W, 3].  audio: float32 [S] at 16 kHz, starting with the first frame, or None.
    """

    def __init__(
        self, out: Path | str, *, method: str, subject: str, setting: Literal["self", "cross"], first_img_id: int,
        torso_mode: TorsoMode, source: str, lossless: bool = True, audio: np.ndarray | None = None,
        notes: list[str] | None = None, checks: list[str] | None = None,
    ) -> None:
        self._out = atomic_folder(out)
        self._audio = audio
        self._facts: dict[str, Any] = {
            "method": method, "subject": subject, "setting": setting, "first_img_id": first_img_id,
            "torso_mode": torso_mode, "source": source, "lossless": lossless, "notes": notes or [],
            "checks": checks or [],
        }
        self.timing: Timing | None = None
        self._size = (0, 0)
        self._pixels = hashlib.sha256()

    def __enter__(self) -> PredictionsWriter:
        self._folder = self._out.__enter__()
        self._video = VideoWriter(self._folder / FRAMES, codec="ffv1", metadata=mark_now(self._facts["method"]).metadata())
        self._video.__enter__()
        return self

    def write(self, frame: np.ndarray) -> None:
        """Append one frame."""
        self._size = frame.shape[:2]
        self._video.write(frame)
        self._pixels.update(frame.tobytes())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._video.__exit__(kind, error, trace)
        try:
            if kind is None:
                self._finish()
        except BaseException as failure:
            self._out.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._out.__exit__(kind, error, trace)

    def _finish(self) -> None:
        if self._video.frames == 0:
            raise UserError(f"no frame was written for {self._facts['method']} on {self._facts['subject']}")
        names = [FRAMES]
        if self._audio is not None:
            write_wav(self._folder / AUDIO, self._audio)
            names.append(AUDIO)
        manifest = Manifest(
            **self._facts, frames=self._video.frames, height=self._size[0], width=self._size[1], timing=self.timing,
            sha256={name: sha256_file(self._folder / name) for name in names}, pixels=self._pixels.hexdigest(),
        )
        write_json(self._folder / MANIFEST, manifest.model_dump())


class Predictions:
    """Read a predictions folder.  Raises UserError when it is absent, damaged, or of another schema."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        try:
            self.manifest = Manifest.model_validate(read_json(self.root / MANIFEST))
        except ValidationError as error:
            first = error.errors()[0]
            raise UserError(f"{self.root / MANIFEST}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        if self.manifest.schema_version != SCHEMA:
            raise UserError(f"{self.root} has manifest schema {self.manifest.schema_version}, this d3talker reads {SCHEMA}")

    def verify(self) -> None:
        """Check every file against its checksum; raises UserError naming the first that differs."""
        for name, digest in self.manifest.sha256.items():
            path = self.root / name
            if not path.exists() or sha256_file(path) != digest:
                raise UserError(f"{path} is missing or has changed since it was written; make the predictions again")

    def frames(self) -> Iterator[np.ndarray]:
        """Yield uint8 RGB frames [H, W, 3]; raises UserError when their number differs from the manifest's."""
        count = 0
        for frame in read_frames(self.root / FRAMES):
            count += 1
            yield frame
        if count != self.manifest.frames:
            raise UserError(f"{self.root / FRAMES} holds {count} frames, its manifest says {self.manifest.frames}")

    def mark(self) -> Mark:
        """What the frames' video says of itself; copies to look at carry it on."""
        return read_mark(self.root / FRAMES) or Mark((self.manifest.method,))

    def digest(self) -> str:
        """Of all that can move a number: equal for predictions made again with equal frames and sound."""
        facts = self.manifest.model_dump(exclude={"notes", "checks", "timing", "sha256"})
        files = self.manifest.sha256 if not self.manifest.pixels else {AUDIO: self.manifest.sha256.get(AUDIO)}
        return sha256_json({"manifest": facts, "files": files})

    def audio(self) -> np.ndarray | None:
        """float32 [S] at 16 kHz, or None when the folder has no sound."""
        path = self.root / AUDIO
        return read_audio(path) if path.exists() else None


def is_predictions(path: Path | str) -> bool:
    """Whether `path` is a predictions folder."""
    return (Path(path) / MANIFEST).is_file()


def source_is_lossless(path: Path | str) -> bool:
    """Whether a video file's codec keeps every bit."""
    return probe(path).codec in {"ffv1", "huffyuv", "utvideo", "png", "rawvideo"}
