"""Speech content from `hama`: log-probabilities of phonemes, by a CTC network that its wheel brings (PyPI, no download).

hama recognises Korean and English in an inventory of IPA letters; what it hears in other languages follows the lips, too.
Its metadata say Apache-2.0; the wheel holds no licence text and does not name the training data.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from d3talker.errors import UserError, require
from d3talker.people.audio.level import EXTRA, levelled

STEP = 320  # samples at 16 kHz between two rows
CHUNK, MARGIN = 1000, 100  # rows: 20 s at a time, with 2 s on both sides that are cut off again; the network stops at 30 s
FLOOR = -15.0  # log-probabilities below it are noise
# Every token but a diacritic with a mean probability of 0.05 % and more in 438 s of 150 clips' sound; <wb> ends words.
TOKENS = (
    "<blank>", "<wb>", "t", "n", "i", "l", "ɹ", "s", "ɪ", "ə", "d", "w", "ɛ", "k", "m", "b", "æ", "oʊ", "z", "eɪ", "ð", "f", "h",
    "ɑ", "ɔ", "u", "p", "aɪ", "j", "θ", "v", "ɝ", "g", "ʌ", "ŋ", "e", "aʊ", "ʊ", "o", "a", "ʃ", "d͡ʒ", "t͡ʃ",
)


def phoneme_steps(audio: np.ndarray) -> np.ndarray:
    """Mono 16 kHz sound [S] -> float32 [1 + S // 320, 43]: log-probabilities of TOKENS, less their mean in each row.

    Row k is centred on sample 320 k, as in `log_mel`; CTC names a letter once most of it was heard, some 40 ms late.
    The same sound gives the same bits.
    Raises MissingExtra without hama, UserError where hama has no library for this machine.
    """
    network, columns = _network()
    audio = levelled(audio)
    total = 1 + len(audio) // STEP
    rows = []
    for first in range(0, total, CHUNK):
        begin, last = max(first - MARGIN, 0), min(first + CHUNK, total)
        found = _log_probabilities(network, audio[begin * STEP:(last + MARGIN) * STEP])
        rows.append(found[first - begin:last - begin, columns])
    logs = np.maximum(np.concatenate(rows), FLOOR)
    return logs - logs.mean(1, keepdims=True)


def check() -> None:
    """Raises MissingExtra or UserError where `phoneme_steps` would."""
    _network()


def _log_probabilities(network: Any, audio: np.ndarray) -> np.ndarray:
    """float32 [1 + S // 320, 191] of at most 30 s; `transcribe_waveform` keeps the letters alone, the session gives the rows."""
    feeds = {"waveform": audio[None], "waveform_lengths": np.array([len(audio)])}
    return np.asarray(network.session.run(["log_probs"], feeds)[0])[0]


@cache
def _network() -> tuple[Any, list[int]]:
    """The recogniser and the columns of TOKENS."""
    module = require("hama.asr", EXTRA, "phonemes features")
    try:
        model = module.ASRModel()
    except RuntimeError as error:
        raise UserError(
            f"phonemes features: hama has no library for this machine ({error}); it runs on Linux and macOS. Choose features mel"
        ) from None
    try:
        return model, [model.decoder_tokens.index(token) for token in TOKENS]
    except (ValueError, AttributeError):
        raise UserError("phonemes features: this hama has other phonemes than 1.7; run: pip install 'hama==1.7.*'") from None
