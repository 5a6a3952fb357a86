"""One method, two codes: what was re-implemented here and what the official code made are rows of their own, and say so."""

from __future__ import annotations

from collections.abc import Sequence

from baselines.spec import MethodSpec
from eval.records import Job, Record

HERE, THEIRS = "re-implemented", "official code"


def origin(spec: MethodSpec, job: Job) -> str:
    """Whose code a job's frames are from; "" for a method of which there is one code alone."""
    if not spec.retold:
        return ""
    return HERE if job.trained else THEIRS if job.imported else ""


def titled(spec: MethodSpec, whose: str) -> str:
    """A method's title in a row."""
    return f"{spec.title} ({whose})" if whose else spec.title


def split(spec: MethodSpec, records: Sequence[Record]) -> list[tuple[str, tuple[Record, ...]]]:
    """A method's records by their origin, the official code's first; without any, one empty part."""
    found = {whose: tuple(r for r in records if origin(spec, r.job) == whose) for whose in ("", THEIRS, HERE)}
    return [(whose, own) for whose, own in found.items() if own] or [("", ())]
