"""Speech with phoneme times."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from d3talker.errors import MissingExtra, UserError
from d3talker.people.audio.speech import Voice, speak
from d3talker.people.synthetic.sentences import LANGUAGES

pytest.importorskip("espeakng_loader")
ENGLISH = Voice("en-us", "m3", 160, 50, 50)


def test_sound_and_phonemes() -> None:
    audio, phonemes = speak(["Bob may buy a map.", "Good."], [0.5, 0.25], ENGLISH)
    assert audio.dtype == np.float32 and 1.5 < len(audio) / 16000 < 5 and 0.5 < np.abs(audio).max() <= 1
    starts = np.array([p.start for p in phonemes])
    assert (np.diff(starts) >= 0).all() and all(p.end > p.start for p in phonemes)
    assert phonemes[-1].end <= len(audio) / 16000 + 0.01
    symbols = "".join(p.symbol for p in phonemes)
    assert symbols.startswith("b") and symbols.count("m") == 2 and "ɡ" in symbols
    assert np.abs(audio[-3000:]).max() < 0.01  # the last pause is silent


def test_bytes_do_not_depend_on_what_was_said_before() -> None:
    first, _ = speak(["One two three."], [0.1], ENGLISH)
    speak(["Ganz etwas anderes."], [0.1], Voice("de", "f2", 170, 60, 40))
    again, _ = speak(["One two three."], [0.1], ENGLISH)
    assert np.array_equal(first, again)


def test_loud_sound_lies_inside_the_phonemes() -> None:
    audio, phonemes = speak(["Ma."], [0.6], ENGLISH)
    vowel = next(p for p in phonemes if "ɑ" in p.symbol)
    times = np.arange(len(audio)) / 16000
    power = audio**2
    inside = power[(times >= vowel.start) & (times < vowel.end)].sum()
    assert inside > 0.5 * power.sum()


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_every_language_has_a_voice_and_its_own_sounds(language: str) -> None:
    _, phonemes = speak(LANGUAGES[language][:1], [0.1], Voice(language, "f1", 160, 50, 50))
    assert len([p for p in phonemes if p.symbol]) > 10


def test_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(MissingExtra, match="synth"):
        speak(["Hello."], [0.1], ENGLISH)


def test_unknown_voice_is_named() -> None:
    with pytest.raises(UserError, match="nowhere"):
        speak(["Hello."], [0.1], Voice("nowhere", "m1", 160, 50, 50))
