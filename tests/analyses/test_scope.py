"""Properties, filters and periods as the engine really reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from almanac.analyses.properties import quoted
from almanac.analyses.scope import EventScope, period_label
from almanac.core import time as times
from almanac.core.errors import AlmanacError
from almanac.core.filters import Breakdown, Filter, FilterGroup, Selector
from almanac.core.sql import Sql, sql
from almanac.core.time import TimeRange

DAY = TimeRange(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC), "UTC")


def scope_of(world: Any, project: str, **more: Any) -> EventScope:
    person = Sql("dictGetOrDefault('person_of', 'person', (project, person_hash), person_hash)")
    usual = {"now": DAY.end, "range": DAY, "week_start": "monday", "person": person, **more}
    return EventScope(world.projects.by_id[project], **usual)


def events_with(values: list[Any], name: str = "p") -> list[dict[str, Any]]:
    return [
        {"person": f"u{place}", "event": "e", "time": f"2026-01-01T00:00:{place:02d}Z", "properties": {} if value is ... else {name: value}}
        for place, value in enumerate(values)
    ]


def found(world: Any, values: list[Any], **condition: Any) -> list[int]:
    """The places of the values that pass the filter."""
    project = world.project()
    world.insert(project, events_with(values))
    scope = scope_of(world, project, filters=[Filter(property="p", **condition)])
    statement = sql("SELECT toSecond(time) AS place FROM $events WHERE $scope ORDER BY place", events=scope.events(), scope=scope.where())
    return [row[0] for row in world.store.query(scope.complete(statement)).rows]


VALUES = ["pro", "Pro plan", 5, 5.5, "5", True, "true", False, None, ..., "", [1, 2], 1 << 60, "1e3", "nan", -3]


@pytest.mark.parametrize(
    ("condition", "places"),
    [
        ({"value": "pro"}, [0]),
        ({"value": 5}, [2, 4]),
        ({"value": 5.0}, [2, 4]),
        ({"value": "5"}, [2, 4]),
        ({"value": True}, [5, 6]),
        ({"value": "true"}, [5, 6]),
        ({"value": 1 << 60}, [12]),
        ({"value": (1 << 60) + 1}, []),
        ({"op": "!=", "value": "pro"}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
        ({"op": "in", "value": ["pro", "5"]}, [0, 2, 4]),
        ({"op": "in", "value": ["pro", 5, False]}, [0, 2, 4, 7]),
        ({"op": "in", "value": []}, []),
        ({"op": "not_in", "value": ["pro", 5, False, True, "", "nan"]}, [1, 3, 8, 9, 11, 12, 13, 15]),
        ({"op": "contains", "value": "PRO"}, [0, 1]),
        ({"op": "not_contains", "value": "o"}, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
        ({"op": "starts_with", "value": "pro"}, [0, 1]),
        ({"op": "ends_with", "value": "Plan"}, [1]),
        ({"op": "matches", "value": "^[Pp]ro$"}, [0]),
        ({"op": ">", "value": 5}, [3, 12, 13]),
        ({"op": ">=", "value": "5"}, [2, 3, 4, 12, 13]),
        ({"op": "<", "value": 5}, [15]),
        ({"op": "<=", "value": 5}, [2, 4, 15]),
        ({"op": "is_set"}, [0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15]),
        ({"op": "is_not_set"}, [8, 9]),
    ],
)
def test_each_operator_finds_what_a_person_means(world: Any, condition: dict[str, Any], places: list[int]) -> None:
    assert found(world, VALUES, **condition) == places


def places(world: Any, scope: EventScope, condition: Sql) -> list[int]:
    statement = sql(
        "SELECT toSecond(time) AS place FROM $events WHERE $scope AND ($condition) ORDER BY place",
        events=scope.events(),
        scope=scope.where(),
        condition=condition,
    )
    return [row[0] for row in world.store.query(scope.complete(statement)).rows]


def texts(world: Any, properties: dict[str, Any], *names: str) -> list[Any]:
    """Each property as text, and as number."""
    project = world.project()
    world.insert(project, [{"person": "ann", "event": "e", "time": "2026-01-01T00:00:00Z", "properties": properties}])
    scope = scope_of(world, project)
    columns = [sql("($text, $number)", text=scope.text(Breakdown(property=name)), number=scope.number(name)) for name in names]
    parts = sql(
        "array($parts)", parts=Sql(", ".join(part.text for part in columns), {k: v for part in columns for k, v in part.values.items()})
    )
    statement = sql("SELECT $parts FROM $events WHERE $scope", parts=parts, events=scope.events(), scope=scope.where())
    return list(world.store.query(scope.complete(statement)).rows[0][0])


def test_dots_lead_into_objects_and_belong_to_names(world: Any) -> None:
    properties = {"a": {"b": "inner", "c.d": 2}, "x.y": 3, "p.q": "own", "p": {"q": "nested"}}
    assert texts(world, properties, "a.b", "x.y", "p.q", "a", "nothing.here") == [
        ("inner", None),
        ("3", 3.0),
        ("nested", None),
        ("", None),
        ("", None),
    ]


def test_a_property_as_number(world: Any) -> None:
    properties = {"i": 5, "f": 2.5, "t": "1e3", "b": True, "big": 18446744073709551615, "inf": "inf", "word": "five", "n": None, "l": [1]}
    numbers = [number for _, number in texts(world, properties, *properties)]
    assert numbers == [5.0, 2.5, 1000.0, None, 1.8446744073709552e19, None, None, None, None]


HOSTILE = ["`", "\\", "a`b\\", "'; DROP TABLE events --", "{v1:String}", "$scope", "%(x)s", "^`a`", "^a", ":`Int64`", "a.:`String`", "[]"]
HOSTILE += ["a[]", "\n", "\0", "$$", "/* x */", "ü", "🎉", "a b", "..", ".", "events_of_the_question", "person", "time", "Ω̈", "\u202e"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_only_a_name(world: Any, name: str) -> None:
    assert texts(world, {name: 7, "other": "no"}, name) == [("7", 7.0)]


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1, max_size=12).filter(lambda name: "%" not in name and name[0] != "@"))
@example("`")
def test_any_name_finds_its_own_value_and_no_other(world: Any, name: str) -> None:
    assert texts(world, {name: 7}, name, f"{name}x") == [("7", 7.0), ("", None)]


@given(st.text(max_size=30))
def test_a_quoted_name_has_no_way_out_of_its_quotes(name: str) -> None:
    inside = quoted(name).text[1:-1]
    assert not set(inside) & set("`'\"{}$%()[];\n\0")
    assert inside.count("\\") == inside.count("\\x")


def test_broken_unicode_is_refused() -> None:
    with pytest.raises(AlmanacError, match="not valid Unicode"):
        quoted("a\ud800")


def test_groups_of_conditions(world: Any) -> None:
    """pro and (5 or 6), but not 6."""
    project = world.project()
    world.insert(
        project,
        [
            {"person": "u", "event": "e", "time": f"2026-01-01T00:00:{place:02d}Z", "properties": {"plan": plan, "n": n}}
            for place, (plan, n) in enumerate([("pro", 5), ("pro", 6), ("free", 5), ("pro", 7)])
        ],
    )
    scope = scope_of(world, project)
    either = FilterGroup(any=[Filter(property="n", value=5), Filter(property="n", value=6)])
    group = FilterGroup(all=[Filter(property="plan", value="pro"), either], **{"not": [Filter(property="n", value=6)]})
    assert places(world, scope, scope.condition(group)) == [0]
    assert places(world, scope, scope.condition(FilterGroup())) == [0, 1, 2, 3]


def test_a_selector_is_a_name_and_filters(world: Any) -> None:
    project = world.project()
    world.insert(
        project, [*events_with(["x", "y"]), {"person": "u", "event": "f", "time": "2026-01-01T00:00:02Z", "properties": {"p": "x"}}]
    )
    scope = scope_of(world, project)
    assert places(world, scope, scope.matches(Selector(event="e", filters=[Filter(property="p", value="x")]))) == [0]
    assert places(world, scope, scope.matches(Selector(filters=[Filter(property="p", value="x")]))) == [0, 2]


def test_times_compare_in_the_zone_of_the_question(world: Any) -> None:
    """Berlin's midnight of 1 June is 22:00 UTC of 31 May."""
    project = world.project()
    values = ["2026-05-31T21:59:59Z", "2026-05-31T22:00:00Z", "2026-06-01", "2026-05-31 23:59:59", "soon"]
    world.insert(project, events_with(values))
    scope = scope_of(world, project, range=TimeRange(DAY.start, DAY.end, "Europe/Berlin"))
    assert places(world, scope, scope.condition(Filter(property="p", op=">=", value="2026-06-01"))) == [1, 2]
    with pytest.raises(AlmanacError, match="neither a number nor a time"):
        scope.condition(Filter(property="p", op=">", value="soon"))


def test_built_in_columns(world: Any) -> None:
    project = world.project()
    rows = [{"browser": "Firefox", "is_bot": False, "revenue": 9.5}, {"browser": "", "is_bot": True, "revenue": None}]
    world.insert(project, [{"person": "u", "event": "e", "time": f"2026-01-01T00:00:0{n}Z", **row} for n, row in enumerate(rows)])
    scope = scope_of(world, project)
    for condition, expected in [
        (Filter(property="@browser", value="Firefox"), [0]),
        (Filter(property="@browser", op="contains", value="fire"), [0]),
        (Filter(property="@browser", op="is_not_set"), [1]),
        (Filter(property="@is_bot", value=True), [1]),
        (Filter(property="@revenue", op=">", value=9), [0]),
        (Filter(property="@event", op="in", value=["e"]), [0, 1]),
    ]:
        assert places(world, scope, scope.condition(condition)) == expected, condition


def test_profiles_are_what_their_changes_amount_to(world: Any) -> None:
    """Ann's phone and laptop are one person: the latest set of either counts. Bob's set was taken back. Cat has but a first value."""
    project = world.project()
    at = "2026-01-01T00:00:0{}Z".format
    world.insert(
        project,
        [
            {"person": "phone", "event": "e", "time": at(0), "person_properties": {"plan": "free", "n": 1}},
            {"person": "laptop", "event": "e", "time": at(1), "person_properties": {"plan": "pro"}, "set_once": {"n": 5}},
            {"person": "bob", "event": "e", "time": at(2), "person_properties": {"plan": "pro"}},
            {"person": "bob", "event": "e", "time": at(3), "unset": {"plan": None}},
            {"person": "cat", "event": "e", "time": at(4), "set_once": {"plan": "team"}},
            {"person": "cat", "event": "e", "time": at(5), "set_once": {"plan": "later"}},
            {"person": None, "event": "e", "time": at(6)},
        ],
        {"phone": "ann", "laptop": "ann"},
    )
    for value, expected in [("pro", [0, 1]), ("free", []), ("team", [4, 5])]:
        scope = scope_of(world, project, filters=[Filter(property="plan", of="person", value=value)])
        assert places(world, scope, Sql("1")) == expected
    scope = scope_of(world, project)
    assert places(world, scope, scope.condition(Filter(property="plan", of="person", op="is_not_set"))) == [2, 3, 6]
    scope = scope_of(world, project)
    assert places(world, scope, scope.condition(Filter(property="n", of="person", op="<", value=2))) == [0, 1]


def test_properties_of_groups(world: Any) -> None:
    project = world.project()
    groups = [{"company": "acme"}, {"company": "other"}, {}]
    world.insert(
        project, [{"person": "u", "event": "e", "time": f"2026-01-01T00:00:0{n}Z", "groups": group} for n, group in enumerate(groups)]
    )
    world.store.execute(
        Sql(
            "INSERT INTO profile_changes (project, subject, key_hash, key, property, op, value, time) "
            "SELECT {p:String}, 'company', cityHash64('acme'), 'acme', 'size', 'set', '250', now()",
            {"p": project},
        )
    )
    scope = scope_of(world, project)
    big = Filter(property="size", of="group", group_type="company", op=">", value=100)
    assert places(world, scope, scope.condition(big)) == [0]


def test_consent_and_project_bound_everything(world: Any) -> None:
    mine, other = world.project(), world.project()
    for project in (mine, other):
        world.insert(project, events_with(["x"]))
    scope = scope_of(world, mine, consent=Sql("event != 'e'"))
    assert places(world, scope, Sql("1")) == []
    outside = sql("SELECT count() FROM $events", events=scope_of(world, mine).events())
    assert world.store.query(scope_of(world, mine).complete(outside)).rows == [(1,)]


def test_names_of_periods() -> None:
    midnight = datetime(2026, 3, 28, 23, tzinfo=UTC)  # of Berlin
    assert period_label(midnight, "day", "Europe/Berlin") == "2026-03-29"
    assert period_label(midnight, "hour", "Europe/Berlin") == "2026-03-29T00:00:00+01:00"
    assert period_label(midnight.replace(tzinfo=None), "month", "UTC") == "2026-03-28"


@pytest.mark.parametrize("week_start", ["monday", "sunday"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Santiago", "Asia/Kathmandu", "Asia/Beirut", "Pacific/Apia"])
def test_the_engine_begins_periods_where_the_calendar_does(world: Any, zone: str, week_start: Any) -> None:
    """Days that begin at 1 o'clock, as Beirut's of 26 March 2023 (clocks went forward at midnight), too."""
    from almanac.core import time as times

    span = TimeRange(datetime(2023, 3, 1, tzinfo=UTC), datetime(2023, 4, 1, tzinfo=UTC), zone)
    scope = scope_of(world, world.project(), range=span, week_start=week_start)
    for interval in ("hour", "day", "week", "month", "quarter", "year"):
        statement = sql(
            "SELECT DISTINCT toUnixTimestamp($start) AS start FROM (SELECT toDateTime64(1677628800 + 1800 * number, 6, 'UTC') AS time, "
            "toDate(time) AS day FROM numbers(1488)) ORDER BY start",
            start=scope.period(interval),
        )
        starts = [row[0] for row in world.store.query(statement).rows]
        assert starts == [moment.timestamp() for moment in times.periods(span, interval, week_start=week_start)], interval


def test_a_number_of_no_column_is_refused(world: Any) -> None:
    for name in ("@nope", "@", "x" * 501, ""):
        with pytest.raises(AlmanacError) as refused:
            scope_of(world, world.project()).number(name)
        assert refused.value.place == "property"


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Australia/Lord_Howe", "2026-04-04"),  # half an hour back
        ("Australia/Lord_Howe", "2026-10-03"),  # half an hour on
        ("Asia/Kathmandu", "2026-01-01"),
        ("Pacific/Chatham", "2026-04-04"),
        ("Europe/Berlin", "2026-03-28"),
        ("Europe/Berlin", "2026-10-24"),
        ("America/Santiago", "2026-09-05"),  # the clock passes over midnight
        ("America/Santiago", "2026-04-04"),
    ],
)
def test_hours_begin_where_the_engine_has_them(world: Any, zone: str, day: str) -> None:
    first = datetime.fromisoformat(day).replace(tzinfo=UTC)
    span = TimeRange(first, first + timedelta(days=2), zone)
    hour = "toStartOfHour(toDateTime({first:Int64} + 600 * number, {zone:String}))"
    text = f"SELECT DISTINCT toUnixTimestamp({hour}) FROM numbers(288) ORDER BY 1"
    engine = [row[0] for row in world.store.query(Sql(text, {"first": int(first.timestamp()), "zone": zone})).rows]
    assert [int(start.timestamp()) for start in times.periods(span, "hour")] == engine
    assert [int(times.floor(start, "hour").timestamp()) for start in times.periods(span, "hour")] == engine
