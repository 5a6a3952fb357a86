"""From a trained run to video: signals from sound, deformed Gaussians, frames before the real torso."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from d3talker import checkpoint
from d3talker.audio.features import extract
from d3talker.config import REGIONS, Config, from_dict
from d3talker.errors import UserError
from d3talker.gaussians import Gaussians
from d3talker.motion.audio_to_motion import Regression
from d3talker.motion.model import motion_from_state
from d3talker.predictions import PredictionsWriter
from d3talker.progress import track
from d3talker.refiner import Refiner, fast_layout
from d3talker.rig import HeadRig
from d3talker.subject.action_units import read_action_units
from d3talker.subject.layout import Frame, Subject
from d3talker.subject.sound import clip_sound
from d3talker.talker import Camera, General, Identity, Talker, compose, device_of, total
from d3talker.training.adapt import CHECKPOINT, load_model
from d3talker.training.dataset import AudioStatistics, Drive, drive
from d3talker.training.pictures import image
from d3talker.video import FPS, SAMPLE_RATE, read_audio


class TrainedTalker:
    """A finished adaptation, ready to render."""

    def __init__(self, run: Path | str, config_device: str = "auto") -> None:
        """Read runs/.../adapt.safetensors.  Raises UserError when it is missing, damaged or unfinished."""
        state = checkpoint.load(Path(run) / CHECKPOINT)
        if not state["done"]:
            raise UserError(f"{run} is not trained to its end; run the same training command again to go on")
        self.config: Config = replace(from_dict(Config, state["config"]), device=config_device)
        self.device = device_of(self.config)
        self.seconds: float = state["seconds"]
        self.talker = _empty_talker(self.config)
        load_model(self.talker, state["model"])
        self.talker.to(self.device).eval().requires_grad_(False)
        signals: dict[str, Any] = state["signals"]
        self.feature_name: str = signals["feature_name"]
        self.statistics = AudioStatistics(**signals["statistics"])
        self.motion = motion_from_state(signals["motion"])
        self.imported = None if signals["imported"] is None else Regression.from_state(signals["imported"])
        self.eyes = np.array(signals["eyes"], np.float32)
        self.refiner: Refiner | None = None
        self.notes = [] if state["pretrained"] else ["Without pre-training: everything was learnt from this subject."]
        if state["refiner"] is not None:
            self.refiner = Refiner(state["size"][0], self.config.refiner)
            self.refiner.load_state_dict(state["refiner"]["refiner"])
            fast_layout(self.refiner.to(self.device)).eval().requires_grad_(False)
            self.notes += [note for note in [state["refiner"]["note"]] if note]
        else:
            self.notes.append("Without the coarse-to-fine refiner.")
        if self.feature_name != "deepspeech":
            self.notes.append(f"Audio features: {self.feature_name}, where the paper has DeepSpeech's.")
        self.anchors = {region: self.talker.anchors(region) for region in REGIONS}

    def drive(self, subject: Subject, frames: Sequence[Frame]) -> Drive:
        """Signals of `frames` of a subject: from its sound alone, unless the configuration names an oracle (paper 3.2)."""
        s = self.config.signals
        rows = np.array([frame.aud_id for frame in frames])
        features = subject.features(self.feature_name)
        if rows.max() >= len(features):
            raise UserError(f"{subject.root} has audio features for {len(features)} frames, frame {rows.max()} is asked for")
        expression = None if s.motion_source == "predicted" else self._given(subject, rows)
        filmed = read_action_units(subject.layout.action_units)[rows] if s.eyes == "video" else None
        return self._drive(subject, features[rows], expression, filmed)

    def _given(self, subject: Subject, rows: np.ndarray) -> np.ndarray:
        """Expression [T, E] that was not predicted here: tracked in the test video, or imported."""
        if self.config.signals.motion_source == "tracked":
            return subject.expression()[rows]
        heard = subject.imported_expression()
        if heard is None or self.imported is None:
            raise UserError(
                f"{subject.root} has no imported motion, or was trained before it was there; run d3talker motion import, then "
                "train again"
            )
        return self.imported.predict(heard[rows])

    def drive_by(self, subject: Subject, features: np.ndarray) -> Drive:
        """Signals from the audio features [T, 16, 29] of any sound."""
        s = self.config.signals
        if s.motion_source != "predicted" or s.eyes == "video":
            raise UserError("a foreign sound has no motion or eyes of its own; use motion-source predicted and eyes loop")
        return self._drive(subject, features, None, None)

    def _drive(
        self, subject: Subject, features: np.ndarray, given: np.ndarray | None, filmed: np.ndarray | None
    ) -> Drive:
        audio = self.statistics.apply(features)
        expression = self.motion.predict(audio) if given is None else given
        looped = self.eyes[ping_pong(len(self.eyes), len(audio))]
        eyes = filmed if filmed is not None else looped * (self.config.signals.eyes == "loop")
        return drive(subject.identity(), expression, audio, eyes, self.config.signals, self.device)

    @torch.no_grad()
    def refine(self, coarse: Tensor) -> Tensor:
        """Coarse frame [H, W, 3] -> fine frame (paper 3.4); the same where there is no refiner."""
        if self.refiner is None:
            return coarse
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
            return self.refiner(coarse[None])[0].float()

    @torch.no_grad()
    def frame(self, signals: Drive, index: int, camera: Camera, back: Tensor) -> Tensor:
        """One coarse frame, float32 [H, W, 3] in [0, 1], over `back` [H, W, 3]."""
        encoded = self.talker.encode(signals.at(index))
        face, mouth = (
            self.talker.draw(r, camera, total(self.talker.deformations(r, encoded, self.anchors[r]))) for r in REGIONS
        )
        return compose(face, mouth, back).clamp(0, 1)


def render_self(trained: TrainedTalker, subject: Subject, frames: Sequence[Frame], out: Path, notes: list[str]) -> None:
    """Write the predictions folder of the self-driven setting: the frames' own sound, pose, torso and background."""
    _render(trained, subject, frames, trained.drive(subject, frames), out, "self", clip_sound(subject, frames), notes)


def render_cross(
    trained: TrainedTalker, subject: Subject, frames: Sequence[Frame], audio_file: Path, out: Path, notes: list[str]
) -> None:
    """Write the predictions folder of the cross-driven setting: any sound, over the poses of `frames` back and forth.

    Raises UserError when the sound cannot be read, is shorter than a frame, or its features cannot be made here.
    """
    audio = read_audio(audio_file)
    count = len(audio) * FPS // SAMPLE_RATE
    if count == 0:
        raise UserError(f"{audio_file} is shorter than one frame; give a longer sound")
    signals = trained.drive_by(subject, extract(trained.feature_name, audio, count))
    poses = [frames[index] for index in ping_pong(len(frames), count)]
    _render(trained, subject, poses, signals, out, "cross", audio[:count * SAMPLE_RATE // FPS], notes)


def _render(
    trained: TrainedTalker, subject: Subject, frames: Sequence[Frame], signals: Drive, out: Path,
    setting: Literal["self", "cross"], audio: np.ndarray, notes: list[str],
) -> None:
    writer = PredictionsWriter(
        out, method="d3talker", subject=subject.name, setting=setting, first_img_id=frames[0].img_id, torso_mode="gt",
        source="d3talker", audio=audio, notes=[*notes, *trained.notes],
    )
    with writer:
        for index, frame in enumerate(track(frames, f"rendering {subject.name}")):
            coarse = trained.frame(signals, index, camera(subject, frame, trained.device), back(subject, frame, trained.device))
            picture = trained.refine(coarse)
            writer.write((picture * 255).round().byte().cpu().numpy())


def camera(subject: Subject, frame: Frame, device: torch.device) -> Camera:
    """The camera of one frame."""
    viewmat = torch.from_numpy(Subject.viewmats([frame])[0]).float().to(device)
    return Camera(viewmat, torch.from_numpy(subject.K).float().to(device), subject.size[1], subject.size[0])


def back(subject: Subject, frame: Frame, device: torch.device) -> Tensor:
    """What stands behind the head, float32 [H, W, 3]."""
    return image(torch.from_numpy(subject.torso_over_background(frame.img_id)).to(device))


def ping_pong(length: int, count: int) -> np.ndarray:
    """Indices 0 ... length-1, back, and forth again, `count` of them."""
    if length == 1:
        return np.zeros(count, int)
    steps = np.arange(count) % (2 * length - 2)
    return np.where(steps < length, steps, 2 * length - 2 - steps)


def _empty_talker(config: Config) -> Talker:
    point = torch.full((1, 3), 0.01)
    gaussians = {r: Gaussians(point, point, config.gaussians.sh_degree) for r in REGIONS}
    return Talker(config, General(config), Identity(config, gaussians, rig=None if config.ablation.rig == "off" else HeadRig()))
