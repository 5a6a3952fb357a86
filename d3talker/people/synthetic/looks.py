"""What a synthetic person looks and sounds like: drawn from a seed, varied across a group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from d3talker.people.audio.speech import Voice
from d3talker.people.head.face import FaceModel
from d3talker.people.synthetic.acting import Style
from d3talker.people.synthetic.sentences import LANGUAGES

Color = tuple[float, float, float]
# Colours are sRGB in 0..1.
SKINS: tuple[Color, ...] = (
    (0.91, 0.72, 0.62),
    (0.80, 0.60, 0.48),
    (0.95, 0.78, 0.69),
    (0.56, 0.38, 0.28),
    (0.87, 0.68, 0.54),
    (0.42, 0.27, 0.20),
    (0.93, 0.75, 0.66),
)
HAIRS: tuple[Color, ...] = (
    (0.20, 0.13, 0.09),
    (0.09, 0.07, 0.06),
    (0.62, 0.46, 0.26),
    (0.07, 0.06, 0.06),
    (0.36, 0.20, 0.11),
    (0.10, 0.08, 0.07),
    (0.52, 0.50, 0.48),
)
IRISES: tuple[Color, ...] = (
    (0.36, 0.22, 0.11),
    (0.30, 0.44, 0.52),
    (0.33, 0.40, 0.24),
    (0.24, 0.15, 0.09),
    (0.40, 0.47, 0.52),
    (0.21, 0.13, 0.08),
    (0.36, 0.30, 0.18),
)
CLOTHES: tuple[Color, ...] = (
    (0.13, 0.17, 0.28),
    (0.55, 0.14, 0.16),
    (0.20, 0.21, 0.23),
    (0.17, 0.34, 0.30),
    (0.75, 0.72, 0.66),
    (0.30, 0.22, 0.38),
    (0.24, 0.36, 0.52),
)
BACKDROPS: tuple[Color, ...] = (
    (0.35, 0.44, 0.55),
    (0.62, 0.60, 0.56),
    (0.30, 0.36, 0.33),
    (0.52, 0.47, 0.44),
    (0.42, 0.46, 0.52),
    (0.58, 0.62, 0.62),
    (0.33, 0.31, 0.38),
)


@dataclass(frozen=True)
class Look:
    """One person: shape in deviations [I], colours in sRGB, hair and clothes, light, voice and manner."""

    identity: np.ndarray
    skin: Color
    hair: Color
    iris: Color
    cloth: Color
    backdrop: Color
    feminine: bool
    long_hair: bool
    fringe: bool
    hair_depth: float  # mm
    stubble: float  # 0..1
    garment: str  # suit | crew | open
    light_side: float  # -1 key light from the image left, 1 from the right
    voice: Voice
    style: Style
    seed: int
    locks: float = 0.0  # mm by which long hair is longer yet, so that it lies on the shoulders; nobody drawn has them


def draw_look(seed: int, index: int, face: FaceModel) -> Look:
    """Person `index` of the group with this seed; neighbours differ in sex, language, colours, hair and clothes."""
    rng = np.random.default_rng([seed, index])
    turn = (index + int(np.random.default_rng(seed).integers(0, 7))) if seed else index
    feminine = bool(turn % 2)
    pick = lambda options: options[(turn * 3 + seed) % len(options)]  # noqa: E731
    language = list(LANGUAGES)[index % len(LANGUAGES)]
    return Look(
        identity=_shape(face, feminine, rng),
        skin=_near(SKINS[turn % len(SKINS)], 0.02, rng),
        hair=_near(HAIRS[turn % len(HAIRS)], 0.02, rng),
        iris=_near(IRISES[turn % len(IRISES)], 0.03, rng),
        cloth=_near(pick(CLOTHES), 0.04, rng),
        backdrop=_near(pick(BACKDROPS), 0.05, rng),
        feminine=feminine,
        long_hair=feminine and turn % 4 != 3,
        fringe=turn % 4 == 1,
        hair_depth=float(rng.uniform(12, 18) if feminine else rng.uniform(6, 13)),
        stubble=0.0 if feminine else float(rng.choice([0.15, 0.3, 0.6, 0.9])),
        garment=("suit", "open", "crew")[turn % 3],
        light_side=float(rng.choice([-1, 1]) * rng.uniform(0.5, 1.0)),
        voice=_voice(language, feminine, index, rng),
        style=_style(rng),
        seed=int(rng.integers(0, 2**31)),
    )


def _near(color: Color, spread: float, rng: np.random.Generator) -> Color:
    r, g, b = np.clip(np.array(color) + rng.normal(0, spread) + rng.normal(0, spread / 3, 3), 0.02, 0.98)
    return float(r), float(g), float(b)


def _shape(face: FaceModel, feminine: bool, rng: np.random.Generator) -> np.ndarray:
    """Identity coefficients within two deviations; the tendencies of a sex on top."""
    values = rng.normal(0, 0.7, len(face.identity_names)).clip(-1.6, 1.6)
    lean = {
        "jaw_width": -0.9,
        "chin_width": -0.7,
        "chin_length": -0.7,
        "brow_ridge": -1.0,
        "nose_width": -0.6,
        "nose_length": -0.4,
        "upper_lip_fullness": 0.9,
        "lower_lip_fullness": 0.8,
        "eye_opening": 0.6,
        "face_width": -0.6,
        "lower_face_length": -0.5,
        "brow_height": 0.5,
    }
    for name, value in lean.items():
        values[face.identity_names.index(name)] += value * (1 if feminine else -0.5)
    for name in ("nose_side", "mouth_side", "lower_face_side", "forehead_slope"):
        values[face.identity_names.index(name)] *= 0.5
    return values.astype(np.float32)


def _voice(language: str, feminine: bool, index: int, rng: np.random.Generator) -> Voice:
    variant = f"f{1 + index % 4}" if feminine else f"m{1 + index % 7}"
    return Voice(language, variant, int(rng.integers(145, 180)), int(rng.integers(40, 60)), int(rng.integers(40, 65)))


def _style(rng: np.random.Generator) -> Style:
    return Style(
        jaw=rng.uniform(0.8, 1.15),
        lips=rng.uniform(0.8, 1.15),
        smile=rng.uniform(0.02, 0.25),
        lopsided=rng.uniform(-0.7, 0.7),
        blink_every=rng.uniform(2.2, 4.5),
        lids=rng.uniform(0.04, 0.2),
        brows=rng.uniform(0.2, 0.8),
        yaw=rng.uniform(4, 8),
        pitch=rng.uniform(2, 4),
        roll=rng.uniform(1.2, 2.8),
        nod=rng.uniform(0.8, 2.5),
    )
