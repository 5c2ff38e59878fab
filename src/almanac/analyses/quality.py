"""Whether the numbers of a metric can be believed.

Ask it before a number is shown around, and let an alert ask it every hour: it says in a sentence each whether the events of a metric still
come, whether they are whole, and whether the values can be.

How it counts:

- The metric is saved (`metric: weekly revenue`), with its checks, or written out. Each check is one row; `ok` is false where it fails.
- `events`: there is any event at all in the range. Of a formula, each part is looked at by itself: one that has died is hard to see in a
  quotient.
- `fresh_within`: the latest event is at most so old, now or when the range ends, whichever is earlier. Events before the range do not
  count, nor do those whose time is yet to come.
- `complete`: of the events, so great a share has the property (of a formula: of each part with a property).
- `least` and `most`: no value is below or above. Of a metric with a property, each event's number; of any other (a count, people, a
  formula), the metric's value in each period of the range that is over.
- `divides`: in no such period the formula divides by zero. (Its value is 0 there, as in a trend.)
- Shares and values need something to look at: without any event, `complete` fails, and `least` and `most` hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from almanac.analyses.examples import examples_of
from almanac.analyses.scope import period_label
from almanac.analyses.trend import Trend, TrendLine
from almanac.analyses.trend_blocks import Blocks
from almanac.analyses.trend_lines import Lines
from almanac.analyses.trend_plan import Plan
from almanac.core import time as times
from almanac.core.analysis import Analysis, Compiled, Question, Row, Scope, Shaped
from almanac.core.filters import Filter, Selector
from almanac.core.metrics import Measured, Metric
from almanac.core.ports import Result
from almanac.core.sql import Sql, all_of, any_of, join, number, sql
from almanac.core.time import Interval, TimeRange

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS: Final = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))


def _by_name(value: Any) -> Any:
    return {"metric": value} if isinstance(value, str) else value


class Quality(Question):
    """The question."""

    kind: Literal["quality"] = "quality"
    metric: Annotated[Metric, BeforeValidator(_by_name)] = Field(
        description="Name of a saved metric, or a metric written out, with its checks.", examples=["weekly revenue"]
    )
    interval: Interval = Field("day", description="Length of the periods whose values `least`, `most` and `divides` look at.")

    @model_validator(mode="after")
    def _can_be_checked(self) -> Quality:
        if self.metric.checks.complete is not None and not any(part.property for _, part in _parts(self.metric)):
            raise ValueError("the check complete is of a property, and the metric has none; leave out one or give the other")
        return self


class QualityRow(Row):
    """What one check found."""

    check: str = Field(description="events, fresh_within, complete, least, most or divides.")
    part: str = Field(description="Which part of a formula; empty: the metric itself.")
    expected: float | None = Field(description="The bound: events, seconds, a share, or a value.")
    found: float | None = Field(description="What there is, in the same unit; empty where there is nothing to look at.")
    ok: bool = Field(description="Whether the check holds.")
    sentence: str = Field(description="The same in words.")


# One row of facts of all parts, beside the metric's values in each period as a trend reads them (whose columns these are).
FACTS: Final = """
    SELECT
        $block AS block,
        0 AS side,
        0 AS period,
        CAST([$facts], 'Array(Nullable(Float64))') AS results
    FROM $events
    WHERE $scope AND ($wanted)
"""
OF_PART: Final = "countIf($on), toUnixTimestamp64Micro(maxIf(time, $on)), countIf($having)"
OF_VALUES: Final = "minIf($value, $on), maxIf($value, $on), countIf($on AND $value < $least), countIf($on AND $value > $most)"
_BLOCK: Final = 255  # no trend has so many blocks


def compile(question: Quality, scope: Scope) -> Compiled:  # noqa: A001 (the promise's word)
    """Facts of the events, and where they are needed the values in each period."""
    metric = question.metric
    conditions = [scope.matches(part) for _, part in _parts(metric)]
    facts = [
        sql(OF_PART, on=on, having=all_of([on, _having(part, scope)])) for (_, part), on in zip(_parts(metric), conditions, strict=True)
    ]
    if metric.property:
        least, most = (scope.bind(bound, "Nullable(Float64)") for bound in (metric.checks.least, metric.checks.most))
        facts.append(sql(OF_VALUES, value=scope.number(metric.property), on=conditions[0], least=least, most=most))
    until = TimeRange(scope.range.start, min(scope.range.end, scope.now), scope.zone)
    statement = sql(
        FACTS,
        block=number(_BLOCK),
        facts=join(", ", facts),
        events=scope.events(),
        scope=scope.where(until),
        wanted=any_of(conditions),
    )
    if _by_period(metric):
        statement = join("    UNION ALL", [Blocks(_plan(question, scope), scope).statement(), statement])
    return Compiled(statement)


def shape(question: Quality, scope: Scope, result: Result) -> Shaped:
    """Part by part, then the metric itself."""
    facts = next(results for block, _, _, results in result.rows if block == _BLOCK)
    found = _Found(question, scope, replace(result, rows=[row for row in result.rows if row[0] != _BLOCK]))
    rows: list[dict[str, Any]] = []
    for place, (name, part) in enumerate(_parts(question.metric)):
        events, latest, having = facts[3 * place : 3 * place + 3]
        rows += found.of_part(name, part, int(events), int(latest), int(having))
    if question.metric.property:
        rows += found.of_events(*facts[-4:])
    elif _by_period(question.metric):
        rows += found.of_periods()
    return Shaped(rows)


class _Found:
    """The rows of one question."""

    def __init__(self, question: Quality, scope: Scope, result: Result) -> None:
        """`result`: the metric's values, as a trend reads them."""
        self._metric, self._checks = question.metric, question.metric.checks
        self._question, self._scope, self._result = question, scope, result

    def of_part(self, name: str, part: Measured, events: int, latest: int, having: int) -> Iterator[dict[str, Any]]:
        """`latest`: microseconds since 1970. `having`: events that have the property."""
        what = repr(part.label) if part.event or part.name else "any name"
        yield _row(
            "events",
            name,
            1,
            events,
            events > 0,
            f"There {_are(events)} of {what} in the range." if events else f"There is no event of {what} in the range.",
        )
        if self._checks.fresh_within is not None:
            most = self._checks.fresh_within.microseconds / 1e6
            known = (min(self._scope.now, self._scope.range.end) - _BEGINNING) // timedelta(microseconds=1)
            age = (known - latest) / 1e6 if events else None
            told = f"The latest event of {what} is {_long(age)} old" if age is not None else f"There is no event of {what} to be fresh"
            yield _row("fresh_within", name, most, age, age is not None and age <= most, f"{told}; at most {_long(most)} is expected.")
        if self._checks.complete is not None and part.property:
            share = having / events if events else None
            told = f"{having} of {events} events of {what} have {part.property!r}"
            yield _row(
                "complete",
                name,
                self._checks.complete,
                share,
                share is not None and share >= self._checks.complete,
                f"{told}; at least {100 * self._checks.complete:.10g} % are expected.",
            )

    def of_events(self, lowest: float | None, highest: float | None, below: float, above: float) -> Iterator[dict[str, Any]]:
        """By the numbers of single events."""
        of = f"of {self._metric.property!r}"
        for check, bound, found, wrong, word, side in (
            ("least", self._checks.least, lowest, below, "lowest", "below"),
            ("most", self._checks.most, highest, above, "highest", "above"),
        ):
            if bound is not None:
                told = f"The {word} value {of} is {found:.10g}" if found is not None else f"There is no value {of}"
                many = f"{int(wrong)} {'is' if wrong == 1 else 'are'} {side} {bound:.10g}" if wrong else f"none is {side} {bound:.10g}"
                yield _row(check, "", bound, found, not wrong, f"{told}; {many}.")

    def of_periods(self) -> Iterator[dict[str, Any]]:
        """By the metric's values in the periods that are over."""
        plan = _plan(self._question, self._scope)
        lines, line = Lines(plan, self._result), plan.lines[0]
        starts = plan.sides[0].starts[-plan.sides[0].shown :]
        known = min(self._scope.now, self._scope.range.end)
        over = [times.shift(start, self._question.interval, 1) <= known for start in starts]
        undefined = lines.undefined(line, (), 0)
        values = [
            (value, period_label(start, self._question.interval, self._scope.zone))
            for value, start, whole in zip(lines.line(line, (), 0)[0], starts, over, strict=True)
            if whole and value is not None
        ]
        unit = self._question.interval
        for check, bound, extreme, word, side in (
            ("least", self._checks.least, min, "lowest", "below"),
            ("most", self._checks.most, max, "highest", "above"),
        ):
            if bound is None:
                continue
            wrong = sum(1 for value, _ in values if (value < bound if check == "least" else value > bound))
            found, when = extreme(values, key=lambda item: item[0]) if values else (None, "")
            told = (
                f"The {word} value of a {unit} is {found:.10g}, on {when}" if found is not None else f"No {unit} that is over has a value"
            )
            yield _row(
                check, "", bound, found, not wrong, f"{told}; {wrong} of {len(values)} {'is' if wrong == 1 else 'are'} {side} {bound:.10g}."
            )
        if self._metric.formula:
            wrong = sum(1 for missing, whole in zip(undefined, over, strict=True) if missing and whole)
            told = f"The formula divides by zero in {wrong} of {sum(over)} {unit}s that are over."
            yield _row("divides", "", 0, wrong, not wrong, told)


def _row(check: str, part: str, expected: float, found: float | None, ok: bool, sentence: str) -> dict[str, Any]:
    return {"check": check, "part": part, "expected": expected, "found": found, "ok": ok, "sentence": sentence}


def _are(count: int) -> str:
    return f"{'is' if count == 1 else 'are'} {count:,} event{'' if count == 1 else 's'}"


def _long(seconds: float) -> str:
    """The greatest unit of which there is at least one."""
    unit, length = next(((unit, length) for unit, length in _UNITS if seconds >= length), _UNITS[-1])
    count = f"{seconds / length:.3g}"
    return f"{count} {unit}{'' if count == '1' else 's'}"


# ----------------------------------------------------------------- the statement


def _parts(metric: Measured, name: str = "") -> list[tuple[str, Measured]]:
    """What is read from events, under the names of a formula: `A`, or `A.B` of a formula within it."""
    if not metric.formula:
        return [(name, metric)]
    return [found for inner, part in metric.of.items() for found in _parts(part, f"{name}.{inner}" if name else inner)]


def _having(part: Measured, scope: Scope) -> Sql:
    if not part.property:
        return Sql("0")
    return scope.matches(Selector(filters=[Filter(property=part.property, op="is_set")]))


def _by_period(metric: Metric) -> bool:
    """Whether the metric's own values are looked at."""
    bounded = metric.checks.least is not None or metric.checks.most is not None
    return bool(metric.formula) or (bounded and not metric.property)


def _plan(question: Quality, scope: Scope) -> Plan:
    """As a trend of the metric alone."""
    line = TrendLine.model_construct(**{name: getattr(question.metric, name) for name in Measured.model_fields})
    return Plan(Trend(series=[line], interval=question.interval), scope)


ANALYSIS: Final = Analysis(question=Quality, row=QualityRow, compile=compile, shape=shape, examples=examples_of("quality"))
