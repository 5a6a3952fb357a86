"""Sync-C and Sync-D through the official pipeline (S3FD, tracking, cropping, re-encoding), run by syncnet-python."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from d3talker.errors import require
from d3talker.video import VideoWriter, write_wav
from d3talker.weights import find_weights
from eval.metrics.batches import Batch
from eval.metrics.family import Context, Family, Unavailable
from eval.metrics.result import MetricResult

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
        pipeline = self.package.SyncNetPipeline(self.weights, device=self.context.device, min_track=MIN_TRACK)
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # the package prints per-frame confidences
                offsets, confidences, distances, *_ = pipeline.inference(str(self.video), str(sound))
        except (RuntimeError, OSError) as error:  # ffmpeg's own failures among them
            return dict.fromkeys(self.names, MetricResult.missing(f"the official SyncNet pipeline failed: {error}"))
        finally:
            self.folder.cleanup()
        if not offsets:
            return dict.fromkeys(self.names, MetricResult.missing(NO_TRACK))
        best = max(range(len(offsets)), key=lambda track: confidences[track])
        extra = {"offset": offsets[best], "tracks": len(offsets), "confidences": confidences, "distances": distances}
        values = {"sync_c_official": confidences[best], "sync_d_official": distances[best]}
        return {name: MetricResult(value=values[name], extra=extra) for name in self.names}
