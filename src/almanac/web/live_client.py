"""The client's side of live answers: an iterator that follows a question or the latest events, over whatever befalls the connection."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from almanac.core.errors import AlmanacError, unavailable
from almanac.web.client import LOOPBACK, error_of
from almanac.web.live_changes import applied

_SILENT: Final = 60.0  # seconds after which a server that pings every 20 s counts as gone
_PAUSES: Final = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between tries; the last one again and again
_PATH: Final = "/api/v1/live"
_ID: Final = "it"


@dataclass(frozen=True)
class Update:
    """The answer as it is now, and what is new in it: `changed` rows (all of them the first time), and the keys of `removed` ones, each
    with the columns of `key`. After an interruption it is what changed since the last one."""

    answer: dict[str, Any] = field(repr=False)  # kind, columns, rows, receipt
    changed: list[dict[str, Any]]
    removed: list[dict[str, Any]]


def updates(url: str, key: str, project: str, question: Mapping[str, Any]) -> Generator[Update]:
    """What the answer to `question` is, and again whenever it changed; for ever. Raises `AlmanacError` as the server says it, and
    `unavailable` when the server does not answer at first; later it is waited for."""
    answer: dict[str, Any] = {}
    for message in _messages(url, key, {"project": project, "question": dict(question)}):
        if message["type"] == "snapshot":
            answer = message["answer"]
            yield Update(answer, answer["rows"], [])
            continue
        rows = [(one["place"], one["row"]) for one in message["rows"]]
        names, removed = message["key"], message["removed"]
        receipt = {**answer["receipt"], **message["receipt"]}
        answer = {**answer, "rows": applied(answer["rows"], names, rows, removed), "receipt": receipt}
        if rows or removed:
            yield Update(answer, [row for _, row in rows], [dict(zip(names, values, strict=True)) for values in removed])


def latest_events(url: str, key: str, project: str, event: str = "") -> Generator[dict[str, Any]]:
    """The events of a project as they come in, at most 50 a second, of one name if one is given; those of a while ago come first. Raises
    as `updates` does."""
    for message in _messages(url, key, {"project": project, "events": {"event": event} if event else {}}):
        yield from reversed(message["events"])


def _messages(url: str, key: str, subscription: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All messages of one subscription. A connection that breaks is made again, and goes on where it was."""
    since, tries = "", -1  # the first time there must be somebody
    while True:
        try:
            with _connected(url, key) as socket:
                with contextlib.suppress(ConnectionClosed):  # why is read below
                    socket.send(json.dumps({"type": "subscribe", "id": _ID, "since": since, **subscription}))
                while True:
                    message: dict[str, Any] = json.loads(socket.recv(timeout=_SILENT))
                    if message["type"] == "error":
                        _raise_if_final(message)
                    elif message.get("id") == _ID:
                        since, tries = message["version"], 0
                        yield message
        except (WebSocketException, OSError) as error:  # a silent server too: TimeoutError
            if tries < 0:
                raise _unreached(url, error) from None
        time.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
        tries += 1


def _connected(url: str, key: str) -> AbstractContextManager[ClientConnection]:
    parts = urlsplit(url)
    address = parts._replace(scheme="wss" if parts.scheme == "https" else "ws", path=f"{parts.path.rstrip('/')}{_PATH}").geturl()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    proxy: Any = None if parts.hostname in LOOPBACK else True
    return connect(address, additional_headers=headers, max_size=None, proxy=proxy, open_timeout=20)


def _raise_if_final(message: Mapping[str, Any]) -> None:
    error = error_of(0, json.dumps(message).encode())
    if not error.retryable:
        raise error


def _unreached(url: str, error: Exception) -> AlmanacError:
    if isinstance(error, InvalidStatus):
        return error_of(error.response.status_code, bytes(error.response.body or b""))
    reason = "it does not speak WebSocket" if isinstance(error, InvalidHandshake) else str(error)
    if isinstance(error, ConnectionClosed) and error.rcvd:
        reason = error.rcvd.reason
    return unavailable(f"The server at {url} does not answer: {reason}.", way_out="Check the address, and `almanac doctor`.")
