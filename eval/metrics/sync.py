"""Sync-C and Sync-D straight from lossless frames: faces cut along landmarks, no codec on the way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from d3talker.weights import FILES
from eval.metrics.batches import Batch
from eval.metrics.crops import FaceCropper
from eval.metrics.family import Context, Family
from eval.metrics.result import MetricResult
from eval.metrics.syncnet import LipStream, count_windows, distances, load_syncnet, shuffled, sound_embeddings, sync

OFFICIAL_LENGTH = 100  # frames: the official pipeline gives shorter tracks no score at all
LEAST_SEEN = 0.5  # share of frames with a face, below which a score would speak of something else


class FrameSync(Family):
    """sync_c and sync_d."""

    def __init__(self, names: Sequence[str], context: Context) -> None:
        super().__init__(names, context)
        self.network = load_syncnet(context.weights, device=context.device, download=context.download)
        context.detector("dlib")
        self.cropper, self.lips = FaceCropper(), LipStream(self.network)
        self.seen: list[bool] = []

    def update(self, batch: Batch) -> None:
        for frame, points in zip(batch.predicted, self.context.landmarks(batch, "predicted")):
            self.seen.append(bool(np.isfinite(points).all()))
            self._embed(self.cropper.push(frame, points))

    def _embed(self, crops: list[np.ndarray]) -> None:
        for crop in crops:
            self.lips.push(np.ascontiguousarray(crop[..., ::-1]))  # SyncNet was trained on OpenCV's BGR

    def results(self) -> dict[str, MetricResult]:
        self._embed(self.cropper.finish())
        assert self.context.audio is not None
        frames, rate = len(self.seen), float(np.mean(self.seen))
        windows = count_windows(frames, len(self.context.audio))
        extra = {"detected": rate, "windows": windows, "weights_sha256": FILES["syncnet"].sha256}
        if self.cropper.lost or rate < LEAST_SEEN or windows < 1:
            reason = "the clip is too short for SyncNet" if windows < 1 else "too few frames show a face"
            return dict.fromkeys(self.names, MetricResult(value=None, reason=reason, extra=extra))
        lips, sound = self.lips.finish()[:windows], sound_embeddings(self.network, self.context.audio)[:windows]
        found = sync(distances(lips, sound), shuffled(lips, sound))
        extra |= {"offset": found.offset, "under_official_length": frames < OFFICIAL_LENGTH}
        return {name: found.result(name, extra) for name in self.names}
