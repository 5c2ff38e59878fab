"""The people behind a number: counted, listed in pages, described; and one person's timeline."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from almanac.core.analysis import registry
from almanac.core.errors import AlmanacError
from almanac.core.sql import Sql
from almanac.web.answers import Client
from almanac.web.client import Api, InProcess

if TYPE_CHECKING:
    from tests.faces.conftest import House, Keys

NAMES = [f"p{number}" for number in range(9)]
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from(["visit", "order"]),
        st.integers(0, 6 * 24),
        st.dictionaries(st.sampled_from(["plan", "city"]), st.sampled_from(["free", "pro", 3, True]), max_size=2),
    ),
    max_size=25,
)
# Everybody goes by one id at most, and that one is nobody else.
MERGES = st.dictionaries(st.sampled_from(NAMES[:4]), st.sampled_from(NAMES[4:]), max_size=4)


def merge(world: Any, project: str, merges: Mapping[str, str]) -> None:
    """As the load does: the statements, and what they amount to."""
    for source, target in merges.items():
        values = {"p": project, "a": source, "b": target}
        edge = "INSERT INTO identity_edges SELECT {p:String}, generateUUIDv4(), 0, {a:String}, {b:String}, 'merge', now64(6), 1"
        world.store.execute(Sql(edge, values))
        world.store.execute(Sql("INSERT INTO persons SELECT {p:String}, cityHash64({a:String}), cityHash64({b:String}), 1", values))
    if merges:
        world.store.execute(Sql("SYSTEM RELOAD DICTIONARY person_of"))


def expected(events: list[tuple[str, str, int, dict[str, Any]]], merges: Mapping[str, str], periods: int) -> dict[str, dict[str, Any]]:
    """By the id that they go by: those who visited on exactly so many days, and what is known of them."""
    ids, own = defaultdict(set), defaultdict(list)
    for place, (name, event, hours, properties) in enumerate(events):
        who = merges.get(name, name)
        ids[who] |= {name, who}
        own[who].append((hours, place, event, properties))
    for source, target in merges.items():
        ids[target] |= {source, target}
    found = {}
    for who, done in own.items():
        if len({hours // 24 for hours, _, event, _ in done if event == "visit"}) != periods:
            continue
        has: dict[str, Any] = {}
        # The latest change counts; of two at one instant, the one whose JSON text comes later.
        for _, properties in sorted(((hours, properties) for hours, _, _, properties in done), key=lambda one: one[0]):
            has |= properties
        for name in has:
            changes = [(hours, json.dumps(properties[name])) for hours, _, _, properties in done if name in properties]
            has[name] = json.loads(max(changes)[1])
        times = [MONDAY + timedelta(hours=hours) for hours, _, _, _ in done]
        found[who] = {
            "distinct_id": who,
            "ids": sorted(ids[who]),
            "id_count": len(ids[who]),
            "first_seen": min(times).isoformat().replace("+00:00", "Z"),
            "last_seen": max(times).isoformat().replace("+00:00", "Z"),
            "events": len(done),
            "properties": has,
        }
    return found


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, merges=MERGES, periods=st.integers(1, 3), limit=st.integers(1, 4))
def test_pages_hold_everybody_once_and_what_is_known_of_them(
    world: Any, events: list[tuple[str, str, int, dict[str, Any]]], merges: dict[str, str], periods: int, limit: int
) -> None:
    world.now = datetime(2026, 2, 1, tzinfo=UTC)
    project = world.project()
    moments = [(MONDAY + timedelta(hours=hours)).isoformat() for _, _, hours, _ in events]
    world.insert(
        project,
        [
            {"person": name, "event": event, "time": moment, "person_properties": properties}
            for (name, event, _, properties), moment in zip(events, moments, strict=True)
        ],
    )
    merge(world, project, merges)
    question = {"kind": "stickiness", "series": ["visit"], "date_from": "2026-01-05", "date_to": "2026-01-12"}
    row = {"series": "visit", "periods": periods}
    wanted = expected(events, merges, periods)
    found, after, pages = [], "", 0
    while True:
        page = world.engine.people(project, question, row, limit=limit, after=after)
        assert (page.total, len(page.people)) == (len(wanted), min(limit, len(wanted) - len(found)))
        found += page.people
        after, pages = page.next, pages + 1
        if not after:
            break
    assert pages == max(1, -(-len(wanted) // limit))
    assert len(found) == len(wanted)
    assert {person["distinct_id"]: person for person in found} == wanted
    assert [person for block in world.engine.everyone(project, question, row) for person in block] == found


@pytest.mark.parametrize("kind", [kind for kind, analysis in registry().items() if analysis.members is not None])
def test_every_row_of_a_worked_example_has_its_people(world: Any, kind: str) -> None:
    example = registry()[kind].examples[0]
    world.now = datetime.fromisoformat(example.now)
    project = world.project()
    world.insert(project, example.events)
    names = {event["person"] for event in example.events if event.get("person")}
    totals = []
    for row in world.engine.ask(project, example.question).rows:
        page = world.engine.people(project, example.question, row)
        assert {person["distinct_id"] for person in page.people} <= names
        assert page.total == len(page.people)
        totals.append(page.total)
    assert any(totals)


# ----------------------------------------------------------------- over HTTP

QUESTION = {"kind": "lifecycle", "events": ["order"], "date_from": "2026-01-05", "date_to": "2026-01-06"}
ROW = {"status": "new", "period": "2026-01-05"}


@pytest.fixture(scope="module")
def shop(house: House) -> Keys:
    keys = house.project("people of a shop")
    house.send(
        keys.project,
        {"event": "visit", "distinct_id": "anna-browser", "id": "v1", "time": "2026-01-05T09:00:00Z"},
        {"event": "visit", "distinct_id": "anna-browser", "id": "v2", "time": "2026-01-05T09:20:00Z"},
        {"event": "order", "distinct_id": "anna", "anonymous_id": "anna-browser", "id": "o1", "time": "2026-01-05T10:00:00Z"},
        {
            "event": "order",
            "distinct_id": "ben",
            "id": "o2",
            "time": "2026-01-05T11:00:00Z",
            "profile": {"set": {"email": "ben@example.org", "tags": ["a", "b"]}, "set_once": {"first": "=1+1"}},
        },
    )
    return keys


def post(house: House, keys: Keys, body: Any, status: int = 200, **query: Any) -> Any:
    path = f"/api/v1/projects/{keys.project}/people"
    answer = house.client.post(path, json=body, params=query, headers={"Authorization": f"Bearer {keys.read}"})
    assert answer.status_code == status, answer.text
    return answer.json() if answer.headers["content-type"] == "application/json" else answer.text


def test_who_is_behind_a_number_with_a_receipt(house: House, shop: Keys) -> None:
    found = post(house, shop, {"question": QUESTION, "row": ROW})
    assert (found["total"], found["next"]) == (2, "")
    assert {person["distinct_id"]: (person["ids"], person["events"]) for person in found["people"]} == {
        "anna": (["anna", "anna-browser"], 3),
        "ben": (["ben"], 1),
    }
    (ben,) = [person for person in found["people"] if person["distinct_id"] == "ben"]
    assert (ben["first_seen"], ben["properties"]["email"]) == ("2026-01-05T11:00:00Z", "ben@example.org")
    assert found["receipt"]["row"] == ROW
    assert found["receipt"]["question"]["kind"] == "lifecycle"
    assert "identity" not in found["receipt"]["sql"]
    assert (
        "lifecycle"
        in post(house, shop, {"question": QUESTION, "row": {**ROW, "count": 2, "complete": True}})["receipt"]["question"].values()
    )


def test_all_of_them_as_a_file(house: House, shop: Keys) -> None:
    text = post(house, shop, {"question": QUESTION, "row": ROW, "limit": 1}, format="csv")
    lines = {line["distinct_id"]: line for line in csv.DictReader(io.StringIO(text))}
    assert set(lines) == {"anna", "ben"}
    assert lines["ben"]["properties.email"] == "ben@example.org"
    assert json.loads(lines["ben"]["properties.tags"]) == ["a", "b"]
    assert json.loads(lines["anna"]["ids"]) == ["anna", "anna-browser"]
    assert lines["anna"]["properties.email"] == ""


@pytest.mark.parametrize(
    ("body", "place", "words"),
    [
        ({"question": {"kind": "sql", "sql": "SELECT 1"}, "row": {}}, "kind", "not made of people"),
        ({"question": QUESTION, "row": {"when": "now"}}, "row.when", "no column 'when'"),
        ({"question": QUESTION, "row": {"status": "new", "period": "2026-03-01"}}, "period", "no period"),
        ({"question": QUESTION, "row": ROW, "after": "next!"}, "after", "not the token"),
        ({"question": QUESTION, "row": ROW, "limit": 0}, "limit", "greater than or equal to 1"),
        ({"question": QUESTION}, "row", "is missing"),
        ({"question": {"kind": "horoscope"}, "row": ROW}, "kind", "no question of kind"),
        ({"question": {"kind": "path"}, "row": {"step": 1, "from_node": "no", "to_node": "where"}}, "row", "no row with from_node 'no'"),
    ],
)
def test_what_no_answer_has_is_refused(house: House, shop: Keys, body: Any, place: str, words: str) -> None:
    error = post(house, shop, body, 404 if "horoscope" in str(body) else 400)["error"]
    assert error["place"] == place, error
    assert words in error["message"]


def test_behind_a_saved_question(house: House, shop: Keys) -> None:
    house.rooms.definitions.save(shop.project, "question", "newcomers", QUESTION)
    found = post(house, shop, {"question": {"saved": "newcomers"}, "row": ROW})
    assert found["total"] == 2
    assert found["receipt"]["definitions"] == [{"kind": "question", "name": "newcomers", "version": 1}]


def test_others_see_nobody(house: House, shop: Keys) -> None:
    other = house.project("people of others")
    path = f"/api/v1/projects/{shop.project}/people"
    for key, status in ((other.read, 404), (shop.write, 403), ("", 401)):
        answer = house.client.post(path, json={"question": QUESTION, "row": ROW}, headers={"Authorization": f"Bearer {key}"} if key else {})
        assert answer.status_code == status


def test_a_timeline_in_pages_with_its_sessions(house: House, shop: Keys) -> None:
    def get(**query: Any) -> Any:
        path = f"/api/v1/projects/{shop.project}/people/anna-browser"
        answer = house.client.get(path, params=query, headers={"Authorization": f"Bearer {shop.read}"})
        assert answer.status_code in (200, 400), answer.text
        return answer.json()

    whole = get()
    assert [(event["event_id"], event["session_start"]) for event in whole["events"]] == [("o1", True), ("v2", False), ("v1", True)]
    assert (whole["first_seen"], whole["last_seen"], whole["event_count"]) == ("2026-01-05T09:00:00Z", "2026-01-05T10:00:00Z", 3)
    assert whole["next"] == ""
    first = get(limit=2)
    assert [event["event_id"] for event in first["events"]] == ["o1", "v2"]
    rest = get(limit=2, after=first["next"])
    assert ([event["event_id"] for event in rest["events"]], rest["next"]) == (["v1"], "")
    assert [(event["event_id"], event["session_start"]) for event in get(event="visit")["events"]] == [("v2", None), ("v1", None)]
    assert [event["event_id"] for event in get(until="2026-01-05T09:20:00Z")["events"]] == ["v1"]
    assert [event["event_id"] for event in get(until="2026-01-05T10:20:00+01:00")["events"]] == ["v1"]
    assert get(after="x")["error"]["place"] == "after"
    assert get(until="0001-01-01T00:00:00Z")["error"]["place"] == "until"


def test_from_an_answer_in_python(house: House, shop: Keys) -> None:
    client = Client(Api(InProcess(house.rooms)), project=shop.project)
    answer = client.ask({**QUESTION, "date_from": None, "date_to": None, "last": "1 year"})
    place = next(place for place, row in enumerate(answer.rows) if (row["status"], row["period"]) == ("new", "2026-01-05"))
    found = answer.people(place, limit=1)
    assert (found.total, len(found), bool(found.next)) == (2, 1, True)
    assert found.receipt["window"] == answer.receipt["window"]
    rest = answer.people(answer.rows[place], after=found.next)
    assert {person["distinct_id"] for person in [*found, *rest]} == {"anna", "ben"}
    assert "properties.email" in client.people(QUESTION, ROW).to_pandas().columns
    with pytest.raises(AlmanacError, match="not made of people"):
        client.sql("SELECT 1 AS n").people({"n": 1})
