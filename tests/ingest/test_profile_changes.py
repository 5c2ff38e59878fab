"""Changes of people and groups from the log into the store and out again, and statements that every event repeats."""

from __future__ import annotations

import json
from typing import Any

import pytest

from almanac.core.event import Merge
from almanac.ingest import exporting
from almanac.ingest.identity import Identity

ALL = {
    "set": {"plan": "pro"},
    "set_once": {"first": [1, {"a": "é"}]},
    "add": {"logins": 2.5},
    "append": {"tags": "x"},
    "prepend": {"tags": ["y", "z"]},
    "pre_insert": {"way": "a"},
    "post_insert": {"way": "b"},
    "union": {"set of": ["c"]},
    "remove": {"way": "d"},
    "unset": ["old", "older"],
    "delete": True,
    "clear_all": False,
    "unheard of": {"x": 1},
}


def changes_of(bench: Any, subject: str) -> list[tuple[str, str, str]]:
    rows = bench.rows(
        "SELECT toString(op) AS op, property, value FROM profile_changes WHERE project = {project:String} AND subject = {subject:String}"
        " ORDER BY op, property, key",
        subject=subject,
    )
    return [tuple(row.values()) for row in rows]


def test_every_operation_is_kept(bench: Any) -> None:
    bench.load(bench.event("a", profile=ALL))
    assert changes_of(bench, "person") == [
        ("add", "logins", "2.5"),
        ("append", "tags", '"x"'),
        ("delete", "", "null"),
        ("post_insert", "way", '"b"'),
        ("pre_insert", "way", '"a"'),
        ("prepend", "tags", '["y","z"]'),
        ("remove", "way", '"d"'),
        ("set", "plan", '"pro"'),
        ("set_once", "first", '[1,{"a":"é"}]'),
        ("union", "set of", '["c"]'),
        ("unset", "old", "null"),
        ("unset", "older", "null"),
    ]


@pytest.mark.parametrize("profile", [{}, {"set": {}}, {"set": [1]}, {"set": None}, {"unset": {"a": 1}}, {"delete": "x"}, {"add": 5}])
def test_what_is_no_operation_changes_nothing(bench: Any, profile: dict[str, Any]) -> None:
    bench.load(bench.event("a", profile=profile))
    assert changes_of(bench, "person") == []
    assert len(bench.stored()) == 1


def test_one_event_may_change_several_groups(bench: Any) -> None:
    documents = [{"type": "company", "key": key, "set": {"size": 5}, "add": {"deals": 1}} for key in ("acme", "other")]
    bench.load(bench.event("a", kind="group_profile", distinct_id="", group_profile=documents))
    assert changes_of(bench, "company") == [("add", "deals", "1"), ("add", "deals", "1"), ("set", "size", "5"), ("set", "size", "5")]


def test_a_change_that_is_sent_again_counts_once(bench: Any) -> None:
    event = bench.event("a", profile={"add": {"n": 1}}, client_time="2026-03-10T12:00:00Z")
    bench.load(event, event)
    bench.load(event)
    assert changes_of(bench, "person") == [("add", "n", "1")]


def test_an_export_gives_each_change_with_the_event_that_made_it(bench: Any) -> None:
    """Two events of one person at one instant: were their changes told apart by time alone, both would carry both."""
    at = "2026-03-10T12:00:00Z"
    groups = [{"type": "company", "key": key, "add": {"deals": 1}} for key in ("acme", "other")]
    bench.load(
        bench.event("a", profile={"add": {"n": 1}, "unset": ["old"]}, client_time=at),
        bench.event("b", profile={"add": {"n": 2}, "delete": True}, client_time=at),
        bench.event("c", group_profile=groups, client_time=at),
        bench.event("d", group_profile=groups[0], client_time=at),
    )
    lines = {line.event_id: line for block in exporting.lines(bench.store, exporting.Selection(bench.project)) for line in block}
    said = {id_: (json.loads(bytes(line.profile)), json.loads(bytes(line.group_profile))) for id_, line in lines.items()}
    assert said == {
        "a": ({"add": {"n": 1}, "unset": ["old"]}, {}),
        "b": ({"add": {"n": 2}, "delete": True}, {}),
        "c": ({}, groups),
        "d": ({}, groups[0]),
    }


def test_what_each_event_says_again_is_kept_once(bench: Any) -> None:
    """In one batch, in later ones, and after a restart; a statement of another kind is kept each time."""
    again = [Merge("d1", "ann", "same-event")]
    for _ in range(2):
        bench.load(*[bench.event(merges=again) for _ in range(3)], bench.event(merges=[Merge("d2", "ann", "same-event"), *again]))
        bench.loader = bench.fresh_loader()
    bench.load(*[bench.event(merges=[Merge("d1", "ann", "identify")]) for _ in range(2)])
    rows = bench.rows("SELECT source, target, how FROM identity_edges WHERE project = {project:String} ORDER BY how, source")
    assert [tuple(row.values()) for row in rows] == [("d1", "ann", "identify")] * 2 + [
        ("d1", "ann", "same-event"),
        ("d2", "ann", "same-event"),
    ]


def test_a_device_that_two_people_share_does_not_make_them_one(bench: Any) -> None:
    bench.load(bench.event(merges=[Merge("d1", "ann", "same-event")]))
    bench.load(bench.event(merges=[Merge("d1", "bob", "same-event")]))
    bench.load(bench.event(merges=[Merge("d2", "bob", "same-event")]))
    people = Identity(bench.store)
    states = {(edge["source"], edge["target"]): edge["state"] for who in ("ann", "bob") for edge in people.edges(bench.project, who)}
    assert states == {("d1", "ann"): "in force", ("d1", "bob"): "refused", ("d2", "bob"): "in force"}


def test_an_undone_statement_stays_undone_though_events_repeat_it(bench: Any) -> None:
    bench.load(bench.event(merges=[Merge("d1", "ann", "same-event")]))
    people = Identity(bench.store)
    (edge,) = people.edges(bench.project, "ann")
    people.undo(bench.project, edge["edge"])
    bench.load(bench.event(merges=[Merge("d1", "ann", "same-event")]))
    assert [one["state"] for one in people.edges(bench.project, "d1")] == ["undone"]


@pytest.mark.parametrize(
    ("properties", "revenue", "currency"),
    [
        ({"$revenue": 3, "revenue": 42.5}, 3.0, ""),
        ({"$price": 12.5, "$quantity": 2, "currency": "EUR"}, 25.0, "EUR"),
        ({"$price": 12.5}, 12.5, ""),
        ({"$quantity": 2}, None, ""),
        ({"$price": "x", "total": 7}, 7.0, ""),
        ({"$revenue": 1, "$currency": "USD", "currency": "EUR"}, 1.0, "USD"),
        ({"revenue": 5, "currency": "EUR"}, 5.0, "EUR"),
    ],
)
def test_revenue_as_amplitude_writes_it(bench: Any, properties: dict[str, Any], revenue: float | None, currency: str) -> None:
    row = bench.one(properties=properties)
    assert (row["revenue"], row["currency"]) == (revenue, currency)
