"""The client's side of the HTTP face: for the command line, notebooks and programs. Standard library only.

One `Api` over two transports, a running server over HTTP or the same ASGI app in this process, so that both answer alike to the letter.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import date, datetime
from typing import Any, Final, Protocol
from urllib.parse import quote, unquote, urlencode, urlsplit

import anyio.from_thread

from almanac.core.errors import AlmanacError, Code, conflict, invalid, unavailable
from almanac.core.ports import Key
from almanac.core.settings import Settings
from almanac.web.auth import Visitor, visitor_of
from almanac.web.projects import only_id
from almanac.web.rooms import Rooms

_ASKING: Final = 300.0  # seconds until a silent server counts as gone
_CHUNK: Final = 1 << 18
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")

Query = Mapping[str, Any]


class Transport(Protocol):
    """Carries requests; the answer's bytes come in pieces. Raises `AlmanacError` as the other side said it."""

    def send(self, method: str, path: str, body: bytes | None) -> Iterator[bytes]:
        """One request. Nothing is sent before the first piece is asked for."""
        ...


class HttpTransport:
    """To a server over HTTP."""

    def __init__(self, url: str, key: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise invalid(f"{url!r} is not the address of a server.", place="url", way_out="Write it like http://127.0.0.1:8000.")
        self.url = url.rstrip("/")
        self.key = key
        # A proxy is never on the way to this host itself.
        proxies = [urllib.request.ProxyHandler({})] if parts.hostname in LOOPBACK else []
        self._opener = urllib.request.build_opener(*proxies)

    def send(self, method: str, path: str, body: bytes | None) -> Iterator[bytes]:
        """See `Transport.send`."""
        request = urllib.request.Request(self.url + path, data=body, method=method)
        if self.key:
            request.add_header("Authorization", f"Bearer {self.key}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with self._opener.open(request, timeout=_ASKING) as answer:
                while piece := answer.read(_CHUNK):
                    yield piece
        except urllib.error.HTTPError as error:
            with error:
                raise error_of(error.code, error.read()) from None
        except (http.client.HTTPException, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise unavailable(
                f"The server at {self.url} does not answer: {reason}.", way_out="Check the address, and `almanac doctor`."
            ) from None


class _Owner(Visitor):
    """Whoever can open the data folder may do everything."""

    def who(self) -> Key:
        return Key("admin", "", "")


class InProcess:
    """To the same ASGI app, in this process."""

    def __init__(self, rooms: Rooms) -> None:
        from almanac.web.rest import create_app  # whoever talks to a server needs none of it

        self._app = create_app(rooms)
        self._app.dependency_overrides[visitor_of] = lambda: _Owner(rooms, "")

    def send(self, method: str, path: str, body: bytes | None) -> Iterator[bytes]:
        """See `Transport.send`. The app runs in a thread of its own and waits when its answer is not fetched."""
        pieces: queue.Queue[Any] = queue.Queue(maxsize=4)
        given_up = threading.Event()
        thread = threading.Thread(target=self._run, args=(method, path, body or b"", pieces, given_up), daemon=True)
        thread.start()
        failed, status = b"", 200
        try:
            while (message := pieces.get()) is not None:
                if isinstance(message, BaseException):
                    raise message
                status = message.get("status", status)
                if status >= 400:
                    failed += message.get("body", b"")
                elif message.get("body"):
                    yield message["body"]
        finally:
            given_up.set()
        if status >= 400:
            raise error_of(status, failed)

    def _run(self, method: str, path: str, body: bytes, pieces: queue.Queue[Any], given_up: threading.Event) -> None:
        async def put(message: Any) -> None:
            while not given_up.is_set():
                try:
                    pieces.put_nowait(message)
                except queue.Full:
                    await asyncio.sleep(0.005)
                else:
                    return

        async def call() -> None:
            given = False

            async def receive() -> dict[str, Any]:
                nonlocal given
                while given and not given_up.is_set():
                    await asyncio.sleep(0.05)
                if given:
                    return {"type": "http.disconnect"}
                given = True
                return {"type": "http.request", "body": body, "more_body": False}

            try:
                await self._app(_scope(method, path), receive, put)
            except Exception as error:  # half an answer was out already
                await put(unavailable(f"The answer broke off: {error}"))
            await put(None)

        asyncio.run(call())


class WithinApp:
    """From a thread that an app's own event loop started, to that app, with a key."""

    def __init__(self, app: Any, key: str, gone: asyncio.Event) -> None:
        """`gone`: whoever wanted the answers has hung up."""
        self._app = app
        self._key = key
        self._gone = gone

    def send(self, method: str, path: str, body: bytes | None) -> Iterator[bytes]:
        """See `Transport.send`. The answer is gathered before its first piece is given."""
        status, pieces = anyio.from_thread.run(self._call, method, path, body or b"")
        if status >= 400:
            raise error_of(status, b"".join(pieces))
        yield from pieces

    async def _call(self, method: str, path: str, body: bytes) -> tuple[int, list[bytes]]:
        status, pieces = 200, list[bytes]()
        given = False

        async def receive() -> dict[str, Any]:
            nonlocal given
            if given:
                await self._gone.wait()
                return {"type": "http.disconnect"}
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            pieces.append(message.get("body", b""))

        scope = _scope(method, path)
        scope["headers"].append((b"authorization", b"Bearer " + self._key.encode()))
        await self._app(scope, receive, send)
        return status, pieces


def _scope(method: str, path: str) -> dict[str, Any]:
    plain, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(plain),
        "raw_path": plain.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 0),
        "server": ("localhost", 80),
    }


def error_of(status: int, body: bytes) -> AlmanacError:
    """The error that an answer of status 400 and above tells; of a proxy in between too, which knows our shape not."""
    try:
        told = json.loads(body)["error"]
        return AlmanacError(
            Code(told["code"]),
            str(told["message"]),
            place=str(told.get("place", "")),
            way_out=str(told.get("way_out", "")),
            retry_after=told.get("retry_after"),
            status=status,
            error_id=str(told.get("error_id", "")),
        )
    except (ValueError, KeyError, TypeError):
        return unavailable(f"The server answered with status {status} and nothing that can be understood.", way_out="Check the address.")


class Api:
    """What can be asked of Almanac, by the paths of the HTTP face."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def call(self, method: str, path: str, body: Any = None, query: Query | None = None) -> Any:
        """One request; the JSON of its answer. Raises `AlmanacError`."""
        answer = b"".join(self.stream(method, path, body, query))
        return json.loads(answer) if answer else None

    def stream(self, method: str, path: str, body: Any = None, query: Query | None = None) -> Iterator[bytes]:
        """One request; the bytes of its answer as they come. Raises `AlmanacError`."""
        given = {name: value for name, value in (query or {}).items() if value not in (None, "")}
        text = f"{path}?{urlencode(given)}" if given else path
        return self._transport.send(method, text, None if body is None else json.dumps(body).encode())

    def server(self) -> tuple[str, str]:
        """The server's address, and the key shown to it. Raises `conflict` when the data folder is open in this process."""
        if not isinstance(self._transport, HttpTransport):
            raise conflict(
                "No server runs on this data folder, so nothing new comes in.", way_out="Start `almanac serve`, and ask that server."
            )
        return self._transport.url, self._transport.key

    def only_project(self) -> str:
        """The id of the project that the key enters, when it is just one. Raises `invalid`, which lists them, or `not_found`."""
        return only_id(self.projects())

    def projects(self) -> list[dict[str, Any]]:
        """Those that the key enters."""
        found: list[dict[str, Any]] = self.call("GET", "/api/v1/me")["projects"]
        return found

    def create_project(self, name: str, *, write_key: str = "", zone: str = "UTC") -> dict[str, Any]:
        """With its keys, in the only moment when they can be read."""
        made: dict[str, Any] = self.call("POST", "/api/v1/projects", {"name": name, "write_key": write_key, "zone": zone})
        return made

    def change_project(self, project: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Zone, week start, quota, retention; what is left out stays."""
        changed: dict[str, Any] = self.call("PATCH", _under(project), dict(changes))
        return changed

    def delete_project(self, project: str, name: str) -> dict[str, Any]:
        """For ever, with all its events; `name` is the project's own, to say that it is meant. Answers how many events it had."""
        ended: dict[str, Any] = self.call("DELETE", _under(project), {"name": name})
        return ended

    def keys(self, project: str) -> list[dict[str, Any]]:
        """Without their secrets, revoked ones too."""
        found: list[dict[str, Any]] = self.call("GET", _under(project, "keys"))
        return found

    def create_key(self, project: str, role: str, *, name: str = "") -> dict[str, Any]:
        """A further key, with its secret, in the only moment when it can be read."""
        made: dict[str, Any] = self.call("POST", _under(project, "keys"), {"role": role, "name": name})
        return made

    def revoke_key(self, project: str, key: str, *, grace_hours: float = 0.0) -> dict[str, Any]:
        """Refuses the key of this id, at once or in some hours."""
        revoked: dict[str, Any] = self.call("POST", _under(project, "keys", key, "revoke"), {"grace_hours": grace_hours})
        return revoked

    def rotate_key(self, project: str, key: str, *, grace_hours: float = 0.0) -> dict[str, Any]:
        """A new key in the place of that one, which is revoked at once or in some hours."""
        made: dict[str, Any] = self.call("POST", _under(project, "keys", key, "rotate"), {"grace_hours": grace_hours})
        return made

    def ask(self, project: str, question: Mapping[str, Any], *, fresh: bool = False) -> dict[str, Any]:
        """The answer: kind, columns, rows, receipt."""
        answer: dict[str, Any] = self.call("POST", _under(project, "ask"), dict(question), {"fresh": "true"} if fresh else None)
        return answer

    def answer_file(self, project: str, question: Mapping[str, Any], format_: str, *, fresh: bool = False) -> Iterator[bytes]:
        """The rows of the answer as csv, ndjson, parquet, xlsx or (with the receipt) json."""
        return self.stream("POST", _under(project, "ask"), dict(question), {"format": format_, "fresh": "true" if fresh else None})

    def explain(self, project: str, question: Mapping[str, Any]) -> dict[str, Any]:
        """What a question will cost: sql, rows, all_rows, seconds, plan, advice."""
        found: dict[str, Any] = self.call("POST", _under(project, "explain"), dict(question))
        return found

    def definitions(self, project: str, kind: str) -> list[dict[str, Any]]:
        """The metrics, segments or questions in force, by name."""
        found: list[dict[str, Any]] = self.call("GET", _under(project, "definitions", kind))
        return found

    def definition_file(self, project: str) -> dict[str, Any]:
        """All definitions, as `apply` reads them."""
        found: dict[str, Any] = self.call("GET", _under(project, "definitions"))
        return found

    def versions(self, project: str, kind: str, name: str) -> list[dict[str, Any]]:
        """All versions of a definition, the newest first."""
        found: list[dict[str, Any]] = self.call("GET", _under(project, "definitions", kind, name, "versions"))
        return found

    def save(self, project: str, kind: str, name: str, body: Mapping[str, Any], *, expected: int | None = None) -> dict[str, Any]:
        """A further version of a metric, segment or question."""
        saved: dict[str, Any] = self.call("PUT", _under(project, "definitions", kind, name), dict(body), {"expected": expected})
        return saved

    def remove(self, project: str, kind: str, name: str) -> None:
        """The name stands for nothing from now on."""
        self.call("DELETE", _under(project, "definitions", kind, name))

    def plan(self, project: str, file: Mapping[str, Any], *, prune: bool = False) -> list[dict[str, Any]]:
        """What `apply` would change."""
        query = {"prune": "true"} if prune else None
        changes: list[dict[str, Any]] = self.call("POST", _under(project, "definitions", "plan"), dict(file), query)
        return changes

    def apply(self, project: str, file: Mapping[str, Any], *, prune: bool = False) -> list[dict[str, Any]]:
        """Saves a file of definitions; what it changed."""
        query = {"prune": "true"} if prune else None
        changes: list[dict[str, Any]] = self.call("POST", _under(project, "definitions", "apply"), dict(file), query)
        return changes

    def compare(self, project: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Why two answers differ, from their receipts."""
        body = {"first": dict(first), "second": dict(second)}
        found: list[dict[str, Any]] = self.call("POST", _under(project, "compare"), body)
        return found

    def plan_violations(self, project: str, *, days: int = 30, event: str = "") -> dict[str, Any]:
        """What did not fit the tracking plan: `events` and `violations`, by day."""
        found: dict[str, Any] = self.call("GET", _under(project, "tracking-plan", "violations"), query={"days": days, "event": event})
        return found

    def infer_plan(self, project: str, *, days: int = 30, event: str = "", sample: int = 1000) -> dict[str, Any]:
        """A draft of a tracking plan from what was seen, as `apply` reads it."""
        query = {"days": days, "event": event, "sample": sample}
        found: dict[str, Any] = self.call("GET", _under(project, "tracking-plan", "infer"), query=query)
        return found

    def check_plan(
        self, project: str, plans: Mapping[str, Any] | None = None, *, days: int = 7, event: str = "", sample: int = 1000
    ) -> list[dict[str, Any]]:
        """How stored events would fare under these plans, or under those in force."""
        query = {"days": days, "event": event, "sample": sample}
        body = {} if plans is None else {"plans": dict(plans)}
        found: list[dict[str, Any]] = self.call("POST", _under(project, "tracking-plan", "check"), body, query)
        return found

    def events(self, project: str, *, limit: int = 100, event: str = "", distinct_id: str = "") -> list[dict[str, Any]]:
        """The latest events."""
        query = {"limit": limit, "event": event, "distinct_id": distinct_id}
        found: list[dict[str, Any]] = self.call("GET", _under(project, "events"), query=query)
        return found

    def event_names(self, project: str) -> list[dict[str, Any]]:
        """With how often and when they came, the most frequent first."""
        found: list[dict[str, Any]] = self.call("GET", _under(project, "event-names"))
        return found

    def properties(self, project: str, *, event: str = "") -> list[dict[str, Any]]:
        """Of events, with the types they came in."""
        found: list[dict[str, Any]] = self.call("GET", _under(project, "properties"), query={"event": event})
        return found

    def ledger(self, project: str = "") -> list[dict[str, Any]]:
        """By project and hour; of all projects when `project` is "" (needs the server's admin key)."""
        found: list[dict[str, Any]] = self.call("GET", _under(project, "ledger") if project else "/api/v1/ledger")
        return found

    def dead_letters(self, project: str, *, limit: int = 100, reason: str = "", state: str = "waiting") -> list[dict[str, Any]]:
        """The newest first."""
        query = {"limit": limit, "reason": reason, "state": state}
        found: list[dict[str, Any]] = self.call("GET", _under(project, "dead-letters"), query=query)
        return found

    def replay(self, project: str, ids: Sequence[str] | None, edits: Mapping[str, str]) -> dict[str, Any]:
        """Sends dead letters again; all that wait when `ids` is None."""
        body = {"ids": None if ids is None else list(ids), "edits": dict(edits)}
        done: dict[str, Any] = self.call("POST", _under(project, "dead-letters", "replay"), body)
        return done

    def discard(self, project: str, ids: Sequence[str]) -> dict[str, Any]:
        """Gives dead letters up."""
        done: dict[str, Any] = self.call("POST", _under(project, "dead-letters", "discard"), {"ids": list(ids)})
        return done

    def person(
        self, project: str, distinct_id: str, *, limit: int = 100, event: str = "", until: datetime | str = "", after: str = ""
    ) -> dict[str, Any]:
        """Ids, merges, properties, and a page of the timeline: events of one name only, before an instant, after the page of a token."""
        query = {"limit": limit, "event": event, "until": until, "after": after}
        found: dict[str, Any] = self.call("GET", _under(project, "people", distinct_id), query=query)
        return found

    def people(
        self, project: str, question: Mapping[str, Any], row: Mapping[str, Any], *, limit: int = 100, after: str = ""
    ) -> dict[str, Any]:
        """Who is behind a row of an answer: total, people (a page), next (the token of the next page), receipt."""
        body = {"question": dict(question), "row": dict(row), "limit": limit, "after": after}
        found: dict[str, Any] = self.call("POST", _under(project, "people"), body)
        return found

    def people_file(self, project: str, question: Mapping[str, Any], row: Mapping[str, Any]) -> Iterator[bytes]:
        """All of them, as the bytes of a CSV file."""
        body = {"question": dict(question), "row": dict(row)}
        return self.stream("POST", _under(project, "people"), body, {"format": "csv"})

    def merge(self, project: str, edge: str, deed: str) -> dict[str, Any]:
        """`deed`: undo or redo."""
        done: dict[str, Any] = self.call("POST", _under(project, "merges", edge, deed))
        return done

    def export(
        self, project: str, *, format_: str, event: str = "", date_from: date | None = None, date_to: date | None = None
    ) -> Iterator[bytes]:
        """The bytes of a file of all events."""
        query = {"format": format_, "event": event, "date_from": date_from, "date_to": date_to}
        return self.stream("GET", _under(project, "export"), query=query)

    def sources(self, project: str) -> list[dict[str, Any]]:
        """Webhooks and sources of files, with how they fare; without their secrets."""
        found: list[dict[str, Any]] = self.call("GET", _under(project, "sources"))
        return found

    def source(self, project: str, name: str) -> dict[str, Any]:
        """One of them."""
        found: dict[str, Any] = self.call("GET", _under(project, "sources", name))
        return found

    def save_source(self, project: str, name: str, source: Mapping[str, Any]) -> dict[str, Any]:
        """In the place of the one of that name."""
        saved: dict[str, Any] = self.call("PUT", _under(project, "sources", name), {"source": dict(source)})
        return saved

    def remove_source(self, project: str, name: str) -> None:
        """It brings nothing from now on."""
        self.call("DELETE", _under(project, "sources", name))

    def run_source(self, project: str, name: str) -> dict[str, Any]:
        """Starts a run of a source of files."""
        started: dict[str, Any] = self.call("POST", _under(project, "sources", name, "run"))
        return started

    def source_files(self, project: str, name: str, *, failed: bool = False) -> list[dict[str, Any]]:
        """The files that it looked at last."""
        query = {"failed": "true"} if failed else None
        found: list[dict[str, Any]] = self.call("GET", _under(project, "sources", name, "files"), query=query)
        return found

    def try_source(
        self, project: str, source: Mapping[str, Any], *, name: str = "", sample: Any = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """What it would bring: files, events, rejected. Nothing is kept."""
        body = {"source": dict(source), "name": name, "sample": sample, "headers": dict(headers or {})}
        tried: dict[str, Any] = self.call("POST", _under(project, "sources", "try"), body)
        return tried

    def backup(self, folder: str) -> dict[str, Any]:
        """To an empty folder of the server's host."""
        made: dict[str, Any] = self.call("POST", "/api/v1/backup", {"folder": folder})
        return made


def _under(project: str, *parts: str) -> str:
    return "/".join(("/api/v1/projects", *(quote(part, safe="") for part in (project, *parts))))


# --------------------------------------------------------------- data folders


def serving(settings: Settings) -> dict[str, Any] | None:
    """What the server that runs on this data folder says of itself (pid, url, admin_key); None when none answers."""
    try:
        said: dict[str, Any] = json.loads(settings.serve_file.read_text())
        url = str(said["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if health(url) is not None:
        return said
    # A busy one may take longer; where its process is gone, nobody waits.
    return said if _lives(said.get("pid")) and health(url, seconds=60) is not None else None


def _lives(pid: object) -> bool:
    try:
        os.kill(int(str(pid)), 0)
    except (ValueError, OSError):
        return False
    return True


def health(url: str, seconds: float = 10) -> dict[str, Any] | None:
    """/health of a server, green or red; None when it does not answer in time."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/health", timeout=seconds) as answer:
            found: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:  # red
        with error:
            try:
                found = json.load(error)
            except ValueError:
                return None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    return found if isinstance(found, dict) and "checks" in found else None


@contextmanager
def reach(settings: Settings, open_rooms: Callable[[Settings], AbstractContextManager[Rooms]]) -> Iterator[Api]:
    """The server that runs on this data folder, or, when none does, the folder itself, opened by `open_rooms` in this process.

    Raises `conflict`, which names the process, when another one holds the folder and no server answers.
    """
    server = serving(settings)
    if server is not None:
        yield Api(HttpTransport(str(server["url"]), str(server.get("admin_key", ""))))
        return
    with open_rooms(settings) as rooms:
        yield Api(InProcess(rooms))
