"""What subscribers follow: a question, or the latest events of a project. Each has a state, and can say what makes it of an earlier one.

`look` reads the store and runs in a thread; everything else belongs to the event loop.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from almanac.core.errors import AlmanacError, limited
from almanac.web import reads
from almanac.web.errors import Json
from almanac.web.live_changes import change
from almanac.web.rooms import Rooms

MOST_ROWS: Final = 20_000  # of a live answer
_KEPT_STATES: Final = 32  # that subscribers may come back to
_KEPT_ROWS: Final = 50_000  # of all of them
_STILL: Final = frozenset({"definition_hash", "definitions", "question", "sql"})  # parts of a receipt that a snapshot alone has
_MINUTES: Final = re.compile(rb"minute|-\d+min|\bnow\w*\(")
_QUARTER: Final = 900.0  # seconds; hours and days begin at one in every zone

TAIL_EVENTS: Final = 50  # at most in one message
_TAIL_KEPT: Final = 200
_TAIL_SECONDS: Final = 1.0
_TAIL_OVERLAP: Final = timedelta(seconds=5)  # events of several collectors do not come in the order of their receipt


class Follower(Protocol):
    """A subscription."""

    def news(self) -> None:
        """Somebody looked: there may be another state, or an error."""
        ...


class Topic(ABC):
    """Something that is read once for all who follow it."""

    least = 0.25  # seconds between the beginnings of two looks

    def __init__(self, project: str) -> None:
        self.project = project
        self.followers: set[Follower] = set()
        self.error: AlmanacError | None = None  # that followers are told
        self.failing: float | None = None  # since when no look succeeded
        self.due: float | None = None  # when to look again, by the loop's clock
        self.tick: float | None = None  # when to look although nothing was told
        self.late = True  # nobody looked since something changed
        self.running = False
        self.began = float("-inf")
        self.seconds = 0.0  # that the last look took
        self.left = 0.0  # when the last follower went
        self.names: set[str] = set()  # texts under which the hub knows it
        self._texts: dict[str, bytes] = {}

    @property
    @abstractmethod
    def version(self) -> str:
        """Of the state; "" while there is none."""

    @abstractmethod
    def look(self, *, by_clock: bool) -> Any:
        """Reads anew. Raises `AlmanacError`."""

    @abstractmethod
    def take(self, seen: Any) -> None:
        """Makes what `look` gave the state."""

    @abstractmethod
    def until_tick(self, now: datetime) -> float | None:
        """Seconds until the clock alone may change it; None when it cannot."""

    @abstractmethod
    def _known(self, base: str) -> str:
        """The version, or "" for one from which no change can lead on."""

    @abstractmethod
    def _text(self, base: str) -> bytes: ...

    def text(self, base: str) -> bytes:
        """The message that leads from version `base` ("" or an unknown one: from nothing) to the state: a JSON object without its first
        brace and `id`, as subscribers differ by that alone."""
        known = self._known(base)
        if known not in self._texts:
            self._texts[known] = self._text(known)
        return self._texts[known]


@dataclass(frozen=True)
class _State:
    version: str
    answer: Mapping[str, Any]


class QuestionTopic(Topic):
    """The answer to a question."""

    def __init__(self, rooms: Rooms, project: str, question: Mapping[str, Any]) -> None:
        super().__init__(project)
        self._rooms = rooms
        self._question = question
        self._state: _State | None = None
        self._earlier: OrderedDict[str, _State] = OrderedDict()

    @property
    def version(self) -> str:
        """See `Topic.version`: a hash of all but the receipt, so that it outlives a restart of the server."""
        return self._state.version if self._state else ""

    @property
    def definitions(self) -> list[dict[str, Any]]:
        """The definitions behind the state, as its receipt has them."""
        return list(self._state.answer["receipt"].get("definitions", ())) if self._state else []

    def look(self, *, by_clock: bool) -> _State:
        """See `Topic.look`."""
        # Where operators allow old answers, the cache would give one.
        fresh = by_clock or self._rooms.settings.cache_stale_seconds > 0
        answer = self._rooms.engine.ask(self.project, self._question, fresh=fresh, aside=True).as_json()
        if len(answer["rows"]) > MOST_ROWS:
            raise limited(
                f"The answer has {len(answer['rows']):,} rows, and a live one may have {MOST_ROWS:,}.",
                way_out="Lower a limit or ask by a longer interval; or ask once, without following.",
                retry_after=60,
            )
        shown = [answer["kind"], answer["columns"], answer["rows"], answer["receipt"].get("notes")]
        return _State(hashlib.sha256(Json(shown).body).hexdigest()[:16], answer)

    def take(self, seen: _State) -> None:
        """See `Topic.take`."""
        if self._state is not None and self._state.version != seen.version:
            self._earlier[self._state.version] = self._state
            self._earlier.move_to_end(self._state.version)
        self._state = seen
        self._texts.clear()
        rows = sum(len(state.answer["rows"]) for state in self._earlier.values())
        while self._earlier and (len(self._earlier) > _KEPT_STATES or rows > _KEPT_ROWS):
            rows -= len(self._earlier.popitem(last=False)[1].answer["rows"])

    def until_tick(self, now: datetime) -> float | None:
        """See `Topic.until_tick`: a range that ends now shows a new period when one begins."""
        if self._state is None:
            return None
        receipt = self._state.answer["receipt"]
        window = receipt.get("window")  # a statement of the user's own has none, and may read the clock
        if window and datetime.fromisoformat(window["to"]) < datetime.fromisoformat(receipt["asked_at"]):
            return None
        step = 60.0 if _MINUTES.search(as_json(receipt["question"])) else _QUARTER
        return step - now.timestamp() % step

    def _known(self, base: str) -> str:
        return base if base == self.version or base in self._earlier else ""

    def _text(self, base: str) -> bytes:
        assert self._state is not None
        now, then = self._state, self._state if base == self._state.version else self._earlier.get(base)
        head = {"version": now.version}
        if then is not None and _alike(then, now):
            found = change(then.answer["rows"], now.answer["rows"], now.answer["columns"])
            if found is not None:
                rows = [{"place": place, "row": row} for place, row in found.rows]
                receipt = {name: value for name, value in now.answer["receipt"].items() if name not in _STILL}
                said = {"base": base, "key": found.key, "rows": rows, "removed": found.removed, "receipt": receipt}
                return _tail({"type": "change", **head, **said})
        return _tail({"type": "snapshot", **head, "answer": now.answer})


def _alike(then: _State, now: _State) -> bool:
    """Whether a change can lead from one to the other: columns and definition are the same."""
    before, after = then.answer["receipt"], now.answer["receipt"]
    same = all(before.get(name) == after.get(name) for name in ("definition_hash", "definitions"))
    return same and bool(then.answer["columns"] == now.answer["columns"])


class EventsTopic(Topic):
    """The latest events of a project, of one name if one is given: a live feed that never sends more than a reader can take in."""

    least = _TAIL_SECONDS

    def __init__(self, rooms: Rooms, project: str, event: str) -> None:
        super().__init__(project)
        self._rooms = rooms
        self._event = event
        self._epoch = secrets.token_hex(4)
        self._events: deque[tuple[int, dict[str, Any]]] = deque(maxlen=_TAIL_KEPT)  # with numbers, the newest first
        self._ids: OrderedDict[str, None] = OrderedDict()  # seen lately
        self._number = 0
        self._read = False
        self._skipped = 0  # the number before which some events were left out

    @property
    def version(self) -> str:
        """See `Topic.version`."""
        return f"{self._epoch}-{self._number}" if self._read else ""

    def look(self, *, by_clock: bool) -> list[dict[str, Any]]:
        """See `Topic.look`."""
        since = None
        if self._events:
            since = max(datetime.fromisoformat(str(event["time_received"])) for _, event in self._events) - _TAIL_OVERLAP
        now = self._rooms.clock()
        return reads.latest_events(self._rooms.store, self.project, now=now, limit=_TAIL_KEPT, event=self._event, since=since)

    def take(self, seen: list[dict[str, Any]]) -> None:
        """See `Topic.take`."""
        fresh = [event for event in seen if event["event_id"] not in self._ids]
        for event in fresh:
            self._ids[event["event_id"]] = None
        while len(self._ids) > 5 * _TAIL_KEPT:
            self._ids.popitem(last=False)
        if self._read and len(fresh) == _TAIL_KEPT:
            self._skipped = self._number + 1
        for event in reversed(fresh):
            self._number += 1
            self._events.appendleft((self._number, event))
        self._read = True
        self._texts.clear()

    def until_tick(self, now: datetime) -> float | None:
        """See `Topic.until_tick`: never."""
        return None

    def _known(self, base: str) -> str:
        epoch, _, number = base.partition("-")
        if epoch != self._epoch or not (number.isascii() and number.isdecimal()) or len(number) > 18 or int(number) > self._number:
            return ""
        oldest = self._events[-1][0] if self._events else 0
        return f"{epoch}-{max(int(number), oldest - 2)}"  # of what came before that, nothing is left to tell

    def _text(self, base: str) -> bytes:
        after = int(base.partition("-")[2]) if base else -1
        fresh = [event for place, event in self._events if place > after]
        skipped = after >= 0 and (len(fresh) < self._number - after or len(fresh) > TAIL_EVENTS or self._skipped > after)
        return _tail({"type": "events", "version": self.version, "events": fresh[:TAIL_EVENTS], "skipped": skipped})


def as_json(content: Any) -> bytes:
    """Of whatever the engine gives."""
    return bytes(Json(content).body)


def _tail(message: Mapping[str, Any]) -> bytes:
    return as_json(message)[1:]
