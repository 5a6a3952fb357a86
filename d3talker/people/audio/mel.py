"""Log-mel spectrogram with numpy alone: the sound features of the lag estimate and of the built-in audio encoder."""

from __future__ import annotations

from functools import cache

import numpy as np

from d3talker.errors import UserError

WINDOW_SECONDS = 0.025
FLOOR = 1e-5  # power below which sound counts as silence
LOUDEST = 2.0  # lossy codecs overshoot 1, integer samples lie far beyond


def log_mel(audio: np.ndarray, rate: int = 16000, hop: int = 160, n_mels: int = 80) -> np.ndarray:
    """Mono audio [S] in [-1, 1] -> natural log of mel band power, float32 [1 + S // hop, n_mels].

    Row k is centred on sample k * hop (the sound is mirrored at both ends); Hann window of 25 ms, triangular bands of
    equal area on the HTK mel scale from 0 Hz to rate / 2, floor 1e-5.
    Raises UserError for sound that is not one finite floating-point channel in [-1, 1], or too short to mirror.
    """
    audio = check_audio(audio)
    window = round(WINDOW_SECONDS * rate)
    if audio.size <= window:
        raise UserError(f"sound of {audio.size} samples is too short for a {window}-sample window; give a longer clip")
    size = 1 << (window - 1).bit_length()
    padded = np.pad(audio.astype(np.float64), (window // 2, window), mode="reflect")
    starts = np.arange(1 + audio.size // hop) * hop
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[starts]
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    power = np.abs(np.fft.rfft(frames * taper, size)) ** 2
    return np.log(np.maximum(power @ mel_bands(rate, size, n_mels).T, FLOOR)).astype(np.float32)


@cache
def mel_bands(rate: int, size: int, n_mels: int) -> np.ndarray:
    """Triangular filters [n_mels, size // 2 + 1] over FFT bins, each summing to one where it covers a bin."""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, n_mels + 2) / 2595) - 1)
    bins = np.arange(size // 2 + 1) * rate / size
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    bands = np.maximum(np.minimum(rising, falling), 0)
    # A band narrower than the bin spacing may cover none: it takes the nearest bin.
    empty = np.flatnonzero(bands.sum(1) == 0)
    bands[empty, np.abs(bins[None] - edges[1:-1][empty, None]).argmin(1)] = 1
    return bands / bands.sum(1, keepdims=True)


def check_audio(audio: np.ndarray) -> np.ndarray:
    """The sound itself if it is one channel [S] of finite floating-point samples in [-1, 1]; else raises UserError."""
    audio = np.asarray(audio)
    if audio.ndim != 1 or not np.issubdtype(audio.dtype, np.floating):
        raise UserError(f"sound must be mono float [S], not {audio.dtype} {list(audio.shape)}; read it with read_audio")
    if audio.size and not (np.isfinite(audio).all() and np.abs(audio).max() <= LOUDEST):
        raise UserError("sound holds NaN, infinity or samples far outside [-1, 1]; scale or re-read it")
    return audio
