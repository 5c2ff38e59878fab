"""The threads behind a client: they write to the spool, send, and come back later when something is in the way."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections import deque
from typing import Any, Final

from . import spool
from .outbox import Outbox
from .problems import Problems, log
from .spool import Batch
from .transport import DELIVERED, SPLIT, Reply, Transport

FIRST_PAUSE: Final = 0.5  # seconds; each further one is twice as long
LONGEST_PAUSE: Final = 60.0


class Sender:
    """Sends what is in an outbox. Threads start with the first event, anew in each process."""

    def __init__(self, outbox: Outbox, transport: Transport, problems: Problems, *, spooled: bool) -> None:
        self._outbox = outbox
        self._transport = transport
        self._problems = problems
        self._spooled = spooled
        self.fresh()

    def fresh(self) -> None:
        """No thread runs: at the start, and in a child after a fork."""
        self._threads: list[threading.Thread] = []
        self._starting = threading.Lock()
        self._deadline = float("inf")
        self._failures = 0
        self._transport.close()

    def start(self) -> None:
        """Lets the threads run."""
        if self._threads:
            return
        with self._starting:
            if not self._threads and not self._outbox.closing:
                loops = [self._send, self._write] if self._spooled else [self._send]
                threads = [threading.Thread(target=loop, name=f"almanac-{loop.__name__[1:]}", daemon=True) for loop in loops]
                for thread in threads:
                    thread.start()
                self._threads = threads

    def close(self, seconds: float) -> int:
        """Sends what it can in so many seconds, and ends. Answers how many events were lost."""
        outbox = self._outbox
        inside = threading.current_thread() in self._threads  # `on_error` closes the client: there is nobody to wait for
        with self._starting:
            self._deadline = time.monotonic() + (0.0 if inside else seconds)
            with outbox.changed:
                outbox.closing = True
                outbox.urge()
        if not self._threads and outbox.waiting:  # the interpreter lets no thread begin at its end
            self._loops()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, self._deadline - time.monotonic()) + 0.1)
        outbox.write_last()
        lost = outbox.end()
        self._transport.close()
        return lost

    def _loops(self) -> None:
        if self._spooled:
            self._write()
        self._send()

    # ------------------------------------------------------------ to the disk

    def _write(self) -> None:
        outbox = self._outbox
        while True:
            with outbox.changed:
                while (wait := outbox.to_write(time.monotonic())) != 0.0:
                    if outbox.closing:
                        outbox.spooling = False
                        outbox.changed.notify_all()
                        return
                    outbox.changed.wait(wait)
            try:
                outbox.write()
            except Exception:
                log.exception("the spool's thread met something unexpected")
                time.sleep(1.0)

    # ------------------------------------------------------------ to the server

    def _send(self) -> None:
        outbox = self._outbox
        while True:
            with outbox.changed:
                while (wait := outbox.due(time.monotonic())) > 0:
                    if outbox.closing and (not outbox.waiting or time.monotonic() > self._deadline):
                        return
                    outbox.changed.wait(min(wait, 0.2 if outbox.closing else 3600.0))
            try:
                batch = outbox.take()
                if batch is not None and not self._deliver(batch):
                    return
            except Exception:
                log.exception("the sender's thread met something unexpected")
                if not self._pause(Reply("later")):
                    return

    def _deliver(self, batch: Batch) -> bool:
        """Sends a batch until its fate is known; False when there is no more time."""
        outbox = self._outbox
        parts = deque([batch.lines] if batch.lines else [])
        if batch.missing:
            outbox.count(batch, reason="spool_lost", dropped=batch.missing)
            self._problems.tell("spool_lost", "Events are gone from the spool's folder.", count=batch.missing)
        if spool.too_old(batch):
            parts.clear()
            outbox.count(batch, reason="expired", dropped=len(batch.lines))
            self._problems.tell(
                "expired", "Events that were perhaps sent a week ago are given up: they might be counted twice.", count=len(batch.lines)
            )
        spool.tried(batch)
        while parts:
            lines = parts[0]
            reply = self._transport.post(lines)
            if reply.outcome == DELIVERED:
                parts.popleft()
                self._delivered(batch, lines, reply)
            elif reply.outcome == SPLIT and len(lines) > 1:
                middle = len(lines) // 2
                parts[0] = lines[middle:]
                parts.appendleft(lines[:middle])
            elif reply.outcome == SPLIT:
                parts.popleft()
                outbox.count(batch, reason="refused", dropped=1)
                self._problems.tell("refused", f"The server refuses an event: {reply.detail}.", count=1, events=_events(lines), quiet=False)
            elif not self._pause(reply):
                return False
        outbox.finish(batch)
        return True

    def _delivered(self, batch: Batch, lines: list[bytes], reply: Reply) -> None:
        self._failures = 0
        self._problems.over("unreachable")
        rejected = [item for item in reply.rejected if isinstance(item.get("index"), int) and 0 <= item["index"] < len(lines)]
        self._outbox.count(batch, delivered=len(lines) - len(rejected), rejected=len(rejected))
        for item in rejected:
            detail = f"The server put an event among its dead letters: {item.get('detail') or item.get('reason')}"
            self._problems.tell("rejected", detail, count=1, events=_events([lines[item["index"]]]), quiet=False)

    def _pause(self, reply: Reply) -> bool:
        """Waits until it is worth another try; False when there is no more time.

        As long as the server asked for, else half to all of a time that doubles, so that many clients do not come back at once. Whoever
        wants everything out ends a pause that the server did not ask for."""
        outbox = self._outbox
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures, 16))
        pause = reply.wait * random.uniform(1.0, 1.1) if reply.wait else longest * random.uniform(0.5, 1.0)
        self._failures += 1
        outbox.retries += 1
        if reply.detail and (self._failures > 1 or reply.status):
            self._problems.tell("unreachable", f"Events wait: {reply.detail}", count=outbox.waiting, will_retry=True)
        end = time.monotonic() + pause
        with outbox.changed:
            urges = outbox.urges
            while (now := time.monotonic()) < end:
                if not reply.wait and outbox.urges != urges:
                    return True
                if outbox.closing and end > self._deadline:
                    return False
                outbox.changed.wait(min(end, self._deadline) - now)
        return True


def _events(lines: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


def in_child_process() -> bool:
    """Whether this is a child of `multiprocessing`, which ends without what `atexit` has to do."""
    processes = sys.modules.get("multiprocessing.process")
    return processes is not None and processes.parent_process() is not None
