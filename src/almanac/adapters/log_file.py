"""The event log as files in one folder: the end of collectors and importers. `log_reader` is the load's end.

Group commit: appends gather while the disk is busy with the ones before, then one write and one fdatasync make all of them durable. The
form of the files is told in `log_segments`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from almanac.adapters import log_segments as segments
from almanac.adapters.log_faults import cause
from almanac.adapters.log_reader import FileLogReader
from almanac.adapters.log_segments import Counts
from almanac.adapters.log_writer import SegmentWriter
from almanac.core.errors import AlmanacError, unavailable
from almanac.core.event import Event

__all__ = ["FileLogReader", "FileLogWriter"]

_REFUSE_SECONDS: Final = 0.2  # after a failure appends are refused at once for so long, before the disk is tried again
_PAUSE: Final = 0.5  # of the time of a fdatasync, for appends to gather; with 32 senders and a slow disk it doubled what was accepted
_LONGEST_PAUSE: Final = 0.001  # seconds
_WAITING_LIMIT: Final = 64 << 20  # bytes that may wait for the disk


@dataclass
class _Group:
    """Appends that become durable together."""

    lines: list[bytes] = field(default_factory=list[bytes])
    size: int = 0
    counts: Counts = field(default_factory=dict[tuple[str, int], int])
    waiting: list[asyncio.Future[None]] = field(default_factory=list[asyncio.Future[None]])


class FileLogWriter:
    """Writes the log under a name that no other process uses. It belongs to one event loop.

    `segment_size`, `log_limit` and `disk_reserve` in bytes, `segment_age` in seconds; `clock` tells microseconds since 1970. Raises
    `conflict` when the name is in use. A folder that cannot be written now is no error: appends are refused until it can.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        segment_size: int,
        segment_age: float,
        log_limit: int,
        disk_reserve: int,
        clock: Callable[[], int],
    ) -> None:
        self._files = SegmentWriter(
            folder,
            name,
            segment_size=segment_size,
            segment_age=segment_age,
            log_limit=log_limit,
            disk_reserve=disk_reserve,
            clock=clock,
        )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"log-{name}")
        self._segment_size = segment_size
        self._groups: deque[_Group] = deque()
        self._waiting_bytes = 0
        self._under_way = 0
        self._busy = False
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._refusal: AlmanacError | None = None
        self._refused_until = 0.0
        self._last_error = ""
        try:
            self._files.prepare()
        except OSError as error:
            self._refuse(cause(error))

    async def append(self, events: Sequence[Event]) -> None:
        """As the port says. Raises `invalid` for an event that JSON cannot carry; then none of `events` was kept."""
        if not events:
            return
        if self._closed:
            raise unavailable("The event log is closed.", way_out="Come back when the server has started again.")
        if self._refusal:
            if time.monotonic() < self._refused_until:
                raise _again(self._refusal)
            self._refusal = None
        lines = segments.encode(events)
        if self._waiting_bytes and self._waiting_bytes + len(lines) > _WAITING_LIMIT:
            raise unavailable("The disk of the event log does not keep up.", way_out="Send more slowly, or give the log a faster disk.")
        loop = asyncio.get_running_loop()
        durable = loop.create_future()
        if not self._groups or self._groups[-1].size + len(lines) > self._segment_size:
            self._groups.append(_Group())
        group = self._groups[-1]
        group.lines.append(lines)
        group.size += len(lines)
        segments.count_events(events, group.counts)
        group.waiting.append(durable)
        self._waiting_bytes += len(lines)
        if not self._busy:
            self._busy = True
            loop.call_soon(self._submit, loop)
        await durable

    async def close(self) -> None:
        """As the port says; also lets go of the name. May be repeated."""
        if self._closed:
            return
        self._closed = True
        if self._timer:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        while self._groups:
            self._submit(loop)
        await loop.run_in_executor(self._thread, self._files.close)
        self._thread.shutdown(wait=False)

    def state(self) -> dict[str, Any]:
        """For health and metrics: bytes of the open segment, appends that wait, the last error ("" when the last write went well), and
        the seconds of the last and the longest fdatasync."""
        return {
            "open_bytes": self._files.open_bytes,
            "waiting_appends": sum(len(group.waiting) for group in self._groups) + self._under_way,
            "last_error": self._last_error,
            "fsync_seconds_last": self._files.sync_last,
            "fsync_seconds_max": self._files.sync_most,
        }

    # The loop's side: `_submit` hands a group to the thread, `_answer` tells its senders, `_rest` starts the next one or waits for the
    # segment's age. One `_work` runs at a time.

    def _submit(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._groups or not self._closed:
            group = self._groups.popleft() if self._groups else _Group()  # an empty one: only to seal
            self._waiting_bytes -= group.size
            self._under_way += len(group.waiting)
            self._thread.submit(self._work, loop, group)

    def _answer(self, group: _Group, error: AlmanacError | None) -> None:
        self._under_way -= len(group.waiting)
        if error:
            self._refuse(error)
        elif group.waiting:
            self._last_error = ""
        for durable in group.waiting:
            if not durable.done():  # its sender may have gone
                if error:
                    durable.set_exception(_again(error))
                else:
                    durable.set_result(None)

    def _rest(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._closed:
            return
        if self._groups:
            self._submit(loop)
            return
        self._busy = False
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if (due := self._files.due) is not None:
            self._timer = loop.call_later(max(0.0, due - time.monotonic()), self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if not self._busy and not self._closed:
            self._busy = True
            self._submit(loop)

    def _refuse(self, error: AlmanacError) -> None:
        self._refusal = error
        self._refused_until = time.monotonic() + _REFUSE_SECONDS
        self._last_error = str(error)

    # The thread's side.

    def _work(self, loop: asyncio.AbstractEventLoop, group: _Group) -> None:
        error: AlmanacError | None = unavailable("The event log could not be written.", way_out="The server's own log says more.")
        try:
            if group.lines:
                self._files.write(b"".join(group.lines), group.counts)
            error = None
        except AlmanacError as refused:
            error = refused
        except OSError as failed:
            error = cause(failed)
        finally:  # whatever happens, nobody is left waiting
            with contextlib.suppress(RuntimeError):  # the loop is gone, and with it all who waited
                loop.call_soon_threadsafe(self._answer, group, error)
            try:
                self._files.seal_if_due()
            finally:
                if len(group.waiting) > 1:  # their senders come again: without a pause the first of them would have a write to itself
                    time.sleep(min(self._files.sync_last * _PAUSE, _LONGEST_PAUSE))
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._rest, loop)


def _again(error: AlmanacError) -> AlmanacError:
    """An exception of its own for each sender: one that is raised many times would gather all their tracebacks."""
    return unavailable(error.message, way_out=error.way_out, retry_after=error.retry_after or 1)
