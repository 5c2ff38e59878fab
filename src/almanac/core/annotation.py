"""A flag on charts: a release, an outage, a campaign. It is saved under a name like other definitions."""

from __future__ import annotations

import re
from typing import Final

from pydantic import Field, field_validator

from almanac.core import time as times
from almanac.core.filters import Model

_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII)


class Annotation(Model):
    """What happened, and when."""

    at: str = Field(
        max_length=50,
        description="A date, or an instant: in the project's zone unless it carries an offset.",
        examples=["2026-01-31", "2026-01-31T12:00:00"],
    )
    text: str = Field("", max_length=200, description="What stands on the charts; its name when left out.")
    board: str = Field("", max_length=200, description="The board on whose charts alone it stands; left out: on all of the project.")

    @field_validator("at")
    @classmethod
    def _is_a_moment(cls, value: str) -> str:
        if not _MOMENT.fullmatch(value):
            raise ValueError(f"{value[:40]!r} is not a moment; write 2026-01-31 or 2026-01-31T12:00:00")
        times.moment(value, "UTC")
        return value
