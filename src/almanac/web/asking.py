"""One question over HTTP: an answer that is kept at once, any other in a thread, with a turn of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final
from uuid import UUID, uuid4

from anyio import CapacityLimiter, to_thread
from fastapi import Header, Request
from starlette.responses import Response

from almanac.core.errors import AlmanacError, limited
from almanac.flights import Ticket
from almanac.web.errors import Json
from almanac.web.metrics import Metrics
from almanac.web.rooms import Rooms

Find = Callable[[], tuple[str, Mapping[str, Any]]]  # checks who asks; the project's id, and the question
Show = Callable[[Mapping[str, Any]], Response]  # of the answer as JSON
QuestionId = Annotated[
    UUID | None,
    Header(alias="X-Question-Id", description="A fresh id, by which the question can be seen and stopped while it is under way."),
]


# Requests that may wait for a thread. When an answer is no longer kept, all who look at it miss it in the same moment: they wait for the
# one run that makes it anew, and are not sent away.
MOST_WAITING: Final = 1000


def refuse_a_crowd(questions: CapacityLimiter) -> None:
    """Raises `limited` when too many wait for a thread already."""
    if questions.statistics().tasks_waiting >= MOST_WAITING:
        raise limited("Too many questions are waiting.", way_out="Ask again in a moment.", retry_after=2)


async def answered(request: Request, find: Find, *, id_: UUID | None = None, fresh: bool = False, show: Show = Json) -> Response:
    """The answer. `find` and `show` run in a thread. `id_`: by which it can be stopped; it also stops when the connection of whoever asks
    breaks. Raises as `find`, `show` and `Engine.ask` do; `limited` when too many wait."""
    rooms: Rooms = request.app.state.rooms
    metrics: Metrics = request.app.state.metrics
    if not fresh:
        looked = await to_thread.run_sync(_looked, rooms, find, show, metrics, limiter=request.app.state.looks)
        if isinstance(looked, Response):
            return looked
        known = looked
        find = lambda: known  # noqa: E731
    return await stoppable(request, lambda ticket: _asked(rooms, find, str(id_ or uuid4()), ticket, fresh, show, metrics))


async def stoppable(request: Request, work: Callable[[Ticket], Response]) -> Response:
    """What `work` makes, in one of the threads of questions; its ticket is told when the connection of whoever asks breaks. Raises as
    `work` does, and `limited` when too many wait."""
    questions: CapacityLimiter = request.app.state.questions
    refuse_a_crowd(questions)
    ticket = Ticket()
    watch = asyncio.create_task(_until_gone(request, ticket))
    try:
        return await to_thread.run_sync(work, ticket, limiter=questions)
    finally:
        watch.cancel()


async def _until_gone(request: Request, ticket: Ticket) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    ticket.tell()


def _looked(rooms: Rooms, find: Find, show: Show, metrics: Metrics) -> Response | tuple[str, Mapping[str, Any]]:
    """Answers that are kept need no turn, and nobody who asks for one is refused. Else what was found."""
    project, question = find()
    try:
        answer = rooms.engine.kept(project, question)
    except AlmanacError:
        with metrics.asking(question):
            raise
    if answer is None:
        return project, question
    with metrics.asking(question):
        return show(answer.as_json())


def _asked(rooms: Rooms, find: Find, id_: str, ticket: Ticket, fresh: bool, show: Show, metrics: Metrics) -> Response:
    project, question = find()
    kind = str(question.get("kind", ""))[:100]
    with metrics.asking(question), rooms.engine.questions.under_way(project, id_, ticket, kind):
        answer = rooms.engine.ask(project, question, fresh=fresh, ticket=ticket)
    return show(answer.as_json())
