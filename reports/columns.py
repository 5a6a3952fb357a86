"""The tables' columns: titles and directions come from the metric registry, headings and digits from here."""

from __future__ import annotations

from typing import Literal

from eval.metrics.registry import METRICS
from reports.grid import Column

VISUAL, LIPS, COST, BEYOND = "Visual quality", "Lip synchronisation", "Efficiency", "Beyond the paper"


def _column(metric: str, group: str, printed: str = "") -> Column:
    entry = METRICS[metric]
    directions: dict[bool | None, Literal["up", "down", ""]] = {True: "up", False: "down", None: ""}
    better = directions[entry.higher_is_better]
    return Column(metric, metric, entry.title, group, better, printed=printed, definition=entry.definition)


PSNR = _column("psnr", VISUAL)
SSIM = _column("ssim", VISUAL)
LPIPS = _column("lpips_alex", VISUAL)
LMD = _column("lmd_dlib", LIPS, printed="lmd")
LMD_FAN = _column("lmd_fan", LIPS, printed="lmd")
SYNC_C = _column("sync_c", LIPS)
SYNC_D = _column("sync_d", LIPS)
AVC = _column("avc_r", BEYOND)
APERTURE = _column("aperture_r", BEYOND)
AMPLITUDE = _column("aperture_ratio", BEYOND)
CLOSURE = _column("closure_recall", BEYOND)
TIME = Column(
    "train_time", "train_time", "Training time", COST, "down", 0, "s",
    definition="Wall clock of the adaptation to a subject, loading and saving included, while nothing else ran; its steps alone "
    "stand in the record.",
)
FPS = Column(
    "fps", "fps", "FPS", COST, "up", 1,
    definition="Frames over the seconds they took, batch 1, synchronised, after warm-up; harmonic mean over people.",
)

QUALITY = (PSNR, SSIM, LPIPS, LMD, SYNC_C, SYNC_D)
OPTIONAL = (AVC, APERTURE, AMPLITUDE, CLOSURE)
EFFICIENCY = (TIME, FPS)
COSTS = {column.metric for column in EFFICIENCY}
