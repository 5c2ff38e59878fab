"""One shape for every error, and no way around it: whatever goes wrong behind a path, the answer is `{"error": {...}}`.

What nobody foresaw is logged under an id and answered as `unavailable` with that id.
"""

from __future__ import annotations

import json
import traceback
import uuid
from collections.abc import MutableMapping, Sequence
from typing import Any, Final

import msgspec
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from almanac.core.errors import AlmanacError, Code, invalid, not_found, unavailable
from almanac.core.faults import told
from almanac.core.settings import MIB

BODY_LIMIT: Final = 4 * MIB  # bytes; questions, settings and mended dead letters; events come in by the collector's doors

log = structlog.get_logger("almanac.web")


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: Code = Field(description="One of six codes.")
    message: str = Field(description="One sentence for a person.")
    retryable: bool = Field(description="True when the same call may succeed later.")
    place: str = Field("", description="Where: a field, a parameter.")
    way_out: str = Field("", description="What to do.")
    retry_after: int | None = Field(None, description="Seconds to wait before the next try.")
    error_id: str = Field("", description="Id under which the server logged the cause.")


class ErrorBody(BaseModel):
    """The one shape of errors."""

    error: ErrorDetail


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of these error statuses; 400 and 503 belong to every path."""
    words = {
        400: "The input is wrong.",
        401: "No key and no session, or a wrong one.",
        403: "The key or the role may not do this.",
        404: "No such thing, or not the caller's.",
        409: "The thing's state forbids this.",
        410: "It has ended.",
        413: "The body is too large.",
        429: "Over a limit; come back later.",
        503: "Not now; nothing is lost.",
    }
    return {status: {"model": ErrorBody, "description": words[status]} for status in sorted({400, 503, *statuses})}


class Json(Response):
    """JSON that takes what the engine gives: times, decimals, NaN (as null), and text that is no valid Unicode."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body."""
        try:
            return msgspec.json.encode(content, enc_hook=str)
        except UnicodeEncodeError:
            return json.dumps(content, default=str).encode()


def error_response(error: AlmanacError) -> Json:
    """The HTTP answer of an error."""
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Json(error.as_json(), status_code=error.status, headers=headers)


def unforeseen(error: BaseException, path: str) -> AlmanacError:
    """Logs what nobody foresaw and gives the error that the caller gets."""
    error_id = uuid.uuid4().hex[:12]
    # As text of our own making: a renderer that shows local variables would show keys.
    log.error("unforeseen error", error_id=error_id, path=path, traceback="".join(traceback.format_exception(error)))
    return unavailable(
        "Something went wrong on the server's side.",
        way_out=f"Try again; if it stays, look for {error_id} in the server's log.",
        error_id=error_id,
    )


def install(app: FastAPI) -> None:
    """Gives `app` the one error shape and the wall around it."""
    app.add_exception_handler(AlmanacError, _known)
    app.add_exception_handler(RequestValidationError, _not_as_asked)
    app.add_exception_handler(HTTPException, _from_framework)
    app.add_middleware(Wall)


async def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, AlmanacError)
    return error_response(error)


async def _not_as_asked(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return error_response(_first_problem(error.errors()))


def _first_problem(problems: Sequence[Any]) -> AlmanacError:
    problem = problems[0]
    location = problem["loc"]
    place = ".".join(str(part) for part in (location[1:] if location[:1] and location[0] in ("body", "query", "path") else location))
    more = f" There are {len(problems) - 1} more." if len(problems) > 1 else ""
    if problem["type"] == "json_invalid":
        return invalid("The body is not valid JSON.", place=f"byte {place}", way_out=f"The parser says: {problem['ctx']['error']}.")
    message, way_out = told(problem)
    return invalid(message, place=place, way_out=f"{way_out or 'See /docs for what goes here.'}{more}")


async def _from_framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 404:
        return error_response(not_found(f"There is nothing at {path}.", place="path", way_out="See /docs for what there is."))
    if error.status_code == 405:
        methods = (error.headers or {}).get("Allow", "")
        refused = invalid(f"{path} does not take {request.method}.", place="method", way_out=f"It takes {methods}.", status=405)
        answer = error_response(refused)
        answer.headers["Allow"] = methods
        return answer
    return error_response(invalid(f"The request cannot be read: {error.detail}.", status=error.status_code))


class Wall:
    """Takes bodies up to `BODY_LIMIT`, all of them as JSON, and lets no exception out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            body = await _whole_body(scope, receive)
            await self._app(_as_json(scope), _replay(body, receive), sending)
        except AlmanacError as error:
            await error_response(error)(scope, receive, send)
        except Exception as error:
            told = unforeseen(error, scope["path"])
            if begun:  # half an answer is out: only a broken connection says so
                raise
            await error_response(told)(scope, receive, send)


def _as_json(scope: Scope) -> Scope:
    """`curl -d '{...}'` says that it sends a form. The type guards nothing: whoever comes by a cookie shows more than that (auth.py)."""
    headers = [(name, value) for name, value in scope["headers"] if name.lower() != b"content-type"]
    return {**scope, "headers": [*headers, (b"content-type", b"application/json")]}


async def _whole_body(scope: Scope, receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    more = scope["method"] not in ("GET", "HEAD", "OPTIONS")
    while more:
        message: MutableMapping[str, Any] = await receive()
        if message["type"] == "http.disconnect":
            break
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > BODY_LIMIT:
            raise invalid(f"The body is larger than {BODY_LIMIT // MIB} MiB.", place="body", way_out="Send less at once.", status=413)
        more = message.get("more_body", False)
    return b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
