"""What a method's file declares: pure data, importable without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from d3talker.learning.contract import Row

Metric = Literal["psnr", "ssim", "lpips_alex", "lmd", "sync_c", "sync_d", "train_time", "fps"]
Kind = Literal["NeRF", "3DGS", "floor", "reference", "other"]
TorsoMode = Literal["gt", "synthesised", "pasted", "none"]

TABLE_1: tuple[Metric, ...] = ("psnr", "ssim", "lpips_alex", "lmd", "sync_c", "sync_d", "train_time", "fps")
TABLE_2: tuple[Metric, ...] = ("psnr", "ssim", "lpips_alex", "lmd", "sync_c", "sync_d")
TABLE_4: tuple[Metric, ...] = ("psnr", "ssim", "lmd", "sync_c")
BUDGETS = (5.0, 10.0, 15.0, 20.0)
TABLE_4_BUDGET = 20.0  # not stated; its full row is digit for digit the 20 s column of Table 2
MINUTE, HOUR = 60.0, 3600.0


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

    kind: the table's second column; floors and the reference are never ranked.
    torso_mode: what stands below its head at test time (protocol 2.7).  lossless: whether its usual output is.
    outputs: where its native output lies, relative to the folder given to `d3talker import`.
    status: what has been verified under our protocol, in one sentence.
    rows: its settings by name, where it has others than the whole model: an ablation study, extensions.
    """

    name: str
    title: str
    kind: Kind
    paper: str = ""
    year: str = ""
    url: str = ""
    commit: str = ""
    licence: str = ""
    torso_mode: TorsoMode = "gt"
    lossless: bool = True
    outputs: str = ""
    status: str = ""
    published: tuple[Published, ...] = field(default=())
    rows: Mapping[str, Row] = field(default_factory=lambda: {"full": Row("")})

    def row_title(self, name: str) -> str:
        """The title of a row in the ablation study; a name that no row has stands for itself."""
        return self.title if name == "full" else self.rows[name].title if name in self.rows else name

    def shown(self, *places: str) -> tuple[str, ...]:
        """Names of the rows other than "full" that belong to some places of the tables (see Row.shown)."""
        return tuple(name for name, row in self.rows.items() if name != "full" and row.shown in places)

    @property
    def retold(self) -> bool:
        """Whether official code exists, so that what is trained here is a re-implementation and must say so."""
        return bool(self.commit)


def table_1(*values: float | None) -> tuple[Published, ...]:
    """One row of Table 1 in the order of TABLE_1; None where the paper prints "-" or "N/A"."""
    return tuple(Published(1, m, v) for m, v in zip(TABLE_1, values, strict=True) if v is not None)


def table_2(**columns: Sequence[float]) -> tuple[Published, ...]:
    """A method's block of Table 2: for each metric its values at 5, 10, 15 and 20 s."""
    return tuple(
        Published(2, metric, value, budget)
        for metric in TABLE_2 for budget, value in zip(BUDGETS, columns[metric], strict=True)
    )


def table_3(a: tuple[float, float], b: tuple[float, float]) -> tuple[Published, ...]:
    """One row of Table 3: (Sync-C, Sync-D) on audio A, then on audio B."""
    rows: tuple[tuple[Literal["A", "B"], tuple[float, float]], ...] = (("A", a), ("B", b))
    return tuple(
        Published(3, metric, value, setting="cross", audio=audio)
        for audio, (c, d) in rows for metric, value in ((TABLE_2[4], c), (TABLE_2[5], d))
    )


def table_4(**rows: Sequence[float | None]) -> tuple[Published, ...]:
    """Rows of Table 4 in the order of TABLE_4; a row's key is its ablation name with "_" for "-"."""
    return tuple(
        Published(4, metric, value, TABLE_4_BUDGET, ablation=row.replace("_", "-"))
        for row, values in rows.items() for metric, value in zip(TABLE_4, values, strict=True) if value is not None
    )
