"""Sync-C and Sync-D through the official pipeline (S3FD, tracking, cropping, re-encoding), run by syncnet-python."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from d3talker.errors import require
from d3talker.people.media.video import VideoWriter, write_wav
from d3talker.weights import find_weights
from eval.metrics.batches import Batch
from eval.metrics.family import Context, Family, Unavailable
from eval.metrics.result import MetricResult
from eval.metrics.syncnet import Sync, distances, shuffled, sync

MIN_TRACK = 100  # frames, as in run_pipeline.py; syncnet-python's own default is 50
NO_TRACK = f"the official pipeline found no face track of more than {MIN_TRACK} frames"


class OfficialSync(Family):
    """sync_c_official and sync_d_official.  Frames go to disk without loss; what follows is the package's own."""

    def __init__(self, names: Sequence[str], context: Context) -> None:
        super().__init__(names, context)
        self.package = require("syncnet_python", "sync", "the official SyncNet pipeline")
        if shutil.which("ffmpeg") is None:
            raise Unavailable("the official SyncNet pipeline calls ffmpeg, which is not on the PATH; install it")
        self.weights = {
            f"{name}_weights": str(find_weights(name, context.weights, download=context.download))
            for name in ("s3fd", "syncnet")
        }
        self.folder = tempfile.TemporaryDirectory(prefix="d3talker-sync-")
        self.video = Path(self.folder.name) / "frames.mkv"
        self.writer = VideoWriter(self.video, codec="ffv1").__enter__()

    def update(self, batch: Batch) -> None:
        for frame in batch.predicted:
            self.writer.write(frame)

    def results(self) -> dict[str, MetricResult]:
        self.writer.__exit__(None, None, None)
        assert self.context.audio is not None
        sound = Path(self.folder.name) / "sound.wav"
        write_wav(sound, self.context.audio)
        log = Path(self.folder.name) / "log.txt"
        try:
            pipeline = self.package.SyncNetPipeline(self.weights, device=self.context.device, min_track=MIN_TRACK)
            tracks = _watch(pipeline.syncnet)
            with contextlib.redirect_stdout(io.StringIO()), _hushed(log):  # the package prints per-frame confidences
                offsets, confidences, least, *_ = pipeline.inference(str(self.video), str(sound))
        except Exception as error:  # the package lets through whatever its parts raise
            said = [str(error), log.read_text(errors="replace") if log.exists() else ""]
            lines = [text.strip().splitlines()[-1] for text in said if text.strip()] or [type(error).__name__]
            reason = f"the official SyncNet pipeline failed: {'; its last line: '.join(lines)}"
            return dict.fromkeys(self.names, MetricResult.missing(reason))
        finally:
            self.folder.cleanup()
        if not offsets:
            return dict.fromkeys(self.names, MetricResult.missing(NO_TRACK))
        best = max(range(len(offsets)), key=lambda track: confidences[track])
        extra = {"offset": offsets[best], "windows": tracks[best].windows, "tracks": len(offsets)}
        extra |= {"track_confidences": confidences, "track_distances": least}
        printed = {"sync_c_official": confidences[best], "sync_d_official": least[best]}
        return {
            name: tracks[best].result(name, extra).model_copy(update={"value": printed[name]}) for name in self.names
        }


def _watch(instance: Any) -> list[Sync]:
    """Fills with each track's scores, from the embeddings that the package's network gives: it tells no interval."""
    tracks: list[Sync] = []
    evaluate, seen = instance.evaluate, {"forward_lip": [], "forward_aud": []}  # type: ignore[var-annotated]

    def embed(forward: Callable[[Tensor], Tensor], batches: list[Tensor], windows: Tensor) -> Tensor:
        batches.append(forward(windows).detach().cpu())
        return batches[-1]

    def watched(opt: Any) -> Any:
        for batches in seen.values():
            batches.clear()
        scores = evaluate(opt=opt)
        lips, sound = map(torch.cat, seen.values())
        tracks.append(sync(distances(lips, sound), shuffled(lips, sound)))
        return scores

    for name, batches in seen.items():
        setattr(instance.__S__, name, partial(embed, getattr(instance.__S__, name), batches))
    instance.evaluate = watched
    return tracks


@contextlib.contextmanager
def _hushed(log: Path) -> Iterator[None]:
    """What ffmpeg says on descriptor 2 goes into a file, and it cannot eat what stands on the caller's standard input."""
    kept = {descriptor: os.dup(descriptor) for descriptor in (0, 2)}
    with Path(os.devnull).open("rb") as nothing, log.open("wb") as said:
        os.dup2(nothing.fileno(), 0)
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            for descriptor, copy in kept.items():
                os.dup2(copy, descriptor)
                os.close(copy)
