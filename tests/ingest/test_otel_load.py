"""What OpenTelemetry and CloudEvents send, in the store: times, properties with dots in their names, and no revenue that nobody earned."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.ingest.conftest import NOW_US, Bench

from almanac.core.event import Event
from almanac.core.settings import Settings
from almanac.ingest.call import Call
from almanac.ingest.keys import Grant
from almanac.ingest.protocols import Routes, registry

HERE_NS = NOW_US * 1000


class OneProject:
    def __init__(self, project: str) -> None:
        self.project = project

    def grant(self, secret: str) -> Grant:
        return Grant(self.project, 0)


def taken(bench: Bench, path: str, body: Any) -> list[Event]:
    """The events of a request."""
    call = Call(
        method="POST",
        scheme="http",
        path=path,
        query={},
        headers={b"content-type": b"application/json"},
        peer="",
        received_us=NOW_US,
        settings=Settings(),
        keys=OneProject(bench.project),
    )
    call.body = json.dumps(body).encode()
    routes, _ = Routes(iter(registry().values())).of(path)
    routes[0][1].handle(call)
    return call.events


def value(found: Any) -> dict[str, Any]:
    if isinstance(found, dict):
        return {"kvlistValue": {"values": attributes(found)}}
    return {{str: "stringValue", bool: "boolValue", int: "intValue", float: "doubleValue"}[type(found)]: found}


def attributes(said: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value(each)} for key, each in said.items()]


def logs(*records: dict[str, Any]) -> dict[str, Any]:
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": [*records]}]}]}


def test_a_record_of_every_sort_and_the_same_again(bench: Bench) -> None:
    point = {"attributes": attributes({"plan": "pro"}), "timeUnixNano": HERE_NS, "asDouble": 21.5}
    said = {"user.id": "u1", "http.route": "/cart", "http": "1.1", "price": 12.5, "deep": {"er": 1}, "revenue": 3, "currency": "EUR"}
    span = {
        "name": "GET",
        "startTimeUnixNano": HERE_NS - 2_000_000,
        "endTimeUnixNano": HERE_NS,
        "attributes": attributes({"user.id": "u1"}),
    }
    for _ in range(2):
        bench.load(
            *taken(bench, "/v1/logs", logs({"eventName": "bought", "timeUnixNano": HERE_NS, "attributes": attributes(said)})),
            *taken(bench, "/v1/traces", {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}),
            *taken(
                bench,
                "/v1/metrics",
                {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "gauge": {"dataPoints": [point]}}]}]}]},
            ),
        )
    assert bench.letters() == []
    rows = bench.rows(
        f"""SELECT event, kind, distinct_id, revenue, currency, toUnixTimestamp64Micro(time) - {NOW_US} AS late,
            toFloat64OrNull(toString(properties.duration_ms)) AS took, toFloat64OrNull(toString(properties.metric.value)) AS measure,
            toString(properties.`http%2Eroute`) AS route, toString(properties.plan) AS plan
        FROM events WHERE project = '{bench.project}' ORDER BY event"""
    )
    nothing = {"revenue": None, "currency": "", "took": None, "measure": None}
    assert [{name: row[name] for name in ("event", "kind", "distinct_id", "late", *nothing)} for row in rows] == [
        {"event": "GET", "kind": "span", "distinct_id": "u1", "late": -2000, **nothing, "took": 2.0},
        {"event": "bought", "kind": "track", "distinct_id": "u1", "late": 0, **nothing, "revenue": 3.0, "currency": "EUR"},
        {"event": "m", "kind": "metric", "distinct_id": "", "late": 0, **nothing, "measure": 21.5},
    ]
    assert [row["route"] for row in rows if row["event"] == "bought"] == ["/cart"]
    assert [row["plan"] for row in rows if row["event"] == "m"] == ["pro"]


@pytest.mark.parametrize(("ahead", "late"), [(3600, [-20, 0]), (-3600, [-20, 0]), (-300, [-320, -300])])
def test_a_clock_that_is_an_hour_off(ahead: int, late: list[int], bench: Bench) -> None:
    """Two records 20 s apart, seen by a clock that is so many seconds ahead; 300 s behind may as well be a slow way here."""
    observed = [HERE_NS + (ahead - 20) * 10**9, HERE_NS + ahead * 10**9]
    records = [{"eventName": f"e{at}", "timeUnixNano": at, "observedTimeUnixNano": at} for at in observed]
    bench.load(*taken(bench, "/v1/logs", logs(*records)))
    rows = bench.rows(f"SELECT toUnixTimestamp64Micro(time) - {NOW_US} AS late FROM events WHERE project = '{bench.project}' ORDER BY time")
    assert [row["late"] / 1e6 for row in rows] == late


def test_cloudevents(bench: Bench) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "bought", "subject": "u1", "time": "2026-03-10T12:29:59Z"}
    for _ in range(2):
        bench.load(*taken(bench, "/cloudevents", [{**event, "data": {"revenue": 5}}, {**event, "id": "2"}]))
    rows = bench.rows(
        f"SELECT id_text, distinct_id, revenue, toString(context) AS said FROM events WHERE project = '{bench.project}' ORDER BY id_text"
    )
    assert [(row["id_text"], row["distinct_id"], row["revenue"]) for row in rows] == [("/shop 1", "u1", 5.0), ("/shop 2", "u1", None)]
    assert all(json.loads(row["said"])["source"] == "/shop" for row in rows)
