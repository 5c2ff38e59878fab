"""GraphQL: a project with one field for each kind of question, and its lists. Derived by walking the registry; no kind is named here.

The schema is built when it is first asked for: a server that nobody asks so pays neither the time nor the memory.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import msgspec
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from almanac.core.analysis import registry
from almanac.core.errors import AlmanacError, invalid, limited
from almanac.flights import Ticket
from almanac.web import errors
from almanac.web.asking import QuestionId, stoppable
from almanac.web.auth import Caller, Visitor
from almanac.web.errors import Json, responses
from almanac.web.forms import Form
from almanac.web.metrics import Metrics

if TYPE_CHECKING:
    import strawberry

router = APIRouter()

_DEPTH: Final = 10  # of fields within fields
_TOKENS: Final = 5000
_ALIASES: Final = 50
_QUESTIONS: Final = 20  # of one request
_NEAR: Final = re.compile(r"(.*?)(?: (Did you mean .*))?", re.DOTALL)  # the names that come close stand behind what is wrong
_NO_FIELD: Final = re.compile(r"Cannot query field '\w+' on type '(\w+)'")
_lock = threading.Lock()
_built: dict[str, strawberry.Schema] = {}


class Operation(Form):
    """A GraphQL request."""

    query: str = Field(min_length=1, max_length=200_000, description="The document.")
    variables: dict[str, Any] | None = Field(None, description="Values of its variables.")
    operationName: str | None = Field(None, description="Which of its operations, when it has several.")  # noqa: N815 (GraphQL's word)
    extensions: dict[str, Any] | None = Field(None, description="Ignored.")


@dataclass
class Desk:
    """Who asks, under what id and ticket, and how many questions this request has asked so far."""

    visitor: Visitor
    metrics: Metrics
    id: str
    ticket: Ticket
    asked: int = field(default=0)

    def answer(self, project: str, question: Mapping[str, Any], ask: Callable[[], Any]) -> Any:
        """One question, counted. Raises `limited` when one request asks too many."""
        self.asked += 1
        if self.asked > _QUESTIONS:
            raise limited(f"One request may ask {_QUESTIONS} questions.", way_out="Send the others in another request.", retry_after=1)
        kind = str(question.get("kind", ""))[:100]
        with self.metrics.asking(question), self.visitor.rooms.engine.questions.under_way(project, self.id, self.ticket, kind):
            return ask()


@router.post("/graphql", response_model=dict[str, Any], responses=responses(401, 403, 413, 429), summary="GraphQL", tags=["questions"])
async def graphql(operation: Operation, caller: Caller, request: Request, question_id: QuestionId = None) -> Response:
    """`{project(id: "shop") {trend(series: ["signup"]) {rows {period value} receipt {sql}}}}`. The schema tells the rest: it has a field
    for each kind of question. What goes wrong stands in `errors`, with our code, place and way out as its `extensions`. By its
    X-Question-Id all questions of the request are stopped."""
    metrics: Metrics = request.app.state.metrics
    return await stoppable(request, lambda ticket: _executed(operation, Desk(caller, metrics, str(question_id or uuid4()), ticket)))


def _executed(operation: Operation, desk: Desk) -> Response:
    desk.visitor.who()  # nobody without a key reads even the schema
    schema = _schema()
    from strawberry.schema.exceptions import CannotGetOperationTypeError

    try:
        result = schema.execute_sync(
            operation.query, variable_values=operation.variables, context_value=desk, operation_name=operation.operationName
        )
    except RecursionError:
        raise invalid("The document is nested too deeply.", place="query") from None
    except CannotGetOperationTypeError:
        wanted = f"no operation {operation.operationName!r}" if operation.operationName else "no operation"
        raise invalid(f"The document has {wanted}.", place="operationName", way_out="Give the name of one of its operations.") from None
    body: dict[str, Any] = {"data": result.data}
    if result.errors:
        body["errors"] = [_told(error, schema) for error in result.errors]
    return Json(body)


def _told(error: Any, schema: strawberry.Schema) -> dict[str, Any]:
    """An error in GraphQL's form, with ours in its extensions."""
    cause = error.original_error
    if isinstance(cause, AlmanacError):
        ours = cause
    elif cause is None or type(cause).__module__.startswith("graphql."):
        message, near = _NEAR.fullmatch(error.message).groups()  # type: ignore[union-attr]  # anything is of this form
        ours = invalid(message, place="query", way_out=near or _fields(message, schema) or "Compare it with the schema.")
    else:
        ours = errors.unforeseen(cause, "/graphql")
    shown = {"message": ours.message, "extensions": ours.as_json()["error"]}
    if error.path:
        shown["path"] = error.path
    if error.locations:
        shown["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    return shown


def _fields(message: str, schema: strawberry.Schema) -> str:
    """All fields of the type, where none comes near the one that was asked for."""
    unknown = _NO_FIELD.search(message)
    kind = schema.get_type_by_name(unknown[1]) if unknown else None
    names = sorted(field.graphql_name or field.python_name for field in getattr(kind, "fields", []))
    return f"There are: {', '.join(names)}." if names else ""


def _schema() -> strawberry.Schema:
    with _lock:
        if "schema" not in _built:
            from almanac.web.graphql_schema import build

            _built["schema"] = build(registry(), depth=_DEPTH, tokens=_TOKENS, aliases=_ALIASES)
    return _built["schema"]


def plain(value: Any) -> Any:
    """What the store gave, as GraphQL's encoder takes it."""
    return json.loads(msgspec.json.encode(value, enc_hook=str))
