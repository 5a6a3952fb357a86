"""Lip landmark distance (protocol 3.1), plain, per inter-ocular distance, time-warped; how far lips open, whether they close."""

from __future__ import annotations

import numpy as np

from d3talker.errors import UserError

MOUTH = slice(48, 68)
EYES = (36, 45)  # outer corners
SIZE = 512  # the frame height in whose pixels LMD is given
BAND = 5  # frames that warping may shift, 0.2 s
CLOSED, NEARLY_CLOSED = 15, 25  # percentiles of the reference's opening
CLOSURE_SLACK = 2  # frames by which a closure may come early or late


def lmd(predicted: np.ndarray, reference: np.ndarray, height: int = SIZE) -> np.ndarray:
    """Mean Euclidean distance of points 48-67, each set about its own mean, in pixels at height 512; float64 [T].

    predicted, reference: landmarks [T, 68, 2] in pixels of frames `height` high; NaN, and so LMD, where no face is.
    InsTaG metrics.py:73-96, there on FAN's points and without the scale.
    """
    predicted, reference = _pair(predicted, reference)
    return np.linalg.norm(_lips(predicted) - _lips(reference), axis=-1).mean(-1) * SIZE / height


def lmd_iod(predicted: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """LMD over the reference's distance between the outer eye corners, without unit; float64 [T]."""
    predicted, reference = _pair(predicted, reference)
    eyes = np.linalg.norm(reference[:, EYES[0]] - reference[:, EYES[1]], axis=-1)
    return np.linalg.norm(_lips(predicted) - _lips(reference), axis=-1).mean(-1) / eyes


def lmd_dtw(predicted: np.ndarray, reference: np.ndarray, height: int = SIZE) -> float:
    """Mean LMD of landmarks [T, 68, 2] along the cheapest monotonic path within 5 frames of the diagonal; NaN without a face.

    Steps (1, 0), (0, 1), (1, 1), all of weight 1; frames without a face on either side are left out first.
    """
    predicted, reference = _pair(predicted, reference)
    seen = np.isfinite(predicted).all((1, 2)) & np.isfinite(reference).all((1, 2))
    n = int(seen.sum())
    if n == 0:
        return float("nan")
    a, b = _lips(predicted[seen]), _lips(reference[seen])
    return _path_mean(a, b, n) * SIZE / height


def closure_recall(predicted: np.ndarray, reference: np.ndarray) -> float:
    """Share of the reference's closed frames (opening up to its 15th percentile) about which, within 2 frames, the prediction's
    opening comes down to the reference's 25th percentile.

    Openings [T] of consecutive frames in one unit, NaN where there is no face: such reference frames do not count.  NaN where no
    frame counts, or the reference's lips never move.  Always shut lips have 1: read it beside the amplitude.
    """
    seen = np.isfinite(reference)
    if not seen.any() or np.ptp(reference[seen]) == 0:
        return float("nan")
    closed, nearly = np.percentile(reference[seen], [CLOSED, NEARLY_CLOSED])
    least = np.pad(np.where(np.isfinite(predicted), predicted, np.inf), CLOSURE_SLACK, constant_values=np.inf)
    least = np.lib.stride_tricks.sliding_window_view(least, 2 * CLOSURE_SLACK + 1).min(1)
    return float((least[seen & (reference <= closed)] <= nearly).mean())


def aperture_ratio(predicted: np.ndarray, reference: np.ndarray) -> float:
    """Standard deviation of the prediction's opening [T] over the reference's, over frames that both have; NaN where the
    reference's lips never move."""
    both = np.isfinite(predicted) & np.isfinite(reference)
    if not both.any() or np.ptp(reference[both]) == 0:
        return float("nan")
    return float(predicted[both].std() / reference[both].std())


def _path_mean(a: np.ndarray, b: np.ndarray, n: int) -> float:
    """Cost per step of the path of least total cost; each row keeps only its band."""
    previous: dict[int, tuple[float, int]] = {-1: (0.0, 0)}
    for i in range(n):
        low, high = max(0, i - BAND), min(n, i + BAND + 1)
        costs = np.linalg.norm(a[i] - b[low:high], axis=-1).mean(-1)
        row: dict[int, tuple[float, int]] = {}
        for j, cost in zip(range(low, high), costs.tolist()):
            steps = [previous.get(j - 1), previous.get(j), row.get(j - 1)]
            total, length = min(step for step in steps if step is not None)
            row[j] = (total + cost, length + 1)
        previous = row
    total, length = previous[n - 1]
    return total / length


def _lips(points: np.ndarray) -> np.ndarray:
    lips = points[:, MOUTH]
    return lips - lips.mean(1, keepdims=True)


def _pair(predicted: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    predicted, reference = np.asarray(predicted, np.float64), np.asarray(reference, np.float64)
    if predicted.shape != reference.shape or predicted.ndim != 3 or predicted.shape[1:] != (68, 2):
        raise UserError(
            f"LMD needs two sets of landmarks [T, 68, 2], not {list(predicted.shape)} and {list(reference.shape)}"
        )
    return predicted, reference
