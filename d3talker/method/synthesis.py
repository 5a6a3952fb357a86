"""From a trained run to video: signals from sound, deformed Gaussians, frames before the real torso."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from d3talker import checkpoint
from d3talker.errors import UserError
from d3talker.graphics.gaussians import Gaussians
from d3talker.graphics.layers import Camera, Posed, compose
from d3talker.graphics.options import REGIONS
from d3talker.learning.contract import Stage, Trained
from d3talker.learning.graphs import Replayed
from d3talker.learning.rendering import eyes_at_test, ping_pong
from d3talker.method.adapt import CHECKPOINT, load_model
from d3talker.method.config import Config
from d3talker.method.driving import Drive, drive, imported_rows
from d3talker.method.refiner import Refiner, fast_layout
from d3talker.method.rig import HeadRig
from d3talker.method.seen import TEST_TIME
from d3talker.method.talker import General, Identity, Signals, Talker, device_of, total
from d3talker.options import from_dict
from d3talker.people.audio.features import OWN
from d3talker.people.audio.statistics import AudioStatistics
from d3talker.people.head.embedded import embedded_head
from d3talker.people.head.upper import upper_face
from d3talker.people.motion.amplitude import Amplitude
from d3talker.people.motion.audio_to_motion import Regression, RidgeMotion
from d3talker.people.motion.hearing import Heard, hear, hear_subject
from d3talker.people.motion.model import STANDS_IN, motion_from_state
from d3talker.people.subject.layout import Frame, Subject

SHORTEST_OWN = 50  # frames: a shorter sound says too little of its own mean


class TrainedTalker(Trained):
    """A finished adaptation, ready to render."""

    def __init__(self, run: Path | str, config_device: str = "auto", asked: Config | None = None) -> None:
        """Read runs/.../adapt.safetensors; what drives it and what it leaves out is as it was trained, or as `asked`.

        Raises UserError when it is missing, damaged, unfinished, or of a version with other parts.
        """
        path = Path(run) / CHECKPOINT
        state = checkpoint.load(path)
        if not state["done"]:
            raise UserError(f"{run} is not trained to its end; run the same training command again to go on")
        self.config: Config = replace(from_dict(Config, state["config"]), device=config_device)
        if asked is not None:
            self.config = driven_as(self.config, asked)
        self.device = device_of(self.config)
        self.seconds: float = state["seconds"]
        self.run, self.data = Path(run), state["job"].get("data")
        with checkpoint.usable(path):
            self._take(state)
        self._leave_out(self.config.ablation.leave_out)
        self.anchors = {region: self.talker.anchors(region) for region in REGIONS}
        self._posed, self._refined, self._looked = Replayed(self._pose), Replayed(self._refine), False

    def _take(self, state: dict[str, Any]) -> None:
        """What the checkpoint holds."""
        signals: dict[str, Any] = state["signals"]
        self.statistics = AudioStatistics(**signals["statistics"])
        self.talker = _empty_talker(self.config, len(self.statistics.mean))
        load_model(self.talker, state["model"])
        self.talker.to(self.device).eval().requires_grad_(False)
        self.feature_name: str = signals["feature_name"]
        self.motion = motion_from_state(signals["motion"])
        self.imported = None if signals["imported"] is None else Regression.from_state(signals["imported"])
        self.eyes, self.upper = (np.array(signals[name], np.float32) for name in ("eyes", "upper"))
        self.amplitude = Amplitude.from_state(signals["amplitude"])
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
        if not isinstance(self.motion, RidgeMotion) and self.motion.names != self.motion.model.inputs:
            self.notes.append(f"Facial motion: {STANDS_IN}.")

    def _leave_out(self, part: str) -> None:
        if part == "refiner" and self.refiner is not None:
            self.refiner = None
            self.notes.append("The full model's own coarse frames, before its refiner.")
        elif part in ("general", "individual") and self.config.ablation.fields == "both":
            self.talker.dropped = part  # type: ignore[assignment]
            self.notes.append(f"The full model without the deformation of its {part.capitalize()} Field.")

    def drive(self, subject: Subject, frames: Sequence[Frame]) -> Drive:
        """Signals of `frames` of a subject: from its sound alone, unless the configuration names an oracle (paper 3.2)."""
        s = self.config.signals
        rows = np.array([frame.aud_id for frame in frames])
        features = subject.features(self.feature_name)
        if rows.max() >= len(features):
            raise UserError(f"{subject.root} has audio features for {len(features)} frames, frame {rows.max()} is asked for")
        audio = self.statistics.apply(features)
        heard = imported_rows(subject, rows) if s.motion_source == "imported" else None
        lips = self._imported(subject)[rows] if heard is not None else None
        if s.motion_source == "predicted":
            lips = self._spoken(hear_subject(subject, self.motion.names))[rows]
        oracle = subject.expression()[rows] if s.motion_source == "tracked" or s.eyes == "video" else None
        filmed = subject.action_units()[rows] if s.eyes == "video" else None
        return self._drive(subject, audio[rows], lips, heard, oracle, filmed)

    def drive_by(self, subject: Subject, features: np.ndarray, sound: np.ndarray) -> Drive:
        """Signals from any mono 16 kHz sound [S] and its audio features [T, 16, C], by its own mean and spread (microphone,
        loudness)."""
        s = self.config.signals
        if s.motion_source != "predicted" or s.eyes == "video":
            raise UserError("a foreign sound has no motion or eyes of its own; use motion-source predicted and eyes loop")
        own = AudioStatistics.of(features[:, OWN]) if len(features) >= SHORTEST_OWN else self.statistics
        audio = own.apply(features)
        return self._drive(subject, audio, self._spoken(hear(sound, self.motion.names, len(features))))

    def _drive(
        self, subject: Subject, audio: np.ndarray, lips: np.ndarray | None, heard: np.ndarray | None = None,
        oracle: np.ndarray | None = None, filmed: np.ndarray | None = None,
    ) -> Drive:
        """audio: normalised features [T, 16, C]; lips: expression [T, E] by sound; heard: imported coefficients [T, 64]; oracle
        [T, E] and filmed [T, 6]: expression and eyes tracked in the test video."""
        s = self.config.signals
        eyes = eyes_at_test(self.eyes, filmed, len(audio), s.eyes)
        expression = oracle if lips is None else lips
        assert expression is not None
        if lips is not None:
            upper = upper_face(embedded_head().expression_names)
            expression[:, upper] = self._brows(len(audio)) if oracle is None else oracle[:, upper]
        return drive(subject.identity(), expression, audio, eyes, s, self.device, heard)

    def _spoken(self, heard: Heard) -> np.ndarray:
        """Expression [T, E] by a whole sound, in the speaker's amplitude."""
        return self._amplified(self.motion.predict(heard))

    def _imported(self, subject: Subject) -> np.ndarray:
        """Expression [T, E] of all frames by imported coefficients, in the speaker's amplitude."""
        if self.imported is None:
            raise UserError(f"{subject.root} was trained before its motion was imported; train again")
        whole = subject.imported_expression()
        assert whole is not None
        return self._amplified(self.imported.predict(whole))

    def _amplified(self, expression: np.ndarray) -> np.ndarray:
        """A whole clip's lips in the speaker's amplitude; on some of its frames alone the gain would be another."""
        return self.amplitude.restore(expression) if self.config.signals.amplitude == "own" else expression

    def _brows(self, count: int) -> np.ndarray:
        """Coefficients of brows and lids for so many frames, as the eyes: the training frames' in a loop, or still."""
        looped = self.upper[ping_pong(len(self.upper), count)]
        return looped if self.config.signals.eyes == "loop" else np.broadcast_to(self.upper.mean(0), looped.shape)

    def stages(self) -> dict[str, Stage]:
        """The coarse frame, and the refiner where there is one."""
        coarse: dict[str, Stage] = {"encode, deform, rasterise, compose": self.coarse}
        return coarse if self.refiner is None else {**coarse, "refine": self.refine}

    @torch.no_grad()
    def refine(self, coarse: Tensor) -> Tensor:
        """Coarse frame [H, W, 3] -> fine frame (paper 3.4); the same where there is no refiner."""
        if self.refiner is None:
            return coarse
        return self._refined(coarse)[0].clone()

    def _refine(self, coarse: Tensor) -> tuple[Tensor]:
        assert self.refiner is not None
        # no cache of cast weights: a recording would read it after it is freed
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda", cache_enabled=False):
            return (self.refiner(coarse[None])[0].float(),)

    @torch.no_grad()
    def coarse(self, signals: Drive, index: int, camera: Camera, back: Tensor) -> Tensor:
        """One coarse frame, float32 [H, W, 3] in [0, 1], over `back` [H, W, 3]."""
        self.talker.check_values = self.device.type == "cpu" or not self._looked  # once, on CUDA: to look is to wait
        self._looked = True
        tensors = self._posed(*signals.at(index), camera.viewmat)
        size = len(Posed._fields)
        face, mouth = (self.talker.drawn(Posed(*part), camera) for part in (tensors[:size], tensors[size:]))
        return compose(face, mouth, back).clamp(0, 1)

    def _pose(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Signals of one frame and its viewmat -> both regions' Gaussians, one after the other."""
        *signals, viewmat = inputs
        encoded = self.talker.encode(Signals(*signals))
        deltas = {r: total(self.talker.deformations(r, encoded, self.anchors[r])) for r in REGIONS}
        return tuple(value for r in REGIONS for value in self.talker.posed(r, viewmat, deltas[r]))


def driven_as(config: Config, asked: Config) -> Config:
    """A trained configuration with the test-time options of another."""
    sections = {
        section: replace(getattr(config, section), **{name: getattr(getattr(asked, section), name) for name in names or ()})
        for section, names in TEST_TIME.items()
    }
    return replace(config, **sections)


def _empty_talker(config: Config, audio_columns: int) -> Talker:
    point = torch.full((1, 3), 0.01)
    gaussians = {r: Gaussians(point, point, config.gaussians.sh_degree) for r in REGIONS}
    rig = None if config.ablation.rig == "off" else HeadRig()
    return Talker(config, General(config, audio_columns), Identity(config, gaussians, rig=rig))
