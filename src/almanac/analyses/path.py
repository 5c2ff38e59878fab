"""What people do next, before, and on the way from one thing to another.

Ask it where people go after a start (signup, a landing page), how they came to an end (an order, a cancellation), or which ways lead from
the one to the other. Each row is an edge: at one place of their paths, so many sessions went from this node to that one.

How it counts:

- Nodes are event names, pages (`@path`), screens (`@screen`) or the values of a property; events without it are no node. `patterns` fold
  nodes into one: the first that fits gives the name. In a wildcard `*` stands for any characters, slashes too, and the whole text has to
  fit; a regular expression may fit anywhere. Trailing slashes of pages do not matter.
- A session ends with a pause of `session_gap` or longer between two events that are nodes (whatever session a sender claims); each is one
  path. With `within: person` all that a person did in the range is one path. The range cuts sessions.
- Consecutive repeats of a node are one node, which carries the time of the last repeat. (PostHog does so too; Mixpanel and Amplitude show
  repeats.) Simultaneous events (to the microsecond) have no order of their own: they are taken in a fixed order of their nodes, in every
  session the same.
- Without a start and an end, a path is the first `steps` nodes of a session. With a start, those from its first occurrence on. With an
  end, the last `steps` nodes up to its first occurrence. With both, from the first start to the first end after it; of more than `steps`
  nodes, half as many are kept at either side, and those between are one node, `...`, with the time of the last of them. Sessions without
  the start, or the end, do not count.
- Nodes are numbered by their place in the path, from 1. With `count_from: end` the last one is 0, the one before it -1: so all ways into an
  end are laid side by side.
- At each place the `edges` that most sessions took are shown, and the rest, and those that fewer than `minimum` took, is one row, Other to
  Other: so the sessions of a place add up. Which of equally frequent edges are shown is arbitrary, and always the same.
- Each session counts once at each place; people count once in each row, in Other too. Times are from node to node; the median of an even
  number is halfway between the two in the middle.
"""

from __future__ import annotations

# Over 300 lines: a question stays in one file, and its statement is long and whole.
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from almanac.analyses.examples import examples_of
from almanac.core.analysis import Analysis, Compiled, Question, Row, Scope, Shaped
from almanac.core.errors import AlmanacError, invalid
from almanac.core.filters import OTHER, Breakdown, Filter, Model, Selector, Window
from almanac.core.ports import Result
from almanac.core.sql import Sql, any_of, join, sql

FOLD: Final = "..."

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER: Final = 1 << 62  # a pause longer than any, in microseconds
_PROPERTIES: Final = {"event": "@event", "page": "@path", "screen": "@screen"}


class Pattern(Model):
    """Nodes that are one. A bare text is a wildcard."""

    pattern: str = Field(min_length=1, max_length=500, description="A wildcard such as /products/*, or a regular expression (RE2).")
    regex: bool = Field(False, description="Whether it is a regular expression.")
    name: str = Field("", max_length=500, description="What to call the node; the pattern by default.")


def _from_text(value: Any) -> Any:
    return {"pattern": value} if isinstance(value, str) else value


class Path(Question):
    """The question."""

    kind: Literal["path"] = "path"
    node: Literal["event", "page", "screen", "property"] = Field("event", description="What paths are made of.")
    property: str | None = Field(
        None, min_length=1, max_length=500, description="Property that names the node: of pages @path, of screens @screen by default."
    )
    patterns: list[Annotated[Pattern, BeforeValidator(_from_text)]] = Field(
        default=[], max_length=50, description="Nodes to fold into one; the first that fits counts.", examples=[["/products/*"]]
    )
    only: list[Selector] = Field(default=[], max_length=50, description="Events that count; left out: all.")
    exclude: list[Selector] = Field(default=[], max_length=50, description="Events to leave out, as if they had not happened.")
    start: str | None = Field(None, min_length=1, description="Node at which paths begin, as the answer names it.", examples=["signup"])
    end: str | None = Field(None, min_length=1, description="Node at which paths end, as the answer names it.", examples=["order"])
    within: Literal["session", "person"] = Field("session", description="What is one path: a session, or all that a person did.")
    session_gap: Window = Field(Window(value=30, unit="minute"), description="Pause that ends a session.", examples=["30 minutes"])
    steps: int = Field(5, ge=2, le=20, description="Most nodes of a path.")
    count_from: Literal["start", "end"] = Field("start", description="Where nodes are numbered from; end: the last is 0.")
    edges: int = Field(50, ge=1, le=1000, description="Most edges to show at each place; the rest is one, Other.")
    minimum: int = Field(1, ge=1, description="Sessions that an edge needs to be shown, not to be in Other.")

    @model_validator(mode="after")
    def _has_nodes(self) -> Path:
        if self.node == "event" and self.property:
            raise ValueError("property is given, but node is event; write node: property")
        if self.node == "property" and not self.property:
            raise ValueError("node is property, so property has to name one")
        return self


class PathRow(Row):
    """An edge."""

    step: int = Field(description="Place of the node that it comes from, in its path.")
    from_node: str = Field(description="Node that it comes from; '...': folded nodes; 'Other': with to_node 'Other', all further edges.")
    to_node: str = Field(description="Node that it goes to.")
    sessions: int = Field(description="Sessions (or people, within a person) that took it at this place.")
    people: int = Field(description="People whose sessions these are.")
    average_seconds: float = Field(description="Mean time from node to node, in seconds.")
    median_seconds: float = Field(description="Median time from node to node, in seconds.")


# A visit to a node is one integer of 128 bits: the instant in microseconds since the range's start, then a hash of the node's name. So an
# event takes 16 bytes until its session is cut, however long names are; people by people it may spill to disk.
# An edge gathers its people and pauses as plain numbers: with a state of uniqExact and of quantileExact for each, 3 M events on a million
# pages, so that nearly every edge is its own, were refused for their memory.
STATEMENT: Final = """
WITH
visits AS
(
    SELECT
        person,
        bitShiftLeft(toUInt128(toUnixTimestamp64Micro(time) - {origin:Int64}), 64) + cityHash64($node) AS visit
    FROM $events
    WHERE $scope AND person != 0 AND ($wanted)
),
per_person AS
(
    SELECT
        person,
        arraySort(groupArray(visit)) AS stream
    FROM visits
    GROUP BY person
),
sessions AS
(
    SELECT
        person,
        arrayJoin(arraySplit(
            (visit, pause) -> pause >= {gap:Int64},
            stream,
            arrayDifference(arrayMap(visit -> toInt64(bitShiftRight(visit, 64)), stream))
        )) AS session
    FROM per_person
),
collapsed AS
(
    SELECT
        person,
        arrayFilter((visit, next) -> toUInt64(visit) != toUInt64(next), session, arrayShiftLeft(session, 1)) AS way,
        arrayMap(visit -> toUInt64(visit), way) AS nodes
    FROM sessions
),
paths AS
($paths),
edges AS
(
    SELECT
        $place AS place,
        toUInt64(here) AS from_node,
        toUInt64(there) AS to_node,
        count() AS times,
        groupArray(person) AS who,
        groupArray(pause) AS pauses
    FROM paths
    ARRAY JOIN
        arrayPopBack(path) AS here,
        arrayPopFront(path) AS there,
        arrayPopFront(arrayDifference(arrayMap(visit -> toInt64(bitShiftRight(visit, 64)), path))) AS pause,
        arrayEnumerate(arrayPopBack(path)) AS nth
    WHERE $asked
    GROUP BY place, from_node, to_node
),
ranked AS
(
    SELECT
        *,
        times >= {minimum:UInt64}
            AND row_number() OVER (PARTITION BY place ORDER BY times DESC, from_node, to_node) <= {edges:UInt64} AS shown
    FROM edges
),
shown_edges AS
(
    SELECT
        place,
        if(shown, from_node, 0) AS source,
        if(shown, to_node, 0) AS target,
        sum(times) AS sessions,
        $people(who) AS people,
        avgArray(pauses) / 1e6 AS average,
        quantileExactInclusiveArray(0.5)(pauses) / 1e6 AS median
    FROM ranked
    GROUP BY place, source, target
)
$answer
"""

FIRST_NODES: Final = """
    SELECT person, arraySlice(way, 1, {steps:Int64}) AS path
    FROM collapsed
"""

FROM_START: Final = """
    SELECT person, arraySlice(way, first, {steps:Int64}) AS path
    FROM
    (
        SELECT *, indexOf(nodes, cityHash64({start:String})) AS first
        FROM collapsed
        WHERE first > 0
    )
"""

TO_END: Final = """
    SELECT person, arraySlice(arraySlice(way, 1, last), -{steps:Int64}) AS path
    FROM
    (
        SELECT *, indexOf(nodes, cityHash64({end:String})) AS last
        FROM collapsed
        WHERE last > 0
    )
"""

BETWEEN: Final = """
    SELECT
        person,
        arraySlice(way, first, further + 1) AS whole,
        bitShiftLeft(bitShiftRight(whole[-1 - {half:Int64}], 64), 64) + cityHash64({fold:String}) AS fold,
        if(
            length(whole) > {steps:Int64},
            arrayConcat(arraySlice(whole, 1, {half:Int64}), [fold], arraySlice(whole, -{half:Int64})),
            whole
        ) AS path
    FROM
    (
        SELECT
            *,
            indexOf(nodes, cityHash64({start:String})) AS first,
            indexOf(arraySlice(nodes, first + 1), cityHash64({end:String})) AS further
        FROM collapsed
        WHERE first > 0 AND further > 0
    )
"""

# Names come last, by a second look at the events, and only for the edges that are shown: so no long name is sorted or kept for each event.
NAMED: Final = """,
names AS
(
    SELECT toString(node) AS name, cityHash64(name) AS code
    FROM
    (
        SELECT $node AS node
        FROM $events
        WHERE $scope
        GROUP BY node
    )
    UNION ALL
    SELECT {fold:String}, cityHash64({fold:String})
    UNION ALL
    SELECT {other:String}, 0
)
SELECT
    place,
    anyIf(name, code = source) AS from_name,
    anyIf(name, code = target) AS to_name,
    sessions,
    people,
    average,
    median
FROM names
INNER JOIN
(
    SELECT *, arrayJoin([source, target]) AS code
    FROM shown_edges
) AS ends USING (code)
GROUP BY place, source, target, sessions, people, average, median
"""

MEMBERS: Final = """
SELECT arrayJoin(people) AS person
FROM shown_edges
WHERE source = $source AND target = $target
"""


def compile(question: Path, scope: Scope) -> Compiled:  # noqa: A001 (the promise's word)
    """Each person's visits, cut into sessions and these to paths; then their edges, counted and named."""
    nodes = _nodes(question, scope)
    named = sql(NAMED, {"fold": FOLD, "other": OTHER}, node=nodes["node"], events=scope.events(), scope=scope.where())
    return _compiled(question, scope, nodes, named, people=Sql("uniqExactArray"), asked=Sql("1"))


def members(question: Path, scope: Scope, row: Mapping[str, Any]) -> Compiled:
    """The people behind one edge, or behind all of a place that are Other."""
    if not isinstance(row.get("step"), int) or not all(isinstance(row.get(side), str) for side in ("from_node", "to_node")):
        raise invalid("This is no row of the answer.", place="row", way_out="Give its step, a whole number, from_node and to_node, texts.")
    rest = row["from_node"] == row["to_node"] == OTHER  # no node follows itself
    source, target = (
        Sql("0") if rest else sql("cityHash64($name)", name=scope.bind(row[side], "String")) for side in ("from_node", "to_node")
    )
    return _compiled(
        question,
        scope,
        _nodes(question, scope),
        sql(MEMBERS, source=source, target=target),
        people=Sql("groupUniqArrayArray"),
        asked=sql("place = $place", place=scope.bind(row["step"], "Int64")),
    )


def shape(question: Path, scope: Scope, result: Result) -> Shaped:
    """Place by place, the most frequent edge first, Other last."""
    rows = [
        {
            "step": row["place"],
            "from_node": row["from_name"],
            "to_node": row["to_name"],
            "sessions": row["sessions"],
            "people": row["people"],
            "average_seconds": row["average"],
            "median_seconds": row["median"],
        }
        for row in result.dicts()
    ]
    rows.sort(
        key=lambda row: (row["step"], row["from_node"] == row["to_node"] == OTHER, -row["sessions"], row["from_node"], row["to_node"])
    )
    ends = [f"{side} {name!r}" for side, name in (("start", question.start), ("end", question.end)) if name]
    notes = (f"No path of two nodes or more has the {' and then the '.join(ends)}.",) if ends and not rows else ()
    return Shaped(rows, notes=notes)


def _compiled(question: Path, scope: Scope, nodes: Mapping[str, Sql], answer: Sql, *, people: Sql, asked: Sql) -> Compiled:
    """`people`: the aggregate that gathers those of an edge. `asked`: which places are."""
    gap = _NEVER if question.within == "person" else min(question.session_gap.microseconds, _NEVER)
    statement = sql(
        STATEMENT,
        {
            "origin": (scope.range.start - _EPOCH) // timedelta(microseconds=1),
            "gap": gap,
            "minimum": question.minimum,
            "edges": question.edges,
        },
        events=scope.events(),
        scope=scope.where(),
        paths=_paths(question),
        place=Sql("toInt64(nth)" if question.count_from == "start" else "toInt64(nth) - toInt64(length(path))"),
        people=people,
        asked=asked,
        answer=answer,
        **nodes,
    )
    return Compiled(statement)


def _paths(question: Path) -> Sql:
    start, end = _named(question, question.start), _named(question, question.end)
    if start and end:
        return Sql(BETWEEN, {"start": start, "end": end, "steps": question.steps, "half": question.steps // 2, "fold": FOLD})
    if start:
        return Sql(FROM_START, {"start": start, "steps": question.steps})
    if end:
        return Sql(TO_END, {"end": end, "steps": question.steps})
    return Sql(FIRST_NODES, {"steps": question.steps})


def _named(question: Path, name: str | None) -> str | None:
    """A node as the answer names it: pages without trailing slashes."""
    return name.rstrip("/") or "/" if name and question.node == "page" else name


def _nodes(question: Path, scope: Scope) -> dict[str, Sql]:
    """`node`: the name of an event's node; `wanted`: whether the event counts."""
    source = question.property or _PROPERTIES[question.node]
    raw = scope.text(Breakdown(property=source))
    name = raw
    if question.node == "page":
        name = sql("if(endsWith($raw, '/'), if(trimRight($raw, '/') = '', '/', trimRight($raw, '/')), $raw)", raw=raw)
    if question.patterns:
        fits = [_fits(scope, name, item) for item in question.patterns]
        name = sql("multiIf($folded $name)", folded=join("", fits), name=name)
    wanted = sql(
        "$raw != '' AND ($only) AND NOT ($exclude)",
        raw=raw,
        only=any_of([scope.matches(item) for item in question.only]) if question.only else Sql("1"),
        exclude=any_of([scope.matches(item) for item in question.exclude]),
    )
    return {"node": name, "wanted": wanted}


def _fits(scope: Scope, name: Sql, item: Pattern) -> Sql:
    """Two arguments of multiIf: a condition, and the name to take."""
    expression = "(?s)^" + ".*".join(re.escape(part) for part in item.pattern.split("*")) + "$"
    if item.regex:
        expression = item.pattern
        try:  # as a filter it would be refused for what the engine does not know
            scope.matches(Selector(filters=[Filter(property="@event", op="matches", value=expression)]))
        except AlmanacError as error:
            raise invalid(error.message, place="patterns", way_out=error.way_out) from None
    return sql(
        "match($name, $expression), $folded, ",
        name=name,
        expression=scope.bind(expression, "String"),
        folded=scope.bind(item.name or item.pattern, "String"),
    )


ANALYSIS: Final = Analysis(question=Path, row=PathRow, compile=compile, shape=shape, members=members, examples=examples_of("path"))
