"""How big segments are, how they overlap, and how people move between them.

Ask it whether a segment (active customers, a paying plan, those at risk) grows, who was in it on a past day, how many people two segments
share, and from where to where people went between two moments.

How it counts:

- Who is in a segment at a moment is worked out from the events and properties up to that moment, never from what came later: events at the
  moment itself are too late. So the past can be asked about at any time, and says the same again. Segments are named, or written out as in
  filters.
- Report `size`: people in each segment at the end of each period. The last is taken where the range ends, and marked as not complete while
  its period is not over. What a segment says of "the last 7 days" is then said of the 7 days before the end of each period.
- Report `overlap`: people by the segments that they are in, up to 6, when the range ends: one row for each combination, as the fields of a
  Venn diagram. `people` are in just these segments; `in_all` are in all of these, whatever else they are in.
- Report `migration`: each person is in the first of the segments that fits, else in `None`, when the range begins and when it ends; one row
  for each way from one to another (or the same), those of nobody too. People in none at both moments are left out.
- People count once, with all their merged ids. Periods are whole calendar periods of the question's zone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import accumulate, combinations, product
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from almanac.analyses.examples import examples_of
from almanac.analyses.scope import period_label
from almanac.analyses.segments import label_of
from almanac.core import time as times
from almanac.core.analysis import Analysis, Compiled, Question, Row, Scope, Shaped
from almanac.core.errors import invalid, not_found
from almanac.core.filters import Segment, SegmentFilter
from almanac.core.ports import Result
from almanac.core.sql import Sql, join, number, sql

_MOST_MOMENTS: Final = 400
_MOST_OVERLAPPING: Final = 6
_DAYS: Final[dict[str, int]] = {"month": 30, "quarter": 91, "year": 365}
_NONE: Final = "None"


def _as_filters(value: Any) -> Any:
    """Each may be a name alone, or a segment written out without more."""
    if not isinstance(value, (list, tuple)):
        value = [value]
    return [
        item if isinstance(item, SegmentFilter) or (isinstance(item, Mapping) and "segment" in item) else {"segment": item}
        for item in value
    ]


class SegmentQuestion(Question):
    """The question."""

    kind: Literal["segment"] = "segment"
    segments: Annotated[list[SegmentFilter], BeforeValidator(_as_filters)] = Field(
        min_length=1, max_length=20, description="The segments: names of saved ones, or written out.", examples=[["buyers"]]
    )
    report: Literal["size", "overlap", "migration"] = Field(
        "size", description="size: of each over time; overlap: who is in several; migration: who went from one to another."
    )
    interval: Literal["hour", "day", "week", "month", "quarter", "year"] = Field(
        "day", description="For the report size: length of a period."
    )

    @model_validator(mode="after")
    def _fits(self) -> SegmentQuestion:
        if self.filters:
            raise ValueError("segments are of people and take no filters on events; put the condition into the segment")
        if any(item.at is not None for item in self.segments):
            raise ValueError("the question itself says when; leave out at")
        labels = [label_of(item, place) for place, item in enumerate(self.segments, 1)]
        if twice := [label for place, label in enumerate(labels) if label in labels[:place]]:
            raise ValueError(f"two segments are called {twice[0]!r}; give one of them another name")
        if self.report == "overlap" and len(self.segments) > _MOST_OVERLAPPING:
            raise ValueError(f"an overlap is of at most {_MOST_OVERLAPPING} segments")
        if self.report == "migration" and _NONE in labels:
            raise ValueError(f"{_NONE} is who is in no segment; give the segment of that name another")
        return self


class SegmentRow(Row):
    """A segment in a period, a combination of segments, or a way from one to another."""

    segment: str = Field(description="Report size: name of the segment.")
    period: str = Field(description="Report size: start of the period, local: a date for days and longer, else a time with its offset.")
    segments: list[str] = Field(description="Report overlap: the segments.")
    from_segment: str = Field(description="Report migration: where people were when the range began; 'None': in none of the segments.")
    to_segment: str = Field(description="Report migration: where they were when it ended.")
    people: int = Field(description="How many: at the end of the period; in just these segments; that went this way.")
    in_all: int = Field(description="Report overlap: how many are in all of these segments, whatever else they are in.")
    complete: bool = Field(description="Report size: false while the period is not over, or where the range cuts it.")


SIZE: Final = """
    SELECT $segment AS segment, toUInt32($place) AS place, toInt64(count()) AS people, false AS step
    FROM ($people)
"""
STEPS: Final = """
    SELECT $segment AS segment, place, people, true AS step
    FROM ($steps)
"""

# Bit by bit the set of segments that each person is in.
HELD: Final = """
SELECT person, groupBitOr(bit) AS held
FROM
($found)
GROUP BY person
"""
IN_SEGMENT: Final = """
    SELECT toUInt8($bit) AS bit, person
    FROM ($people)
"""
OVERLAP: Final = "SELECT held, count() AS people FROM ($held) GROUP BY held"
MEMBERS_OF_OVERLAP: Final = "SELECT person FROM ($held) WHERE held = {held:UInt8}"

# The first segment at each moment, 0 for none.
WENT: Final = """
SELECT person, minIf(place, side = 1) AS from_place, minIf(place, side = 2) AS to_place
FROM
($found)
GROUP BY person
"""
AT_SIDE: Final = """
    SELECT toUInt8($side) AS side, toUInt8($place) AS place, person
    FROM ($people)
"""
MIGRATION: Final = "SELECT from_place, to_place, count() AS people FROM ($went) GROUP BY from_place, to_place"
MEMBERS_OF_MIGRATION: Final = "SELECT person FROM ($went) WHERE from_place = {from:UInt8} AND to_place = {to:UInt8}"


def compile(question: SegmentQuestion, scope: Scope) -> Compiled:  # noqa: A001 (the promise's word)
    """One statement for each segment and moment, put together."""
    if question.report == "overlap":
        return Compiled(sql(OVERLAP, held=_held(question, scope)))
    if question.report == "migration":
        return Compiled(sql(MIGRATION, went=_went(question, scope)))
    moments = _moments(question, scope)
    sizes: list[Sql] = []
    for segment, item in enumerate(question.segments):
        steps = scope.steps(_written_out(item), moments)
        if steps is not None:
            sizes.append(sql(STEPS, segment=number(segment), steps=steps))
        else:
            sizes += [
                sql(SIZE, segment=number(segment), place=number(place), people=scope.people(_written_out(item), moment))
                for place, moment in enumerate(moments)
            ]
    return Compiled(join("    UNION ALL", sizes))


def members(question: SegmentQuestion, scope: Scope, row: Mapping[str, Any]) -> Compiled:
    """Who is in the segment then, in just these segments, or went that way. Raises `invalid` for a row that the answer does not have."""
    if question.report == "overlap":
        names = row.get("segments")
        labels = _labels(question)
        if not isinstance(names, (list, tuple)) or not names or any(name not in labels for name in names):
            raise invalid(f"The answer has no segments {names!r}.", place="segments", way_out="Take them from a row of the answer.")
        held = sum(1 << labels.index(name) for name in set(names))
        return Compiled(sql(MEMBERS_OF_OVERLAP, {"held": held}, held=_held(question, scope)))
    if question.report == "migration":
        sides = {side: _place(question, row, f"{side}_segment") for side in ("from", "to")}
        if not any(sides.values()):
            raise invalid("People in none of the segments at both moments are in no row.", place="to_segment")
        return Compiled(sql(MEMBERS_OF_MIGRATION, sides, went=_went(question, scope)))
    labels = [period_label(start, question.interval, scope.zone) for start in _starts(question, scope)]
    if row.get("period") not in labels:
        raise invalid(f"The answer has no period {row.get('period')!r}.", place="period", way_out="Take it from a row of the answer.")
    item = question.segments[_place(question, row, "segment") - 1]
    return Compiled(scope.people(_written_out(item), _moments(question, scope)[labels.index(row["period"])]))


def shape(question: SegmentQuestion, scope: Scope, result: Result) -> Shaped:
    """Every segment has every period; every combination and every way has its row, those of nobody too."""
    if question.report == "overlap":
        return Shaped(list(_overlaps(question, {row["held"]: row["people"] for row in result.dicts()})))
    if question.report == "migration":
        return Shaped(list(_ways(question, {(row["from_place"], row["to_place"]): row["people"] for row in result.dicts()})))
    starts = _starts(question, scope)
    sizes = _sizes(result, len(question.segments), len(starts))
    over = [times.shift(start, question.interval, 1).astimezone(UTC) <= min(scope.range.end, scope.now) for start in starts]
    rows = [
        {
            "segment": label,
            "period": period_label(start, question.interval, scope.zone),
            "people": sizes[segment][place],
            "complete": over[place],
        }
        for segment, label in enumerate(_labels(question))
        for place, start in enumerate(starts)
    ]
    return Shaped(rows, notes=() if over[-1] else ("The last period is not complete: it shows who is in by now.",))


# ---------------------------------------------------------------------- the rows


def _sizes(result: Result, segments: int, moments: int) -> list[list[int]]:
    """Of each segment at each moment: as such, or from the steps that lead there."""
    found = [[0] * moments for _ in range(segments)]
    stepped = set()
    for row in result.dicts():
        found[row["segment"]][row["place"]] = row["people"]
        if row["step"]:
            stepped.add(row["segment"])
    return [list(accumulate(line)) if segment in stepped else line for segment, line in enumerate(found)]


def _overlaps(question: SegmentQuestion, counts: Mapping[int, int]) -> Iterator[dict[str, Any]]:
    """Single segments first, then pairs and so on, in the question's order."""
    labels = _labels(question)
    for size in range(1, len(labels) + 1):
        for places in combinations(range(len(labels)), size):
            held = sum(1 << place for place in places)
            yield {
                "segments": [labels[place] for place in places],
                "people": counts.get(held, 0),
                "in_all": sum(people for other, people in counts.items() if other & held == held),
            }


def _ways(question: SegmentQuestion, counts: Mapping[tuple[int, int], int]) -> Iterator[dict[str, Any]]:
    labels = {**dict(enumerate(_labels(question), 1)), 0: _NONE}
    for before, after in product(labels, labels):
        if before or after:
            yield {"from_segment": labels[before], "to_segment": labels[after], "people": counts.get((before, after), 0)}


def _labels(question: SegmentQuestion) -> list[str]:
    return [label_of(item, place) for place, item in enumerate(question.segments, 1)]


def _place(question: SegmentQuestion, row: Mapping[str, Any], field: str) -> int:
    """The number of the segment that a row names, from 1; 0: none of them."""
    label, labels = row.get(field), _labels(question)
    if label == _NONE and field != "segment":
        return 0
    if label not in labels:
        raise invalid(f"The answer has no segment {label!r}.", place=field, way_out="Take it from a row of the answer.")
    return labels.index(label) + 1


# ----------------------------------------------------------------- the statement


def _held(question: SegmentQuestion, scope: Scope) -> Sql:
    found = [
        sql(IN_SEGMENT, bit=number(1 << place), people=scope.people(_written_out(item), scope.range.end))
        for place, item in enumerate(question.segments)
    ]
    return sql(HELD, found=join("    UNION ALL", found))


def _went(question: SegmentQuestion, scope: Scope) -> Sql:
    found = [
        sql(AT_SIDE, side=number(side), place=number(place), people=scope.people(_written_out(item), moment))
        for side, moment in enumerate((scope.range.start, scope.range.end), 1)
        for place, item in enumerate(question.segments, 1)
    ]
    return sql(WENT, found=join("    UNION ALL", found))


def _written_out(item: SegmentFilter) -> Segment:
    if not isinstance(item.segment, Segment):
        raise not_found(f"There is no segment {item.segment!r}.", place="segments", way_out="Save it first, or write it out.")
    return item.segment


# --------------------------------------------------------------------- the times


def _starts(question: SegmentQuestion, scope: Scope) -> list[datetime]:
    """The periods of the range. Raises `invalid` when there are too many."""
    most = _MOST_MOMENTS // len(question.segments)
    # No period is 10 % longer or shorter than it is reckoned here; what is near the limit is listed.
    length = times.INTERVAL_SECONDS.get(question.interval) or _DAYS[question.interval] * 86_400
    near = scope.range.length.total_seconds() / length <= 1.1 * most + 1
    starts = times.periods(scope.range, question.interval, week_start=scope.week_start) if near else []
    if not starts or len(starts) > most:
        raise invalid(
            f"The range has more than {most} periods for each of the segments.",
            place="interval",
            way_out="Choose a longer interval, a shorter range or fewer segments.",
        )
    return starts


def _moments(question: SegmentQuestion, scope: Scope) -> list[datetime]:
    ends = [times.shift(start, question.interval, 1).astimezone(UTC) for start in _starts(question, scope)]
    return [min(end, scope.range.end) for end in ends]


ANALYSIS: Final = Analysis(
    question=SegmentQuestion,
    row=SegmentRow,
    compile=compile,
    shape=shape,
    members=members,
    filtered=False,
    examples=examples_of("segment"),
)
