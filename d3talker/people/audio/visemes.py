"""Phonemes to mouth shapes: a target for each sound, blended by dominance (Cohen and Massaro 1993: coarticulation)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from d3talker.people.audio.speech import Phoneme

CHANNELS = (
    "jaw_open",
    "lips_pucker",
    "lips_funnel",
    "lips_press",
    "lips_roll",
    "mouth_wide",
    "upper_lip_up",
    "lower_lip_down",
    "chin_raise",
    "tongue_up",
    "tongue_out",
)
# IPA letters -> (strength, targets).  Strength is how firmly a sound holds its shape against its neighbours.
_TABLE: tuple[tuple[str, float, dict[str, float]], ...] = (
    ("aɑæɐʌäɶ", 1.0, {"jaw_open": 0.55, "lower_lip_down": 0.15, "mouth_wide": 0.10}),
    ("ɒɔ", 1.0, {"jaw_open": 0.45, "lips_funnel": 0.45, "lips_pucker": 0.10}),
    ("oɤ", 1.0, {"jaw_open": 0.32, "lips_funnel": 0.55, "lips_pucker": 0.35}),
    ("uʊɯ", 1.1, {"jaw_open": 0.14, "lips_pucker": 0.80, "lips_funnel": 0.20}),
    ("yʏøœɥ", 1.1, {"jaw_open": 0.17, "lips_pucker": 0.75, "lips_funnel": 0.25}),
    ("eɛ", 0.9, {"jaw_open": 0.34, "mouth_wide": 0.35, "lower_lip_down": 0.15, "upper_lip_up": 0.10}),
    ("iɪᵻ", 0.9, {"jaw_open": 0.16, "mouth_wide": 0.60, "lower_lip_down": 0.20, "upper_lip_up": 0.12}),
    ("əɜɚɝɘ", 0.6, {"jaw_open": 0.24, "mouth_wide": 0.08}),
    ("pbmβ", 8.0, {"jaw_open": 0.0, "lips_press": 0.75, "lips_roll": 0.25, "chin_raise": 0.20}),
    ("fvʋ", 4.0, {"jaw_open": 0.05, "lips_roll": 0.15, "upper_lip_up": 0.35, "chin_raise": 0.35}),
    ("θð", 1.2, {"jaw_open": 0.16, "tongue_out": 0.70, "lower_lip_down": 0.15}),
    ("tdnɾɲ", 0.8, {"jaw_open": 0.13, "tongue_up": 0.75, "mouth_wide": 0.12, "lower_lip_down": 0.10}),
    ("lɫʎ", 0.8, {"jaw_open": 0.20, "tongue_up": 0.85, "mouth_wide": 0.10}),
    (
        "szʦ",
        1.3,
        {"jaw_open": 0.06, "mouth_wide": 0.28, "lower_lip_down": 0.25, "upper_lip_up": 0.12, "tongue_up": 0.4},
    ),
    (
        "ʃʒçɕʧʤ",
        1.5,
        {"jaw_open": 0.09, "lips_funnel": 0.60, "lips_pucker": 0.20, "lower_lip_down": 0.20, "upper_lip_up": 0.15},
    ),
    ("kɡgŋxɣqh", 0.4, {"jaw_open": 0.20}),
    ("ɹrʁʀɻ", 0.8, {"jaw_open": 0.17, "lips_pucker": 0.35, "lips_funnel": 0.12}),
    ("wʍ", 1.6, {"jaw_open": 0.10, "lips_pucker": 0.90}),
    ("jʝ", 0.7, {"jaw_open": 0.14, "mouth_wide": 0.40}),
)
SHAPES = {letter: (strength, targets) for letters, strength, targets in _TABLE for letter in letters}
REST_STRENGTH, STRESS = 0.5, 1.2
REACH = {"tongue_up": 0.045, "tongue_out": 0.045, "lips_pucker": 0.11, "lips_funnel": 0.10}  # seconds; lips round early
REACH_ELSE = 0.065


def targets(symbol: str) -> tuple[float, np.ndarray] | None:
    """Strength and channel targets [C] of an IPA symbol by the mean of its known letters; None for a pause."""
    known = [SHAPES[letter] for letter in symbol if letter in SHAPES]
    if not known:
        return None
    stress = STRESS if "ˈ" in symbol else 1.0
    values = np.mean([[shape.get(channel, 0.0) for channel in CHANNELS] for _, shape in known], 0)
    values[0] *= stress
    return max(strength for strength, _ in known), values


def mouth(phonemes: Sequence[Phoneme], times: np.ndarray) -> np.ndarray:
    """Channels [T,C] at `times` in seconds; 0 is the closed mouth at rest."""
    rows = [(targets(p.symbol) or (REST_STRENGTH, np.zeros(len(CHANNELS))), p) for p in _split(phonemes)]
    if not rows:
        return np.zeros((len(times), len(CHANNELS)))
    strength, values = np.array([s for (s, _), _ in rows]), np.stack([v for (_, v), _ in rows])
    centre, half = np.array([[(p.start + p.end) / 2, (p.end - p.start) / 2] for _, p in rows]).T
    out = np.zeros((len(times), len(CHANNELS)))
    away = np.maximum(np.abs(times[:, None] - centre) - 0.45 * half, 0)
    for c, channel in enumerate(CHANNELS):
        dominance = strength * np.exp(-((away / REACH.get(channel, REACH_ELSE)) ** 1.25)) + 1e-9
        rest = 0.02  # far from every sound the mouth goes to rest
        out[:, c] = dominance @ values[:, c] / (dominance.sum(1) + rest)
    return out


def _split(phonemes: Sequence[Phoneme]) -> list[Phoneme]:
    """Diphthongs and affricates as their parts in time, so that each part has its own shape."""
    parts: list[Phoneme] = []
    for p in phonemes:
        letters = [letter for letter in p.symbol if letter in SHAPES]
        if len(letters) < 2:
            parts.append(p)
            continue
        step = (p.end - p.start) / len(letters)
        stress = "ˈ" if "ˈ" in p.symbol else ""
        parts += [
            Phoneme(stress + letter, p.start + i * step, p.start + (i + 1) * step) for i, letter in enumerate(letters)
        ]
    return parts
