"""Speech content: rows of `phonemes` and `allphone`, their time, their loudness, and what is said where a package is absent."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from d3talker.errors import MissingExtra, UserError
from d3talker.people.audio.allphone import CLASSES, IPA, allphone_steps, recognise
from d3talker.people.audio.level import LEVEL, levelled
from d3talker.people.audio.phonemes import TOKENS, phoneme_steps
from d3talker.people.audio.speech import Phoneme, Voice, speak
from d3talker.people.audio.visemes import SHAPES

RATE, STEP = 16000, 320
SENTENCES = ("Baby Bobby may pay my money.", "We see few fish.", "My papa moved the maps.")
MODULES = {"hama": ("hama.asr", phoneme_steps), "pocketsphinx": ("pocketsphinx", allphone_steps)}
BOTH = pytest.mark.parametrize("steps", [phoneme_steps, allphone_steps], ids=["phonemes", "allphone"])


@pytest.fixture(scope="module")
def spoken() -> tuple[np.ndarray, list[Phoneme]]:
    """About 8 s of espeak-ng with its own times."""
    for module in ("espeakng_loader", *MODULES):
        pytest.importorskip(module, reason="needs the extras 'synth' and 'speech-content'")
    return speak(SENTENCES * 2, [0.5] * (2 * len(SENTENCES)), Voice("en-us", "m1", 150, 45, 40))


def when(phonemes: list[Phoneme], letters: str, rows: int) -> np.ndarray:
    """Where one of `letters` is spoken, row by row."""
    times = np.arange(rows) * STEP / RATE
    return np.any([(times >= p.start) & (times < p.end) for p in phonemes if p.symbol and p.symbol[0] in letters], 0)


def later(signal: np.ndarray, truth: np.ndarray) -> tuple[float, int]:
    """The best correlation, and by how many rows `signal` comes after `truth` there."""
    return max((float(np.corrcoef(np.roll(signal, -k)[10:-10], truth[10:-10])[0, 1]), k) for k in range(-8, 9))


@BOTH
def test_rows_every_20_ms_and_the_same_bits_again(steps: Callable, spoken: tuple[np.ndarray, list[Phoneme]]) -> None:
    audio = spoken[0]
    found = steps(audio)
    assert found.dtype == np.float32 and found.shape == (1 + len(audio) // STEP, len(TOKENS) if steps is phoneme_steps else 26)
    assert np.isfinite(found).all() and np.array_equal(found, steps(audio))
    assert steps(audio[:100]).shape == (1, found.shape[1]) and len(steps(audio[:0])) == 1


@BOTH
def test_a_quieter_sound_says_the_same(steps: Callable, spoken: tuple[np.ndarray, list[Phoneme]]) -> None:
    audio = spoken[0]
    np.testing.assert_allclose(steps(audio * np.float32(0.25)), steps(audio), atol=1e-3)


def test_level_is_of_speech_and_leaves_silence_silent() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, RATE).astype(np.float32)
    assert np.sqrt(np.mean(levelled(noise) ** 2)) == pytest.approx(LEVEL, rel=0.02)
    assert not levelled(np.zeros(RATE, np.float32)).any()
    assert np.abs(levelled(noise * 1e-5)).max() < 1e-4
    with pytest.raises(UserError, match="NaN"):
        levelled(np.full(RATE, np.nan, np.float32))


def test_lips_that_meet_are_heard_when_they_meet(spoken: tuple[np.ndarray, list[Phoneme]]) -> None:
    audio, phonemes = spoken
    closed = when(phonemes, "pbm", 1 + len(audio) // STEP)
    r, rows = later(allphone_steps(audio)[:, 0], closed)
    assert r > 0.35 and abs(rows) <= 1
    columns = [TOKENS.index(token) for token in "pbm"]
    r, rows = later(phoneme_steps(audio)[:, columns].max(1), closed)
    assert r > 0.45 and 0 <= rows <= 3  # a CTC network names a letter when it has heard most of it


def test_a_pause_is_no_phone(spoken: tuple[np.ndarray, list[Phoneme]]) -> None:
    audio = np.concatenate([spoken[0][:RATE], np.zeros(2 * RATE, np.float32), spoken[0][RATE:2 * RATE]])
    inside = slice(RATE // STEP + 10, 3 * RATE // STEP - 10)
    assert allphone_steps(audio)[inside, -1 - 11].min() > 0.95  # SIL's class
    blank, first_letter = TOKENS.index("<blank>"), 2
    rows = phoneme_steps(audio)[inside]
    assert (rows[:, blank] > rows[:, first_letter:].max(1)).all()


def test_long_sound_in_pieces_is_near_the_whole(spoken: tuple[np.ndarray, list[Phoneme]]) -> None:
    """The network stops at 30 s: 50 s have all their rows, and each piece agrees with what it says of the piece alone."""
    audio = np.tile(spoken[0], 1 + 50 * RATE // len(spoken[0]))[:50 * RATE]
    found = phoneme_steps(audio)
    assert len(found) == 2501
    alone = phoneme_steps(audio[18 * RATE:24 * RATE])
    agree = found[900:1200].argmax(1)[20:-20] == alone[:300].argmax(1)[20:-20]
    assert agree.mean() > 0.9


def test_every_phone_has_a_class_and_a_shape(spoken: tuple[np.ndarray, list[Phoneme]]) -> None:
    assert len(IPA) == 40 == sum(len(phones) for phones in CLASSES)  # ARPABET's 39 and the pause
    assert all(letters[0] in SHAPES for phone, letters in IPA.items() if phone != "SIL")
    found = recognise(spoken[0])
    assert {phone for phone, _, _ in found} <= {*IPA, "NSN", "SPN"}
    assert all(a[2] < b[1] for a, b in pairwise(found))


@pytest.mark.parametrize("package", list(MODULES))
def test_absent_package_names_its_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from d3talker.people.audio import phonemes

    module, steps = MODULES[package]
    phonemes._network.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match="speech-content"):
        steps(np.zeros(RATE, np.float32))


def test_another_inventory_or_no_library_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    asr = pytest.importorskip("hama.asr")
    from d3talker.people.audio import phonemes

    class Other:
        decoder_tokens = ("a", "b")

    def broken() -> None:
        raise RuntimeError("libhama not available")

    for model, words in ((Other, "other phonemes"), (broken, "Linux and macOS")):
        phonemes._network.cache_clear()
        monkeypatch.setattr(asr, "ASRModel", model)
        with pytest.raises(UserError, match=words):
            phoneme_steps(np.zeros(RATE, np.float32))
    phonemes._network.cache_clear()
