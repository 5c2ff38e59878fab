"""Boards: what may be saved, and what their range and filters make of a tile's question."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from almanac.boards import board_of, question_of_tile, tile_of
from almanac.core.board import Board, Span
from almanac.core.errors import AlmanacError, Code
from almanac.core.filters import Filter

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def tile(**more: Any) -> dict[str, Any]:
    return {"id": "a", "x": 0, "y": 0, "w": 6, "h": 4, "type": "question", "question": {"kind": "trend", "series": ["order"]}, **more}


def text(id_: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "x": 0, "y": 0, "w": 1, "h": 1, "type": "text", **more}


@pytest.fixture
def project(world: Any) -> Iterator[str]:
    before, world.now = world.now, datetime(2026, 2, 1, tzinfo=UTC)
    yield world.project()
    world.now = before


def refused(call: Any, *arguments: Any, **named: Any) -> AlmanacError:
    with pytest.raises(AlmanacError) as error:
        call(*arguments, **named)
    return error.value


def test_a_board_is_kept_with_its_questions_in_the_form_of_saved_ones(world: Any, project: str) -> None:
    save = world.engine.definitions.save
    save(project, "question", "orders", {"kind": "trend", "series": ["order"]})
    question = {"kind": "trend", "series": [{"event": "order", "measure": "count", "prop": None}]}
    tiles = [
        tile(question=question, chart={"type": "bar", "metric": "x"}),
        tile(id="b", y=4, question={"saved": "orders", "interval": "week"}),
    ]
    body = {"title": "Shop", "tiles": tiles, "range": {"last": "7 days"}, "columns": 12, "refresh": 0, "filters": []}
    kept = save(project, "board", "shop", body).body
    assert kept["tiles"][0]["question"] == {"kind": "trend", "series": [{"event": "order"}]}
    assert kept["tiles"][0]["chart"] == {"type": "bar", "metric": "x"}
    assert kept["tiles"][1]["question"] == {"saved": "orders", "interval": "week"}
    assert set(kept) == {"title", "tiles", "range"}
    assert board_of(world.engine.definitions, project, "shop").title == "Shop"
    assert save(project, "board", "shop", kept).version == 2, "what was kept can be saved again"


def test_what_a_board_names_stays_as_long_as_it_does(world: Any, project: str) -> None:
    definitions = world.engine.definitions
    definitions.save(project, "question", "orders", {"kind": "trend", "series": ["order"]})
    definitions.save(project, "segment", "buyers", {"all": [{"did": "order"}]})
    body = {"tiles": [tile(question={"saved": "orders"})], "filters": [{"segment": "buyers"}]}
    definitions.save(project, "board", "shop", body)
    for kind, name in (("question", "orders"), ("segment", "buyers")):
        error = refused(definitions.remove, project, kind, name)
        assert (error.code, error.message) == (Code.CONFLICT, f"The {kind} {name!r} is in use by board 'shop'.")


def test_a_file_holds_a_board_and_what_it_names(world: Any, project: str) -> None:
    file = {
        "boards": {"shop": {"tiles": [tile(question={"saved": "orders"})], "filters": [{"segment": "buyers"}]}},
        "questions": {"orders": {"kind": "trend", "series": [{"metric": "m"}]}},
        "metrics": {"m": {"event": "order"}},
        "segments": {"buyers": {"all": [{"did": "order"}]}},
    }
    assert {change.action for change in world.engine.definitions.plan(project, file)} == {"create"}
    gone = {**file, "questions": {}}
    error = refused(world.engine.definitions.plan, project, gone)
    assert (error.place, error.message) == ("boards.shop.tiles.0.question.question", "There is no question 'orders'.")


@pytest.mark.parametrize(
    ("body", "place", "message"),
    [
        ({"tiles": [tile(question=None)]}, "tiles.0", "A tile of type question needs question."),
        ({"tiles": [tile(question={"kind": "trend"})]}, "tiles.0.question.series", "The field 'series' is missing."),
        ({"tiles": [text("t"), tile(question={"kind": "x"})]}, "tiles.1.question.kind", "There is no question of kind 'x'."),
        ({"tiles": [tile(question={"saved": "no"})]}, "tiles.0.question.question", "There is no question 'no'."),
        ({"tiles": [tile(w=13)]}, "", "The tile 'a' ends in column 13; the board has 12."),
        ({"tiles": [text("a"), text("a")]}, "", "Two tiles have the id 'a'."),
        ({"tiles": [text("a", id="a b")]}, "tiles.0.id", "It is 'a b' and has to be of the form ^[A-Za-z0-9_-]{1,64}$."),
        ({"tiles": [text("a", property="plan")]}, "tiles.0", "Property goes with type filter, not with text."),
        ({"tiles": [text("a", colour="red")]}, "tiles.0.colour", "There is no field 'colour' here."),
        (
            {"tiles": [text("a", type="image", image="https://elsewhere.example/x.png")]},
            "tiles.0.image",
            "An image is a data:image/… address, or a path of this server that begins with /.",
        ),
        ({"tiles": [text("a", chart={"x": "y" * 20_001})]}, "tiles.0.chart", "This is longer than 20,000 letters of JSON."),
        ({"tiles": [text(f"t{place}") for place in range(101)]}, "tiles", "It takes at most 100 items."),
        ({"filters": [{"segment": "no"}]}, "segment", "There is no segment 'no'."),
        ({"filters": [{"property": "@nose", "op": "is_set"}]}, "filters.0", "There is no built-in column @nose"),
        ({"range": {}}, "range", "Give either last, or date_from and date_to."),
        ({"range": {"last": "7 days", "date_from": "-7d"}}, "range", "Give either last, or date_from and date_to."),
        ({"range": {"last": "soon"}}, "last", "'soon' is not a length of time."),
        ({"range": {"date_from": "someday"}}, "date_from", "'someday' is not a time."),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(world: Any, project: str, body: dict[str, Any], place: str, message: str) -> None:
    error = refused(world.engine.definitions.save, project, "board", "x", body)
    assert error.place == ".".join(part for part in ("boards.x", place) if part)
    assert error.message.startswith(message)


def test_an_image_within_is_taken(world: Any, project: str) -> None:
    for image in ("data:image/png;base64,iVBORw0KGgo=", "/files/logo.png"):
        world.engine.definitions.save(project, "board", "x", {"tiles": [text("a", type="image", image=image)]})
    for image in ("//elsewhere.example/x.png", "data:text/html,<script>", "javascript:alert(1)", "x.png"):
        assert refused(world.engine.definitions.save, project, "board", "x", {"tiles": [text("a", type="image", image=image)]})


def test_a_range_is_replaced_as_a_whole_and_filters_are_added(world: Any, project: str) -> None:
    definitions = world.engine.definitions
    saved = {"kind": "trend", "series": ["order"], "date_from": "2026-01-01", "filters": [{"property": "a", "value": 1}]}
    definitions.save(project, "question", "orders", saved)
    board = Board.model_validate(
        {
            "range": {"last": "7 days"},
            "filters": [{"property": "b", "value": 2}],
            "compare": True,
            "tiles": [
                tile(question={"saved": "orders"}),
                tile(id="b", question={**saved, "compare": "previous_year"}),
                tile(id="c", question={"kind": "funnel", "steps": ["a", "b"]}),
                text("d"),
            ],
        }
    )
    names = definitions.names(project)
    chosen = [Filter(property="c", op="is_set")]
    assert question_of_tile(board, board.tiles[0], names, filters=chosen) == {
        "saved": "orders",
        "last": "7 days",
        "filters": [{"property": "a", "value": 1}, {"property": "b", "value": 2}, {"property": "c", "op": "is_set"}],
        "compare": "previous_period",
    }
    second = question_of_tile(board, board.tiles[1], names, span=Span(date_from="2025-01-01"), compare=False)
    assert (second["date_from"], second["compare"], "last" in second) == ("2025-01-01", None, False)
    assert question_of_tile(board, board.tiles[1], names)["compare"] == "previous_year"
    assert "compare" not in question_of_tile(board, board.tiles[2], names), "a funnel has no range before"
    assert refused(question_of_tile, board, board.tiles[3], names).message == "A tile of type text has no question."
    assert refused(tile_of, board, "z").way_out == "There are: a, b, c, d."


VALUES = st.sampled_from(["x", "y", "z"])
EVENTS = st.lists(st.tuples(st.sampled_from(["order", "visit"]), st.integers(0, 20 * 24 - 1), VALUES, VALUES), max_size=25)
LIMITS = st.lists(st.tuples(st.sampled_from(["a", "b"]), VALUES), max_size=2)
SPANS = st.none() | st.tuples(st.integers(0, 19), st.integers(0, 6))


def span_of(days: tuple[int, int] | None) -> dict[str, Any]:
    if days is None:
        return {}
    start, more = MONDAY + timedelta(days=days[0]), timedelta(days=days[1])
    return {"date_from": f"{start:%Y-%m-%d}", "date_to": f"{start + more:%Y-%m-%d}"}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, own=LIMITS, of_board=LIMITS, chosen=LIMITS, ranges=st.tuples(SPANS, SPANS, SPANS), saved=st.booleans())
def test_a_tile_counts_what_passes_all_filters_within_the_range_that_is_nearest(
    world: Any, project: str, events: Any, own: Any, of_board: Any, chosen: Any, ranges: Any, saved: bool
) -> None:
    """By hand: the viewer's range, else the board's, else the question's; and all filters of all three."""
    project = world.project()
    moments = [MONDAY + timedelta(hours=hours) for _, hours, _, _ in events]
    world.insert(
        project,
        [
            {"person": "p", "event": name, "time": at.isoformat(), "properties": {"a": a, "b": b}}
            for (name, _, a, b), at in zip(events, moments, strict=True)
        ],
    )
    definitions = world.engine.definitions
    question = {"kind": "trend", "series": ["order"], "interval": "total", "filters": filters_of(own), **span_of(ranges[0])}
    definitions.save(project, "question", "q", question)
    body = {"tiles": [tile(question={"saved": "q"} if saved else question)], "filters": filters_of(of_board)}
    definitions.save(project, "board", "b", {**body, "range": span_of(ranges[1])} if ranges[1] else body)
    board = board_of(definitions, project, "b")
    asked = question_of_tile(
        board,
        board.tiles[0],
        definitions.names(project),
        span=Span(**span_of(ranges[2])) if ranges[2] else None,
        filters=[Filter(property=name, value=value) for name, value in chosen],
    )
    days = ranges[2] or ranges[1] or ranges[0]
    first, last = (days[0], days[0] + days[1]) if days else (-4, 400)  # the last 30 days before February
    wanted = sum(
        name == "order"
        and first <= hours // 24 <= last
        and all({"a": a, "b": b}[key] == value for key, value in [*own, *of_board, *chosen])
        for name, hours, a, b in events
    )
    assert sum(row["value"] for row in world.engine.ask(project, asked).rows) == wanted


def filters_of(limits: list[tuple[str, str]]) -> list[dict[str, Any]]:
    return [{"property": name, "value": value} for name, value in limits]
