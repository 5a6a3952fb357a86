"""The subject folder: every name in it, and a reader that says what is missing and which command makes it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from d3talker.errors import UserError
from d3talker.files import atomic_path, read_json, read_npy, sha256_file, sha256_json
from d3talker.people.audio.features import STRIDE, WINDOW, own_steps, windows
from d3talker.people.subject import palette
from d3talker.people.subject.action_units import FEW_ROWS, read_action_units
from d3talker.people.subject.frame import Frame as Frame
from d3talker.people.subject.frame import read_row
from d3talker.people.subject.palette import Label

SCHEMA = 1
TEST_FRAMES = 301  # InsTaG data_utils/split.py:51-54: the last 25 * 12 + 1 frames are val
MIN_TRAIN = 50  # frames that must be left for training when the last 301 are the test
PALETTE_FRAMES = 8
FEATURES = {  # name -> file, best first; DeepSpeech goes by two names in the official codes (protocol 1.5)
    "deepspeech": ("aud_ds.npy", "aud.npy"),
    "phonemes": ("aud_ph.npy",),
    "mel": ("aud_mel.npy",),
    "allphone": ("aud_ap.npy",),
    "hubert": ("aud_hu.npy",),
    "wav2vec2": ("aud_eo.npy",),
}
OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Layout:
    """Paths inside a subject folder, as RAD-NeRF, ER-NeRF, TalkingGaussian and InsTaG name them."""

    root: Path

    def transforms(self, split: str) -> Path:
        return self.root / f"transforms_{split}.json"

    def image(self, folder: str, img_id: int, suffix: str = ".jpg") -> Path:
        """folder: ori_imgs | gt_imgs (.jpg), parsing | torso_imgs (.png); ori_imgs with suffix .lms holds landmarks."""
        return self.root / folder / f"{img_id}{suffix}"

    @property
    def background(self) -> Path:
        return self.root / "bc.jpg"

    @property
    def audio(self) -> Path:
        return self.root / "aud.wav"

    @property
    def meta(self) -> Path:
        return self.root / "subject.json"

    @property
    def track(self) -> Path:
        return self.root / "track_params.pt"

    @property
    def action_units(self) -> Path:
        return self.root / "au.csv"

    @property
    def identity(self) -> Path:
        """float32 [I]: identity coefficients of the fitted face model."""
        return self.root / "motion" / "identity.npy"

    @property
    def expression(self) -> Path:
        """float32 [T, E]: expression coefficients of every frame, tracked."""
        return self.root / "motion" / "expression.npy"

    @property
    def real3d(self) -> Path:
        """float32 [T, 64]: expression coefficients that Real3D-Portrait's model heard (`d3talker motion import`)."""
        return self.root / "motion" / "real3d_expression.npy"


class Subject:
    """Read a subject folder made by `d3talker prepare`, `d3talker synth`, or any official code of the family."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self.layout = Layout(self.root)
        self._kept: dict[str, tuple[int, dict[str, Any]]] = {}  # split -> time of its file, and its content
        if not self.root.is_dir():
            raise UserError(f"{self.root} is not a folder; make it with: d3talker prepare VIDEO --out {self.root}")
        for split in ("train", "val"):
            self._need(self.layout.transforms(split))

    @property
    def name(self) -> str:
        return self.root.resolve().name

    @cached_property
    def meta(self) -> dict[str, Any]:
        """subject.json, or an empty dict for a folder made by others."""
        if not self.layout.meta.exists():
            return {}
        value = read_json(self.layout.meta)
        if not isinstance(value, dict):
            raise UserError(f"{self.layout.meta} is no JSON object; remove it, or prepare the subject again")
        return value

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 over everything that can change a result: poses, sound, features, motion, eyes, and all images of all frames."""
        layout = self.layout
        files = [self._need(p) for p in (layout.transforms("train"), layout.transforms("val"), layout.audio)]
        optional = [layout.background, layout.action_units, layout.identity, layout.expression, layout.real3d]
        optional += [self.root / name for names in FEATURES.values() for name in names]
        for frame in self.frames("train") + self.frames("val"):
            files.append(self._need(self.gt_path(frame.img_id)))
            optional += [layout.image(folder, frame.img_id, ".png") for folder in ("parsing", "torso_imgs")]
            optional.append(layout.image("ori_imgs", frame.img_id, ".lms"))
        files += [path for path in optional if path.exists()]
        return sha256_json([[p.relative_to(self.root).as_posix(), sha256_file(p)] for p in files])

    def frames(self, split: str) -> list[Frame]:
        """All rows of transforms_{split}.json, in file order.  split: train | val."""
        path = self.layout.transforms(split)
        return [read_row(path, index, row) for index, row in enumerate(self._transforms(split)["frames"])]

    @property
    def total(self) -> int:
        """Rows that files with one row a frame of the video must have: the largest aud_id of both splits, and one."""
        return 1 + max(frame.aud_id for split in ("train", "val") for frame in self.frames(split))

    def following(self, img_id: int, count: int) -> list[int]:
        """img_ids of `count` rows of the split that holds img_id, from it on: ids may have gaps where a face was lost.

        Raises UserError when there are not so many.
        """
        for split in ("val", "train"):
            ids = [frame.img_id for frame in self.frames(split)]
            if img_id in ids and len(ids) - ids.index(img_id) >= count:
                return ids[ids.index(img_id):][:count]
        raise UserError(f"{self.root} has no {count} frames from frame {img_id} on; was it prepared again, with another split?")

    def _transforms(self, split: str) -> dict[str, Any]:
        path = self._need(self.layout.transforms(split))
        stamp = path.stat().st_mtime_ns
        if self._kept.get(split, (None, None))[0] == stamp:
            return self._kept[split][1]
        value = read_json(path)
        if not isinstance(value, dict) or not {"focal_len", "cx", "cy", "frames"} <= set(value):
            raise UserError(f"{path} lacks focal_len, cx, cy or frames; make it again with: d3talker prepare")
        if not isinstance(value["frames"], list) or not value["frames"]:
            raise UserError(f"{path}: its frames are no list of rows, or there are none; make it again")
        self._kept[split] = (stamp, value)
        return value

    @cached_property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels, read off the first ground-truth image."""
        return self.gt(self.frames("train")[0].img_id).shape[:2]  # type: ignore[return-value]

    @cached_property
    def K(self) -> np.ndarray:
        """Intrinsics [3, 3] in pixels; pixel centres lie at integer + 0.5."""
        t = self._transforms("train")
        numbers = [t["focal_len"], t["cx"], t["cy"]]
        if not all(isinstance(n, (int, float)) and not isinstance(n, bool) and 0 < n < 1e6 for n in numbers):
            raise UserError(f"{self.layout.transforms('train')}: focal_len, cx and cy are {numbers}; give pixels")
        return np.array([[t["focal_len"], 0, t["cx"]], [0, t["focal_len"], t["cy"]], [0, 0, 1]], np.float64)

    @staticmethod
    def viewmats(frames: Sequence[Frame]) -> np.ndarray:
        """World-to-camera matrices [T, 4, 4], OpenCV axes."""
        return np.stack([np.linalg.inv(f.c2w @ OPENGL_TO_OPENCV) for f in frames])

    def gt_path(self, img_id: int) -> Path:
        return self._either("gt_imgs", img_id)

    def gt(self, img_id: int) -> np.ndarray:
        """Ground truth uint8 RGB [H, W, 3]: the frame with its background replaced by bc.jpg."""
        return self._read(self.gt_path(img_id))

    def original(self, img_id: int) -> np.ndarray:
        """The frame as filmed, uint8 RGB [H, W, 3]."""
        return self._read(self._either("ori_imgs", img_id))

    def background(self) -> np.ndarray:
        """bc.jpg, uint8 RGB [H, W, 3]."""
        return self._read(self._need(self.layout.background))

    def torso(self, img_id: int) -> np.ndarray:
        """Torso and neck, uint8 RGBA [H, W, 4]."""
        return self._read(self._need(self.layout.image("torso_imgs", img_id, ".png")), alpha=True)

    def torso_over_background(self, img_id: int) -> np.ndarray:
        """What stands behind the head: the real torso over bc.jpg, uint8 RGB [H, W, 3] (torso mode "gt")."""
        torso = self.torso(img_id).astype(np.float32)
        alpha = torso[..., 3:] / 255
        return np.round(torso[..., :3] * alpha + self.background() * (1 - alpha)).astype(np.uint8)

    @cached_property
    def palette(self) -> str:
        """Which family's colours parsing/ has, "talkinggaussian" or "adnerf", told by the images themselves."""
        ids = [frame.img_id for frame in self.frames("train") + self.frames("val")]
        there = [i for i in ids if self.layout.image("parsing", i, ".png").exists()] or ids[:1]
        return palette.detect([self._parsing(i) for i in there[:: max(1, len(there) // PALETTE_FRAMES)][:PALETTE_FRAMES]])

    def labels(self, img_id: int) -> np.ndarray:
        """Parsing as Label values, uint8 [H, W].

        Where the palette paints the mouth as face (AD-NeRF's family), it is what the inner lips (landmarks 60-67, where
        there are any) enclose; teeth_mask/, where present, is mouth too (InsTaG scene/dataset_readers.py:244-248).
        """
        labels = palette.decode(self._parsing(img_id))
        if self.palette == "adnerf" and self.layout.image("ori_imgs", img_id, ".lms").exists():
            lips = np.zeros(labels.shape, np.uint8)
            cv2.fillPoly(lips, [np.round(self.landmarks([img_id])[0, 60:68]).astype(np.int32)], 1)
            labels[(lips == 1) & (labels == Label.FACE)] = Label.MOUTH
        teeth = self.layout.image("teeth_mask", img_id, ".npy")
        if teeth.exists():
            mask = read_npy(teeth).astype(bool)
            if mask.shape != labels.shape:
                raise UserError(f"{teeth} is {mask.shape}, the parsing is {labels.shape}; make it again at the frames' size")
            labels[mask] = Label.MOUTH
        return labels

    def _parsing(self, img_id: int) -> np.ndarray:
        return self._read(self._need(self.layout.image("parsing", img_id, ".png")))

    def mask(self, img_id: int, *labels: Label) -> np.ndarray:
        """True where the pixel shows one of `labels`; bool [H, W]."""
        return np.isin(self.labels(img_id), labels)

    def landmarks(self, img_ids: Sequence[int]) -> np.ndarray:
        """68 iBUG points [T, 68, 2] in pixels (x, y), the top-left pixel's centre at (0, 0)."""
        points = []
        for img_id in img_ids:
            path = self._need(self.layout.image("ori_imgs", img_id, ".lms"))
            values = np.fromstring(path.read_text(), sep=" ", dtype=np.float64)
            if values.size != 136 or not np.isfinite(values).all():
                raise UserError(f"{path} does not hold 68 rows of 'x y'; make it again with: d3talker prepare")
            points.append(values.reshape(68, 2))
        return np.stack(points)

    def feature_name(self, wanted: str = "auto") -> str:
        """The audio features that are there: `wanted` itself, or for "auto" the best of FEATURES."""
        names = list(FEATURES) if wanted == "auto" else [wanted]
        for name in names:
            if name not in FEATURES:
                raise UserError(f"audio features '{name}' are unknown; choose one of {', '.join(FEATURES)}")
            if _has(self.root, name):
                return name
        raise UserError(f"{self.root} has no {wanted} audio features; make them with: d3talker prepare")

    def features(self, wanted: str = "auto") -> np.ndarray:
        """Audio features of every frame, windows float32 [T, 16, C]: the frame's own steps of 20 ms are 8 and 9.

        C is 29 for deepspeech and mel, 43 for phonemes, 26 for allphone, else the network's.
        """
        rows = self._features(wanted)
        return rows if rows.shape[1] == WINDOW else windows(own_steps(rows), len(rows))

    def steps(self, wanted: str = "auto") -> np.ndarray:
        """Audio features 50 times a second, float32 [2 T, C]: rows 2 i and 2 i + 1 are frame i's own.  Else as `features`."""
        return own_steps(self._features(wanted))

    def _features(self, wanted: str) -> np.ndarray:
        """As the file holds them, but for a few rows missing at the end: they repeat the last, as in RAD-NeRF's loader."""
        values, total = self.raw_features(wanted), self.total
        if len(values) < total - FEW_ROWS:
            raise UserError(
                f"{self.features_path(wanted)} has {len(values)} rows for {total} frames; make it again from the whole aud.wav"
            )
        return values[np.minimum(np.arange(max(total, len(values))), len(values) - 1)]

    def features_path(self, wanted: str = "auto") -> Path:
        """The file of the audio features that `wanted` stands for."""
        return next(p for p in (self.root / file for file in FEATURES[self.feature_name(wanted)]) if p.exists())

    def raw_features(self, wanted: str = "auto") -> np.ndarray:
        """What the file of audio features holds, float32 [rows, 16 or 2, C].  Raises UserError for another shape, or NaN."""
        path = self.features_path(wanted)
        values = read_npy(path)
        if values.dtype.kind not in "fiu" or values.ndim != 3 or values.shape[1] not in (WINDOW, STRIDE) or not values.size:
            raise UserError(f"{path} holds {values.dtype} {list(values.shape)}, not [frames, 16 or 2, columns]; make it again")
        values = values.astype(np.float32, copy=False)
        if not np.isfinite(values).all():
            raise UserError(f"{path} holds NaN or infinity; make it again with: d3talker prepare")
        return values

    def action_units(self) -> np.ndarray:
        """au.csv, one row a frame, float32 [T, 6]; see read_action_units."""
        return read_action_units(self.layout.action_units, self.total)

    def expression(self) -> np.ndarray:
        """Tracked expression coefficients of every frame, float32 [T, E]."""
        return read_npy(self._need(self.layout.expression)).astype(np.float32)

    def imported_expression(self) -> np.ndarray | None:
        """Real3D-Portrait's coefficients of every frame, float32 [T, 64], or None where none were imported."""
        return read_npy(self.layout.real3d).astype(np.float32) if self.layout.real3d.exists() else None

    def identity(self) -> np.ndarray:
        """Fitted identity coefficients, float32 [I]."""
        return read_npy(self._need(self.layout.identity)).astype(np.float32)

    def _either(self, folder: str, img_id: int) -> Path:
        png = self.layout.image(folder, img_id, ".png")
        return png if png.exists() else self._need(self.layout.image(folder, img_id))

    def _need(self, path: Path) -> Path:
        if not path.exists():
            raise UserError(f"{path} is missing; make it with: d3talker prepare VIDEO --out {self.root}")
        return path

    @staticmethod
    def _read(path: Path, alpha: bool = False) -> np.ndarray:
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED if alpha else cv2.IMREAD_COLOR)
        if image is None or (alpha and image.shape[-1] != 4):
            raise UserError(f"{path} is not a readable {'RGBA ' if alpha else ''}image; make it again")
        return cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA if alpha else cv2.COLOR_BGR2RGB)


def common_features(subjects: Sequence[Subject], wanted: str = "auto") -> str:
    """The audio features that all subjects have: `wanted`, or for "auto" the best.  Raises UserError where there are none."""
    if wanted == "auto":
        there = [name for name in FEATURES if all(_has(subject.root, name) for subject in subjects)]
        if not there:
            raise UserError("the subjects have no audio features in common; make them with: d3talker inspect FOLDER --complete")
        return there[0]
    for subject in subjects:
        subject.feature_name(wanted)
    return wanted


def _has(root: Path, name: str) -> bool:
    return any((root / file).exists() for file in FEATURES[name])


def test_split(total: int) -> tuple[int, str]:
    """How many frames at the end are for testing, and the rule that says so."""
    if total >= TEST_FRAMES + MIN_TRAIN:
        return TEST_FRAMES, f"the last {TEST_FRAMES} frames (InsTaG data_utils/split.py)"
    return total - total * 10 // 11, "the last 1/11 (AD-NeRF's rule: the clip is too short for 12 s of test)"


def write_image(path: Path, image: np.ndarray) -> None:
    """Write uint8 RGB or RGBA [H, W, 3|4] as PNG or JPEG (quality 100, no chroma subsampling) by the path's suffix."""
    order = cv2.COLOR_RGBA2BGRA if image.shape[-1] == 4 else cv2.COLOR_RGB2BGR
    options = [cv2.IMWRITE_JPEG_QUALITY, 100, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), cv2.cvtColor(image, order), options if path.suffix == ".jpg" else []):
        raise UserError(f"{path} cannot be written; check the disk's space and the folder's permissions")


def write_landmarks(path: Path, points: np.ndarray) -> None:
    """Write [68, 2] pixel coordinates as the .lms text of the official codes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, points, fmt="%.4f")


def write_track(
    path: Path, identity: np.ndarray, expression: np.ndarray, euler: np.ndarray, translation: np.ndarray, focal: float,
) -> None:
    """Write track_params.pt with the official codes' names and shapes; its trans is in tenths of the transforms' unit.

    identity [I], expression [T, E], euler [T, 3] rad, translation [T, 3] metres, focal in pixels (ER-NeRF process.py).
    """
    import torch

    values = {"id": identity[None], "exp": expression, "euler": euler, "trans": translation * 10, "focal": [focal]}
    buffer = io.BytesIO()  # torch.save writes a path's own name into the file, which would change the bytes
    torch.save({key: torch.as_tensor(np.asarray(value), dtype=torch.float32) for key, value in values.items()}, buffer)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def transforms(focal: float, size: tuple[int, int], frames: Sequence[Frame]) -> dict[str, Any]:
    """The content of a transforms file (protocol 1.6); size = (height, width)."""
    rows = [{"img_id": f.img_id, "aud_id": f.aud_id, "transform_matrix": f.c2w.tolist()} for f in frames]
    return {"focal_len": focal, "cx": size[1] / 2, "cy": size[0] / 2, "frames": rows}
