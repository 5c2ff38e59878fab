"""Names in questions: what they stand for, what is refused, and files of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from almanac.adapters.catalog_sql import SqlCatalog
from almanac.core.errors import AlmanacError, Code
from almanac.definitions import Definitions

EVENTS = [
    {"person": "ann", "event": "order", "time": "2026-01-05T09:00:00Z", "properties": {"total": 30, "country": "DE"}},
    {"person": "ann", "event": "order", "time": "2026-01-05T10:00:00Z", "properties": {"total": 10, "country": "FR"}},
    {"person": "bob", "event": "order", "time": "2026-01-05T11:00:00Z", "properties": {"total": 20, "country": "DE"}},
    {"person": "bob", "event": "visit", "time": "2026-01-05T08:00:00Z"},
    {"person": "eve", "event": "visit", "time": "2026-01-05T08:00:00Z"},
]
DAY = {"date_from": "2026-01-05", "date_to": "2026-01-05"}


@pytest.fixture
def project(world: Any) -> Iterator[str]:
    before, world.now = world.now, datetime(2026, 2, 1, tzinfo=UTC)
    name = world.project()
    world.insert(name, EVENTS)
    yield name
    world.now = before


def refused(call: Any, *arguments: Any, **named: Any) -> AlmanacError:
    with pytest.raises(AlmanacError) as error:
        call(*arguments, **named)
    return error.value


def values(world: Any, project: str, question: dict[str, Any]) -> dict[str, Any]:
    return {row["series"]: row["value"] for row in world.engine.ask(project, {"kind": "trend", **DAY, **question}).rows}


def test_a_metric_counts_alike_wherever_it_is_named(world: Any, project: str) -> None:
    world.engine.definitions.save(
        project,
        "metric",
        "german revenue",
        {
            "event": "order",
            "measure": "sum",
            "prop": "total",
            "filters": [{"property": "country", "value": "DE"}],
            "unit": "EUR",
        },
    )
    assert values(world, project, {"series": [{"metric": "german revenue"}]}) == {"german revenue": 50}
    narrower = {"metric": "german revenue", "name": "big", "filters": [{"property": "total", "op": ">", "value": 20}]}
    assert values(world, project, {"series": [narrower]}) == {"big": 30}
    # As a step it stands for its events: those of Germany.
    funnel = {"kind": "funnel", "steps": ["visit", {"metric": "german revenue"}], **DAY}
    rows = world.engine.ask(project, funnel).rows
    assert [(row["name"], row["count"]) for row in rows] == [("visit", 2), ("german revenue", 1)]


def test_the_receipt_tells_the_versions_and_the_whole_question(world: Any, project: str) -> None:
    question = {"kind": "trend", "series": [{"metric": "m"}], **DAY}
    world.engine.definitions.save(project, "metric", "m", {"event": "order"})
    first = world.engine.ask(project, question).receipt
    world.engine.definitions.save(project, "metric", "m", {"event": "visit"})
    second = world.engine.ask(project, question).receipt
    assert first["definitions"] == [{"kind": "metric", "name": "m", "version": 1}]
    assert second["definitions"] == [{"kind": "metric", "name": "m", "version": 2}]
    assert first["definition_hash"] != second["definition_hash"]
    again = world.engine.ask(project, first["question"])
    assert (again.rows[0]["value"], again.receipt["definition_hash"]) == (3, first["definition_hash"]), "a receipt can be asked again"


def test_segments_by_name_hold_others_by_name(world: Any, project: str) -> None:
    save = world.engine.definitions.save
    save(project, "segment", "buyers", {"all": [{"did": "order"}]})
    save(project, "segment", "visiting buyers", {"all": [{"segment": "buyers"}, {"did": "visit"}]})
    question = {"series": [{"measure": "unique", "name": "n"}], "filters": [{"segment": "visiting buyers"}]}
    assert values(world, project, question) == {"n": 1}
    split = {"kind": "trend", "series": [{"measure": "unique"}], "breakdown": {"segments": [{"segment": "buyers"}]}, **DAY}
    assert {row["breakdown"]: row["value"] for row in world.engine.ask(project, split).rows} == {"buyers": 2, "": 1}


def test_a_saved_question_is_asked_by_name_with_another_range(world: Any, project: str) -> None:
    world.engine.definitions.save(project, "question", "orders", {"kind": "trend", "series": ["order"], "last": "7 days"})
    asked = world.engine.ask(project, {"saved": "orders", **DAY, "interval": "total"})
    assert [row["value"] for row in asked.rows] == [3]
    assert asked.receipt["definitions"] == [{"kind": "question", "name": "orders", "version": 1}]
    assert "keeps its kind" in refused(world.engine.ask, project, {"saved": "orders", "kind": "funnel"}).message
    assert refused(world.engine.ask, project, {"saved": "order"}).way_out == "There are: orders."
    assert refused(world.engine.ask, project, {"saved": 5}).place == "saved"


@pytest.mark.parametrize(
    ("question", "code", "message"),
    [
        ({"series": [{"metric": "nothing"}]}, Code.NOT_FOUND, "There is no metric 'nothing'."),
        ({"series": ["order"], "filters": [{"segment": "nothing"}]}, Code.NOT_FOUND, "There is no segment 'nothing'."),
        ({"series": [{"metric": "m", "event": "x"}]}, Code.INVALID, "Give either an event or a metric."),
        (
            {"series": [{"metric": "m", "measure": "sum"}]},
            Code.INVALID,
            "Measure is the metric's to say; leave it out, or leave out metric.",
        ),
    ],
)
def test_a_wrong_name_is_refused_in_a_sentence(world: Any, project: str, question: dict[str, Any], code: Code, message: str) -> None:
    world.engine.definitions.save(project, "metric", "m", {"event": "order"})
    error = refused(world.engine.ask, project, {"kind": "trend", **question})
    assert (error.code, error.message) == (code, message)


@pytest.mark.parametrize(
    ("kind", "body", "place", "message"),
    [
        ("metric", {"event": "order", "measure": "sum"}, "metrics.x", "The measure sum needs a property."),
        ("metric", {"event": "order", "colour": 1}, "metrics.x.colour", "There is no field 'colour' here."),
        ("metric", {"formula": "a / b", "of": {"a": "order"}}, "metrics.x", "The formula names b, which `of` does not say."),
        ("metric", {"formula": "a +", "of": {"a": "order"}}, "metrics.x", "'a +' is not a formula; write it like (A + B) / C."),
        (
            "metric",
            {"formula": "a.b", "of": {"a": "order"}},
            "metrics.x",
            "A formula has names, numbers, + - * / and parentheses, not 'a.b'.",
        ),
        ("metric", {"formula": "a", "of": {"a": {"metric": "gone"}}}, "metrics.x.metric", "There is no metric 'gone'."),
        ("segment", {}, "segments.x", "A segment needs at least one condition, in all, any or not."),
        ("segment", {"all": [{"segment": "gone"}]}, "segments.x.segment", "There is no segment 'gone'."),
        ("question", {"series": ["order"]}, "questions.x.kind", "The question has no kind."),
        ("question", {"kind": "trend"}, "questions.x.series", "The field 'series' is missing."),
        ("question", {"saved": "y"}, "questions.x.question", "There is no question 'y'."),
    ],
)
def test_what_is_wrong_is_refused_when_it_is_saved(
    world: Any, project: str, kind: str, body: dict[str, Any], place: str, message: str
) -> None:
    error = refused(world.engine.definitions.save, project, kind, "x", body)
    assert (error.place, error.message) == (place, message)


def test_a_definition_by_itself_is_refused(world: Any, project: str) -> None:
    save = world.engine.definitions.save
    error = refused(save, project, "metric", "a", {"formula": "x", "of": {"x": {"metric": "a"}}})
    assert error.message == "The metric 'a' is defined by itself."
    save(project, "segment", "a", {"all": [{"did": "order"}]})
    save(project, "segment", "b", {"all": [{"segment": "a"}]})
    error = refused(save, project, "segment", "a", {"all": [{"segment": "b"}]})
    assert error.message == "The segment 'a' is defined by itself."


# ------------------------------------------------------------ files of them

FILE = {
    "metrics": {
        "orders": {"event": "order", "owner": "ann"},
        "revenue": {"event": "order", "measure": "sum", "property": "total"},
        "order value": {"formula": "a / b", "of": {"a": {"metric": "revenue"}, "b": {"metric": "orders"}}, "unit": "EUR"},
    },
    "segments": {"buyers": {"all": [{"did": {"metric": "orders"}}]}},
    "questions": {"weekly": {"kind": "trend", "series": [{"metric": "orders"}], "interval": "week"}},
}


@pytest.fixture
def definitions(tmp_path: Path) -> Definitions:
    catalog = SqlCatalog(str(tmp_path / "catalog.db"))
    catalog.create_project("shop")
    return Definitions(catalog)


def actions(changes: Any) -> dict[str, str]:
    return {change.name: change.action for change in changes}


def test_a_file_is_planned_applied_and_read_back(definitions: Definitions) -> None:
    planned = definitions.plan("shop", FILE)
    assert set(actions(planned).values()) == {"create"}
    assert definitions.file("shop") == {}
    assert actions(definitions.apply("shop", FILE, author="ann")) == actions(planned)
    assert definitions.get("shop", "metric", "orders").author == "ann"
    assert actions(definitions.plan("shop", definitions.file("shop"), prune=True)) == dict.fromkeys(actions(planned), "keep")
    changed = {**FILE, "metrics": {**FILE["metrics"], "orders": {"event": "paid"}}}
    diff = {change.name: change for change in definitions.plan("shop", changed)}["orders"]
    assert diff.action == "change"
    assert "-owner: ann\n" in diff.diff
    assert "+event: paid\n" in diff.diff
    definitions.apply("shop", changed)
    assert [item.version for item in definitions.versions("shop", "metric", "orders")] == [2, 1]
    assert definitions.get("shop", "metric", "revenue").version == 1


def test_nothing_of_a_file_is_saved_when_one_part_is_wrong(definitions: Definitions) -> None:
    wrong = {**FILE, "segments": {"buyers": {"all": [{"did": {"metric": "gone"}}]}}}
    assert refused(definitions.apply, "shop", wrong).place == "segments.buyers.metric"
    assert definitions.file("shop") == {}


def test_prune_removes_what_the_file_does_not_hold(definitions: Definitions) -> None:
    definitions.apply("shop", FILE)
    fewer = {"metrics": {"orders": {"event": "order"}}}
    assert actions(definitions.apply("shop", fewer)) == {"orders": "change"}
    removed = {name for name, action in actions(definitions.apply("shop", fewer, prune=True)).items() if action == "remove"}
    assert removed == {"revenue", "order value", "buyers", "weekly"}
    assert list(definitions.file("shop")) == ["metrics"]


def test_a_definition_in_use_is_not_removed(definitions: Definitions) -> None:
    definitions.apply("shop", FILE)
    error = refused(definitions.remove, "shop", "metric", "orders")
    assert (error.code, error.message) == (
        Code.CONFLICT,
        "The metric 'orders' is in use by metric 'order value', segment 'buyers', question 'weekly'.",
    )
    definitions.remove("shop", "question", "weekly")
    assert refused(definitions.get, "shop", "question", "weekly").code == Code.NOT_FOUND


@pytest.mark.parametrize(
    ("file", "place"),
    [({"horoscopes": {}}, "horoscopes"), ({"metrics": []}, "metrics"), ({"metrics": {"a": 5}}, "metrics.a")],
)
def test_an_odd_file_is_refused(definitions: Definitions, file: dict[str, Any], place: str) -> None:
    assert refused(definitions.plan, "shop", file).place == place


def test_a_saved_question_says_what_it_is_for(world: Any, project: str) -> None:
    """In words that no answer depends on."""
    saved = world.engine.definitions
    question = {"kind": "trend", "series": ["order"], "interval": "total", **DAY}
    saved.save(project, "question", "plain", question)
    body = saved.save(project, "question", "told", {**question, "description": "For the board of directors."}).body
    assert body == {**saved.get(project, "question", "plain").body, "description": "For the board of directors."}
    plain, told = (world.engine.ask(project, {"saved": name}) for name in ("plain", "told"))
    assert plain.rows == told.rows
    assert plain.receipt["definition_hash"] == told.receipt["definition_hash"]
    assert "description" not in told.receipt["question"]
    for wrong, place in ((3, "description"), ("x" * 2001, "description")):
        error = refused(saved.save, project, "question", "told", {**question, "description": wrong})
        assert (error.code, error.place) == (Code.INVALID, f"questions.told.{place}")
    assert refused(world.engine.ask, project, {**question, "description": "no"}).place == "description"


@pytest.mark.parametrize(
    "at", ["2026-01-31", "2026-01-31T12:00", "2026-01-31 12:00:30", "2026-01-31T12:00:00.5+02:00", "2026-01-31T12:00Z"]
)
def test_an_annotation_is_kept(definitions: Definitions, at: str) -> None:
    assert definitions.save("shop", "annotation", "release", {"at": at, "text": "Release 2.4"}).body == {"at": at, "text": "Release 2.4"}
    assert definitions.file("shop")["annotations"]["release"]["at"] == at


@pytest.mark.parametrize(
    ("body", "place", "words"),
    [
        ({}, "at", "missing"),
        ({"at": ""}, "at", "not a moment"),
        ({"at": "today"}, "at", "not a moment"),
        ({"at": "-3d"}, "at", "not a moment"),
        ({"at": "2026-02-30"}, "at", "not a moment"),
        ({"at": "2026-W05-1"}, "at", "not a moment"),
        ({"at": "1066-10-14"}, "at", "not a moment"),
        ({"at": "2026-01-31T25:00"}, "at", "not a moment"),
        ({"at": "2026-01-31", "text": "x" * 201}, "text", "200"),
        ({"at": "2026-01-31", "board": "none such"}, "board", "no board"),
        ({"at": "2026-01-31", "colour": "red"}, "colour", "colour"),
    ],
)
def test_what_is_no_annotation_is_refused(definitions: Definitions, body: dict[str, Any], place: str, words: str) -> None:
    error = refused(definitions.save, "shop", "annotation", "release", body)
    assert error.place == f"annotations.release.{place}"
    assert words in error.message


def test_an_annotation_of_a_board_does_not_keep_the_board(definitions: Definitions) -> None:
    definitions.save("shop", "board", "shop", {"tiles": []})
    definitions.save("shop", "annotation", "release", {"at": "2026-01-31", "board": "shop"})
    definitions.remove("shop", "board", "shop")
    definitions.save("shop", "board", "shop", {"tiles": []})
    assert definitions.get("shop", "annotation", "release").body["board"] == "shop"
