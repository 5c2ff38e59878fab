"""The GraphQL schema: projects, a field for each kind of question, and lists in pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import strawberry
from graphql import GraphQLError
from strawberry.extensions import MaxAliasesLimiter, MaxTokensLimiter, QueryDepthLimiter, SchemaExtension
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import create_type
from strawberry.types import ExecutionContext

from almanac.core.analysis import Analysis
from almanac.core.compare import compare
from almanac.core.errors import invalid
from almanac.definitions import KIND_NAMES
from almanac.web import definitions, forms, people, reads
from almanac.web.graphql import Desk, plain
from almanac.web.graphql_types import SCALARS, PageInfo, argument, arguments_of, field_of, many, member, object_of, page_of
from almanac.web.projects import shown

_MOST: Final = 1000  # of a page
_FIRST: Final = 100
_LETTERS: Final = 10_000  # dead letters that can be paged through


def build(kinds: Mapping[str, Analysis[Any]], *, depth: int, tokens: int, aliases: int) -> strawberry.Schema:
    """The schema of these kinds, with its limits: depth of fields, tokens of a document, aliases in it."""
    column, receipt = object_of("Column", forms.ColumnBody), _receipt()
    answers = [_question(kind, analysis, column, receipt) for kind, analysis in kinds.items()]
    fields = [*_facts(), *answers, _any_question(column, receipt), *_lists(receipt)]
    if twice := {name for name in kinds if sum(field.graphql_name == name for field in fields) > 1}:
        raise TypeError(f"a kind of question is called like another field of a project: {twice}")
    project = create_type("Project", fields, description="A project.")
    which = argument("id", str, "Id or name of the project.", required=True)
    ways = [
        field_of(_projects, many(project), name="projects", described="Those that the key enters."),
        field_of(_project, project, [which], name="project", described="One project."),
    ]
    query = create_type("Query", ways)
    limits: list[Callable[[], SchemaExtension]] = [
        lambda: QueryDepthLimiter(max_depth=depth),
        lambda: MaxTokensLimiter(max_token_count=tokens),
        lambda: MaxAliasesLimiter(max_alias_count=aliases),
    ]
    config = StrawberryConfig(auto_camel_case=False, default_resolver=member, scalar_map=SCALARS)
    return _Schema(query, extensions=limits, config=config)


class _Schema(strawberry.Schema):
    """Errors are told by who executes it, and logged only when nobody foresaw them."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Nothing."""


# ------------------------------------------------------------------- projects


def _facts() -> list[Any]:
    return [
        strawberry.field(name=name, graphql_type=str | None, description=info.description)
        for name, info in forms.ProjectBody.model_fields.items()
        if name in ("id", "name", "zone", "week_start", "created_at")
    ]


def _projects(root: Any, info: Any) -> list[Any]:
    desk: Desk = info.context
    return [shown(project) for project, _ in desk.visitor.projects()]


def _project(root: Any, info: Any, id: str) -> Any:  # noqa: A002 (the argument's name)
    desk: Desk = info.context
    return shown(desk.visitor.enter(id, "read"))


# ------------------------------------------------------------------ questions


def _receipt() -> Any:
    """The receipt's main points by name, and all of it."""
    texts = ("definition_hash", "sql", "timezone", "week_start", "as_of", "watermark", "approximation", "asked_at", "almanac_version")
    fields = [strawberry.field(name=name, graphql_type=str | None) for name in texts]
    fields += [strawberry.field(name=name, graphql_type=float | None) for name in ("rows_read", "bytes_read", "seconds", "cache_age")]
    fields += [strawberry.field(name=name, graphql_type=JSON | None) for name in ("question", "definitions", "window")]
    fields += [strawberry.field(name="exact", graphql_type=bool | None), strawberry.field(name="notes", graphql_type=list[str] | None)]
    fields += [field_of(lambda root, info: root, JSON, name="all", described="The whole receipt, as other faces give it.")]
    return create_type("Receipt", fields, description="How an answer came about.")


_FRESH: Final = argument("fresh", bool, "Past the cache.")


def _question(kind: str, analysis: Analysis[Any], column: Any, receipt: Any) -> Any:
    name = analysis.question.__name__
    answer = _answer(f"{name}Answer", object_of(f"{name}Row", analysis.row) or JSON, column, receipt)

    def ask(root: Any, info: Any, *, fresh: bool = False, **given: Any) -> Any:
        return _asked(root, info, {"kind": kind, **given}, fresh)

    return field_of(ask, answer, [*arguments_of(analysis.question), _FRESH], name=kind, described=analysis.doc)


def _any_question(column: Any, receipt: Any) -> Any:
    def ask(root: Any, info: Any, *, question: Any, fresh: bool = False) -> Any:
        return _asked(root, info, _object(question, "question"), fresh)

    arguments = [argument("question", JSON, 'With its kind; or {"saved": "its name"}.', required=True), _FRESH]
    return field_of(
        ask, _answer("Answer", JSON, column, receipt), arguments, name="ask", described="A question of any kind, or a saved one."
    )


def _answer(name: str, row: Any, column: Any, receipt: Any) -> Any:
    kinds = {"kind": str, "columns": many(column), "rows": many(row), "receipt": receipt}
    return create_type(name, [strawberry.field(name=field, graphql_type=kind) for field, kind in kinds.items()])


def _asked(root: Any, info: Any, question: Mapping[str, Any], fresh: bool) -> Any:
    desk: Desk = info.context
    engine = desk.visitor.rooms.engine
    return desk.answer(root["id"], question, lambda: engine.ask(root["id"], question, fresh=fresh, ticket=desk.ticket)).as_json()


def _object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid(f"{place} is not an object.", place=place, way_out='Write it like {kind: "…"}.')
    return value


# ---------------------------------------------------------------------- lists


def _lists(receipt: Any) -> list[Any]:
    person = object_of("KnownPerson", forms.KnownPerson)
    behind = create_type(
        "PeopleConnection",
        [
            strawberry.field(name="nodes", graphql_type=many(person)),
            strawberry.field(name="pageInfo", graphql_type=PageInfo),
            strawberry.field(name="totalCount", graphql_type=int, description="How many they are, exactly."),
            strawberry.field(name="receipt", graphql_type=receipt),
        ],
    )
    first = argument("first", int, f"Most to give, {_FIRST} by default, {_MOST} at most.")
    paged = [first, argument("after", str, "The endCursor of the page before.")]
    event = argument("event", str, "Only of this event name.")
    whole = [argument("question", JSON, required=True), argument("row", JSON, "A row of its answer.", required=True)]
    timeline = [argument("distinct_id", str, "Any of the person's ids.", required=True), *paged, event]
    difference = object_of("Difference", definitions.DifferenceBody)
    receipts = [argument("first", JSON, "A whole receipt.", required=True), argument("second", JSON, "Another.", required=True)]
    definition, kind = (
        object_of("Definition", definitions.DefinitionBody),
        argument("kind", str, f"One of: {KIND_NAMES}.", required=True),
    )
    letters = argument("state", str, "waiting (by default), replayed or discarded.")
    names, properties = object_of("EventName", forms.NameBody), object_of("Property", forms.PropertyBody)
    return [
        field_of(_people, behind, [*whole, *paged], name="people", described="The people behind a row of an answer."),
        field_of(_person, object_of("Person", forms.PersonBody), timeline, name="person", described="One person, with a page of events."),
        field_of(_events, page_of("EventConnection", JSON), [*paged, event], name="events", described="Latest events, whole envelopes."),
        field_of(_names, page_of("EventNameConnection", names), paged, name="event_names", described="The most frequent first."),
        field_of(_properties, page_of("PropertyConnection", properties), [*paged, event], name="properties", described="By name."),
        field_of(_definitions, page_of("DefinitionConnection", definition), [kind, *paged], name="definitions", described="By name."),
        field_of(_letters, page_of("DeadLetterConnection", JSON), [*paged, letters], name="dead_letters", described="Needs an admin key."),
        field_of(_compared, many(difference), receipts, name="compare", described="Why two answers differ, from their receipts."),
    ]


def _people(root: Any, info: Any, *, question: Any, row: Any, first: int = _FIRST, after: str = "") -> Any:
    desk: Desk = info.context
    asked, whose, engine = _object(question, "question"), _object(row, "row"), desk.visitor.rooms.engine
    found = desk.answer(
        root["id"], asked, lambda: engine.people(root["id"], asked, whose, limit=_size(first), after=after, ticket=desk.ticket)
    ).as_json()
    page = _page(found["people"], found["next"])
    return {**page, "totalCount": found["total"], "receipt": found["receipt"]}


def _person(root: Any, info: Any, *, distinct_id: str, first: int = _FIRST, after: str = "", event: str = "") -> Any:
    desk: Desk = info.context
    return plain(people.one(desk.visitor.rooms, root["id"], distinct_id, limit=_size(first), event=event, after=after))


def _events(root: Any, info: Any, *, first: int = _FIRST, after: str = "", event: str = "") -> Any:
    desk: Desk = info.context
    rooms, size = desk.visitor.rooms, _size(first)
    found = reads.latest_events(rooms.store, root["id"], now=rooms.clock(), limit=size + 1, event=event, after=_moment(after))
    page = plain(found[:size])
    last = page[-1] if page else {}
    return _page(page, f"{last['time_received']} {last['event_id']}" if len(found) > size else "")


def _moment(cursor: str) -> tuple[str, str] | None:
    moment, _, id_ = cursor.partition(" ")
    if not cursor:
        return None
    try:
        datetime.fromisoformat(moment)
    except ValueError:
        raise _no_cursor() from None
    return moment, id_


def _names(root: Any, info: Any, *, first: int = _FIRST, after: str = "") -> Any:
    desk: Desk = info.context
    return _part(reads.event_names(desk.visitor.rooms.store, root["id"]), first, after)


def _properties(root: Any, info: Any, *, first: int = _FIRST, after: str = "", event: str = "") -> Any:
    desk: Desk = info.context
    return _part(reads.event_properties(desk.visitor.rooms.store, root["id"], event=event), first, after)


def _definitions(root: Any, info: Any, *, kind: str, first: int = _FIRST, after: str = "") -> Any:
    desk: Desk = info.context
    found = desk.visitor.rooms.definitions.every(root["id"], kind)
    return _part([definitions.shown(item) for item in found], first, after)


def _letters(root: Any, info: Any, *, first: int = _FIRST, after: str = "", state: str = "waiting") -> Any:
    desk: Desk = info.context
    found = desk.visitor.enter(root["id"], "admin")
    return _part(desk.visitor.rooms.dead_letters.list(found.id, limit=_LETTERS, state=state), first, after, counted=False)


def _compared(root: Any, info: Any, *, first: Any, second: Any) -> Any:
    return [difference.as_json() for difference in compare(_object(first, "first"), _object(second, "second"))]


def _size(first: int) -> int:
    if not 1 <= first <= _MOST:
        raise invalid(f"first is {first}, but it has to be from 1 to {_MOST}.", place="first")
    return first


def _part(everything: list[Any], first: int, after: str, *, counted: bool = True) -> dict[str, Any]:
    """A page of a list that is whole in memory; its cursors are places."""
    size = _size(first)
    if after and not (after.isdecimal() and len(after) < 10):
        raise _no_cursor()
    start = int(after or 0)
    end = start + size
    page = _page(plain(everything[start:end]), str(end) if end < len(everything) else "")
    return {**page, "totalCount": len(everything)} if counted else page


def _page(nodes: list[Any], cursor: str) -> dict[str, Any]:
    return {"nodes": nodes, "pageInfo": {"hasNextPage": bool(cursor), "endCursor": cursor or None}}


def _no_cursor() -> Exception:
    return invalid("This is not the cursor of a page.", place="after", way_out="Give the endCursor of the page before, or leave it out.")
