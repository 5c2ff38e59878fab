"""A board: tiles on a grid, each with a question, a text, an image, a filter or the latest events; with one range and filters for all.

It is saved under a name like other definitions. What its range and filters do to a tile's question is in `almanac.boards`.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from almanac.core import time as times
from almanac.core.filters import Condition, Model

MOST_TILES: Final = 100
IMAGE_LIMIT: Final = 200 << 10  # letters of a data address
_CHART_LIMIT: Final = 20_000  # letters of its JSON
_IMAGE: Final = re.compile(r"data:image/(?:png|jpeg|gif|webp|svg\+xml)(?:;[a-z0-9=-]+)*,\S+|/(?!/)\S*", re.IGNORECASE)
_SOME_DAY: Final = datetime(2026, 1, 1, tzinfo=UTC)

TileType = Literal["question", "number", "text", "image", "filter", "feed"]

# What a tile of this type is nothing without, and the fields that only some types have.
_NEEDED: Final[dict[str, str]] = {"question": "question", "number": "question", "image": "image", "filter": "property"}
_OWN: Final[dict[str, tuple[str, ...]]] = {
    "question": ("question", "number"),
    "text": ("text",),
    "image": ("image",),
    "property": ("filter",),
    "event": ("feed",),
}


class Span(Model):
    """A range of time, as questions have it."""

    last: str | None = Field(None, max_length=50, description="The last so many, e.g. '30 days'.")
    date_from: str | None = Field(None, max_length=50, description="Or its start: a date, an instant, a step back such as -30d, or today.")
    date_to: str | None = Field(None, max_length=50, description="And its end; a date counts as a whole day. Left out: now.")

    @model_validator(mode="after")
    def _one_range(self) -> Span:
        if bool(self.last) == bool(self.date_from or self.date_to):
            raise ValueError("give either last, or date_from and date_to")
        start = times.last(self.last) if self.last else self.date_from or "1970-01-01"
        for text, place in ((start, "date_from"), (self.date_to or "now", "date_to")):
            times.check(text, now=_SOME_DAY, place=place)
        return self


class Tile(Model):
    """One field of the grid."""

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Its own within the board: letters, digits, _ and -.")
    x: int = Field(ge=0, le=23, description="Its left column, from 0.")
    y: int = Field(ge=0, le=10_000, description="Its top row, from 0.")
    w: int = Field(ge=1, le=24, description="Columns that it takes.")
    h: int = Field(ge=1, le=200, description="Rows that it takes.")
    type: TileType = Field(description="What it shows.")
    title: str = Field("", max_length=200, description="What stands above it.")
    question: dict[str, Any] | None = Field(
        None,
        description='For question and number: the question, as it is asked; {"saved": NAME, …} for a saved one.',
        examples=[{"saved": "weekly revenue"}],
    )
    chart: dict[str, Any] = Field(default={}, description="How a page draws it; Almanac keeps it as it is.")
    text: str = Field("", max_length=20_000, description="For text: Markdown.")
    image: str = Field("", max_length=IMAGE_LIMIT, description="For image: a data: address of up to 200 KiB, or a path of this server.")
    property: str = Field("", max_length=500, description="For filter: the property that is chosen by, or a built-in column as @name.")
    of: Literal["event", "person", "group"] = Field("event", description="For filter: whose property it is.")
    group_type: str = Field("", max_length=500, description="For filter of a group: the group's type.")
    event: str = Field("", max_length=1000, description="For feed: only events of this name.")

    @field_validator("chart")
    @classmethod
    def _is_small(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            size = len(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError, RecursionError):
            raise ValueError("this is nothing that JSON can hold") from None
        if size > _CHART_LIMIT:
            raise ValueError(f"this is longer than {_CHART_LIMIT:,} letters of JSON")
        return value

    @field_validator("image")
    @classmethod
    def _is_an_image(cls, value: str) -> str:
        if value and not _IMAGE.fullmatch(value):
            raise ValueError("an image is a data:image/… address, or a path of this server that begins with /")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Tile:
        needed = _NEEDED.get(self.type)
        if needed and not getattr(self, needed):
            raise ValueError(f"a tile of type {self.type} needs {needed}")
        for name, types in _OWN.items():
            if getattr(self, name) and self.type not in types:
                raise ValueError(f"{name} goes with type {' or '.join(types)}, not with {self.type}")
        if self.of == "group" and not self.group_type:
            raise ValueError("a group's property needs group_type")
        return self


class Board(Model):
    """Tiles on a grid."""

    title: str = Field("", max_length=200, description="What people call it; its name when left out.")
    description: str = Field("", max_length=2000, description="What it shows, in words.")
    columns: int = Field(12, ge=1, le=24, description="Columns of its grid.")
    range: Span | None = Field(None, description="Takes the place of the range of each question; left out: each has its own.")
    filters: list[Condition] = Field(default=[], max_length=50, description="Come to the filters of each question.")
    compare: bool | None = Field(
        None, description="true: questions that can be put beside the range before are; false: none is; left out: as each says itself."
    )
    refresh: int = Field(0, ge=0, le=86_400, description="Seconds after which it is asked again; 0: as soon as new events are stored.")
    tiles: list[Tile] = Field(default=[], max_length=MOST_TILES, description="What is on it.")

    @model_validator(mode="after")
    def _fits(self) -> Board:
        ids = [tile.id for tile in self.tiles]
        if twice := [id_ for place, id_ in enumerate(ids) if id_ in ids[:place]]:
            raise ValueError(f"two tiles have the id {twice[0]!r}")
        for tile in self.tiles:
            if tile.x + tile.w > self.columns:
                raise ValueError(f"the tile {tile.id!r} ends in column {tile.x + tile.w}; the board has {self.columns}")
        return self
