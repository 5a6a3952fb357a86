"""By how many frames sound and lips are apart: held-out ridge regression from log-mel to lip measures, over shifts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from d3talker.errors import UserError
from d3talker.people.audio.mel import log_mel

ROWS_PER_FRAME = 4  # 100 Hz log-mel, 25 fps
WINDOW = (2, 10)  # rows after a frame's start that it may hear: lips lead the sound they shape, by a frame on average
HIGH_PASS = 8.0  # frames, sigma: slower drift (pose, loudness) correlates without being speech
RIDGE = 0.3  # in units of the mean eigenvalue of the Gram matrix
MAX_SHIFT = 12  # frames to each side
FOLDS, GAP = 5, 10  # contiguous folds, with frames left out on both sides of the held-out one
SHORTEST = 75  # frames that must remain after shifting
PEAK = 3  # frames around the best shift that belong to the same peak


@dataclass(frozen=True)
class LagEstimate:
    """What `estimate_lag` found.  Positive lag = the sound comes that many frames (40 ms each) late for the picture."""

    lag: int
    r: float  # held-out correlation at `lag`, mean over lip measures
    curve: np.ndarray  # float64 [2 * max_shift + 1], r at shifts -max_shift ... max_shift
    trustworthy: bool  # see _trusted
    predicted: np.ndarray  # float64 [n, D], held-out predictions at `lag`, high-passed and standardised lip measures
    actual: np.ndarray  # float64 [n, D]


def estimate_lag(sound: np.ndarray, lips: np.ndarray, max_shift: int = MAX_SHIFT) -> LagEstimate:
    """Shift at which sound best predicts lips.

    sound: audio float32 [S] at 16 kHz, or its log-mel [4 T, M] at 100 Hz; lips: [T, D] at 25 fps, NaN where unseen.
    Every shift is scored on the same frames.  Raises UserError when fewer than 75 seen frames can be shifted that far.
    """
    lips = np.asarray(lips, np.float64)
    if lips.ndim != 2:
        raise UserError(f"lip measures must be [T, D], not {list(lips.shape)}")
    mel = (log_mel(sound) if np.ndim(sound) == 1 else np.asarray(sound)).astype(np.float64)
    frames = min(len(lips), (len(mel) - WINDOW[1]) // ROWS_PER_FRAME + 1)
    seen = np.isfinite(lips[:frames]).all(1)
    seen[:max_shift] = seen[max(frames - max_shift, 0) :] = False
    if seen.sum() < SHORTEST:
        raise UserError(
            f"a lag needs {SHORTEST} frames with a face, {max_shift} frames away from both ends; there are {seen.sum()}"
        )
    features = _sound_features(mel, frames)
    times = np.flatnonzero(seen)
    actual = _standardised(_high_pass(_filled(lips[:frames]), HIGH_PASS)[times])
    predictions = [held_out(features[times + shift], actual) for shift in range(-max_shift, max_shift + 1)]
    curve = np.array([correlation(predicted, actual) for predicted in predictions])
    best = int(curve.argmax())
    trusted = _trusted(curve, best, len(times))
    return LagEstimate(best - max_shift, float(curve[best]), curve, trusted, predictions[best], actual)


def _trusted(curve: np.ndarray, best: int, frames: int) -> bool:
    """Whether the peak stands clear of chance, of every shift outside it, and of the ends of the range.

    Thresholds let pass 1 of 110 pairings of real pictures with other clips' sound (10 s each).
    """
    outside = curve[np.abs(np.arange(curve.size) - best) > PEAK].max(initial=0.0)
    clear = curve[best] >= max(0.22, 4.2 / frames**0.5) and curve[best] - outside >= max(0.1, 2 / frames**0.5)
    return bool(clear and 0 < best < curve.size - 1)


def held_out(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Ridge prediction of y [n, D] from x [n, F]: each contiguous fold by a model that saw nothing in or near it."""
    x = _standardised(x)
    predicted = np.zeros_like(y)
    for fold in np.array_split(np.arange(len(x)), FOLDS):
        near = slice(max(fold[0] - GAP, 0), fold[-1] + 1 + GAP)
        train = np.delete(np.arange(len(x)), near)
        centre = y[train].mean(0)
        gram = x[train].T @ x[train]
        gram[np.diag_indices_from(gram)] += RIDGE * np.trace(gram) / min(gram.shape[0], train.size) + 1e-9
        weights = np.linalg.solve(gram, x[train].T @ (y[train] - centre))
        predicted[fold] = x[fold] @ weights + centre
    return predicted


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation of each column of [n, D] with its fellow, averaged; a constant column counts as 0."""
    a, b = a - a.mean(0), b - b.mean(0)
    scale = np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0)
    return float(np.where(scale > 1e-12, (a * b).sum(0) / np.maximum(scale, 1e-12), 0.0).mean())


def _sound_features(mel: np.ndarray, frames: int) -> np.ndarray:
    """[frames, F]: pairs of mel rows (20 ms) averaged, high-passed, and the window of each frame laid side by side."""
    pairs = _high_pass(uniform_filter1d(mel, 2, axis=0, origin=-1), HIGH_PASS * ROWS_PER_FRAME)
    rows = np.arange(frames)[:, None] * ROWS_PER_FRAME + np.arange(*WINDOW, 2)
    return pairs[np.minimum(rows, len(pairs) - 1)].reshape(frames, -1)


def _high_pass(x: np.ndarray, sigma: float) -> np.ndarray:
    return x - gaussian_filter1d(x, sigma, axis=0)


def _standardised(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(0)) / np.maximum(x.std(0), 1e-6)


def _filled(lips: np.ndarray) -> np.ndarray:
    """Unseen frames bridged linearly, so that filters run; they are scored nowhere."""
    seen = np.flatnonzero(np.isfinite(lips).all(1))
    return np.stack([np.interp(np.arange(len(lips)), seen, column[seen]) for column in lips.T], -1)
