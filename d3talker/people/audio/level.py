"""One loudness for every recogniser, so that a quieter recording of the same words has the same features."""

from __future__ import annotations

import numpy as np

from d3talker.people.audio.mel import check_audio

EXTRA = "speech-content"
LEVEL = 0.06  # root mean square of speech at an ordinary level
MOST = 100.0  # 40 dB: what is quieter is no speech, and its noise is not made loud


def levelled(audio: np.ndarray) -> np.ndarray:
    """Mono sound [S] -> float32 [S] in [-1, 1] at one mean power.  Raises UserError as `check_audio` does."""
    audio = check_audio(audio).astype(np.float64)
    power = np.sqrt(np.mean(audio**2)) if audio.size else 0.0
    return np.clip(audio * min(LEVEL / max(power, 1e-9), MOST), -1, 1).astype(np.float32)
