"""Log-mel against a slow transcription of its definition, and its time axis."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import get_window

from d3talker.errors import UserError
from d3talker.people.audio.mel import log_mel, mel_bands


def slow_log_mel(audio, rate, hop, n_mels):
    window = round(0.025 * rate)
    size = 2 ** int(np.ceil(np.log2(window)))
    frequency = np.arange(size // 2 + 1) * rate / size
    top = 2595 * np.log10(1 + rate / 1400)
    edges = [700 * (10 ** (top * k / (n_mels + 1) / 2595) - 1) for k in range(n_mels + 2)]
    rows = []
    for k in range(1 + len(audio) // hop):
        index = np.abs(np.arange(k * hop - window // 2, k * hop - window // 2 + window))
        index = np.where(index >= len(audio), 2 * (len(audio) - 1) - index, index)
        power = np.abs(np.fft.fft(audio[index] * get_window("hann", window), size)[: size // 2 + 1]) ** 2
        row = []
        for low, middle, high in zip(edges, edges[1:], edges[2:]):
            weight = np.interp(frequency, [low, middle, high], [0, 1, 0])
            if weight.sum() == 0:
                weight[np.abs(frequency - middle).argmin()] = 1
            row.append(np.log(max((weight * power).sum() / weight.sum(), 1e-5)))
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize(("rate", "hop", "n_mels"), [(16000, 160, 80), (16000, 320, 20), (22050, 256, 40)])
def test_equals_the_slow_definition(rate, hop, n_mels):
    audio = np.random.default_rng(0).normal(0, 0.1, 3000)
    result = log_mel(audio.astype(np.float32), rate, hop, n_mels)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, slow_log_mel(audio.astype(np.float32), rate, hop, n_mels), atol=2e-5)


def test_a_click_is_heard_where_it_is_and_a_tone_where_it_sounds():
    audio = np.zeros(16000, np.float32)
    audio[8000] = 0.5
    assert log_mel(audio).mean(1).argmax() == 50
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    bands = mel_bands(16000, 512, 80)
    assert log_mel(tone)[50].argmax() == bands[:, round(1000 * 512 / 16000)].argmax()


def test_silence_is_the_floor():
    assert np.allclose(log_mel(np.zeros(1600, np.float32)), np.log(1e-5))


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 1600)), np.zeros(1600, np.int16), np.full(1600, np.nan), np.full(1600, 30.0), np.zeros(300)]
)
def test_bad_sound_is_refused(bad):
    with pytest.raises(UserError):
        log_mel(bad)
