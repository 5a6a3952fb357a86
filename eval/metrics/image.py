"""PSNR, SSIM and LPIPS as `score` runs them: whole frames and regions."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from eval.metrics.batches import Batch
from eval.metrics.family import Context, Family, Regional, per_frame_result
from eval.metrics.pixel import psnr
from eval.metrics.result import MetricResult
from eval.metrics.structure import ssim


class PSNR(Regional):
    """psnr, psnr_head, psnr_mouth, psnr_torso."""

    def frames(self, batch: Batch, masks: list[np.ndarray] | None) -> np.ndarray:
        assert batch.reference is not None
        return psnr(batch.predicted, batch.reference, masks)


class SSIM(Regional):
    """ssim, ssim_head, ssim_mouth, ssim_torso."""

    def frames(self, batch: Batch, masks: list[np.ndarray] | None) -> np.ndarray:
        assert batch.reference is not None
        return ssim(batch.predicted, batch.reference, masks)


class Perceptual(Regional):
    """lpips_alex, lpips_vgg or lpips_squeeze, and their regions; one network a family."""

    def __init__(self, names: Sequence[str], context: Context) -> None:
        from d3talker.learning.lpips import load_lpips

        super().__init__(names, context)
        net = names[0].split("_")[1]
        self.model = load_lpips(net, context.weights, device=context.device, download=context.download)  # type: ignore[arg-type]

    def frames(self, batch: Batch, masks: list[np.ndarray] | None) -> np.ndarray:
        from eval.metrics.perceptual import lpips

        assert batch.reference is not None
        return lpips(batch.predicted, batch.reference, masks, model=self.model)

    @cached_property
    def extra(self) -> dict[str, Any]:
        return {"backbone": self.model.backbone.name, "version": "0.1"}


class LagFree(Family):
    """psnr_lagfree: the mean PSNR at the constant shift that suits it best."""

    SHIFT = 5  # frames either way

    def __init__(self, names: Sequence[str], context: Context) -> None:
        super().__init__(names, context)
        self.predicted: deque[np.ndarray] = deque(maxlen=2 * self.SHIFT + 1)
        self.reference: deque[np.ndarray] = deque(maxlen=2 * self.SHIFT + 1)
        self.values: list[np.ndarray] = []  # for each middle frame, PSNR at every shift

    def update(self, batch: Batch) -> None:
        assert batch.reference is not None
        for predicted, reference in zip(batch.predicted, batch.reference):
            self.predicted.append(predicted)
            self.reference.append(reference)
            if len(self.predicted) == self.predicted.maxlen:
                middle = self.predicted[self.SHIFT]
                self.values.append(np.concatenate([psnr(middle, other) for other in self.reference]))

    def results(self) -> dict[str, MetricResult]:
        if not self.values:
            reason = f"the clip has fewer than {2 * self.SHIFT + 1} frames"
            return dict.fromkeys(self.names, MetricResult.missing(reason))
        values = np.stack(self.values)
        best = int(values.mean(0).argmax())
        edge = np.full(self.SHIFT, np.nan)
        per_frame = np.concatenate([edge, values[:, best], edge])
        extra = {"shift": best - self.SHIFT, "unshifted": float(values[:, self.SHIFT].mean())}
        return dict.fromkeys(self.names, per_frame_result(per_frame, "", extra))


class Flicker(Family):
    """flicker: how much more the prediction shimmers than the footage where the footage stands still."""

    STILL = 2  # grey levels: the largest change that counts as standing still

    def __init__(self, names: Sequence[str], context: Context) -> None:
        super().__init__(names, context)
        self.last: tuple[np.ndarray, np.ndarray] | None = None
        self.values: list[tuple[float, float]] = []

    def update(self, batch: Batch) -> None:
        assert batch.reference is not None
        for predicted, reference in zip(batch.predicted, batch.reference):
            if self.last is not None:
                self.values.append(self._change(predicted, reference, *self.last))
            self.last = predicted, reference

    def _change(
        self, predicted: np.ndarray, reference: np.ndarray, predicted_before: np.ndarray, reference_before: np.ndarray
    ) -> tuple[float, float]:
        change = cv2.absdiff(reference, reference_before)
        still = change.max(-1) <= self.STILL
        if not still.any():
            return np.nan, np.nan
        return float(cv2.absdiff(predicted, predicted_before)[still].mean()), float(change[still].mean())

    def results(self) -> dict[str, MetricResult]:
        moved = np.array([(np.nan, np.nan), *self.values])  # the first frame has none before it
        seen = np.isfinite(moved[:, 0])
        extra = {"predicted": moved[seen, 0].mean(), "reference": moved[seen, 1].mean()} if seen.any() else {}
        reason = "no pixel of the reference stands still from one frame to the next"
        result = per_frame_result(moved[:, 0] - moved[:, 1], reason, extra)
        return dict.fromkeys(self.names, result)
