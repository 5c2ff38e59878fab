"""What a kind of question is, and the registry that every face walks.

A question lives in one file of `almanac.analyses`: its docstring (the docs page), the question model, the row model, the SQL,
`compile`, `shape` and worked examples, gathered in a module-level `ANALYSIS`. Adding one touches no other source file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from types import ModuleType
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import Field, model_validator

from almanac.core import time as times
from almanac.core.errors import not_found
from almanac.core.filters import Breakdown, Condition, Model, Segment, Selector
from almanac.core.ports import Limits, Result
from almanac.core.sql import Sql
from almanac.core.time import TimeRange, WeekStart


class Question(Model):
    """What every question has. Subclasses set `kind` and add their own fields, each with a description."""

    kind: str

    date_from: str | None = Field(
        None, description="Start of the range: a date, an instant, a step back such as -30d, or today.", examples=["-30d"]
    )
    date_to: str | None = Field(None, description="End of the range; a date counts as a whole day. Left out: now.")
    last: str | None = Field(None, description="Instead of date_from and date_to: the last so many, e.g. '30 days'.")
    timezone: str | None = Field(None, description="IANA zone in which days begin; the project's zone by default.")
    week_start: WeekStart | None = Field(None, description="First day of the week; the project's by default.")
    filters: list[Condition] = Field(default=[], description="Conditions that every event has to meet.")
    as_of: str | None = Field(None, description="Read who is who as it was known at this instant; now by default.")

    DEFAULT_RANGE: ClassVar[str] = "-30d"

    @model_validator(mode="after")
    def _one_range(self) -> Question:
        if self.last and (self.date_from or self.date_to):
            raise ValueError("give either last, or date_from and date_to")
        if self.last:
            times.last(self.last)
        return self


class Scope(Protocol):
    """What the engine hands to `compile`: the only way to a project's events."""

    @property
    def now(self) -> datetime:
        """The moment of asking, aware."""
        ...

    @property
    def range(self) -> TimeRange:
        """The question's range, resolved."""
        ...

    @property
    def week_start(self) -> WeekStart:
        """First day of the week."""
        ...

    @property
    def project(self) -> str:
        """The tenant's id."""
        ...

    @property
    def zone(self) -> str:
        """IANA name of the zone in which days begin."""
        ...

    def events(self) -> Sql:
        """`$events`: the table expression to read from; one row an event. Columns: those of the table, and `person` (UInt64), who did
        it, read through the identity graph (0 for events about groups only: not a person)."""
        ...

    def hours(self, selectors: Sequence[Selector], span: TimeRange) -> Sql | None:
        """Instead of `$events`, for counts of plain events alone: their numbers by hour. Columns: project, event, day, time (the hour's
        start) and events (how many). None where that cannot be: with filters, consent rules, or a span that is not of whole hours. The
        caller sees to it that his periods begin with hours of UTC."""
        ...

    def where(self, span: TimeRange | None = None, *, filtered: bool = True) -> Sql:
        """`$scope`: the condition that keeps to the project, the range (the question's unless `span` is given), its filters and consent.
        `filtered`: False leaves the filters to the question, whose sense it is to look beyond them as well."""
        ...

    def matches(self, selector: Selector) -> Sql:
        """A condition: this event is one of the selector's."""
        ...

    def text(self, breakdown: Breakdown) -> Sql:
        """An expression: the property as text, '' where it is missing."""
        ...

    def number(self, property_: str) -> Sql:
        """An expression: an event's property as Nullable(Float64), NULL where it is missing or not a number."""
        ...

    def period(self, interval: str, moment: Sql | None = None) -> Sql:
        """An expression: start of the interval that holds `time` (or `moment`): a DateTime of the question's zone."""
        ...

    def people(self, segment: Segment, moment: datetime) -> Sql:
        """A statement with one column, `person`: who is in the segment at that moment, each once."""
        ...

    def steps(self, segment: Segment, moments: Sequence[datetime]) -> Sql | None:
        """The same for many moments, in order, in one reading: a statement with the columns `place`, of a moment, and `people`, by how many
        the segment differs from the moment before. None where the segment is not of counts of events alone."""
        ...

    def bind(self, value: Any, type_: str) -> Sql:
        """A bound value under a fresh name."""
        ...


class Row(Model):
    """Base of the rows of answers; each field has a description."""


@dataclass(frozen=True)
class Compiled:
    """A statement and what is left to do with its rows."""

    statement: Sql
    approximate: str = ""  # "" for exact; else what is approximate and by how much
    limits: Limits | None = None  # tighter limits than the engine's own
    walled: bool = False  # the statement is a user's: the store's tenant wall is needed


@dataclass(frozen=True)
class Shaped:
    """Rows as the answer shows them; `columns` only where they are not known from the row model (a question in SQL)."""

    rows: list[dict[str, Any]]
    columns: list[dict[str, str]] | None = None
    notes: Sequence[str] = ()  # what a reader should know, e.g. that the last period is not complete


@dataclass(frozen=True)
class Example:
    """Events in, question, whole answer, worked by hand. Docs, golden test, API sample and the UI's "try it" in one.

    `events`: dicts with `person`, `event`, `time`, and optionally `properties`, `person_properties` and built-in columns (`url` …).
    """

    title: str
    events: Sequence[Mapping[str, Any]]
    question: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    why: str = ""  # the reckoning by hand
    now: str = "2026-02-01T00:00:00+00:00"


Q = TypeVar("Q", bound=Question)


@dataclass(frozen=True)
class Analysis(Generic[Q]):
    """A kind of question."""

    question: type[Q]
    row: type[Row]
    compile: Callable[[Q, Scope], Compiled]
    shape: Callable[[Q, Scope, Result], Shaped]
    # The people behind one row of the answer (given by its columns): a statement with one column `person`, each person once.
    members: Callable[[Q, Scope, Mapping[str, Any]], Compiled] | None = None
    examples: Sequence[Example] = field(default=())
    doc: str = ""
    kind: str = ""
    title: str = ""
    filtered: bool = True  # its filters hold for all that it reads


@cache
def registry() -> dict[str, Analysis[Any]]:
    """All kinds of question, by their name, found by walking `almanac.analyses`."""
    package = importlib.import_module("almanac.analyses")
    found: dict[str, Analysis[Any]] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda module: module.name):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        analysis = getattr(module, "ANALYSIS", None)
        if analysis is not None:
            found[info.name] = _named(analysis, info.name, module)
    return found


def analysis_of(kind: str) -> Analysis[Any]:
    """The kind of that name. Raises `not_found` that lists what there is."""
    kinds = registry()
    if kind not in kinds:
        raise not_found(f"There is no question of kind {kind!r}.", place="kind", way_out=f"There are: {', '.join(kinds)}.")
    return kinds[kind]


def _named(analysis: Analysis[Any], name: str, module: ModuleType) -> Analysis[Any]:
    kind = analysis.question.model_fields["kind"].default
    if kind != name:
        raise TypeError(f"analyses/{name}.py holds a question of kind {kind!r}")
    doc = (module.__doc__ or "").strip()
    title, _, _ = doc.partition("\n")
    return Analysis(
        question=analysis.question,
        row=analysis.row,
        compile=analysis.compile,
        shape=analysis.shape,
        members=analysis.members,
        filtered=analysis.filtered,
        examples=analysis.examples,
        doc=doc,
        kind=name,
        title=title.rstrip("."),
    )
