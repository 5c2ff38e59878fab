"""How many people take these steps, and where do they stop.

Ask it for the way to a goal: from the first visit to the order, from the invitation to the first message. It shows how many people reach
each step, how long they take, by a property who gets further, how that changes over time, and what goes with getting there.

How it counts:

- A run starts at any occurrence of step 1. Each next step is the first matching event after the one before; events in between do not
  matter, and an event is used for one step only: the same event as two steps has to happen twice.
- The window is elapsed time from step 1 to the last step, its limit included. A month is 30 days. Only events within the range count.
  `within` of a step limits the time since the step before as well; that step's event may come again to be in time, and its time is still
  that of the first one. `within: session` keeps each run inside one session: what the sender's session id says, and without one what no
  pause longer than `session_timeout` cuts; mere statements about people (identify, alias, group, profile) are in no session.
- A person counts once, by the run that gets furthest; of several such, the one that gets there first; of several that get there by the
  same event, the one that started last. Times are those of that run; the median of an even number is halfway between the two in the
  middle. `count: sessions` counts sessions in the same way, each by its best run.
- `count: runs` counts each run: every step 1 is an entry. Of the runs that got to a step, only the one that started last goes on from it:
  one event leads one run only to a step, and a run that a later one overtook stays where it is. (Visit, visit, order: two runs, one of
  them through.)
- `reentry: after` takes a step 1 within an open run for no new start: a run is open until its last step or, without one, until its window
  has passed. With `never` only the first step 1 starts (of a person, or of what a run has to stay within).
- `hold`: properties that have the same values at all steps of a run, such as the product that is seen, put in the cart and bought. An event
  that lacks one of them is neither step nor exclusion. A person counts once, by the best run over all values.
- Simultaneous events (to the microsecond) are taken in the order of the steps that they match, then excluded ones, then all others:
  senders' batches do not tell their order, so it is read in favour of the person. Starts at one instant are one run.
- Order `strict`: the steps are neighbours in the person's stream of all events that pass the question's filters (and, with `hold`, have the
  same values). Each step 1 starts again. (ClickHouse's strict order lets repeats of a step and events outside the funnel pass.)
- Order `any`: at level k are people who did k different steps within one window, whichever came first. An event that fits several steps
  stands for one of them: an open one (the lowest), or the one whose event lies furthest from the run's start.
- Exclusions: an excluded event after `from_step` and before `to_step` is reached spoils the run, if it is still within the window. An
  event that is excluded and a step is taken as excluded first. In order, a person with any spoilt run leaves the funnel, step 1 included;
  with runs inside of sessions or held values, only that session or value does; where runs are counted, the run alone. (Where steps have
  limits of their own, what is excluded hits the latest run that reached `from_step`.)
  In any order an exclusion lies over all steps (a part of them has no meaning there) and a run that it spoils counts as its first step
  alone, since every step is the start of a run; other runs of the person count in full, and what comes after completion does no harm.
- Breakdown by an event's property: first touch takes the first value that is not empty over the person's step events in the range, last
  touch the last (over the session's where sessions are counted); `all_steps` needs the same value at every step; `step` needs the value at
  that step, and takes each value that the person's events of that step have. The last two may show a person under several values. A limit
  keeps the values with most people; in Other, too, a person counts once.
- View `trend`: by the period of step 1; in each period only the runs that start in it count, a person once, and its exclusions only reach
  those. View `time_to_convert`: a histogram with bins of whole seconds; its last bin begins at or after the longest time.
- View `correlation`: what people who got from `from_step` to `to_step` did, or were, oftener than those who did not: events, values of
  events' properties or of their own. What counts lies from `from_step` on and before `to_step`, for those who never reached it until the
  window of their run ended; events that are steps themselves are left out. The odds ratio has one added to each cell: (s + 1) / (f + 1) x
  (F + 1 - f) / (S + 1 - s), s and f of the S and F people who did and did not get there; above 1 goes with getting there. It is shown
  for the values with the greatest chi-square. `p_value` is Fisher's exact test, two-sided; `significant` holds at a false discovery rate
  of 5 % over all values (Benjamini and Hochberg 1995). What goes together need not be the cause.
- The people behind a row are those who reached the step, entered in the period, are in the bin or have the value. With `converted` in the
  row, true or false, only those who did or did not; false at a step are those who reached the one before, and dropped off there.
"""

from __future__ import annotations

# Over 300 lines: three orders and four views, and a docstring that is their page.
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import reduce
from typing import Any, Final, Literal

from pydantic import Field, model_validator

from almanac.analyses.examples import examples_of
from almanac.analyses.funnel_correlation import correlated, correlation_rows
from almanac.analyses.funnel_members import members_of
from almanac.analyses.funnel_runs import runs_of
from almanac.analyses.funnel_streams import Cut, Entries, Marks, streams_of
from almanac.analyses.funnel_views import VIEWS, bin_rows, ends, labelled_of, periods, span_of, step_rows, trend_rows
from almanac.analyses.periods import microseconds
from almanac.core.analysis import Analysis, Compiled, Question, Row, Scope, Shaped
from almanac.core.filters import Breakdown, Model, Selector, Window
from almanac.core.ports import Result
from almanac.core.sql import Sql, any_of, join, number, sql
from almanac.core.time import TimeRange

_NEVER: Final = 1 << 62  # later than any instant


class Part(Selector):
    """Events with a place in the funnel."""

    @classmethod
    def _of_metric(cls, name: str, body: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """The events of a saved metric; its place is the funnel's to say."""
        own = {key: value for key, value in given.items() if key != "metric"}
        return {**own, **super()._of_metric(name, body, given)}


class Step(Part):
    """A step."""

    within: Window | None = Field(None, description="Longest time since the step before; the whole funnel's window counts too.")


class Exclusion(Part):
    """Events that must not happen between two steps."""

    from_step: int | str = Field(1, description="The step after which it must not happen: its number, or its name.")
    to_step: int | str | None = Field(None, description="The step before which it must not happen; the last step by default.")


class FunnelBreakdown(Breakdown):
    """Splits a funnel by a property."""

    attribution: Literal["first_touch", "last_touch", "all_steps", "step"] = Field(
        "first_touch", description="Which of a person's values counts: the first or last that is set, one at all steps, or at one step."
    )
    attribution_step: int = Field(1, ge=1, description="With the attribution `step`: the number of the step.")


class Held(Model):
    """A property with the same value at all steps. A bare text is an event's property or a built-in column."""

    property: str = Field(min_length=1, max_length=500, description="Property, or a built-in column as @name.")
    of: Literal["event", "group"] = Field("event", description="Whose property it is; people are the same at all steps.")
    group_type: str = Field("", description="With `of: group`: the group's type.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"property": value} if isinstance(value, str) else value


class Funnel(Question):
    """The question."""

    kind: Literal["funnel"] = "funnel"
    steps: list[Step] = Field(description="The steps, in their order.", min_length=1, max_length=20, examples=[["signup", "order"]])
    order: Literal["ordered", "strict", "any"] = Field(
        "ordered", description="ordered: other events may lie between; strict: none may; any: the steps in whichever order."
    )
    window: Window = Field(Window(value=14, unit="day"), description="Longest time from the first to the last step.", examples=["14 days"])
    within: Literal["person", "session"] = Field("person", description="session: all steps of a run lie in one session.")
    session_timeout: Window = Field(
        Window(value=30, unit="minute"), description="Longest pause within a session that has no id.", examples=["30 minutes"]
    )
    count: Literal["people", "sessions", "runs"] = Field(
        "people", description="What to count: people, each once; sessions (runs then lie within one); or every run."
    )
    reentry: Literal["always", "after", "never"] = Field(
        "always", description="Which step 1 starts a run: each; each after the run before has ended; only the first."
    )
    hold: list[Held] = Field(
        default=[], max_length=5, description="Properties with the same value at all steps of a run.", examples=[["product_id"]]
    )
    exclusions: list[Exclusion] = Field(default=[], max_length=10, description="Events that spoil a run.")
    breakdown: FunnelBreakdown | None = Field(None, description="Property to split by.", examples=["@browser"])
    view: Literal["steps", "trend", "time_to_convert", "correlation"] = Field(
        "steps",
        description="steps: people at each step; trend: conversion by the period of step 1; time_to_convert: a histogram;"
        " correlation: what goes with conversion.",
    )
    interval: Literal["hour", "day", "week", "month", "quarter", "year"] = Field("day", description="For the trend: length of a period.")
    from_step: int = Field(1, ge=1, description="For all views but steps: the step to measure from.")
    to_step: int | None = Field(None, description="For all views but steps: the step to measure to; the last one by default.")
    bins: int | None = Field(
        None, ge=1, le=90, description="For time_to_convert: number of bins; by default the cube root of the people, 3 to 60."
    )
    correlate: Literal["events", "event_properties", "person_properties"] = Field(
        "events", description="For correlation: with events by name, or with the values of `properties`."
    )
    properties: list[str] = Field(
        default=[],
        max_length=10,
        description="For correlation with properties: their names; of events also built-in columns.",
        examples=[["plan"]],
    )
    limit: int = Field(20, ge=1, le=500, description="For correlation: how many rows, those with the strongest evidence.")

    @property
    def last_step(self) -> int:
        """The step to measure to."""
        return self.to_step or len(self.steps)

    @property
    def in_sessions(self) -> bool:
        """Whether a run lies within one session."""
        return self.within == "session" or self.count == "sessions"

    @property
    def between(self) -> list[tuple[int, int]]:
        """For each exclusion, the numbers of the steps between which it lies."""
        return [(self._number_of(one.from_step), self._number_of(one.to_step or len(self.steps))) for one in self.exclusions]

    def _number_of(self, step: int | str) -> int:
        if isinstance(step, int):
            return step
        places = [place for place, one in enumerate(self.steps, 1) if one.label == step]
        if len(places) != 1:
            raise ValueError(f"{'several steps are' if places else 'no step is'} called {step!r}; give the number of one of the steps")
        return places[0]

    @model_validator(mode="after")
    def _steps_exist(self) -> Funnel:
        count = len(self.steps)
        for first, last in self.between:
            if not 1 <= first < last <= count:
                raise ValueError(f"an exclusion lies between a step and a later one, of {count}")
            if self.order == "any" and (first, last) != (1, count):
                raise ValueError("in any order an exclusion lies over all steps")
        if self.breakdown and self.breakdown.attribution_step > count:
            raise ValueError(f"attribution_step is {self.breakdown.attribution_step}, but there are {count} steps")
        apart = self.view in ("time_to_convert", "correlation")
        if not self.from_step <= self.last_step <= count or (apart and self.from_step == self.last_step):
            raise ValueError(f"from_step has to come before to_step, of {count} steps")
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> Funnel:
        if self.steps[0].within:
            raise ValueError("within is the time since the step before, which the first step does not have")
        if self.order == "any" and any(step.within for step in self.steps):
            raise ValueError("in any order no step is before another; use window instead of within")
        if self.order == "any" and self.count == "runs":
            raise ValueError("in any order each step would be the start of a run; count people or sessions")
        if self.order != "ordered" and self.reentry != "always":
            raise ValueError("reentry goes with the order ordered")
        if self.view != "correlation":
            return self
        if self.breakdown or self.count != "people":
            raise ValueError("the view correlation compares people, without a breakdown; use filters")
        if bool(self.properties) == (self.correlate == "events"):
            raise ValueError("correlate with events takes no properties" if self.properties else "properties names those to correlate with")
        return self


class FunnelRow(Row):
    """A step, a period, a bin or a value, by the view."""

    breakdown: str = Field("", description="Value of the property; empty: none is set; 'Other': all further values.")
    step: int | None = Field(None, description="Number of the step.")
    name: str | None = Field(None, description="Name of the step; in any order, how many steps were done.")
    count: int | None = Field(None, description="People (or what is counted) who reached the step, or whose time is in the bin.")
    rate_from_first: float | None = Field(None, description="Part of the people of step 1 who reached this one, 0 to 1.")
    rate_from_previous: float | None = Field(None, description="Part of the people of the step before; empty for step 1.")
    average_seconds_from_previous: float | None = Field(None, description="Mean time since the step before, in seconds.")
    median_seconds_from_previous: float | None = Field(None, description="Median time since the step before, in seconds.")
    period: str | None = Field(None, description="Start of the period of step 1, local: a date, for hours with time and offset.")
    entered: int | None = Field(None, description="People who reached from_step.")
    completed: int | None = Field(None, description="Of those, who reached to_step.")
    rate: float | None = Field(None, description="completed / entered, 0 to 1; 0 when nobody entered.")
    complete: bool | None = Field(None, description="False while windows of the period are open, or where the range cuts them.")
    bin_start_seconds: float | None = Field(None, description="Shortest time of the bin, in seconds, included.")
    bin_end_seconds: float | None = Field(None, description="Where the next bin begins, in seconds.")
    average_seconds: float | None = Field(None, description="Mean time of all who converted under this value (the same in each bin).")
    median_seconds: float | None = Field(None, description="Median time of all who converted under this value (the same in each bin).")
    property: str | None = Field(None, description="Name of the property; @event for events.")
    value: str | None = Field(None, description="Name of the event, or value of the property.")
    success_count: int | None = Field(None, description="People who reached to_step and did or had this.")
    failure_count: int | None = Field(None, description="People who did not reach to_step, and did or had this.")
    success_total: int | None = Field(None, description="All people who reached to_step (the same in each row).")
    failure_total: int | None = Field(None, description="All who reached from_step and not to_step (the same in each row).")
    odds_ratio: float | None = Field(
        None, description="Odds of reaching to_step with it over those without it; one is added to each count."
    )
    p_value: float | None = Field(None, description="How likely chance alone would differ so much: Fisher's exact test, two-sided.")
    converted: bool | None = Field(None, description="In asking for the people behind a row: only those who converted, or who did not.")
    significant: bool | None = Field(None, description="True where it holds at a false discovery rate of 5 % over all values.")


# An event becomes one integer, its mark: the instant in microseconds since the range's start, then its rank among simultaneous events, then
# a bit for each step and exclusion that it matches. Sorting integers took half the time of sorting tuples (0.34 s and 0.63 s, 6 M events).
STATEMENT: Final = """
WITH
tagged AS
(
    SELECT
        person,
        $mask AS mask,
        least(bitCount(bitXor(mask, mask - 1)), {last_rank:UInt64}) AS rank,
        bitShiftLeft($wide(toUnixTimestamp64Micro(time) - {origin:Int64}), {instant_at:UInt8})
            + $wide(bitShiftLeft(toUInt64(rank), {rank_at:UInt8}) + mask) AS mark
        $tags
    FROM $events
    WHERE $scope AND person != 0 AND ($wanted)
),
per_person AS
(
    SELECT person, $grouped
    FROM tagged
    GROUP BY person
),
streams AS
($streams),
runs AS
($runs),
labelled AS
($labelled)
"""


def compile(question: Funnel, scope: Scope) -> Compiled:  # noqa: A001 (the promise's word)
    """One statement for all orders and views: tag the events, gather each person's, find the best run, count."""
    return Compiled(_statement(question, scope, None))


def members(question: Funnel, scope: Scope, row: Mapping[str, Any]) -> Compiled:
    """Who is counted in that row; with `converted`, only those who did or did not. Raises `invalid` for a row that is none."""
    return Compiled(_statement(question, scope, row))


def shape(question: Funnel, scope: Scope, result: Result) -> Shaped:
    """Every step, period and bin has its row, also with nobody in it; the biggest values come first, Other last."""
    rows = result.dicts()
    if question.view == "steps":
        return Shaped(step_rows(question, rows))
    if question.view == "trend":
        return trend_rows(question, scope, rows)
    if question.view == "correlation":
        return correlation_rows(question, rows)
    return Shaped(bin_rows(question, rows))


# ----------------------------------------------------------------- the statement


def _statement(question: Funnel, scope: Scope, row: Mapping[str, Any] | None) -> Sql:
    """With `row`, the people behind that row."""
    span = span_of(question, scope)
    values = _values(question, scope, span)
    marks = _marks(question, scope, span, values)
    matches = [scope.matches(selector) for selector in (*question.steps, *question.exclusions)]
    trend, each = question.view == "trend", question.count == "runs"
    runs = sql(
        STATEMENT,
        values,
        mask=_mask(question, matches),
        wide=marks.wide,
        tags=_tags(question, scope),
        events=scope.events(),
        scope=scope.where(span),
        wanted=_wanted(question, matches),
        grouped=_grouped(question, marks),
        streams=streams_of(
            marks,
            cut=_cut(question),
            several_values=_several_values(question),
            reentry=question.reentry,
            period=_period(question, scope, Sql("bitShiftRight(mark, {instant_at:UInt8})")) if trend and not each else None,
        ),
        runs=runs_of(
            question.order,
            marks,
            _exclusions(question),
            limited=trend and not each,
            each=(_period(question, scope, Sql("instants[1]")) if trend else Sql("period")) if each else None,
        ),
        labelled=labelled_of(question, several=_cut(question) is not None),
    )
    if question.view == "correlation":
        return correlated(question, scope, runs, matches[: marks.steps], scope.where(span), row)
    return join("", [runs, Sql(VIEWS[question.view]) if row is None else members_of(question, scope, row)])


def _values(question: Funnel, scope: Scope, span: TimeRange) -> dict[str, Any]:
    """What is bound: the layout of a mark (from its lowest bits: the matches, the rank, the instant) and the question's numbers."""
    steps, matches = len(question.steps), len(question.steps) + len(question.exclusions)
    instant_at = matches + (matches + 1).bit_length()
    values: dict[str, Any] = {
        "origin": microseconds(span.start),
        "rank_at": matches,
        "last_rank": matches + 1,
        "instant_at": instant_at,
        "low": (1 << instant_at) - 1,
        "steps": steps,
        "step_bits": (1 << steps) - 1,
        "entry_bits": (1 << steps) - 1 if question.order == "any" else 1,
        "window": question.window.microseconds,
        "timeout": question.session_timeout.microseconds,
        "never": _NEVER,
        "excluded": (1 << matches) - (1 << steps),
        "excluded_bits": [bit for bit, _, _ in _exclusions(question)],
        "excluded_after": [after for _, after, _ in _exclusions(question)],
        "excluded_before": [until for _, _, until in _exclusions(question)],
        "from_step": question.from_step,
        "to_step": question.last_step,
        "bins": question.bins or 0,
    }
    if question.breakdown:
        attributed = 1 << question.breakdown.attribution_step - 1
        values |= {
            "attributed": attributed if question.breakdown.attribution == "step" else values["step_bits"],
        }
    if question.view == "trend":
        starts = periods(question, scope)
        values |= {
            "period_starts": [int(start.timestamp()) for start in starts],
            "period_ends": [_length(min(end, span.end) - span.start) for end in ends(question, starts)],
        }
    return values


def _marks(question: Funnel, scope: Scope, span: TimeRange, values: Mapping[str, Any]) -> Marks:
    # 63 bits hold the marks of a short funnel over centuries, but not of twenty steps over a year.
    longest = _length(span.length) + question.window.microseconds
    wide = Sql("toUInt64" if values["low"].bit_length() + longest.bit_length() <= 63 else "toUInt128")
    limits: list[Sql | None] = []
    for step in question.steps:
        if not step.within:
            limits.append(None)
            continue
        most = scope.bind(min(step.within.microseconds, question.window.microseconds), "Int64")
        limits.append(sql("bitShiftLeft($wide($most), {instant_at:UInt8})", wide=wide, most=most))
    window = sql("bitShiftLeft($wide({window:Int64}), {instant_at:UInt8})", wide=wide)
    return Marks(len(question.steps), wide, window, limits)


def _mask(question: Funnel, matches: Sequence[Sql]) -> Sql:
    """A bit for each match, in the narrowest integer that holds them all: 60 ms less than sums of UInt64 (4 M events)."""
    bits = [sql("if($match, $bit, 0)", match=match, bit=number(1 << place)) for place, match in enumerate(matches)]
    mask = reduce(lambda mask, bit: sql("bitOr($mask, $bit)", mask=mask, bit=bit), bits)
    return sql("if(held != 0, $mask, 0)", mask=mask) if question.hold else mask


def _exclusions(question: Funnel) -> list[tuple[int, int, int]]:
    """The bit of each in a mark, and the numbers of its two steps."""
    return [(len(question.steps) + place, first, last) for place, (first, last) in enumerate(question.between)]


def _wanted(question: Funnel, matches: Sequence[Sql]) -> Sql:
    wanted = Sql("1") if question.order == "strict" else any_of(matches)
    if not question.in_sessions:
        return sql("($wanted) AND held != 0", wanted=wanted) if question.hold else wanted
    # Where no id says which session it is, pauses do, between any two events.
    return sql("(($wanted) OR session_id = '') AND kind NOT IN ('identify', 'alias', 'group', 'profile', 'group_profile')", wanted=wanted)


def _tags(question: Funnel, scope: Scope) -> Sql:
    tags = []
    if question.breakdown:
        tags.append(sql(", toString($text) AS value", text=scope.text(question.breakdown)))
    if question.view == "trend" and question.count != "runs" and not _cut(question):
        tags.append(sql(", toUnixTimestamp($period) AS period", period=scope.period(question.interval)))
    if question.in_sessions:
        tags.append(Sql(", if(session_id = '', 0, cityHash64(session_id)) AS session"))
    if question.hold:
        texts = [sql("toString($text)", text=scope.text(Breakdown(**held.model_dump()))) for held in question.hold]
        tags.append(
            sql(
                ", if($missing, 0, greatest(cityHash64($texts), 1)) AS held",
                missing=any_of([sql("empty($text)", text=text) for text in texts]),
                texts=join(", ", texts),
            )
        )
    return join("", tags)


def _several_values(question: Funnel) -> bool:
    return question.breakdown is not None and question.breakdown.attribution in ("all_steps", "step")


def _cut(question: Funnel) -> Cut | None:
    """Which streams are to be cut out of what a person did; None: all of it is one."""
    if not question.in_sessions and not question.hold:
        return None
    by_session = question.count == "sessions"
    touch = None
    if question.breakdown and by_session and not _several_values(question):
        touch = Sql("arrayFirst" if question.breakdown.attribution == "first_touch" else "arrayLast")
    valued = _several_values(question) or touch is not None
    return Cut(question.in_sessions, bool(question.hold), valued, by_session, touch)


def _grouped(question: Funnel, marks: Marks) -> Sql:
    cut = _cut(question)
    trend = question.view == "trend" and question.count != "runs" and not cut
    rest = Sql(", groupUniqArrayIf(period, bitAnd(mask, {entry_bits:UInt64}) != 0) AS periods" if trend else "")
    gathered = Sql("arraySort(groupArray(mark)) AS marks")
    if cut:
        gathered = sql("groupArray($entry) AS entries", entry=Entries(cut, marks).entry())
    elif _several_values(question):
        gathered = Sql("groupArray(mark) AS own_marks, groupArray(value) AS own_values")
    touch = Sql("''")
    if question.breakdown and not _several_values(question) and not (cut and cut.touch_of_session):
        touch = sql(
            "$take(value, $key, value != '' AND bitAnd(mask, {step_bits:UInt64}) != 0)",
            take=Sql("argMinIf" if question.breakdown.attribution == "first_touch" else "argMaxIf"),
            # One integer, so that equal marks give the same answer each time: 0.4 s where a tuple took 1.9 s (6 M events).
            key=sql(
                "bitShiftLeft($wider(mark), 64) + cityHash64(value)",
                wider=Sql("toUInt128" if marks.wide.text == "toUInt64" else "toUInt256"),
            ),
        )
    return sql("$gathered, $touch AS touch$rest", gathered=gathered, touch=touch, rest=rest)


def _period(question: Funnel, scope: Scope, instant: Sql) -> Sql:
    """The period of an instant, which is in microseconds since the range's start."""
    moment = sql("fromUnixTimestamp64Micro(toInt64($instant) + {origin:Int64}, 'UTC')", instant=instant)
    return sql("toUnixTimestamp($period)", period=scope.period(question.interval, moment))


def _length(length: timedelta) -> int:
    return length // timedelta(microseconds=1)


ANALYSIS: Final = Analysis(question=Funnel, row=FunnelRow, compile=compile, shape=shape, members=members, examples=examples_of("funnel"))
