"""One record a job: everything needed to trace a number, validated on the way in and out, written atomically."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from d3talker.errors import UserError
from d3talker.files import read_json, sha256_json, write_json
from eval.metrics.result import MetricResult

SCHEMA = 2
OLDER = (
    "{path} has record schema {schema}, whose intervals, FPS, training time and AV correlation meant something else; this d3talker "
    "reads schema {now}: run the same `d3talker bench` again, trainings are kept"
)


class Job(BaseModel):
    """What is measured.  Two equal jobs have the same key, and a finished job is never repeated.

    method: a name of the registry ("d3talker", "instag", ..., floors such as "mean-frame").  budget: seconds of training video.
    setting: "self" (own sound of the test clip) or "cross" (another sound, named by `audio`).
    ablation: a preset's name ("full" for the whole model).  config: every resolved option that can change a number.
    source_hash: SHA-256 of what comes from outside: the driving sound, or predictions that another code made.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    protocol: str
    method: str
    subject: str
    subject_hash: str
    budget: float
    setting: Literal["self", "cross"] = "self"
    audio: str | None = None
    ablation: str = "full"
    seed: int = 0
    config: dict[str, Any] = {}
    source_hash: str | None = None

    @property
    def trained(self) -> bool:
        """Whether the method was trained here: only then it has options."""
        return bool(self.config)

    @property
    def imported(self) -> bool:
        """Whether its frames come from another code."""
        return self.source_hash is not None and not self.trained

    @property
    def key(self) -> str:
        """Hex SHA-256 of the job's content."""
        return sha256_json(self.model_dump(exclude=set() if self.source_hash else {"source_hash"}))


class Stage(BaseModel):
    """Wall-clock seconds of one stage, and whether nothing else ran meanwhile.

    steps: seconds of a training's steps alone.  wall: False where `seconds` are those, the wall clock being lost.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    seconds: float
    exclusive: bool
    cached: bool = False
    steps: float | None = None
    wall: bool = True


class Environment(BaseModel):
    """Where and with what a job ran."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: str
    commit: str | None
    dirty: bool | None
    python: str
    platform: str
    packages: dict[str, str]
    device: str
    driver: str | None
    threads: int


class Record(BaseModel):
    """The file results/<...>/records/<key>.json.

    stages: pretrain | train | render | evaluate.  training_time_s and fps are in `metrics` ("train_time", "fps").
    notes: footnotes that must stand under any table that shows this record.  artifacts: paths relative to the results folder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    schema_version: int = SCHEMA
    key: str
    job: Job
    status: Literal["ok", "failed", "skipped"]
    reason: str | None = None
    metrics: dict[str, MetricResult] = {}
    stages: dict[str, Stage] = {}
    torso_mode: str | None = None
    lossless: bool | None = None
    synthetic: bool = False
    frames: int | None = None
    size: tuple[int, int] | None = None
    notes: list[str] = []
    artifacts: dict[str, str] = {}
    environment: Environment
    started: str
    ended: str


def write_record(path: Path | str, record: Record) -> None:
    """Write a record atomically."""
    write_json(path, record.model_dump(mode="json"))


def read_record(path: Path | str) -> Record:
    """Read and validate a record.  Raises UserError naming the file and the first fault."""
    value = read_json(path)
    schema = value.get("schema_version") if isinstance(value, dict) else None
    if isinstance(schema, int) and schema != SCHEMA:
        raise UserError(OLDER.format(path=path, schema=schema, now=SCHEMA))
    try:
        record = Record.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "record"
        raise UserError(f"{path} is not a valid record ({where}: {first['msg']}); delete it and run the job again") from None
    if record.key != record.job.key:
        raise UserError(f"{path} was altered: its key does not fit its job; delete it and run the job again")
    return record
