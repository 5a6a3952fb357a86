"""`d3talker demo`: people out of thin air, all four tables of the paper in small on them, and the report, in one command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from baselines.choosing import preset_options
from baselines.registry import DEFAULT
from d3talker.errors import UserError
from d3talker.people.synthetic.subjects import SynthConfig
from d3talker.progress import say
from eval.bench import DEFAULT_METRICS, BenchConfig
from eval.offer import provide
from reports.report import ReportConfig

PRESET = "demo"
SECONDS = 33.0  # a 20 s budget, the 12 s test and a little between
SOUND_SECONDS = 6.0
ABLATIONS = ("full", "without-facial-motion", "without-sc-loss", "without-c2f")  # the paper's three contributions
O = TypeVar("O")  # noqa: E741  the options of the method


@dataclass(frozen=True)
class DemoConfig(Generic[O]):
    """Make people, train on them, fill small versions of Tables 1-4, and write the report; run again to go on."""

    out: Path = Path("demo")
    """Folder for people, results and report."""
    people: int = 4
    """Synthetic people to pre-train on, beside the one who is tested (the last); at least 2."""
    size: Literal[64, 128, 256, 512] = 128
    """Side of the square pictures in pixels."""
    weights: Path | None = None
    """Folder with metric weights (LPIPS, SyncNet), if you have them; without, their columns are "-"."""
    download: bool = False
    """Fetch weights that metrics lack before any work, with a checksum; without it you are asked at a terminal."""
    model: O = None  # type: ignore[assignment]
    """Every option of the model, over those of the demonstration."""

    @classmethod
    def defaults(cls, args: Sequence[str]) -> DemoConfig[Any]:
        """With the options of the demonstration."""
        return cls(model=preset_options(DEFAULT, PRESET))


def run(config: DemoConfig) -> int:
    """Make what is missing of everything; returns 0, or 1 when a job failed.  Raises UserError for senseless arguments."""
    from d3talker.people.synthetic import subjects as synthetic
    from eval import bench
    from reports import report

    if config.people < 2:
        raise UserError(f"--people is {config.people}; pre-training tells people apart, so give at least 2")
    metrics = (*DEFAULT_METRICS, "aperture_r")
    provide(metrics, config.weights, config.download)
    people, results, page = config.out / "people", config.out / "results", config.out / "report"
    say("1 of 3: people")
    synthetic.run(SynthConfig(people, config.people + 1, SECONDS, config.size))
    *others, tested = (people / f"synth{index:02d}" for index in range(config.people + 1))
    say("2 of 3: training, rendering and scoring")
    failed = bench.run(BenchConfig(
        (tested,), results, "mini", "all", ablations=ABLATIONS, audio=sounds(others[:2], config.out), pretrain=tuple(others),
        metrics=metrics, weights=config.weights, download=config.download, model=config.model or preset_options(DEFAULT, PRESET),
    ))
    say("3 of 3: report")
    report.run(ReportConfig(results, page))
    say(f"open {page / 'index.html'}: small numbers on synthetic people, to see how everything works; no result of the paper")
    return failed


def sounds(speakers: list[Path], out: Path) -> tuple[str, ...]:
    """NAME=FILE: a few seconds of what others say, for the cross-driven Table 3."""
    from d3talker.people.media.video import SAMPLE_RATE, read_audio, write_wav
    from d3talker.people.subject.layout import Layout

    found = []
    for root in speakers:
        path = out / f"{root.name}.wav"
        write_wav(path, read_audio(Layout(root).audio)[:round(SOUND_SECONDS * SAMPLE_RATE)])
        found.append(f"{root.name}={path}")
    return tuple(found)
