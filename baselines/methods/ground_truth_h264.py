"""Ground truth re-encoded by H.264: what the codec alone costs a method whose code writes mp4."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from baselines.adapter import Adapter, Skip
from baselines.spec import MethodSpec

if TYPE_CHECKING:
    from d3talker.people.subject.layout import Frame, Subject

SPEC = MethodSpec(
    name="ground-truth-h264", title="Ground truth through H.264", kind="floor", lossless=False,
    status="computed here; what H.264 and its halved colour resolution cost by themselves",
)


def predict(subject: Subject, train: Sequence[Frame], test: Sequence[Frame], out: Path) -> None:
    """Encode the test frames with the project's H.264 settings, and write what a decoder makes of them."""
    from baselines.floors import write
    from d3talker.people.media.video import CRF, VideoWriter, read_frames

    height, width = subject.size
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "truth.mp4"
        with VideoWriter(path, codec="h264") as video:
            for frame in test:
                video.write(subject.gt(frame.img_id))
        decoded = (frame[:height, :width] for frame in read_frames(path))
        write(SPEC, subject, test, decoded, out, notes=[f"libx264, crf {CRF}, yuv420p"])


ADAPTER = Adapter(locate=Skip("a floor is computed, it has no outputs"), run=predict)
