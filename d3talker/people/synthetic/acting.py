"""How a synthetic person moves: expression, head pose, gaze and body sway of every frame, from phonemes and a style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from d3talker.people.audio import visemes
from d3talker.people.audio.speech import Phoneme
from d3talker.people.head.face import FaceModel
from d3talker.people.media.video import FPS

PIVOT = np.array([0.0, -0.095, -0.012])  # the head turns about the top of the neck
LEAD = 0.045  # seconds by which the mouth is ahead of espeak-ng's marks, so that lips and sound agree at lag 0


@dataclass(frozen=True)
class Style:
    """A person's manner of speaking: gains, habits, amplitudes in degrees."""

    jaw: float = 1.0
    lips: float = 1.0
    smile: float = 0.1
    lopsided: float = 0.0  # -1..1: how much more the left corner of the mouth moves
    blink_every: float = 3.5  # seconds
    lids: float = 0.1  # how far the lids hang at rest
    brows: float = 0.4
    yaw: float = 7.0
    pitch: float = 3.5
    roll: float = 2.5
    nod: float = 2.0


@dataclass(frozen=True)
class Performance:
    """Everything that moves, per frame: expression [T,E], euler [T,3] rad (Rx Ry Rz(-c)), translation [T,3] m (head to
    camera, OpenGL axes), gaze [T,2] in mm of the iris on the eyeball, sway [T,3] m of the torso."""

    expression: np.ndarray
    euler: np.ndarray
    translation: np.ndarray
    gaze: np.ndarray
    sway: np.ndarray

    @property
    def rotation(self) -> np.ndarray:
        """Head to camera [T,3,3]."""
        return rotation(self.euler)


def rotation(euler: np.ndarray) -> np.ndarray:
    """[T,3] -> [T,3,3]: Rx(a) Ry(b) Rz(-c), the field's convention (ER-NeRF data_utils/process.py:262-343)."""
    return Rotation.from_euler("XYZ", np.asarray(euler, float) * [1, 1, -1]).as_matrix()


def perform(
    phonemes: Sequence[Phoneme],
    frames: int,
    face: FaceModel,
    style: Style,
    camera: np.ndarray,
    rng: np.random.Generator,
) -> Performance:
    """Act out `frames` frames at 25 fps; `camera` [3] m is the head's rest position before the camera (OpenGL axes)."""
    times = (np.arange(frames) + 0.5) / FPS + LEAD
    stress = _stress(phonemes, times)
    names = face.expression_names
    expression = np.zeros((frames, len(names)))
    mouth = visemes.mouth(phonemes, times)
    for c, channel in enumerate(visemes.CHANNELS):
        gain = style.jaw if channel == "jaw_open" else style.lips
        expression[:, names.index(channel)] = np.clip(mouth[:, c] * gain, 0, 1)
    moods = _moods(frames, style, stress, rng)
    for name, values in moods.items():
        expression[:, names.index(name)] += values
    blink = _blinks(frames, style, phonemes, rng)
    late = np.clip(rng.normal(0, 0.03), -0.05, 0.05)
    expression[:, names.index("blink_left")] = np.maximum(blink, style.lids)
    expression[:, names.index("blink_right")] = np.clip(np.maximum(blink, style.lids) * (1 + late), 0, 1)
    euler = np.radians(np.stack([
        style.pitch * _drift(frames, 0.9, rng) + style.nod * stress, style.yaw * _drift(frames, 1.1, rng),
        style.roll * _drift(frames, 1.0, rng),
    ], -1))
    sway = np.stack([_drift(frames, 1.6, rng) * scale for scale in (0.005, 0.0025, 0.004)], -1)
    turn = rotation(euler)
    translation = PIVOT - turn @ PIVOT + sway + camera
    return Performance(np.clip(expression, 0, 1), euler, translation, _gaze(frames, euler, rng), sway)


def _drift(frames: int, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise [T] of unit deviation over a long clip, slow and a little quicker parts mixed."""
    pad = 8 * FPS
    noise = rng.normal(size=(2, frames + 2 * pad))
    slow, quick = (
        gaussian_filter1d(row, s * FPS) * np.sqrt(2 * np.sqrt(np.pi) * s * FPS)
        for row, s in zip(noise, (seconds, seconds / 4))
    )
    return (0.95 * slow + 0.22 * quick)[pad:pad + frames]


def _stress(phonemes: Sequence[Phoneme], times: np.ndarray) -> np.ndarray:
    """Beats [T] in 0..1 at stressed sounds."""
    out = np.zeros(len(times))
    for p in phonemes:
        if "ˈ" in p.symbol:
            out += np.exp(-0.5 * ((times - p.start - 0.06) / 0.11) ** 2)
    return np.clip(out, 0, 1)


def _moods(frames: int, style: Style, stress: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Slow expressions over the speech: smile, brows, squint."""
    smile = np.clip(style.smile * (1 + 0.8 * _drift(frames, 1.5, rng)), 0, 0.6)
    accent = stress * np.clip(_drift(frames, 0.8, rng), 0, 2)
    brows = np.clip(style.brows * (0.35 * _drift(frames, 1.2, rng) + 0.5 * accent), 0, 0.9)
    frown = np.clip(style.brows * 0.5 * _drift(frames, 1.4, rng) - 0.1, 0, 0.6)
    return {
        "smile_left": smile * (1 + 0.5 * style.lopsided),
        "smile_right": smile * (1 - 0.5 * style.lopsided),
        "brow_inner_up": brows,
        "brow_up_left": 0.8 * brows,
        "brow_up_right": 0.8 * brows,
        "brow_down": frown * (brows < 0.15),
        "eyes_wide": 0.5 * brows,
        "squint": 0.6 * smile + 0.3 * frown,
        "cheek_raise_left": 0.5 * smile,
        "cheek_raise_right": 0.5 * smile,
        "jaw_left": np.clip(0.06 * style.lopsided * stress, 0, 1),
        "jaw_right": np.clip(-0.06 * style.lopsided * stress, 0, 1),
    }


def _blinks(frames: int, style: Style, phonemes: Sequence[Phoneme], rng: np.random.Generator) -> np.ndarray:
    """Lid closure [T]: quick to close, slower to open, drawn to the pauses."""
    out = np.zeros(frames)
    shape = np.array([0.25, 0.85, 1.0, 0.9, 0.6, 0.3, 0.1])
    pauses = [p.start * FPS for p in phonemes if not p.symbol and p.end - p.start > 0.12]
    at = rng.uniform(0.3, style.blink_every) * FPS
    while at < frames:
        near = [p for p in pauses if abs(p - at) < 0.4 * FPS]
        start = int(near[0] if near else at)
        part = out[start:start + len(shape)]
        part[:] = np.maximum(part, shape[:len(part)] * rng.uniform(0.94, 1.0))
        at = start + max(0.6, rng.exponential(style.blink_every * 0.6) + style.blink_every * 0.4) * FPS
    return out


def _gaze(frames: int, euler: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Iris shift [T,2] mm: small jumps around the camera, with the head's turn compensated."""
    jumps = np.zeros((frames, 2))
    at = 0
    while at < frames:
        length = int(rng.uniform(0.4, 1.8) * FPS)
        jumps[at:at + length] = rng.normal(0, (0.55, 0.3))
        at += length
    counter = np.stack([-np.sin(euler[:, 1]), np.sin(euler[:, 0])], -1) * 11.5
    return np.clip(gaussian_filter1d(jumps, 0.6, axis=0) + counter, (-4.0, -2.2), (4.0, 2.2))
