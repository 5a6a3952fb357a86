"""Whether it is still the same person: dlib's face recogniser on prediction and reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from d3talker.errors import require
from d3talker.weights import packaged_file
from eval.metrics.batches import Batch
from eval.metrics.family import Context, Family, per_frame_result
from eval.metrics.result import MetricResult

RECOGNISER = ("face_recognition_models", "models/dlib_face_recognition_resnet_model_v1.dat")
EVERY = 5  # frames: identity does not change from one frame to the next, and a descriptor is dear


class Identity(Family):
    """identity: mean cosine of face descriptors."""

    def __init__(self, names: Sequence[str], context: Context) -> None:
        super().__init__(names, context)
        self.dlib = require("dlib", "landmarks", "identity similarity")
        self.network = self.dlib.face_recognition_model_v1(
            str(packaged_file(*RECOGNISER, "landmarks", "identity similarity"))
        )
        context.detector("dlib")
        self.values: list[float] = []
        self.distances: list[float] = []

    def update(self, batch: Batch) -> None:
        assert batch.reference is not None
        ours, theirs = (self.context.landmarks(batch, side) for side in ("predicted", "reference"))  # type: ignore[arg-type]
        for index in range(len(batch)):
            seen = np.isfinite(ours[index]).all() and np.isfinite(theirs[index]).all()
            if (batch.start + index) % EVERY or not seen:
                self.values.append(np.nan)
                continue
            a = self.describe(batch.predicted[index], ours[index])
            b = self.describe(batch.reference[index], theirs[index])
            self.values.append(float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))))
            self.distances.append(float(np.linalg.norm(a - b)))

    def describe(self, image: np.ndarray, points: np.ndarray) -> np.ndarray:
        """dlib's descriptor [128] of the face with these landmarks [68, 2]; frames are uint8 RGB [H, W, 3]."""
        low, high = np.floor(points.min(0)).astype(int), np.ceil(points.max(0)).astype(int)
        box = self.dlib.rectangle(int(low[0]), int(low[1]), int(high[0]), int(high[1]))
        parts = [self.dlib.point(int(x), int(y)) for x, y in np.rint(points)]
        shape = self.dlib.full_object_detection(box, parts)
        return np.array(self.network.compute_face_descriptor(np.ascontiguousarray(image), shape))

    def results(self) -> dict[str, MetricResult]:
        # dlib calls two faces the same person below a Euclidean distance of 0.6
        extra = {"euclidean": float(np.mean(self.distances))} if self.distances else {}
        reason = f"no frame in {EVERY} shows a face on both sides"
        result = per_frame_result(np.array(self.values), reason, extra)
        return dict.fromkeys(self.names, result)
