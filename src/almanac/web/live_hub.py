"""Reads each followed thing once for all its followers, and only when it may have changed.

The load tells whose data changed; whatever is followed of these projects is looked at again, one after another, in threads of the hub's
own. Questions that somebody waits for go first. How often is a matter of cost: all looks together may take a share of one core, so that
twenty small questions are read several times a second and twenty large ones every few seconds. Where nothing changes, nothing is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from almanac.core.errors import AlmanacError, Code, limited
from almanac.core.ports import Project
from almanac.web.auth import Visitor
from almanac.web.errors import unforeseen
from almanac.web.live_topics import EventsTopic, Follower, QuestionTopic, Topic
from almanac.web.rooms import Rooms

MOST_TOPICS: Final = 1000
MOST_OF_A_PROJECT: Final = 200

T = TypeVar("T")

_SHARE: Final = 1.0  # of the time, for all looks together
_AT_ONCE: Final = 2
_QUICK: Final = 0.25  # seconds; what takes longer never has all threads
_GIVE_WAY: Final = 0.05  # seconds that a look waits for questions that somebody waits for
_LINGER: Final = 60.0  # seconds that a topic is kept without followers: they may come back
_SWEEP: Final = 2.0  # seconds between two checks of keys
_AGAIN: Final = 5.0  # seconds to the next try after a failure
_PATIENCE: Final = 10.0  # seconds that followers who have an answer are not told that it may be old
_JITTER: Final = 2.0  # seconds over which looks are spread that the clock is the reason for


@dataclass(frozen=True)
class Grant:
    """That a key may read a project, as it was found lately."""

    project: Project
    at: float


class Hub:
    """All topics of one server. Made before the event loop; used on it."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._topics: dict[str, Topic] = {}
        self._named: dict[str, Topic] = {}  # by the text of the question as well
        self._grants: dict[tuple[str, str], Grant] = {}
        self._threads = ThreadPoolExecutor(_AT_ONCE + 2, "live")
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = 0
        self.looks = 0  # so far
        self.recheck: Callable[[], Collection[tuple[str, str]]] = lambda: ()  # (key, project) of all subscriptions
        self.refused: Callable[[tuple[str, str], AlmanacError], None] = lambda grant, error: None

    def start(self) -> None:
        """On the event loop, before anything else. May be repeated."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._rooms.changes.listen(self._told)
            for task in (self._run(), self._sweep()):
                self._keep(self._loop.create_task(task))

    def stop(self) -> None:
        """Looks at nothing any more."""
        for task in self._tasks:
            task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    # ---------------------------------------------------------------- who may

    async def enter(self, secret: str, project: str) -> Project:
        """The project, if the key may read it. Raises `denied` and `not_found`."""
        known = self._grants.get((secret, project))
        if known is not None and time.monotonic() - known.at < _SWEEP:
            return known.project
        found = await self.in_thread(partial(Visitor(self._rooms, secret).enter, project, "read"))
        self._grants[secret, project] = Grant(found, time.monotonic())
        return found

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Away from the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _checked(self, grants: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Grant | AlmanacError]:
        found: dict[tuple[str, str], Grant | AlmanacError] = {}
        for secret, project in grants:
            try:
                visitor = Visitor(self._rooms, secret)
                found[secret, project] = Grant(visitor.enter(project, "read"), time.monotonic())
            except AlmanacError as error:
                if error.code is not Code.UNAVAILABLE:  # a catalog out of reach takes nobody's right away
                    found[secret, project] = error
        return found

    def _redefined(self, topics: Iterable[Topic]) -> list[Topic]:
        """Those whose metrics, segments or saved question have another version now."""
        found = []
        for topic in topics:
            used = topic.definitions if isinstance(topic, QuestionTopic) else ()
            for one in used:
                with contextlib.suppress(AlmanacError):
                    now = self._rooms.catalog.definition(topic.project, one["kind"], one["name"])
                    if now is None or now.version != one["version"]:
                        found.append(topic)
        return found

    async def _sweep(self) -> None:
        """Every two seconds: keys that were revoked, definitions that were changed, topics that nobody follows."""
        while True:
            await asyncio.sleep(_SWEEP)
            now = time.monotonic()
            for key, topic in list(self._topics.items()):
                if not topic.followers and not topic.running and now - topic.left > _LINGER:
                    self._drop(key, topic)
            grants = set(self.recheck())
            for gone in [grant for grant in self._grants if grant not in grants and now - self._grants[grant].at > _SWEEP]:
                del self._grants[gone]
            followed = [topic for topic in self._topics.values() if topic.followers]
            if not grants and not followed:
                continue
            try:
                checked = await self.in_thread(partial(self._checked, grants))
                redefined = await self.in_thread(partial(self._redefined, followed))
            except Exception as error:
                unforeseen(error, "/api/v1/live")
                continue
            for grant, found in checked.items():
                if isinstance(found, Grant):
                    self._grants[grant] = found
                else:
                    self._grants.pop(grant, None)
                    self.refused(grant, found)
            self._late(redefined)

    # ------------------------------------------------------------ what is followed

    async def question(self, project: Project, question: Mapping[str, Any]) -> Topic:
        """The topic of a question. Raises `invalid`, `not_found`, and `limited` when there are too many."""
        name = json.dumps([project.id, question], sort_keys=True)
        if known := self._named.get(name):
            return known
        key = await self.in_thread(partial(self._rooms.engine.same, project.id, question))
        return self._topic(key, name, lambda: QuestionTopic(self._rooms, project.id, question))

    def events(self, project: Project, event: str) -> Topic:
        """The topic of the latest events. Raises `limited`."""
        name = json.dumps(["events", project.id, event])
        return self._topic(name, name, lambda: EventsTopic(self._rooms, project.id, event))

    def _topic(self, key: str, name: str, make: Callable[[], Topic]) -> Topic:
        topic = self._topics.get(key)
        if topic is None:
            topic = make()
            of_project = sum(1 for other in self._topics.values() if other.project == topic.project)
            if len(self._topics) >= MOST_TOPICS or of_project >= MOST_OF_A_PROJECT:
                raise limited("Too many different questions are followed.", way_out="Unsubscribe from some.", retry_after=30)
            topic.left = time.monotonic()
            self._topics[key] = topic
        if len(topic.names) < 100:
            topic.names.add(name)
            self._named[name] = topic
        return topic

    def _drop(self, key: str, topic: Topic) -> None:
        del self._topics[key]
        for name in topic.names:
            if self._named.get(name) is topic:
                del self._named[name]

    def follow(self, topic: Topic, follower: Follower) -> None:
        """From now on it gets the topic's news, and the first at once."""
        now = self._clock()
        topic.followers.add(follower)
        if topic.late or (topic.tick is not None and topic.tick <= now):
            self._late([topic])
        elif topic.version:  # else its first look is under way
            follower.news()

    def leave(self, topic: Topic, follower: Follower) -> None:
        """The contrary of `follow`."""
        topic.followers.discard(follower)
        topic.left = time.monotonic()
        if not topic.followers and topic.due is not None:
            topic.due, topic.late = None, True

    # ---------------------------------------------------------------- looking

    def _clock(self) -> float:
        assert self._loop is not None
        return self._loop.time()

    def _told(self, projects: Collection[str]) -> None:
        """In the load's thread, after a batch."""
        if self._topics and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop ended
                self._loop.call_soon_threadsafe(self._changed, frozenset(projects))

    def _changed(self, projects: frozenset[str]) -> None:
        self._late([topic for topic in self._topics.values() if topic.project in projects])

    def _late(self, topics: Iterable[Topic]) -> None:
        """Plans a look at each, no sooner than the share of a core allows."""
        now = self._clock()
        planned = []
        for topic in topics:
            topic.late = True
            if topic.followers and topic.due is None:
                topic.due = now
                planned.append(topic)
        together = sum(topic.seconds for topic in self._topics.values() if topic.due is not None or topic.running)
        for topic in planned:
            topic.due = max(now, topic.began + max(topic.least, together / _SHARE))
        if planned:
            self._wake.set()

    async def _run(self) -> None:
        while True:
            topic, pause = self._next(self._clock())
            if topic is None:
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), pause)
                continue
            topic.running = True
            self._running += 1
            self._keep(asyncio.get_running_loop().create_task(self._look(topic)))

    def _next(self, now: float) -> tuple[Topic | None, float | None]:
        """What to look at now, or how long to wait for the next thing to do (None: until woken)."""
        if self._running >= _AT_ONCE:
            return None, None
        first: Topic | None = None
        when = float("inf")
        slow = any(topic.running and topic.seconds >= _QUICK for topic in self._topics.values())
        for topic in self._topics.values():
            at = min(topic.due if topic.due is not None else float("inf"), topic.tick if topic.tick is not None else float("inf"))
            if at < when and topic.followers and not topic.running and not (slow and topic.seconds >= _QUICK):
                first, when = topic, at
        if first is not None and when <= now:
            return first, None
        return None, when - now if first is not None else None

    async def _look(self, topic: Topic) -> None:
        try:
            waited = 0.0
            while self._rooms.engine.awaited and waited < _GIVE_WAY:
                await asyncio.sleep(0.01)
                waited += 0.01
            topic.began = self._clock()
            by_clock = topic.due is None
            topic.due, topic.tick, topic.late = None, None, False
            try:
                seen = await self.in_thread(partial(topic.look, by_clock=by_clock))
            except AlmanacError as error:
                self._failed(topic, error)
            except Exception as error:
                self._failed(topic, unforeseen(error, "/api/v1/live"))
            else:
                self._seen(topic, seen)
        finally:
            topic.seconds = self._clock() - topic.began
            topic.running = False
            self._running -= 1
            self.looks += 1
            self._wake.set()

    def _seen(self, topic: Topic, seen: Any) -> None:
        topic.take(seen)
        topic.error = topic.failing = None
        wait = topic.until_tick(self._rooms.clock())
        if wait is not None:
            topic.tick = self._clock() + wait + 0.05 + hash(topic) % 1000 / 1000 * _JITTER
        for follower in list(topic.followers):
            follower.news()

    def _failed(self, topic: Topic, error: AlmanacError) -> None:
        """What may pass is tried again, and told when it lasts; the rest ends the subscriptions, as nothing more will come of them."""
        now = self._clock()
        topic.late = True
        topic.failing = now if topic.failing is None else topic.failing
        if error.retryable:
            topic.due = now + (error.retry_after or _AGAIN) if topic.due is None else topic.due
            if topic.version and now - topic.failing < _PATIENCE:
                return
        topic.error = error
        for follower in list(topic.followers):
            follower.news()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
