"""Speech content from `pocketsphinx`: which English phone sounds when (PyPI; the wheel brings acoustic model and phone bigrams).

Recogniser and models are BSD 2-clause (Carnegie Mellon University; Alpha Cephei).
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
from scipy.ndimage import gaussian_filter1d

from d3talker.errors import require
from d3talker.people.audio.level import EXTRA, levelled
from d3talker.people.audio.speech import Phoneme
from d3talker.people.audio.visemes import CHANNELS, mouth

RATE, STEP = 16000, 320
FRAME, FIRST = 0.010, 0.0128  # seconds: the recogniser's step, and the middle of its first window of 25.6 ms
SMOOTH = 2.0  # frames, sigma
SIL = "SIL"
# ARPABET's phones by what the mouth does, and each as IPA for `visemes.mouth`.
CLASSES: tuple[dict[str, str], ...] = (
    {"P": "p", "B": "b", "M": "m"},
    {"F": "f", "V": "v"},
    {"W": "w"},
    {"UW": "u", "UH": "ʊ", "OW": "oʊ"},
    {"AO": "ɔ", "OY": "ɔɪ", "R": "ɹ"},
    {"SH": "ʃ", "CH": "ʧ", "JH": "ʤ", "ZH": "ʒ"},
    {"AA": "ɑ", "AH": "ʌ"},
    {"AE": "æ", "AW": "aʊ", "AY": "aɪ", "EH": "ɛ"},
    {"EY": "eɪ", "IH": "ɪ", "ER": "ɝ"},
    {"IY": "i", "Y": "j"},
    {"S": "s", "Z": "z"},
    {"T": "t", "D": "d", "N": "n"},
    {"L": "l", "TH": "θ", "DH": "ð"},
    {"K": "k", "G": "ɡ", "NG": "ŋ", "HH": "h"},
    {SIL: ""},
)
CLASS_OF = {phone: number for number, phones in enumerate(CLASSES) for phone in phones}
IPA = {phone: letters for phones in CLASSES for phone, letters in phones.items()}
COLUMNS = len(CLASSES) + len(CHANNELS)


def allphone_steps(audio: np.ndarray) -> np.ndarray:
    """Mono 16 kHz sound [S] -> float32 [1 + S // 320, 26]: 15 articulatory classes in 0 ... 1, then 11 viseme channels.

    Row k is centred on sample 320 k, as in `log_mel`.  The same sound gives the same bits.
    Raises MissingExtra without pocketsphinx.
    """
    phones = recognise(audio)
    times = np.arange(1 + len(audio) // STEP) * (STEP / RATE)
    frames = max((end for _, _, end in phones), default=0) + 1
    active = np.zeros((frames, len(CLASSES)))
    for phone, first, last in phones:
        active[first:last + 1, CLASS_OF.get(phone, CLASS_OF[SIL])] = 1
    active = gaussian_filter1d(active, SMOOTH, axis=0, mode="nearest")
    middles = FIRST + FRAME * np.arange(frames)
    classes = np.stack([np.interp(times, middles, column) for column in active.T], 1)
    edge = FIRST - FRAME / 2
    spoken = [Phoneme(IPA.get(phone, ""), edge + FRAME * first, edge + FRAME * (last + 1)) for phone, first, last in phones]
    return np.concatenate([classes, mouth(spoken, times)], 1).astype(np.float32)


def check() -> ModuleType:
    """pocketsphinx; raises MissingExtra where it is not installed."""
    return require("pocketsphinx", EXTRA, "allphone features")


def recognise(audio: np.ndarray) -> list[tuple[str, int, int]]:
    """(phone, first frame, last frame) in order, 100 frames a second; empty where the sound is too short for any."""
    sphinx = check()
    samples = levelled(audio) * 32766
    # Digital silence has no spectrum, and the recogniser hears S there: one bit of noise, the same every time.
    samples = samples + np.random.default_rng(0).integers(-1, 2, samples.size)
    if not samples.size:
        return []
    decoder = sphinx.Decoder(  # new for each sound, since it remembers the mean of the last one
        samprate=RATE, loglevel="FATAL", allphone=sphinx.get_model_path("en-us/en-us-phone.lm.bin"), lm=None, lw=2.0,
        beam=1e-20, pbeam=1e-20,
    )
    decoder.start_utt()
    decoder.process_raw(samples.round().astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    return [(segment.word.strip("+"), segment.start_frame, segment.end_frame) for segment in decoder.seg() or ()]
