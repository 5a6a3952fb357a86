"""Expression coefficients from Real3D-Portrait's audio-to-motion model: the 64 of BFM-2009, one row a 25 fps frame.

The model samples: temperature 0.2 by default, seeded by the clock, and paints a blink every 5 s.  Comparable ones are
made with temperature 0 and blink mode none (inference/real3d_infer.py).  A regression on the training frames carries them
over to the expressions of the head that was tracked, so that BFM's files are not needed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from d3talker.errors import UserError
from d3talker.files import read_npy, sha256_file, write_json, write_npy
from d3talker.people.subject.layout import Subject

COEFFICIENTS = 64
PADDING = 8  # frames: the model pads HuBERT's 50 Hz rows to a multiple of 8, and extractors differ by a row or two
FACTS = ".json"


def import_coefficients(path: Path, root: Path) -> tuple[Path, int]:
    """Check a .npy [T, 64] or [1, T, 64] against the subject; write motion/real3d_expression.npy [frames, 64].

    Rows beyond the clip are cut; up to 8 missing at its end repeat the last.  A JSON beside it holds its source.
    Returns the file and its frames.  Raises UserError for another shape, length or NaN.
    """
    subject = Subject(root)
    frames = 1 + max(frame.aud_id for split in ("train", "val") for frame in subject.frames(split))
    values = read_npy(path)
    if values.ndim == 3 and len(values) == 1:
        values = values[0]
    if values.ndim != 2 or values.shape[1] != COEFFICIENTS or values.dtype.kind != "f":
        raise UserError(
            f"{path} holds {values.dtype} {list(values.shape)} where floats [T, {COEFFICIENTS}] are needed; save "
            "Real3D-Portrait's exp"
        )
    if not np.isfinite(values).all():
        raise UserError(f"{path} holds NaN or infinity; make it again")
    if not frames - PADDING <= len(values) <= frames + PADDING:
        raise UserError(
            f"{path} has {len(values)} frames at 25 fps, {subject.root} has {frames}; make it from that folder's "
            "aud.wav"
        )
    rows = np.minimum(np.arange(frames), len(values) - 1)
    target = subject.layout.real3d
    write_npy(target, values[rows].astype(np.float32))
    write_json(target.with_suffix(FACTS), {
        "face_model": "bfm-2009", "fps": 25, "frames": frames, "source_frames": len(values),
        "source_sha256": sha256_file(path),
    })
    return target, frames
