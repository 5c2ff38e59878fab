"""The client of an app: one object for as long as the app runs."""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import ssl
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, tzinfo
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, Unpack

from . import consent as consents
from . import spool as spools
from . import values
from .backfill import Backfilled, BackfillError, Plan, Rows, run
from .calls import PURPOSE, Calls, Details, Person, Properties, event_of, unknown
from .outbox import Bounds, Outbox
from .problems import Problem, Problems, Stats, log
from .sender import Sender, in_child_process
from .transport import VERSION, Transport

MIB: Final = 1 << 20
MOST_HELD: Final = 1000  # events that wait for consent
LARGEST_EVENT: Final = 16 * MIB

_open: Final[set[Client]] = set()  # clients that are not closed, to be closed at the end


class Client(Calls):
    """Sends events. Safe for threads, for `asyncio` and after a fork; a call costs some microseconds and never waits.

    `write_key`: a key of the role write. `host`: the server's address. Events leave when `batch_events` are there, or `flush_seconds`
    after the first; at most `queue_events` and `queue_bytes` wait in memory, and further ones are dropped and counted. `spool`: a folder
    in which events are kept until the server has them, at most `spool_bytes`; several processes may share it. `timeout`: seconds until a
    silent request is given up and sent again. `close_seconds`: how long the end of the process may be held up. `consent`: what is agreed
    to by purpose ({"analytics": "pending"}); None: the app sees to that itself. `context`: goes with every event. `is_server`: this
    machine's address and kind say nothing about the person. `on_error`: gets each `Problem`, from any thread. `enabled=False`: takes
    calls and does nothing.

    Only the constructor raises: `ValueError` for an address or a bound that cannot be.
    """

    def __init__(
        self,
        write_key: str,
        host: str = "http://127.0.0.1:8000",
        *,
        batch_events: int = 100,
        batch_bytes: int = MIB,
        flush_seconds: float = 1.0,
        queue_events: int = 10_000,
        queue_bytes: int = 32 * MIB,
        spool: str | os.PathLike[str] | None = None,
        spool_bytes: int = 64 * MIB,
        timeout: float = 15.0,
        close_seconds: float = 5.0,
        compress: bool = True,
        tls: ssl.SSLContext | None = None,
        consent: consents.Given | None = None,
        context: Properties | None = None,
        is_server: bool = True,
        on_error: Callable[[Problem], object] | None = None,
        enabled: bool = True,
    ) -> None:
        if enabled and not write_key:
            raise ValueError("There is no write key. Give one, or enabled=False for a client that does nothing.")
        for name, value in (
            ("batch_events", batch_events),
            ("batch_bytes", batch_bytes),
            ("queue_events", queue_events),
            ("timeout", timeout),
        ):
            if not value > 0:
                raise ValueError(f"{name} is {value!r}; it has to be more than 0.")
        self._enabled = enabled
        self._key = write_key
        self._new_transport = partial(Transport, write_key, host, timeout=timeout, compress=compress, tls=tls)
        self._close_seconds = close_seconds
        self._context = dict(context or {})
        self._more = values.encode({"library": {"name": "almanac-python", "version": VERSION}, "is_server": is_server})[1:]
        self._consent = None if consent is None else consents.read(consent)
        self._held: deque[tuple[str, str, bytes]] = deque()  # purpose, id, line without its end
        self._recorded: list[dict[str, Any]] | None = None
        self._problems = Problems(on_error)
        self._batch = (batch_events, batch_bytes)
        bounds = Bounds(queue_events, queue_bytes, batch_events, batch_bytes, spool_bytes, flush_seconds)
        folder = spools.folder_of(Path(spool), write_key) if spool is not None and enabled else None
        self._outbox = Outbox(bounds, folder, self._problems)
        self._sender = Sender(self._outbox, self._new_transport(), self._problems, spooled=folder is not None)
        self._guard = threading.RLock()
        self._pid = os.getpid()
        self._bound = False
        self._closed = False
        if enabled:
            _open.add(self)
        if folder is not None and folder.is_dir():  # something of an earlier life may wait
            self._begin()

    @classmethod
    def testing(cls, *, consent: consents.Given | None = None, context: Properties | None = None) -> Client:
        """A client for tests: nothing is sent, and `events` holds what would be."""
        client = cls("testing", enabled=False, consent=consent, context=context)
        client._recorded = []
        return client

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events that a client for tests took, as they would be sent."""
        return list(self._recorded or [])

    # ------------------------------------------------------------ taking

    def person(self, **details: Unpack[Details]) -> Person:
        """Calls about one person or one request: `client.person(user_id="u1", groups={"company": "acme"}).track("Viewed")`."""
        return Person(self, details)

    def _take(self, kind: str, name: str, own: dict[str, Any], details: Mapping[str, Any]) -> str:
        if not self._enabled and self._recorded is None:
            return ""
        try:
            if strange := unknown(details):
                self._problems.tell("argument", f"There is no detail {', '.join(strange)}; it is left out.", quiet=False)
            purpose = str(details.get("purpose") or PURPOSE)
            given = details.get("consent")
            own_consent = None if given is None else consents.read(given)
            item = event_of(kind, name, own, details, self._context)
            line = values.encode(item)[:-1]  # now, because the app may change its values afterwards
            with self._guard:
                state = consents.state_of(purpose, own_consent, self._consent)
                if state == "granted":
                    return self._put(item["id"], line, purpose, {**(self._consent or {}), **(own_consent or {})})
                if state == "pending" and own_consent is None and len(self._held) < MOST_HELD:
                    self._held.append((purpose, item["id"], line))
                    return str(item["id"])
                self._outbox.drop("no_consent")
                return ""
        except Exception as error:
            self._outbox.drop("failed")
            self._problems.tell("failed", f"An event could not be taken: {type(error).__name__}: {error}", count=1)
            return ""

    def _put(self, id_: str, line: bytes, purpose: str, agreed: Mapping[str, str]) -> str:
        if agreed:
            line += b',"flags":' + values.encode({"consent": dict(agreed), "purpose": purpose})
        line += b"," + self._more
        if self._recorded is not None:
            self._recorded.append(json.loads(line))
            return id_
        reason = ""
        if len(line) > LARGEST_EVENT:
            reason = "too_large"
            self._outbox.drop(reason)
        else:
            self._begin()
            reason = self._outbox.put(line)
        if reason:
            said = {"queue_full": "The queue is full: events are dropped.", "closed": "The client is closed: events are dropped."}
            self._problems.tell(reason, said.get(reason, f"An event is larger than {LARGEST_EVENT} bytes."), count=1)
            return ""
        return id_

    def _begin(self) -> None:
        if not self._bound:
            self._bound = True
            if in_child_process():
                # A child of multiprocessing ends by os._exit, which runs these and not what atexit knows.
                sys.modules["multiprocessing.util"].Finalize(None, self.close, exitpriority=100)
        self._sender.start()

    # ------------------------------------------------------------ consent

    def consent(self, **purposes: str | bool) -> None:
        """What is agreed to from now on, by purpose: `client.consent(analytics=True, marketing="denied")`.

        Granted: events that waited for it are sent, with the times when they happened. Denied: they are forgotten."""
        try:
            said = consents.read(purposes)
        except ValueError as error:
            self._problems.tell("argument", str(error), quiet=False)
            return
        with self._guard:
            self._consent = {**(self._consent or {}), **said}
            held, self._held = self._held, deque()
            for purpose, id_, line in held:
                state = consents.state_of(purpose, self._consent)
                if state == "granted":
                    self._put(id_, line, purpose, self._consent)
                elif state == "pending":
                    self._held.append((purpose, id_, line))
                else:
                    self._outbox.drop("no_consent")

    # ------------------------------------------------------------ out

    def flush(self, timeout: float | None = 10.0) -> bool:
        """Waits until the fate of all events that were taken before is known; False when that takes longer than `timeout` seconds."""
        try:
            return self._outbox.flushed().result(timeout)
        except TimeoutError:
            return False

    async def flush_async(self, timeout: float | None = 10.0) -> bool:
        """The same for `asyncio`: the loop runs on meanwhile."""
        try:
            return await asyncio.wait_for(asyncio.wrap_future(self._outbox.flushed()), timeout)
        except TimeoutError:
            return False

    def close(self, timeout: float | None = None) -> Stats:
        """Sends what it can in `timeout` seconds (`close_seconds` without it) and ends; the books then. What is in the spool is sent by
        the next start.

        It happens by itself at the end of the process."""
        with self._guard:
            closed, self._closed = self._closed, True
        if not closed and self._pid == os.getpid():
            _open.discard(self)
            lost = self._sender.close(self._close_seconds if timeout is None else timeout)
            if lost:
                self._problems.tell("closed", "The client was closed before these events could be sent.", count=lost, quiet=False)
        return self.stats()

    async def close_async(self, timeout: float | None = None) -> Stats:
        """The same for `asyncio`."""
        return await asyncio.to_thread(self.close, timeout)

    def stats(self) -> Stats:
        """The books."""
        return self._outbox.stats(len(self._held))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close_async()

    def _forked(self) -> None:
        """In a child: the parent sends what was taken before; here everything begins anew."""
        self._pid = os.getpid()
        self._guard = threading.RLock()
        self._held = deque()
        self._bound = False
        self._outbox.forked()
        self._sender.fresh()

    # ------------------------------------------------------------ backfill

    def backfill(
        self,
        rows: Rows,
        *,
        time: str,
        event: str = "",
        event_column: str = "",
        user_id: str = "",
        anonymous_id: str = "",
        device_id: str = "",
        session_id: str = "",
        url: str = "",
        revenue: str = "",
        currency: str = "",
        currency_column: str = "",
        groups: Mapping[str, str] | None = None,
        properties: Sequence[str] | None = None,
        id: str = "",  # noqa: A002 (its name everywhere)
        key: str | Sequence[str] = (),
        source: str = "",
        zone: tzinfo = UTC,
        resume: str | os.PathLike[str] | None = None,
        patience: float = 600.0,
        progress: Callable[[Backfilled], object] | None = None,
    ) -> Backfilled:
        """Sends history: a pandas or polars frame, or an iterable of frames or dicts, so that it need not fit into memory. Waits until it
        is done.

        All but `event`, `currency` and `source` name columns: `event` is the name of all rows' events (or `event_column` has it),
        `currency` that of all revenues (or `currency_column`); `groups` has a column for each type; `properties` lists columns, all
        others when it is None. Times without a zone are in `zone`, and are not corrected. Missing values are left out; a row without a
        time or a name is skipped and said.

        Ids are derived, so that a row sent twice within a week counts once: from the columns of `key` with the event's name and `source`,
        else from the whole row (which remembers about 70 bytes a row, to tell equal rows apart); `id` names a column of ids that are
        taken as they are. `resume`: a file that notes how far it came; the next call goes on there, also with rows that were added at the
        end. `patience`: seconds without any success after which it gives up. `progress` is called after each batch.

        Raises `BackfillError` with what to do.
        """
        plan = Plan(
            time, event, event_column, user_id, anonymous_id, device_id, session_id, url, revenue, currency, currency_column,
            dict(groups or {}), properties, id, key, source, zone,
        )  # fmt: skip
        if not self._enabled:
            raise BackfillError("The client is not enabled.")
        transport = self._new_transport()
        try:
            return run(rows, transport, self._more, plan, resume=resume, batch=self._batch, patience=patience, progress=progress)
        finally:
            transport.close()


def _end() -> None:
    for client in list(_open):
        try:
            client.close()
        except Exception:
            log.exception("a client could not be closed")


def _forked() -> None:
    for client in list(_open):
        client._forked()


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
