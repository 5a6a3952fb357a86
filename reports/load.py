"""Read a results folder: its records, the ones that cannot be read, and the files that records point to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from d3talker.errors import UserError
from d3talker.files import sha256_json
from d3talker.predictions import Predictions, is_predictions
from eval.records import Record, read_record


@dataclass(frozen=True)
class Results:
    """What `bench` left behind.  broken: file name -> why it was passed over."""

    root: Path
    records: tuple[Record, ...]
    broken: dict[str, str]

    @property
    def protocol(self) -> str:
        """The one protocol of all records."""
        return self.records[0].job.protocol

    def artifact(self, record: Record, name: str) -> Path | None:
        """The existing path of a record's artifact; None when absent or when it leads out of the results folder."""
        relative = record.artifacts.get(name)
        if not relative:
            return None
        path = (self.root / relative).resolve()
        return path if path.is_relative_to(self.root.resolve()) and path.exists() else None

    def predictions(self, record: Record, name: str = "predictions") -> Predictions | None:
        """The predictions folder behind a record ("predictions") or its ground truth ("reference"), if it is there."""
        path = self.artifact(record, name)
        return Predictions(path) if path and is_predictions(path) else None


def load_results(root: Path | str, protocol: str | None = None) -> Results:
    """Read every record of a results folder, in a stable order.

    Raises UserError when there is none, or when they hold more than one protocol version or variant and `protocol` does
    not choose one: numbers of different protocols never share a table.
    """
    root = Path(root)
    folder = root / "records"
    if not folder.is_dir():
        raise UserError(f"{root} has no records folder; give the folder that `d3talker bench --out` wrote")
    records: list[Record] = []
    broken: dict[str, str] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            records.append(read_record(path))
        except UserError as error:
            broken[path.name] = str(error)
    if protocol is not None:
        records = [record for record in records if record.job.protocol == protocol]
    if not records:
        chosen = f" of protocol {protocol}" if protocol else ""
        why = f" ({len(broken)} are damaged: {next(iter(broken.values()))})" if broken else ""
        raise UserError(f"{folder} holds no readable record{chosen}{why}; run `d3talker bench` first")
    _refuse_mixtures(root, records)
    return Results(root, tuple(sorted(records, key=_order)), broken)


def _order(record: Record) -> tuple[str, float, str, str, str, str, int, str]:
    job = record.job
    return job.method, job.budget, job.setting, job.audio or "", job.ablation, job.subject, job.seed, record.key


def _refuse_mixtures(root: Path, records: list[Record]) -> None:
    protocols = sorted({record.job.protocol for record in records})
    if len(protocols) > 1:
        raise UserError(
            f"{root} mixes the protocols {', '.join(protocols)}, which no table may; choose one with --protocol"
        )
    seen: dict[str, Record] = {}
    for record in records:
        job = record.job.model_dump()
        config = job.pop("config")
        data = job.pop("subject_hash")
        place = sha256_json(job)
        other = seen.setdefault(place, record)
        if other is record:
            continue
        now, before = flat(config), flat(other.job.config)
        changed = sorted(name for name in {*now, *before} if now.get(name) != before.get(name))
        differ = changed or (["the subject's data"] if data != other.job.subject_hash else [])
        raise UserError(
            f"records {other.key[:12]} and {record.key[:12]} in {root} measure the same thing ({record.job.method}, "
            f"{record.job.subject}, {record.job.budget:g} s, seed {record.job.seed}) but differ in "
            f"{', '.join(differ[:5])}; keep them in separate results folders"
        )


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested options as {"signals.eyes": "loop", ...}."""
    out: dict[str, Any] = {}
    for name, value in config.items():
        out |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return out


def slug(text: str) -> str:
    """A file name for any text: plain letters kept, the rest replaced; a hash makes it unique where some were lost."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.")[:60]
    return plain if plain == text and plain else f"{plain or 'x'}-{sha256_json(text)[:6]}"
