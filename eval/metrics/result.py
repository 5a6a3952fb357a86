"""What a metric answers: a value, or null with the reason."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class MetricResult(BaseModel):
    """One metric of one clip.  `value` is None only together with a `reason`; it is never a guess and never a 0 for missing.

    per_frame: one value a frame, None where it could not be measured.  interval: 95 % bootstrap interval of the value.
    extra: what must stand beside the value (detection rate, offset, number of windows, backbone, ...).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    value: float | None
    reason: str | None = None
    per_frame: list[float | None] | None = None
    interval: tuple[float, float] | None = None
    extra: dict[str, Any] = {}

    @model_validator(mode="after")
    def _missing_has_a_reason(self) -> MetricResult:
        if (self.value is None) != (self.reason is not None):
            raise ValueError("a metric has either a value or a reason why there is none")
        return self

    @classmethod
    def missing(cls, reason: str) -> MetricResult:
        """A metric that could not be measured."""
        return cls(value=None, reason=reason)
