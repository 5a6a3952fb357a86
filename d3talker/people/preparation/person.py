"""Who is person and who is background: GrabCut without weights, or a portrait segmentation network."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from d3talker.errors import UserError, require
from d3talker.people.preparation.seeds import grabcut_person
from d3talker.weights import MissingWeights, find_weights

Finder = Callable[[np.ndarray, np.ndarray], np.ndarray]
SIDE = 513  # pixels; DeepLab v3+ on MobileNet v2, input scaled to [-1, 1], output [1, 2, 513, 513]: background, person


def person_finder(kind: str, weights: Path | None = None) -> Finder:
    """A function (image uint8 RGB [H, W, 3], landmarks [68, 2]) -> bool [H, W], true on the person.

    kind: grabcut | portrait | auto (portrait where its file and onnxruntime are).
    Raises MissingWeights or MissingExtra where portrait is asked for and cannot be had.
    """
    if kind not in ("auto", "grabcut", "portrait"):
        raise UserError(f"person segmentation '{kind}' is unknown; choose auto, grabcut or portrait")
    if kind == "grabcut" or (kind == "auto" and importlib.util.find_spec("onnxruntime") is None):
        return grabcut_person
    try:
        return _portrait(find_weights("portrait", weights))
    except MissingWeights:
        if kind == "portrait":
            raise
        return grabcut_person


def _portrait(path: Path) -> Finder:
    runtime = require("onnxruntime", "portrait", "person segmentation by network")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def find(image: np.ndarray, points: np.ndarray) -> np.ndarray:
        scaled = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR).astype(np.float32) / 127.5 - 1
        scores = session.run(None, {name: scaled.transpose(2, 0, 1)[None]})[0][0]
        margin = cv2.resize(scores[1] - scores[0], image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return margin > 0

    return find
