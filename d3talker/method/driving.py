"""A subject's signals as tensors: what the training loops and the renderer read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from d3talker.errors import UserError
from d3talker.learning.encoders import window
from d3talker.method.config import SignalConfig
from d3talker.method.talker import Signals
from d3talker.people.audio.statistics import AudioStatistics
from d3talker.people.head.bfm import load_bfm
from d3talker.people.head.embedded import embedded_head
from d3talker.people.head.face import FaceModel
from d3talker.people.head.pncc import canonical, pncc
from d3talker.people.head.upper import upper_face
from d3talker.people.motion.amplitude import Amplitude
from d3talker.people.motion.audio_to_motion import Regression, RidgeMotion, regress
from d3talker.people.motion.hearing import hear_subject
from d3talker.people.motion.model import CalibratedMotion, MotionModel
from d3talker.people.subject.action_units import BLINK_MAX
from d3talker.people.subject.layout import Frame, Subject
from d3talker.progress import say
from d3talker.weights import MissingWeights, find_weights

FOLDS = 4  # of the training frames, for motion as heard


@dataclass(frozen=True)
class Drive:
    """Signals of T consecutive frames: PNCC differences times their gain [T, 3, S, S]; audio [T, 16, C]; eyes [T, 6]; expression
    [T, E]."""

    motion: Tensor
    audio: Tensor
    eyes: Tensor
    expression: Tensor
    neighbours: int
    audio_window: int

    def __len__(self) -> int:
        return self.audio.shape[0]

    def at(self, index: int) -> Signals:
        """The signals that drive frame `index`; zeros stand beyond both ends."""
        half = self.audio_window // 2
        return Signals(
            window(self.motion, index, self.neighbours, self.neighbours),
            window(self.audio, index, half, self.audio_window - half - 1), self.eyes[index], self.expression[index],
        )


def drive(
    identity: np.ndarray, expression: np.ndarray, audio: np.ndarray, eyes: np.ndarray, config: SignalConfig,
    device: torch.device, heard: np.ndarray | None = None,
) -> Drive:
    """Signals from fitted identity [I], expression [T, E], normalised audio features [T, 16, C] and AUs [T, 6].

    heard: Real3D-Portrait's coefficients [T, 64]; where BFM's file is at hand, PNCC is drawn with its face from them as they are.
    """
    model = embedded_head()
    if (identity.shape[-1], expression.shape[-1]) != (len(model.identity_names), len(model.expression_names)):
        raise UserError(
            f"the subject was fitted with {expression.shape[-1]} expressions, the face model has "
            f"{len(model.expression_names)}; run d3talker prepare again"
        )
    if heard is not None and (bfm := imported_face()) is not None:
        images = pncc_signal(bfm, np.zeros(len(bfm.identity_names)), heard, config)
    else:
        shown = expression * ~upper_face(model.expression_names) if config.pncc_motion == "lips" else expression
        images = pncc_signal(model, identity, shown, config)
    units = np.concatenate([eyes[:, :-1] / 5, eyes[:, -1:] / BLINK_MAX], 1)  # OpenFace intensities run from 0 to 5
    return Drive(
        torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(device),
        torch.from_numpy(audio.astype(np.float32)).to(device), torch.from_numpy(units.astype(np.float32)).to(device),
        torch.from_numpy(expression.astype(np.float32)).to(device), config.neighbours, config.audio_window,
    )


def pncc_signal(face: FaceModel, identity: np.ndarray, expression: np.ndarray, config: SignalConfig) -> np.ndarray:
    """PNCC minus canonical PNCC, times its gain, [T, S, S, 3] (eq. 3)."""
    size = config.pncc_size
    return (pncc(face, identity, expression, size) - canonical(face, identity, size)) * config.pncc_gain


@dataclass(frozen=True)
class TrainingSignals:
    """What adaptation learns from a subject's training frames, and what test time needs of it.

    upper [T, U]: tracked coefficients of brows and lids.  heard: the same drive with motion as predicted from sound, if asked for.
    """

    drive: Drive
    identity: np.ndarray
    statistics: AudioStatistics
    motion: RidgeMotion | CalibratedMotion
    imported: Regression | None
    eyes: np.ndarray
    upper: np.ndarray
    amplitude: Amplitude
    feature_name: str
    heard: Drive | None = None

    @property
    def columns(self) -> int:
        """Of the audio features."""
        return self.drive.audio.shape[-1]

    def state(self) -> dict[str, Any]:
        """What test time needs, as plain data for a checkpoint."""
        return {"statistics": asdict(self.statistics), "motion": self.motion.state(), "eyes": self.eyes.tolist(),
                "upper": self.upper.tolist(), "amplitude": self.amplitude.state(),
                "feature_name": self.feature_name, "imported": None if self.imported is None else self.imported.state()}


def training_signals(
    subject: Subject, frames: Sequence[Frame], config: SignalConfig, device: torch.device, motion: Path | None = None
) -> TrainingSignals:
    """Signals of the training frames: motion as tracked, and what predicts it from sound at test time.

    motion: a model of `d3talker motion train`; without it the prediction is learnt from these frames alone.  With imported motion
    that drives training as it will drive the test frames, brows and lids apart.
    """
    rows = [frame.aud_id for frame in frames]
    name = subject.feature_name(config.features)
    features = _rows(subject.features(name), rows, f"audio features of {subject.root}")
    expression = _rows(subject.expression(), rows, f"expressions of {subject.root}")
    eyes = _rows(subject.action_units(), rows, f"action units of {subject.root}")
    statistics = AudioStatistics.of(features)
    audio = statistics.apply(features)
    predictor = _predictor(motion, subject, np.array(rows), expression)
    upper = upper_face(embedded_head().expression_names)
    imported, driving, shown = None, expression, None
    if subject.imported_expression() is not None or config.motion_source == "imported":
        heard = imported_rows(subject, rows)
        imported = regress(heard, expression)
        if config.motion_source == "imported":
            driving, shown = np.where(upper, expression, imported.predict(heard)), heard
    signals = drive(subject.identity(), driving, audio, eyes, config, device, shown)
    amplitude, heard_drive = Amplitude.of(expression), None
    if config.heard_share > 0 and shown is None:
        predicted = _held_out(motion, subject, np.array(rows), expression)
        if config.amplitude == "own":
            predicted = amplitude.restore(predicted)
        heard_drive = drive(subject.identity(), np.where(upper, expression, predicted), audio, eyes, config, device)
    return TrainingSignals(
        signals, subject.identity(), statistics, predictor, imported, eyes, expression[:, upper], amplitude, name, heard_drive,
    )


def _held_out(
    motion: Path | None, subject: Subject, rows: np.ndarray, expression: np.ndarray
) -> np.ndarray:
    """Expression [T, E] of the training frames as predicted from sound, each quarter by what was fitted to the others alone."""
    predicted = np.empty_like(expression)
    for part in np.array_split(np.arange(len(rows)), FOLDS):
        rest = np.setdiff1d(np.arange(len(rows)), part)
        predictor = _predictor(motion, subject, rows[rest], expression[rest], warn=False)
        predicted[part] = predictor.predict(hear_subject(subject, predictor.names))[rows[part]]
    return predicted


def _predictor(
    motion: Path | None, subject: Subject, rows: np.ndarray, expression: np.ndarray, warn: bool = True
) -> RidgeMotion | CalibratedMotion:
    """What predicts motion from sound: a model calibrated on these frames, or a regression on them alone."""
    if motion is not None:
        model = MotionModel.load(motion)
        if warn and model.knows(subject.name, subject.meta):
            say(f"warning: {motion} was trained on {subject.name}, too; do not report this person's lips as an unseen one's")
        return model.calibrate(hear_subject(subject, model.hears()), rows, expression)
    basis = embedded_head().landmark_basis()[2]
    heard = hear_subject(subject, RidgeMotion.names)
    return RidgeMotion.fit(heard, rows, expression, basis[:, 48:, :2].reshape(len(basis), -1))


def imported_rows(subject: Subject, rows: Sequence[int] | np.ndarray) -> np.ndarray:
    """Real3D-Portrait's coefficients [T, 64] of some frames.  Raises UserError where none were imported."""
    heard = subject.imported_expression()
    if heard is None:
        raise UserError(f"{subject.root} has no imported motion; run d3talker motion import")
    return _rows(heard, rows, f"imported coefficients of {subject.root}")


def imported_face() -> FaceModel | None:
    """BFM-2009, whose expressions imported coefficients are, where its file is among the weights; None where it is not."""
    try:
        return load_bfm(find_weights("bfm"))
    except MissingWeights:
        return None


def _rows(values: np.ndarray, rows: Sequence[int] | np.ndarray, what: str) -> np.ndarray:
    if max(rows) >= len(values):
        raise UserError(f"the {what} have {len(values)} rows, frame {max(rows)} is asked for; run d3talker prepare again")
    return values[np.array(rows)]
