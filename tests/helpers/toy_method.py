"""A method of a few lines that is trained: it learns the mean picture, step by step, and resumes; `WRONG` breaks one rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from baselines.adapter import Adapter, Skip
from baselines.spec import MethodSpec
from d3talker import checkpoint
from d3talker.errors import UserError
from d3talker.learning.contract import Method, Trained

SPEC = MethodSpec(name="mean-learner", title="Mean learner", kind="other", status="a toy", commit="abc")
WRONG = ""


@dataclass(frozen=True)
class Options:
    """Of the toy."""

    steps: int = 40
    """Steps."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train."""


class MeanLearner(Method):
    presets: Mapping[str, Options] = {"mini": Options(), "paper": Options(400)}
    deviations = ("It learns one picture only.",)

    def tiny(self) -> Options:
        return Options(6, "gpu" if WRONG == "device" else "cpu")  # type: ignore[arg-type]

    def steps(self, options: Options) -> int:
        return options.steps

    def train(
        self, options: Options, subject: Any, frames: Sequence[Any], out: Path, seed: int, general: Path | None = None,
        motion: Path | None = None,
    ) -> tuple[float, bool]:
        path = out / "mean.safetensors"
        state: dict[str, Any] = {"job": seed, "step": 0, "done": False, "mean": torch.zeros(*subject.size, 3)}
        if path.exists():
            state = checkpoint.load(path)
            if state["job"] != seed and WRONG != "seed":
                raise UserError(f"{path} is another training")
            if state["done"]:
                return 1.5, True
        drawn = np.random.default_rng(None if WRONG == "random" else seed).integers(len(frames), size=options.steps)
        for index in drawn:
            state["mean"] += torch.from_numpy(subject.gt(frames[index].img_id)) / 255 / options.steps
        if WRONG == "pickle":
            out.mkdir(parents=True, exist_ok=True)
            torch.save(state["mean"], out / "mean.pt")
        checkpoint.save(path, {**state, "done": True})
        return 1.5, False

    def load(self, run: Path, options: Options | None = None, device: str = "auto") -> Trained:
        return Mean(checkpoint.load(run / "mean.safetensors")["mean"])


class Mean(Trained):
    def __init__(self, mean: torch.Tensor) -> None:
        self.mean, self.device, self.feature_name, self.notes = mean, torch.device("cpu"), "mel", []

    def drive(self, subject: Any, frames: Sequence[Any]) -> list[int]:
        return list(range(len(frames)))

    def drive_by(self, subject: Any, features: np.ndarray, sound: np.ndarray) -> list[int]:
        return list(range(len(features)))

    def stages(self) -> dict[str, Any]:
        scale = 300 if WRONG == "range" else 1
        return {"look up": lambda drive, index, camera, back: self.mean, "scale": lambda picture: picture * scale}


ADAPTER = Adapter(locate=Skip("a toy"), run=Skip("it is trained"), train=MeanLearner())
