"""What pages look up while somebody chooses: values of properties, and people. Against what a few lines of Python find."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.faces.test_people import MERGES, MONDAY, NAMES, merge

from almanac.core.errors import AlmanacError

if TYPE_CHECKING:
    from tests.faces.conftest import House, Keys

NOW = datetime(2026, 2, 1, tzinfo=UTC)
VALUES = st.sampled_from(["free", "pro", "Pro plus", "", 3, 3.5, True, None])
HOURS = st.integers(-40 * 24, 26 * 24)  # around the 30 days before February


def said(value: Any) -> str:
    return {True: "true", None: ""}.get(value, str(value)) if not isinstance(value, (int, float)) or value is True else str(value)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    events=st.lists(st.tuples(st.sampled_from(NAMES[:3]), st.sampled_from(["visit", "order"]), HOURS, VALUES, VALUES), max_size=20),
    event=st.sampled_from(["", "visit"]),
    search=st.sampled_from(["", "PRO", "3", "x"]),
    limit=st.integers(1, 5),
    of=st.sampled_from(["event", "person"]),
)
def test_values_are_those_of_the_last_thirty_days_the_most_frequent_first(
    world: Any, events: list[tuple[str, str, int, Any, Any]], event: str, search: str, limit: int, of: str
) -> None:
    world.now = NOW
    project = world.project()
    moments = [MONDAY + timedelta(hours=hours) for _, _, hours, _, _ in events]
    world.insert(
        project,
        [
            {"person": who, "event": name, "time": at.isoformat(), "properties": {"a.b": value}, "person_properties": {"a.b": own}}
            for (who, name, _, value, own), at in zip(events, moments, strict=True)
        ],
    )
    profile: dict[str, Any] = {}
    changes = sorted(zip(moments, range(len(events)), events, strict=True))
    for at, _, (who, *_, own) in changes:
        same = [other for moment, _, (name, *_, other) in changes if (moment, name) == (at, who)]
        profile[who] = max(same, key=json.dumps) if len(same) > 1 else own
    counted = Counter(
        said(value if of == "event" else profile[who])
        for (who, name, _, value, _), at in zip(events, moments, strict=True)
        if name == (event or name) and NOW - timedelta(days=30) <= at
    )
    wanted = sorted((-count, text) for text, count in counted.items() if text and search.lower() in text.lower())
    found = world.engine.lookups.values(project, "a.b", of=of, event=event, search=search, limit=limit)
    assert [(-one["events"], one["value"]) for one in found] == wanted[:limit]


def test_built_in_columns_have_values_too(world: Any) -> None:
    world.now = NOW
    project = world.project()
    day = "2026-01-20T10:00:00Z"
    seen = [("Firefox", True, 5), ("Firefox", False, None), ("Safari", False, 5)]
    world.insert(
        project,
        [{"person": "p", "event": "e", "time": day, "browser": name, "is_bot": bot, "revenue": revenue} for name, bot, revenue in seen],
    )
    values = world.engine.lookups.values
    assert values(project, "@browser") == [{"value": "Firefox", "events": 2}, {"value": "Safari", "events": 1}]
    assert values(project, "@is_bot") == [{"value": "false", "events": 2}, {"value": "true", "events": 1}]
    assert values(project, "@revenue") == [{"value": "5", "events": 2}]
    for wrong in ({"property_": "@nose"}, {"property_": "x", "of": "group"}):
        with pytest.raises(AlmanacError) as error:
            values(project, **wrong)
        assert error.value.code == "invalid"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    events=st.lists(
        st.tuples(
            st.sampled_from(NAMES), HOURS, st.dictionaries(st.sampled_from(["email", "$name", "plan"]), st.sampled_from(["Ann", "bob"]))
        ),
        max_size=12,
    ),
    merges=MERGES,
    search=st.sampled_from(["", "p", "p1", "p4", "an", "BOB"]),
    limit=st.integers(2, 5),
)
def test_people_come_by_their_latest_event_once_each_in_pages(
    world: Any, events: list[tuple[str, int, dict[str, str]]], merges: dict[str, str], search: str, limit: int
) -> None:
    world.now = NOW
    project = world.project()
    # No two changes at one instant: which of them counts is told elsewhere.
    moments = [MONDAY + timedelta(hours=hours, seconds=place) for place, (_, hours, _) in enumerate(events)]
    world.insert(
        project,
        [
            {"person": name, "event": "e", "time": at.isoformat(), "person_properties": has}
            for (name, _, has), at in zip(events, moments, strict=True)
        ],
    )
    merge(world, project, merges)
    found, after = [], ""
    while True:
        page = world.engine.lookups.people(project, search=search, limit=limit, after=after)
        assert len(page.people) <= limit
        found += page.people
        after = page.next
        if not after:
            break
        assert len(page.people) == limit
    wanted = expected(events, moments, merges, search)
    assert [person["distinct_id"] for person in found] == wanted


def expected(events: list[tuple[str, int, dict[str, str]]], moments: list[datetime], merges: Mapping[str, str], search: str) -> list[str]:
    last: dict[str, datetime] = {}
    ids: dict[str, set[str]] = defaultdict(set)
    has: dict[str, dict[str, str]] = defaultdict(dict)
    for source, target in merges.items():
        ids[target] |= {source, target}
    for at, (name, _, properties) in sorted(zip(moments, events, strict=True), key=lambda one: one[0]):
        who = merges.get(name, name)
        ids[who] |= {name}
        last[who] = at
        has[who] |= properties
    fits = [
        who
        for who in last
        if any(one.startswith(search) for one in ids[who])
        or any(search.lower() in has[who].get(name, "").lower() for name in ("email", "$name"))
    ]
    return sorted(fits, key=lambda who: last[who], reverse=True)


# ------------------------------------------------------------------- over HTTP


@pytest.fixture(scope="module")
def shop(house: House) -> Keys:
    keys = house.project("shop to look at")
    now = datetime.now(UTC)
    house.send(
        keys.project,
        *(
            {"event": "order", "distinct_id": f"u{number}", "id": f"l{number}", "time": (now - timedelta(hours=number)).isoformat()}
            | {"properties": {"plan": "pro" if number % 3 else "free"}, "profile": {"set": {"email": f"u{number}@example.org"}}}
            for number in range(7)
        ),
    )
    return keys


def get(house: House, keys: Keys, path: str, status: int = 200, key: str = "", **query: Any) -> Any:
    headers = {"Authorization": f"Bearer {key or keys.read}"}
    answer = house.client.get(f"/api/v1/projects/{keys.project}/{path}", params=query, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_page_looks_values_up(house: House, shop: Keys) -> None:
    assert get(house, shop, "property-values", property="plan") == [{"value": "pro", "events": 4}, {"value": "free", "events": 3}]
    assert get(house, shop, "property-values", property="plan", search="FR") == [{"value": "free", "events": 3}]
    assert get(house, shop, "property-values", property="plan", event="none") == []
    assert get(house, shop, "property-values", property="@event", limit=1) == [{"value": "order", "events": 7}]
    assert len(get(house, shop, "property-values", property="email", of="person")) == 7
    assert get(house, shop, "property-values", 400, property="@nose")["error"]["code"] == "invalid"
    assert get(house, shop, "property-values", 400)["error"]["place"] == "property"
    get(house, shop, "property-values", 403, key=shop.write, property="plan")


def test_a_page_lists_people(house: House, shop: Keys) -> None:
    first = get(house, shop, "people", limit=4)
    assert [person["distinct_id"] for person in first["people"]] == ["u0", "u1", "u2", "u3"]
    rest = get(house, shop, "people", limit=4, after=first["next"])
    assert ([person["distinct_id"] for person in rest["people"]], rest["next"]) == (["u4", "u5", "u6"], "")
    assert first["people"][0]["properties"] == {"email": "u0@example.org"}
    assert [one["distinct_id"] for one in get(house, shop, "people", search="U5@EXAMPLE")["people"]] == ["u5"]
    assert len(get(house, shop, "people", search="u")["people"]) == 7
    assert get(house, shop, "people", search="nobody") == {"people": [], "next": ""}
    for token in ("x", "1.g", "-1.0", f"{1 << 63}.0", "1." + "f" * 17):
        assert get(house, shop, "people", 400, after=token)["error"]["place"] == "after"
    get(house, shop, "people", 403, key=shop.write)
