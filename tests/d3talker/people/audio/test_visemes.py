"""Mouth shapes from phonemes."""

from __future__ import annotations

import numpy as np
import pytest

from d3talker.people.audio import visemes
from d3talker.people.audio.speech import Phoneme
from d3talker.people.head.embedded import embedded_head
from d3talker.people.synthetic.sentences import LANGUAGES


def channel(values: np.ndarray, name: str) -> np.ndarray:
    """One channel of [T,C]."""
    return values[:, visemes.CHANNELS.index(name)]


def row(symbols: str, step: float = 0.12) -> list[Phoneme]:
    """Equally long phonemes."""
    return [Phoneme(s, i * step, (i + 1) * step) for i, s in enumerate(symbols)]


def test_lips_close_for_bilabials_between_open_vowels() -> None:
    face = embedded_head()
    values = visemes.mouth(row("aba"), np.array([0.06, 0.18, 0.30]))
    expression = np.zeros((3, len(face.expression_names)))
    for c, name in enumerate(visemes.CHANNELS):
        expression[:, face.expression_names.index(name)] = values[:, c]
    points = face.vertices(np.zeros(len(face.identity_names)), expression)[:, face.landmarks]
    gap = (points[:, 62, 1] - points[:, 66, 1]) * 1000
    assert gap[1] < 1.5 and min(gap[0], gap[2]) > 4


@pytest.mark.parametrize(
    "symbol, name",
    [("u", "lips_pucker"), ("i", "mouth_wide"), ("ʃ", "lips_funnel"), ("l", "tongue_up"), ("θ", "tongue_out")],
)
def test_a_long_sound_takes_its_own_shape(symbol: str, name: str) -> None:
    values = visemes.mouth([Phoneme(symbol, 0.0, 1.0)], np.array([0.5]))
    assert channel(values, name)[0] > 0.5


def test_coarticulation_rounds_early_and_fades_to_rest() -> None:
    times = np.linspace(0, 2, 201)
    rounded = channel(visemes.mouth([Phoneme("s", 0.2, 0.3), Phoneme("u", 0.3, 0.4)], times), "lips_pucker")
    spread = channel(visemes.mouth([Phoneme("s", 0.2, 0.3), Phoneme("i", 0.3, 0.4)], times), "lips_pucker")
    at = np.searchsorted(times, 0.25)
    assert rounded[at] > spread[at] + 0.05
    assert np.abs(visemes.mouth(row("au"), times)[-1]).max() < 0.02


def test_continuous_and_bounded() -> None:
    times = np.linspace(0, 1.2, 1201)
    values = visemes.mouth(row("bəmiʃuðaɪ"), times)
    assert values.min() >= 0 and values.max() <= 1.2
    assert np.abs(np.diff(values, axis=0)).max() < 0.05


def test_diphthongs_move() -> None:
    values = visemes.mouth([Phoneme("ˈaɪ", 0.0, 0.3)], np.array([0.07, 0.23]))
    assert channel(values, "jaw_open")[0] > channel(values, "jaw_open")[1] + 0.1
    assert channel(values, "mouth_wide")[1] > channel(values, "mouth_wide")[0]


def test_pauses_and_unknown_sounds_rest() -> None:
    assert visemes.targets("") is None and visemes.targets("?") is None
    assert np.abs(visemes.mouth([], np.zeros(3))).max() == 0


def test_known_letters_cover_the_sentences() -> None:
    espeak = pytest.importorskip("espeakng_loader")
    assert espeak
    from d3talker.people.audio.speech import Voice, speak

    for language, texts in LANGUAGES.items():
        _, phonemes = speak(texts[:4], [0.1] * 4, Voice(language, "m1", 170, 50, 50))
        spoken = [p.symbol for p in phonemes if p.symbol.strip("ˈˌː-̃ ")]
        unknown = {s for s in spoken if visemes.targets(s) is None}
        assert len([s for s in spoken if s in unknown]) < 0.03 * len(spoken), f"{language}: {unknown}"
