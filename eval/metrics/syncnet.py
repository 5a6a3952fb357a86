"""SyncNet v2 (Chung and Zisserman 2016): the network, its embeddings of lips and sound, and Sync-C, Sync-D, offset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from d3talker.errors import UserError
from d3talker.people.audio.mfcc import mfcc
from d3talker.people.media.video import to_int16
from d3talker.weights import find_weights, load_state
from eval.intervals import of_frames
from eval.metrics.chance import above_chance, chance_facts, offsets
from eval.metrics.family import per_frame_result
from eval.metrics.result import MetricResult

WINDOW = 5  # frames
ROWS = 4  # MFCC rows a frame
SHIFTS = 15  # frames either way
SIDE = 224  # pixels of a face crop
BATCH = 20  # windows
Triple = tuple[int, int, int]
Layers = list[nn.Module]
ONE, ZERO = (1, 1, 1), (0, 0, 0)


def _lip_layers() -> nn.Sequential:
    def block(inputs: int, outputs: int, kernel: Triple, stride: Triple = ONE, padding: Triple = ZERO) -> Layers:
        return [nn.Conv3d(inputs, outputs, kernel, stride, padding), nn.BatchNorm3d(outputs), nn.ReLU()]

    return nn.Sequential(
        *block(3, 96, (5, 7, 7), (1, 2, 2)), nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
        *block(96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1)), nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        *block(256, 256, (1, 3, 3), ONE, (0, 1, 1)), *block(256, 256, (1, 3, 3), ONE, (0, 1, 1)),
        *block(256, 256, (1, 3, 3), ONE, (0, 1, 1)), nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
        *block(256, 512, (1, 6, 6)),
    )  # fmt: skip


def _sound_layers() -> nn.Sequential:
    def block(inputs: int, outputs: int, kernel: int | tuple[int, int], padding: int = 1) -> Layers:
        return [nn.Conv2d(inputs, outputs, kernel, 1, padding), nn.BatchNorm2d(outputs), nn.ReLU()]

    return nn.Sequential(
        *block(1, 64, 3), nn.MaxPool2d(1, 1), *block(64, 192, 3), nn.MaxPool2d(3, (1, 2)), *block(192, 384, 3),
        *block(384, 256, 3), *block(256, 256, 3), nn.MaxPool2d(3, 2), *block(256, 512, (5, 4), 0),
    )  # fmt: skip


def _head() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024))


class SyncNet(nn.Module):
    """Two towers into one space of 1024 numbers, not normalised; parameter names are those of syncnet_v2.model."""

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud, self.netfcaud = _sound_layers(), _head()
        self.netcnnlip, self.netfclip = _lip_layers(), _head()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def lips(self, windows: Tensor) -> Tensor:
        """BGR face crops [N, 3, 5, 224, 224] in 0 ... 255 -> [N, 1024]."""
        return self.netfclip(self.netcnnlip(windows).flatten(1))

    def sound(self, windows: Tensor) -> Tensor:
        """MFCC [N, 1, 13, 20] -> [N, 1024]."""
        return self.netfcaud(self.netcnnaud(windows).flatten(1))


def load_syncnet(weights: Path | None = None, *, device: str = "cpu", download: bool = False) -> SyncNet:
    """SyncNet v2 with the published weights (sha256 checked); raises MissingWeights where they are not there."""
    path = find_weights("syncnet", weights, download=download)
    network = SyncNet()
    try:
        network.load_state_dict(load_state(path))
    except RuntimeError as error:
        fault = str(error).splitlines()[0]
        raise UserError(f"{path} does not hold SyncNet v2's weights ({fault}); get it again") from None
    return network.eval().to(device)


class LipStream:
    """Embeds windows of five consecutive crops as they come; only a batch of crops is held."""

    def __init__(self, network: SyncNet) -> None:
        self.network = network
        self.crops: list[np.ndarray] = []
        self.embeddings: list[Tensor] = []

    def push(self, crop: np.ndarray) -> None:
        """Take in the next face crop, uint8 BGR [224, 224, 3]."""
        if crop.dtype != np.uint8 or crop.shape != (SIDE, SIDE, 3):
            raise UserError(f"SyncNet reads uint8 crops of {SIDE}x{SIDE} px, not {crop.dtype} {list(crop.shape)}")
        self.crops.append(crop)
        if len(self.crops) == BATCH + WINDOW - 1:
            self._embed()

    def finish(self) -> Tensor:
        """Embeddings [T - 4, 1024], one for each window of five crops."""
        if len(self.crops) >= WINDOW:
            self._embed()
        return torch.cat(self.embeddings) if self.embeddings else torch.empty(0, 1024)

    def _embed(self) -> None:
        clip = torch.from_numpy(np.stack(self.crops)).to(self.network.device).permute(3, 0, 1, 2).float()
        windows = clip.unfold(1, WINDOW, 1).permute(1, 0, 4, 2, 3)
        with torch.inference_mode():
            self.embeddings.append(self.network.lips(windows).cpu())
        self.crops = self.crops[1 - WINDOW :]


def sound_embeddings(network: SyncNet, audio: np.ndarray) -> Tensor:
    """Sound float32 [S] at 16 kHz -> [N, 1024], one for each frame's window of 20 MFCC rows (0.2 s)."""
    features = mfcc(to_int16(audio), 13)
    count = (len(features) - ROWS * WINDOW) // ROWS + 1
    starts = iter(range(0, ROWS * max(count, 0), ROWS))
    outputs = []
    with torch.inference_mode():
        for chunk in _chunks(starts, BATCH):
            windows = np.stack([features[start : start + ROWS * WINDOW].T for start in chunk])[:, None]
            outputs.append(network.sound(torch.from_numpy(windows).float().to(network.device)).cpu())
    return torch.cat(outputs) if outputs else torch.empty(0, 1024)


@dataclass(frozen=True)
class Sync:
    """Sync-C and Sync-D with what must stand beside them.

    offset: frames by which the sound leads the picture, as SyncNet prints it.  confidences, distances: for each window its part of
    the score, [N], whose mean is the score.  facts: the distances of lips and sound, the score of shuffled sound.
    """

    confidence: float
    distance: float
    offset: int
    windows: int
    confidences: np.ndarray
    distances: np.ndarray
    facts: dict[str, Any]

    def result(self, name: str, extra: dict[str, Any]) -> MetricResult:
        """As the metric `name`, a kind of sync_c or sync_d."""
        if name.startswith("sync_c"):
            return per_frame_result(self.confidences, "", {**extra, **self.facts})
        return per_frame_result(self.distances, "", extra)


def count_windows(frames: int, samples: int) -> int:
    """How many windows the official code uses: one fewer than there are (SyncNetInstance.py:97-118)."""
    return max(0, min(frames, samples // 640) - WINDOW)


def distances(lips: Tensor, sound: Tensor) -> np.ndarray:
    """Distances [N, 31] of lip and sound embeddings, both [N, 1024], at shifts -15 ... 15; zeros beyond the clip."""
    padded = nn.functional.pad(sound, (0, 0, SHIFTS, SHIFTS))
    near = padded.unfold(0, 2 * SHIFTS + 1, 1).transpose(1, 2)  # [N, 31, 1024]
    return torch.stack([nn.functional.pairwise_distance(a[None], b) for a, b in zip(lips, near)]).double().numpy()


def shuffled(lips: Tensor, sound: Tensor) -> list[np.ndarray]:
    """Distances [N, 31] of the same lips to the clip's own sound moved round: what SyncNet says of another sound."""
    return [distances(lips, sound.roll(offset, 0)) for offset in offsets(min(len(lips), len(sound)))]


def sync(distance: np.ndarray, others: Sequence[np.ndarray] = ()) -> Sync:
    """The scores of distances [N, 31]: D = least of the column means, C = their median minus it (protocol 3.3).

    others: the same for shuffled sounds.  Without a dip C does not come out as 0, since the least of 31 means lies below their
    median by chance: facts then say how far C lies above its mean over shuffled sounds.
    """
    if len(distance) == 0:
        raise UserError("SyncNet needs at least six frames of picture and sound")
    means = distance.mean(0)
    least, middle = int(means.argmin()), int(means.argsort()[len(means) // 2])
    confidences = distance[:, middle] - distance[:, least]
    facts: dict[str, Any] = {"distances": np.round(distance, 4).tolist()}
    error = of_frames(confidences)
    if others and error:
        null = [float(np.median(other.mean(0)) - other.mean(0).min()) for other in others]
        facts |= chance_facts(above_chance(float(confidences.mean()), error.error, null), null)
    return Sync(
        float(confidences.mean()), float(means.min()), SHIFTS - least, len(distance), confidences, distance[:, least],
        facts,
    )


def _chunks(items: Iterator[int], size: int) -> Iterable[list[int]]:
    while chunk := list(islice(items, size)):
        yield chunk
