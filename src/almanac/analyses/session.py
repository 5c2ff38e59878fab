"""How people's visits go: how many, how long, how many bounce, where they begin and end.

Ask it for the usual numbers of a site or an app: sessions a day, their length, events and pages in each, the bounce rate, by channel or
country; and which pages people enter by, leave from and stay on.

How it counts:

- A session is what the sender's session id says: a person's events with one id. Events without an id are cut by inactivity, person by
  person: a new session begins more than `timeout` after the one before (30 minutes exactly still belong). `by: inactivity` cuts all
  events so, whatever the ids. Two people under one id are two sessions; merged ids are one person. Events of no person are in none.
- All events that pass the question's filters belong to sessions, but for mere statements about people (identify, alias, group, profile):
  a server that sends them at night visits nobody. `event` keeps the sessions with such an event; they are measured over all their events,
  each once.
- A session belongs, whole, to the range and the period of its first event: midnight does not cut it (nor in GA4; older Google Analytics
  did), and one that began before the range is not in it. Events up to 24 hours before and after the range are read for that. An id that
  comes back after a pause beyond them is taken as new.
- Periods are whole calendar periods of the question's zone: the first may begin before the range. Not complete is one that is not over,
  or that the range cuts.
- Length is the last minus the first event, in elapsed time; a session of one event has length 0 and counts in mean and quantiles.
  Quantiles are exact, with linear interpolation. `min_length` and `max_length` are included in what they keep.
- Pages are events of the kinds page and screen, or `page_event`. A page's name is its path, for a screen its name, or `page_property`.
- A session bounced if it has at most one page, is shorter than `engaged_after` and has no `key_event`. GA4's rule is the same, but it
  measures the time in the foreground, which most senders do not tell. (Plausible: one page and no other event, however long.)
- A breakdown takes the first value that is set over the session's events, or the last. Of simultaneous events (to the microsecond) the
  one whose value comes first in the alphabet is the first. A limit keeps the values with most sessions in the range; the rest is Other.
- Entry and exit page: the first and the last page of the session, the empty name for sessions without. The view `pages` lists the pages
  with most views; it has no Other, as one session sees many pages. Time on a page lasts until the session's next page or, for its last
  page, until its last event; a view after which nothing came has no known time and is not in the mean.
- The people behind a row are those with a session in it; in the view `pages`, those who saw the page.
"""

from __future__ import annotations

# Over 300 lines: a question stays in one file, and this one has four views.
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, LiteralString, get_args

from pydantic import AfterValidator, Field, model_validator

from almanac.analyses import breakdowns, periods
from almanac.analyses.examples import examples_of
from almanac.analyses.scope import period_label
from almanac.analyses.session_visits import Told, instant_of, pieces
from almanac.core import time as times
from almanac.core.analysis import Analysis, Compiled, Question, Row, Scope, Shaped
from almanac.core.filters import BUILT_IN, Breakdown, Selector, Window
from almanac.core.ports import Result
from almanac.core.sql import EMPTY, Sql, all_of, join, sql
from almanac.core.time import Interval, TimeRange

Measure = Literal[
    "sessions",
    "people",
    "sessions_per_person",
    "average_seconds",
    "median_seconds",
    "p90_seconds",
    "events_per_session",
    "pages_per_session",
    "bounce_rate",
]

_MEASURES: Final[list[Measure]] = list(get_args(Measure))
_AROUND: Final = timedelta(days=1)  # sessions that cross the range's edges are read so far


def _a_day_at_most(window: Window) -> Window:
    if window.microseconds > _AROUND // timedelta(microseconds=1):
        raise ValueError("timeout is more than 24 hours")
    return window


def _known(name: str | None) -> str | None:
    if name is not None and name.startswith("@") and name[1:] not in BUILT_IN:
        raise ValueError(f"there is no built-in column {name}; there are @{', @'.join(BUILT_IN)}")
    return name


class Session(Question):
    """The question."""

    kind: Literal["session"] = "session"
    view: Literal["sessions", "entry_pages", "exit_pages", "pages"] = Field(
        "sessions",
        description="sessions: their measures; entry_pages, exit_pages: the same by the first or last page; pages: views and time on each.",
    )
    measures: list[Measure] = Field(
        default=_MEASURES, min_length=1, description="What to show of the sessions; lengths are in seconds.", examples=[["sessions"]]
    )
    interval: Interval | Literal["total"] = Field("total", description="Length of a period; total: one number for the whole range.")
    breakdown: Breakdown | None = Field(None, description="For the view sessions: property to split by.", examples=["@channel"])
    breakdown_event: Literal["first", "last"] = Field(
        "first", description="Whose value counts: that of the first or the last event with one."
    )
    by: Literal["sender", "inactivity"] = Field(
        "sender", description="sender: by the sender's session id, by inactivity where there is none; inactivity: by that alone."
    )
    timeout: Annotated[Window, AfterValidator(_a_day_at_most)] = Field(
        Window(value=30, unit="minute"),
        description="Longest pause within a session that has no id, 24 hours at most.",
        examples=["30 minutes"],
    )
    event: Selector | None = Field(None, description="Only sessions with such an event.", examples=["order"])
    min_length: Window | None = Field(None, description="Only sessions at least so long.", examples=["10 seconds"])
    max_length: Window | None = Field(None, description="Only sessions at most so long.", examples=["12 hours"])
    page_event: Selector | None = Field(None, description="What is a page view; events of the kinds page and screen by default.")
    page_property: Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_known)] | None = Field(
        None,
        description="What names a page: a property or a built-in column; the path, or the screen's name, by default.",
        examples=["@title"],
    )
    limit: int = Field(10, ge=1, le=500, description="For views of pages: how many of the biggest to show.")
    engaged_after: Window = Field(
        Window(value=10, unit="second"), description="A session of this length or longer did not bounce.", examples=["10 seconds"]
    )
    key_event: Selector | None = Field(None, description="A session with such an event did not bounce.", examples=["signup"])

    @model_validator(mode="after")
    def _fits_together(self) -> Session:
        if self.breakdown and self.view != "sessions":
            raise ValueError(f"breakdown does not go with the view {self.view}, which is one by pages; use filters")
        if self.view == "pages" and "measures" in self.model_fields_set:
            raise ValueError("measures are of sessions; the view pages has its own columns")
        if self.min_length and self.max_length and self.min_length.microseconds > self.max_length.microseconds:
            raise ValueError("min_length is more than max_length")
        return self


class SessionRow(Row):
    """A value, page or period of sessions."""

    breakdown: str = Field("", description="Value of the property; empty: never set; 'Other': all further values.")
    page: str = Field("", description="Name of the page; empty: none; 'Other': all further pages.")
    period: str = Field("", description="Start of the period, local: a date for days and longer, else a time with its offset.")
    views: int | None = Field(None, description="Views of the page.")
    sessions: int | None = Field(None, description="Sessions; in the view pages, those that saw the page.")
    people: int | None = Field(None, description="People who had them.")
    sessions_per_person: float | None = Field(None, description="sessions / people; empty without any.")
    average_seconds: float | None = Field(None, description="Mean length of a session; in the view pages, mean known time on the page.")
    median_seconds: float | None = Field(None, description="Median length of a session.")
    p90_seconds: float | None = Field(None, description="Length that nine of ten sessions do not exceed.")
    events_per_session: float | None = Field(None, description="Events in a session, on average.")
    pages_per_session: float | None = Field(None, description="Page views in a session, on average.")
    bounce_rate: float | None = Field(None, description="Part of the sessions that bounced, 0 to 1.")
    entries: int | None = Field(None, description="Sessions that began with the page.")
    exits: int | None = Field(None, description="Sessions that ended with the page.")
    complete: bool | None = Field(None, description="False while the period is not over, or where the range cuts it.")


STATEMENT: Final = """
WITH
sessions AS
(
    SELECT
        *,
        ended_at - began_at AS lasted,
        $period AS period
        $bounced
    FROM
    ($visits)
    WHERE began_at >= {first:Int64} AND began_at < {end:Int64} AND $kept
)
"""

# Sessions that the sender names are measured as they are read. Only events without an id, and the pages where pages are asked for, are
# gathered: person by person, sorted and cut in one go, so that memory grows with them alone. A reading of its own for the events without
# an id took half as much again.
NAMED: Final = """
    SELECT
        person,
        if(session = 0, $began, first) AS began_at,
        if(session = 0, $ended, latest) AS ended_at,
        if(session = 0, length(entries), number) AS events
        $told
    FROM
    (
        SELECT *, arrayJoin($entries) AS entries
        FROM
        (
            SELECT
                person,
                if(empty(session_id), 0, cityHash64(session_id)) AS session,
                toUnixTimestamp64Micro(min(time)) AS first,
                toUnixTimestamp64Micro(max(time)) AS latest,
                count() AS number,
                $stream AS stream
                $known
            FROM $events
            WHERE $scope AND person != 0 AND kind NOT IN ('identify', 'alias', 'group', 'profile', 'group_profile')
            GROUP BY person, session
        )
    )
"""

CUT: Final = """
    SELECT
        person,
        $began AS began_at,
        $ended AS ended_at,
        length(entries) AS events
        $told
    FROM
    (
        SELECT person, arrayJoin($entries) AS entries
        FROM
        (
            SELECT person, $stream AS stream
            FROM $events
            WHERE $scope AND person != 0 AND kind NOT IN ('identify', 'alias', 'group', 'profile', 'group_profile')
            GROUP BY person
        )
    )
"""

COUNTED: Final = """
SELECT '' AS label, period, count() AS sessions$measured
FROM sessions
GROUP BY period
"""

COUNTED_BY_VALUE: Final = """
SELECT label, period, sum(some_sessions) AS sessions$merged
FROM $ranked
GROUP BY label, period
"""

CELLS: Final = """(
        SELECT
            value,
            period,
            count() AS some_sessions,
            sum(some_sessions) OVER (PARTITION BY value) AS size
            $states
        FROM sessions
        GROUP BY value, period
    )"""

# What answers are reckoned from: as it is counted at once, as a state of a value, and as such states are put together.
PARTS: Final[dict[str, tuple[LiteralString, LiteralString, LiteralString]]] = {
    "seconds": (
        ", toFloat64(sum(toInt128(lasted))) / 1e6 AS seconds",
        ", sum(toInt128(lasted)) AS some_lasted",
        ", toFloat64(sum(some_lasted)) / 1e6 AS seconds",
    ),
    "all_events": (", sum(events) AS all_events", ", sum(events) AS some_events", ", sum(some_events) AS all_events"),
    "all_pages": (", sum(pages) AS all_pages", ", sum(pages) AS some_pages", ", sum(some_pages) AS all_pages"),
    "bounces": (", sum(bounced) AS bounces", ", sum(bounced) AS some_bounces", ", sum(some_bounces) AS bounces"),
    "people": (", uniqExact(person) AS people", ", uniqExactState(person) AS some_people", ", uniqExactMerge(some_people) AS people"),
    "lengths": (
        ", quantilesExactInclusive(0.5, 0.9)(lasted) AS lengths",
        ", quantilesExactInclusiveState(0.5, 0.9)(lasted) AS some_lengths",
        ", quantilesExactInclusiveMerge(0.5, 0.9)(some_lengths) AS lengths",
    ),
}
PART_OF: Final[dict[Measure, str]] = {
    "people": "people",
    "sessions_per_person": "people",
    "average_seconds": "seconds",
    "median_seconds": "lengths",
    "p90_seconds": "lengths",
    "events_per_session": "all_events",
    "pages_per_session": "all_pages",
    "bounce_rate": "bounces",
}

PAGE_VIEWS: Final = """
, page_views AS
(
    SELECT
        person,
        period,
        substring(view, 9) AS page,
        if(exited, ended_at, $next_instant) - $instant AS stayed,
        nth,
        place = 1 AS entered,
        place = seen AS exited
    FROM (SELECT *, length(views) AS seen FROM sessions)
    ARRAY JOIN
        views AS view,
        arrayShiftLeft(views, 1) AS next_view,
        arrayEnumerateUniq(arrayMap(one -> substring(one, 9), views)) AS nth,
        arrayEnumerate(views) AS place
)
"""

PAGES: Final = """
SELECT *
FROM
(
    SELECT *, dense_rank() OVER (ORDER BY size DESC, label) AS place
    FROM
    (
        SELECT
            page AS label,
            period,
            count() AS views,
            countIf(nth = 1) AS sessions,
            uniqExact(person) AS people,
            toFloat64(sum(toInt128(stayed))) / 1e6 / nullIf(countIf(NOT exited OR stayed > 0), 0) AS average_seconds,
            sum(entered) AS entries,
            sum(exited) AS exits,
            sum(views) OVER (PARTITION BY label) AS size
        FROM page_views
        GROUP BY label, period
    )
)
WHERE place <= {limit:UInt64}
"""

MEMBERS: Final = """
SELECT DISTINCT person
FROM sessions
WHERE $within
"""

MEMBERS_OF_PAGE: Final = """
SELECT DISTINCT person
FROM page_views
WHERE $within
"""


# Nearly all events of the range are read: to look first at who they are, and then at the rest, takes a tenth more.
_AS_THEY_COME: Final = Sql("\nSETTINGS optimize_move_to_prewhere = 0")


def compile(question: Session, scope: Scope) -> Compiled:  # noqa: A001 (the promise's word)
    """Mark the events, gather each person's, cut them into sessions, count."""
    return Compiled(join("", [_sessions(question, scope), _counted(question), EMPTY if question.filters else _AS_THEY_COME]))


def members(question: Session, scope: Scope, row: Mapping[str, Any]) -> Compiled:
    """Who had the sessions of a row."""
    pages = question.view == "pages"
    label = scope.bind(str(row.get("breakdown" if question.view == "sessions" else "page") or ""), "String")
    within: list[Sql] = []
    if question.interval != "total":
        start = _starts(question, scope)[periods.place_of(row, _starts(question, scope), question.interval, scope)]
        within.append(sql("period = $period", period=scope.bind(int(start.timestamp()), "UInt32")))
    if pages:
        within.append(sql("page = $label", label=label))
    elif _limit(question) is not None:
        within.append(sql("$biggest = $label", biggest=breakdowns.biggest(Sql("sessions"), _limit(question)), label=label))
    tail = sql(MEMBERS_OF_PAGE, within=all_of(within)) if pages else sql(MEMBERS, within=all_of(within))
    return Compiled(join("", [_sessions(question, scope), tail]))


def shape(question: Session, scope: Scope, result: Result) -> Shaped:
    """Every value has every period; the biggest come first, Other last."""
    total = question.interval == "total"
    starts = _starts(question, scope)
    labelled = _limit(question) is not None
    cells: dict[str, dict[int, dict[str, Any]]] = {} if labelled else {"": {}}
    for row in result.dicts():
        cells.setdefault(row["label"], {})[row["period"]] = row
    breakdowns.refuse_too_many(len(cells) * len(starts), place="interval", way_out="Lower the limit, or choose a longer interval.")
    by = "views" if question.view == "pages" else "sessions"
    sizes = {label: sum(row[by] for row in found.values()) for label, found in cells.items()}
    # A page may be called Other, too.
    labels = breakdowns.in_order(sizes) if question.view != "pages" else sorted(sizes, key=lambda label: (-sizes[label], label))
    over = [False] if total else periods.over(starts, question.interval, scope)
    rows = [
        {
            **({("breakdown" if question.view == "sessions" else "page"): label} if labelled else {}),
            **({} if total else {"period": period_label(start, question.interval, scope.zone)}),
            **_measured(question, cells[label].get(0 if total else int(start.timestamp()))),
            **({} if total else {"complete": whole}),
        }
        for label in labels
        for start, whole in zip(starts, over, strict=True)
    ]
    return Shaped(rows, notes=() if total or over[-1] else ("The last period is not complete.",))


# ----------------------------------------------------------------- the statement


def _sessions(question: Session, scope: Scope) -> Sql:
    span = _span(question, scope)
    told = _told(question, scope)
    around = TimeRange(span.start - _AROUND, max(span.end, min(span.end + _AROUND, scope.now)), span.zone)
    kept = [Sql("has_event")] if question.event else []
    if question.min_length:
        kept.append(sql("lasted >= $least", least=scope.bind(question.min_length.microseconds, "Int64")))
    if question.max_length:
        kept.append(sql("lasted <= $most", most=scope.bind(question.max_length.microseconds, "Int64")))
    bounced = EMPTY
    if _shows(question, "bounce_rate"):
        engaged = scope.bind(question.engaged_after.microseconds, "Int64")
        no_key = Sql(" AND NOT has_key" if told.key else "")
        bounced = sql(", pages <= 1 AND lasted < $engaged$no_key AS bounced", engaged=engaged, no_key=no_key)
    period = Sql("toUInt32(0)")
    if question.interval != "total":
        moment = scope.period(question.interval, Sql("fromUnixTimestamp64Micro(began_at, 'UTC')"))
        period = sql("toUnixTimestamp($moment)", moment=moment)
    values = {"timeout": question.timeout.microseconds}
    found = {**pieces(question, told), "events": scope.events(), "scope": scope.where(around)}
    sessions = sql(
        STATEMENT,
        {"first": periods.microseconds(span.start), "end": periods.microseconds(span.end)},
        visits=sql(CUT, values, **found) if question.by == "inactivity" else sql(NAMED, values, **found),
        kept=all_of(kept),
        period=period,
        bounced=bounced,
    )
    if question.view != "pages":
        return sessions
    instants = {name: instant_of(told, Sql(view)) for name, view in (("instant", "view"), ("next_instant", "next_view"))}
    return join("", [sessions, sql(PAGE_VIEWS, None, **instants)])


def _told(question: Session, scope: Scope) -> Told:
    """What is read of each event. Nothing that is not asked for."""
    page = scope.matches(question.page_event) if question.page_event else Sql("kind IN ('page', 'screen')")
    return Told(
        page=page if question.view != "sessions" or _shows(question, "bounce_rate", "pages_per_session") else None,
        key=scope.matches(question.key_event) if question.key_event and _shows(question, "bounce_rate") else None,
        event=scope.matches(question.event) if question.event else None,
        text=_text(question, scope),
    )


def _shows(question: Session, *measures: Measure) -> bool:
    return question.view != "pages" and not set(question.measures).isdisjoint(measures)


def _text(question: Session, scope: Scope) -> Sql | None:
    if question.view == "sessions":
        return breakdowns.text(question.breakdown, scope) if question.breakdown else None
    if question.page_property is None:
        return Sql("if(path != '', path, toString(screen))")
    return sql("toString($name)", name=scope.text(Breakdown(property=question.page_property)))


def _counted(question: Session) -> Sql:
    if question.view == "pages":
        return Sql(PAGES, {"limit": question.limit})
    # People and quantiles take as much time as all the rest: nothing is reckoned that is not asked for.
    needed = [part for part in PARTS if part in {PART_OF.get(measure) for measure in question.measures}]
    measured, states, merged = (join("", [Sql(PARTS[part][form]) for part in needed]) for form in range(3))
    if _limit(question) is None:
        return sql(COUNTED, measured=measured)
    return sql(COUNTED_BY_VALUE, ranked=breakdowns.ranked(sql(CELLS, states=states), _limit(question)), merged=merged)


def _limit(question: Session) -> int | None:
    """How many values or pages are shown; None where the answer is not by such."""
    return breakdowns.limit_of(question.breakdown) if question.view == "sessions" else question.limit


# --------------------------------------------------------------------- the times


def _span(question: Session, scope: Scope) -> TimeRange:
    """The range in whole periods."""
    if question.interval == "total":
        return scope.range
    _starts(question, scope)
    return times.whole(scope.range, question.interval, week_start=scope.week_start)


def _starts(question: Session, scope: Scope) -> list[datetime]:
    return [scope.range.start] if question.interval == "total" else periods.starts_of(scope, question.interval)


# ---------------------------------------------------------------------- the rows


def _measured(question: Session, row: Mapping[str, Any] | None) -> dict[str, Any]:
    if question.view == "pages":
        counts = {name: row[name] if row else 0 for name in ("views", "sessions", "people", "entries", "exits")}
        return {**counts, "average_seconds": row["average_seconds"] if row else None}
    if row is None:
        return {measure: 0 if measure in ("sessions", "people") else None for measure in question.measures}
    return {measure: _MEASURED[measure](row) for measure in question.measures}


_MEASURED: Final[dict[Measure, Callable[[Mapping[str, Any]], float]]] = {
    "sessions": lambda row: row["sessions"],
    "people": lambda row: row["people"],
    "sessions_per_person": lambda row: row["sessions"] / row["people"],
    "average_seconds": lambda row: row["seconds"] / row["sessions"],
    "median_seconds": lambda row: _seconds(row["lengths"][0]),
    "p90_seconds": lambda row: _seconds(row["lengths"][1]),
    "events_per_session": lambda row: row["all_events"] / row["sessions"],
    "pages_per_session": lambda row: row["all_pages"] / row["sessions"],
    "bounce_rate": lambda row: row["bounces"] / row["sessions"],
}


def _seconds(micros: float) -> float:
    return round(micros, 3) / 1e6  # the interpolation leaves a trace in the last digits


ANALYSIS: Final = Analysis(question=Session, row=SessionRow, compile=compile, shape=shape, members=members, examples=examples_of("session"))
