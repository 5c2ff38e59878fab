"""GraphQL: a field for each kind, lists in pages, errors in our words, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from almanac.core.analysis import registry

if TYPE_CHECKING:
    from tests.faces.conftest import House, Keys

DAYS = 'date_from: "2026-01-05", date_to: "2026-01-06"'


@pytest.fixture(scope="module")
def shop(house: House) -> Keys:
    keys = house.project("graph shop")
    house.send(
        keys.project,
        *({"event": "visit", "distinct_id": f"u{n}", "id": f"v{n}", "time": f"2026-01-05T0{n}:00:00Z"} for n in range(1, 6)),
        {"event": "order", "distinct_id": "u1", "id": "o1", "time": "2026-01-06T09:00:00Z", "properties": {"price": 12.5, "big": 2**70}},
    )
    return keys


def sent(house: House, key: str, query: str, status: int = 200, **variables: Any) -> Any:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    answer = house.client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def asked(house: House, keys: Keys, selection: str, **variables: Any) -> Any:
    """Of the project, with its read key."""
    declared = f"({', '.join(f'${name}: JSON!' for name in variables)})" if variables else ""
    body = sent(house, keys.read, f'query {declared} {{project(id: "{keys.project}") {{{selection}}}}}', **variables)
    assert "errors" not in body, body["errors"]
    return body["data"]["project"]


def refused(house: House, keys: Keys, selection: str) -> Any:
    body = sent(house, keys.read, f'{{project(id: "{keys.project}") {{{selection}}}}}')
    (error, *_) = body["errors"]
    assert error["message"] == error["extensions"]["message"]
    return error["extensions"]


def test_a_question_with_typed_arguments_and_rows(house: House, shop: Keys) -> None:
    trend = f'trend(series: ["visit", {{event: "order", measure: "unique"}}], interval: day, {DAYS})'
    found = asked(house, shop, f"{trend} {{kind rows {{series period value complete}} columns {{name}} receipt {{exact sql notes all}}}}")
    assert [(row["series"], row["period"], row["value"]) for row in found["trend"]["rows"]] == [
        ("visit", "2026-01-05", 5),
        ("visit", "2026-01-06", 0),
        ("order", "2026-01-05", 0),
        ("order", "2026-01-06", 1),
    ]
    receipt = found["trend"]["receipt"]
    assert (receipt["exact"], "SELECT" in receipt["sql"], receipt["all"]["question"]["kind"]) == (True, True, "trend")


def test_variables_aliases_and_any_kind(house: House, shop: Keys) -> None:
    question = {"kind": "trend", "series": ["visit"], "interval": "total", "date_from": "2026-01-05", "date_to": "2026-01-06"}
    found = asked(house, shop, "a: ask(question: $q) {rows} b: trend(series: $s, interval: total) {kind}", q=question, s=["visit"])
    assert (found["a"]["rows"][0]["value"], found["b"]["kind"]) == (5, "trend")
    free = asked(house, shop, 'sql(sql: "SELECT count() AS n FROM events") {rows}')
    assert free["sql"]["rows"][0]["n"] == 6


def test_every_kind_and_every_column_stands_in_the_schema(house: House, shop: Keys) -> None:
    query = "{__schema {types {name fields {name type {name ofType {name}} args {name}}}}}"
    types = {item["name"]: item["fields"] for item in sent(house, shop.read, query)["data"]["__schema"]["types"]}
    project = {item["name"]: item for item in types["Project"]}
    for kind, analysis in registry().items():
        assert {argument["name"] for argument in project[kind]["args"]} == {
            info.alias or name for name, info in analysis.question.model_fields.items() if name != "kind"
        } | {"fresh"}
        row: type[BaseModel] = analysis.row
        if row.model_fields:
            assert {item["name"] for item in types[f"{analysis.question.__name__}Row"]} == set(row.model_fields)


def test_lists_come_in_pages(house: House, shop: Keys) -> None:
    def pages(name: str, arguments: str, selection: str, size: int) -> list[Any]:
        nodes, after = [], ""
        for _ in range(20):
            cursor = f', after: "{after}"' if after else ""
            found = asked(house, shop, f"{name}(first: {size}{cursor}{arguments}) {{{selection} pageInfo {{hasNextPage endCursor}}}}")[name]
            assert len(found["nodes"]) <= size
            nodes += found["nodes"]
            after = found["pageInfo"]["endCursor"]
            if not found["pageInfo"]["hasNextPage"]:
                assert after is None
                return nodes
        raise AssertionError("it never ends")

    assert [event["event_id"] for event in pages("events", "", "nodes", 4)] == ["o1", "v5", "v4", "v3", "v2", "v1"]
    assert [event["event_id"] for event in pages("events", ', event: "visit"', "nodes", 1)] == ["v5", "v4", "v3", "v2", "v1"]
    assert [(name["event"], name["count"]) for name in pages("event_names", "", "nodes {event count} totalCount", 1)] == [
        ("visit", 5),
        ("order", 1),
    ]
    assert {item["property"] for item in pages("properties", "", "nodes {property type}", 1)} == {"price", "big"}
    question = f'{{kind: "lifecycle", events: ["visit"], {DAYS}}}'
    row = '{status: "new", period: "2026-01-05"}'
    behind = pages("people", f", question: {question}, row: {row}", "nodes {distinct_id events properties} totalCount", 2)
    assert {person["distinct_id"]: person["events"] for person in behind} == {"u1": 2, "u2": 1, "u3": 1, "u4": 1, "u5": 1}
    person = asked(house, shop, 'person(distinct_id: "u1", first: 1) {ids event_count events next}')["person"]
    assert (person["ids"], person["event_count"], [event["event_id"] for event in person["events"]]) == (["u1"], 2, ["o1"])
    assert person["next"]


def test_definitions_receipts_and_dead_letters(house: House, shop: Keys) -> None:
    house.rooms.definitions.save(shop.project, "question", "visits", {"kind": "trend", "series": ["visit"], "interval": "total"})
    house.spoil(shop.project, "?")
    found = asked(
        house, shop, f'definitions(kind: "question") {{nodes {{name version body}}}} ask(question: {{saved: "visits", {DAYS}}}) {{rows}}'
    )
    assert [(item["name"], item["version"]) for item in found["definitions"]["nodes"]] == [("visits", 1)]
    assert found["ask"]["rows"][0]["value"] == 5
    receipts = [
        asked(house, shop, f'ask(question: {{saved: "visits", {DAYS}, timezone: "{zone}"}}) {{receipt {{all}}}}')["ask"]["receipt"]["all"]
        for zone in ("UTC", "Asia/Tokyo")
    ]
    differences = asked(house, shop, "compare(first: $a, second: $b) {what sentence}", a=receipts[0], b=receipts[1])["compare"]
    assert any("Asia/Tokyo" in item["sentence"] for item in differences)
    letters = f'{{project(id: "{shop.project}") {{dead_letters(first: 5) {{nodes}}}}}}'
    assert sent(house, shop.admin, letters)["data"]["project"]["dead_letters"]["nodes"][0]["original"] == "?"
    assert sent(house, shop.read, letters)["errors"][0]["extensions"]["code"] == "denied"


@pytest.mark.parametrize(
    ("selection", "code", "place"),
    [
        ('trend(series: ["visit"], date_from: "2026-01-07", date_to: "2026-01-01") {kind}', "invalid", "date_to"),
        ('trend(series: ["visit"], interval: fortnight) {kind}', "invalid", "query"),
        ("trend {kind}", "invalid", "query"),
        ('ask(question: {kind: "horoscope"}) {kind}', "not_found", "kind"),
        ("ask(question: 3) {kind}", "invalid", "question"),
        ("events(first: 0) {nodes}", "invalid", "first"),
        ('event_names(after: "x") {nodes {event}}', "invalid", "after"),
        ('events(after: "soon") {nodes}', "invalid", "after"),
        ('definitions(kind: "wish") {nodes {name}}', "invalid", "kind"),
        ('people(question: {kind: "sql", sql: "SELECT 1"}, row: {}) {totalCount}', "invalid", "kind"),
        ("horoscope {kind}", "invalid", "query"),
        ("trend(series: [", "invalid", "query"),
    ],
)
def test_what_is_wrong_is_said_in_our_words(house: House, shop: Keys, selection: str, code: str, place: str) -> None:
    error = refused(house, shop, selection)
    assert (error["code"], error["place"]) == (code, place), error


@pytest.mark.parametrize(
    ("selection", "message", "way_out"),
    [
        ("trnd {kind}", "Cannot query field 'trnd' on type 'Project'.", "Did you mean 'trend'?"),
        ('trend(serie: "visit") {kind}', "Unknown argument 'serie' on field 'Project.trend'.", "Did you mean 'series'?"),
        ('trend(series: ["visit"], interval: dya) {kind}', "'dya'", "Did you mean the enum value"),
        ("horoscope {kind}", "Cannot query field 'horoscope' on type 'Project'.", "There are: adoption, ask, attribution, "),
        ('trend(series: ["visit"]) {receipt {cost}}', "Cannot query field 'cost' on type 'Receipt'.", "There are: all, almanac_version, "),
        ("trend(series: [", "Syntax Error", "Compare it with the schema."),
    ],
)
def test_a_name_that_is_none_is_told_with_those_that_come_close(
    house: House, shop: Keys, selection: str, message: str, way_out: str
) -> None:
    error = refused(house, shop, selection)
    assert message in error["message"], error
    assert "Did you mean" not in error["message"]
    assert error["way_out"].startswith(way_out), error


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"query": ""}, "query"),
        ({"query": "query a {__typename}", "operationName": "b"}, "operationName"),
        ({"query": "fragment f on Query {projects {id}}"}, "operationName"),
        ({"query": "{__typename}", "variables": [1]}, "variables"),
        ({"document": "{__typename}"}, "query"),
    ],
)
def test_a_request_that_is_none_is_refused(house: House, shop: Keys, body: Any, place: str) -> None:
    answer = house.client.post("/graphql", json=body, headers={"Authorization": f"Bearer {shop.read}"})
    assert (answer.status_code, answer.json()["error"]["place"]) == (400, place)


def test_what_fails_leaves_the_rest_whole(house: House, shop: Keys) -> None:
    good, bad = f'trend(series: ["visit"], interval: total, {DAYS}) {{rows {{value}}}}', "ask(question: {}) {kind}"
    body = sent(house, shop.read, f'{{a: project(id: "{shop.project}") {{good: {good} bad: {bad}}} b: project(id: "none") {{id}}}}')
    assert body["data"] == {"a": {"good": {"rows": [{"value": 5}]}, "bad": None}, "b": None}
    assert {tuple(error["path"]): error["extensions"]["place"] for error in body["errors"]} == {("a", "bad"): "kind", ("b",): "project"}


def test_too_much_is_refused(house: House, shop: Keys) -> None:
    one = 'trend(series: ["visit"], interval: total) {kind}'
    many = " ".join(f"a{n}: {one}" for n in range(21))
    assert "20 questions" in refused(house, shop, many)["message"]
    assert "aliases" in refused(house, shop, " ".join(f"a{n}: id" for n in range(51)))["message"]
    assert "depth" in refused(house, shop, "receipt" + "{all" * 12 + "}" * 12)["message"]
    assert "tokens" in refused(house, shop, "id " * 6000)["message"]
    deep = "{__schema {types " + "{fields {type {fields {type " * 4 + "{name}" + "}}}}" * 4 + "}}"
    assert sent(house, shop.read, deep)["errors"][0]["extensions"]["code"] == "invalid"
    nested = f'{{project(id: "{shop.project}") {{ask(question: {"[" * 2000}{"]" * 2000}) {{kind}}}}}}'
    answer = house.client.post("/graphql", json={"query": nested}, headers={"Authorization": f"Bearer {shop.read}"})
    told = answer.json()
    assert "nested too deeply" in str(told) or "not an object" in str(told), told
    assert "unforeseen" not in str(told)


def test_a_server_that_nobody_asks_so_loads_nothing_of_it() -> None:
    program = "import sys, almanac.app, almanac.web.rest; print({'strawberry', 'graphql', 'mcp', 'jsonschema'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n", done.stderr


def test_keys(house: House, shop: Keys) -> None:
    other = house.project("graph of others")
    query = f'{{project(id: "{shop.project}") {{id}}}}'
    for key in ("", "wrong"):
        assert sent(house, key, "{__typename}", 401)["error"]["code"] == "denied"
    body = sent(house, other.read, query)
    assert (body["data"], body["errors"][0]["extensions"]["code"]) == ({"project": None}, "not_found")
    assert sent(house, shop.write, query)["errors"][0]["extensions"]["code"] == "denied"
    assert sent(house, shop.write, "{projects {id}}")["data"]["projects"] == []
    assert sent(house, shop.read, "{projects {id}}")["data"]["projects"] == [{"id": shop.project}]
    assert house.client.get("/graphql").status_code == 405
    assert house.client.post("/graphql", json=[1], headers={"Authorization": f"Bearer {shop.read}"}).json()["error"]["code"] == "invalid"
