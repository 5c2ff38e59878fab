"""The questions that are under way: to see how far they are, and to stop them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from almanac.core.errors import conflict
from almanac.core.ports import EventStore
from almanac.flights import Ticket


@dataclass(eq=False)
class UnderWay:
    """Somebody's question. `kind` is "" until it is known."""

    id: str
    ticket: Ticket
    kind: str = ""
    began: float = field(default_factory=time.monotonic)


class Questions:
    """Of all projects, by the ids that askers gave. Threads may share it; project arguments are ids."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._under_way: dict[tuple[str, str], UnderWay] = {}

    @contextmanager
    def under_way(self, project: str, id_: str, ticket: Ticket, kind: str) -> Iterator[None]:
        """Within, the question can be seen and stopped by its id. Raises `conflict` when another one has it."""
        key = (project, id_)
        with self._lock:
            if key in self._under_way:
                raise conflict(f"A question of the id {id_} is under way.", place="X-Question-Id", way_out="Give each question its own id.")
            self._under_way[key] = UnderWay(id_, ticket, kind)
        try:
            yield
        finally:
            with self._lock:
                del self._under_way[key]

    def stop(self, project: str, id_: str) -> None:
        """Whoever asked it is told so. Nothing happens when it is not under way (any more): whoever stops it wants just that."""
        with self._lock:
            asked = self._under_way.get((project, id_))
        if asked is not None:
            asked.ticket.tell()

    def listed(self, project: str) -> list[dict[str, Any]]:
        """Those of a project, the oldest first: id, kind, seconds so far, state (waiting or running), rows read so far, and of about how
        many (None where the store does not know)."""
        with self._lock:
            mine = [asked for (of, _), asked in self._under_way.items() if of == project]
        running = {one.mark: one for one in self._store.running()} if mine else {}
        now, found = time.monotonic(), list[dict[str, Any]]()
        for asked in sorted(mine, key=lambda one: one.began):
            run = running.get(asked.ticket.work.mark) if asked.ticket.work is not None and asked.ticket.work.mark else None
            found.append(
                {
                    "id": asked.id,
                    "kind": asked.kind,
                    "seconds": round(now - asked.began, 3),
                    "state": "running" if run else "waiting",
                    "rows_read": run.rows_read if run else 0,
                    "rows": run.rows if run and run.rows else None,
                }
            )
        return found
