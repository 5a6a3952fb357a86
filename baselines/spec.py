"""What a method's file declares: pure data, importable without torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Metric = Literal["psnr", "ssim", "lpips_alex", "lmd", "sync_c", "sync_d", "train_time", "fps"]


@dataclass(frozen=True)
class Published:
    """A published number.  train_time is in seconds; the paper does not say its LPIPS backbone or SSIM window."""

    table: int
    metric: Metric
    value: float
    budget: float = 10.0
    setting: Literal["self", "cross"] = "self"
    audio: Literal["A", "B"] | None = None
    ablation: str = "full"
    source: str = "D³-Talker paper"


@dataclass(frozen=True)
class MethodSpec:
    """One method of the tables.

    kind: "NeRF" | "3DGS" | "floor" | "other".  torso_mode: what stands below its head at test time (protocol 2.7).
    status: what has been verified under our protocol, in one sentence.
    """

    name: str
    title: str
    kind: Literal["NeRF", "3DGS", "floor", "other"]
    paper: str = ""
    year: str = ""
    url: str = ""
    commit: str = ""
    licence: str = ""
    torso_mode: Literal["gt", "synthesised", "pasted", "none"] = "gt"
    lossless: bool = True
    outputs: str = ""
    status: str = ""
    published: tuple[Published, ...] = field(default=())
