"""When things that are followed are read again, and when they are not: the hub over real rooms, with followers that only listen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from almanac.core.errors import AlmanacError, Code, unavailable
from almanac.web import live_hub, live_topics
from almanac.web.live_hub import Hub
from almanac.web.live_topics import EventsTopic, QuestionTopic, Topic
from almanac.web.rooms import AnswerRoom, Rooms

if TYPE_CHECKING:
    from tests.faces.conftest import House, Keys

TOTAL = {"kind": "trend", "series": ["order"], "interval": "total", "last": "3 days"}
NUMBERS = iter(range(10**6))


class Listener:
    """A follower that notes what it was told of."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.versions: list[str] = []
        self.errors: list[AlmanacError | None] = []

    def news(self) -> None:
        self.versions.append(self.topic.version)
        self.errors.append(self.topic.error)


class Asked:
    """The engine, with what it is asked noted and, where a test wants it, changed."""

    def __init__(self, rooms: Rooms) -> None:
        self._engine = rooms.engine
        self.questions: list[tuple[dict[str, Any], bool, bool]] = []
        self.awaited = 0
        self.failure: AlmanacError | None = None

    def ask(self, project: str, question: Any, *, fresh: bool = False, aside: bool = False) -> AnswerRoom:
        self.questions.append((question, fresh, aside))
        if self.failure is not None:
            raise self.failure
        return self._engine.ask(project, question, fresh=fresh, aside=aside)

    def same(self, project: str, question: Any) -> str:
        return self._engine.same(project, question)


@pytest.fixture
def keys(house: House) -> Keys:
    made = house.project(f"hub-{next(NUMBERS)}")
    house.send(made.project, {"event": "order", "distinct_id": "u1"})
    return made


@pytest.fixture
def engine(house: House) -> Asked:
    return Asked(house.rooms)


@pytest.fixture
def run(house: House, keys: Keys, engine: Asked) -> Callable[..., None]:
    """Runs a story with a hub of its own."""

    def running(story: Callable[[Hub], Awaitable[None]], **changed: Any) -> None:
        async def whole() -> None:
            hub = Hub(replace(house.rooms, **{"engine": engine, **changed}))
            hub.start()
            try:
                await asyncio.wait_for(story(hub), 30)
            finally:
                hub.stop()

        asyncio.run(whole())

    return running


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not what():
            await asyncio.sleep(0.01)


async def followed(hub: Hub, house: House, keys: Keys, question: dict[str, Any]) -> tuple[Topic, Listener]:
    topic = await hub.question(house.catalog.project(keys.project), question)
    listener = Listener(topic)
    hub.follow(topic, listener)
    await until(lambda: bool(listener.versions))
    return topic, listener


def order(house: House, keys: Keys) -> None:
    house.send(keys.project, {"event": "order", "distinct_id": "u1"})


def test_only_what_may_have_changed_is_read_again(house: House, keys: Keys, engine: Asked, run: Callable[..., None]) -> None:
    other = house.project(f"hub-{next(NUMBERS)}")

    async def story(hub: Hub) -> None:
        _, listener = await followed(hub, house, keys, TOTAL)
        _, elsewhere = await followed(hub, house, other, TOTAL)
        engine.questions.clear()
        await asyncio.sleep(0.5)
        assert engine.questions == [], "an idle project costs nothing"
        await asyncio.to_thread(order, house, keys)
        house.rooms.changes.tell([keys.project])
        await until(lambda: len(listener.versions) == 2)
        await asyncio.sleep(0.3)
        assert engine.questions == [(TOTAL, False, True)], "once, aside from questions that somebody waits for"
        assert len(set(listener.versions)) == 2
        assert len(elsewhere.versions) == 1

    run(story)


def test_nobody_follows_and_nothing_is_read(house: House, keys: Keys, engine: Asked, run: Callable[..., None]) -> None:
    async def story(hub: Hub) -> None:
        topic, listener = await followed(hub, house, keys, TOTAL)
        hub.leave(topic, listener)
        engine.questions.clear()
        await asyncio.to_thread(order, house, keys)
        house.rooms.changes.tell([keys.project])
        await asyncio.sleep(0.5)
        assert engine.questions == []
        again = Listener(topic)
        hub.follow(topic, again)
        await until(lambda: bool(again.versions))
        assert again.versions != listener.versions, "who comes back gets what is, not what was"

    run(story)


def test_a_flood_of_changes_is_read_at_a_bounded_pace(house: House, keys: Keys, engine: Asked, run: Callable[..., None]) -> None:
    async def story(hub: Hub) -> None:
        await followed(hub, house, keys, TOTAL)
        engine.questions.clear()
        for _ in range(100):
            house.rooms.changes.tell([keys.project])
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        assert 1 <= len(engine.questions) <= 1.5 / QuestionTopic.least + 1

    run(story)


def test_questions_that_somebody_waits_for_go_first(
    house: House, keys: Keys, engine: Asked, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_hub, "_GIVE_WAY", 0.6)

    async def story(hub: Hub) -> None:
        await followed(hub, house, keys, TOTAL)
        engine.questions.clear()
        engine.awaited = 1
        house.rooms.changes.tell([keys.project])
        await asyncio.sleep(0.4)
        assert engine.questions == []
        engine.awaited = 0
        await until(lambda: len(engine.questions) == 1)
        engine.awaited = 1
        house.rooms.changes.tell([keys.project])
        await until(lambda: len(engine.questions) == 2)  # but not for ever

    run(story)


@pytest.mark.parametrize("patience", [0.0, 60.0])
def test_a_failure_that_may_pass_is_tried_again_and_told_when_it_lasts(
    house: House, keys: Keys, engine: Asked, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    monkeypatch.setattr(live_hub, "_PATIENCE", patience)

    async def story(hub: Hub) -> None:
        topic, listener = await followed(hub, house, keys, TOTAL)
        engine.questions.clear()
        engine.failure = unavailable("It is away.", retry_after=1)
        house.rooms.changes.tell([keys.project])
        await until(lambda: len(engine.questions) == 1 and not topic.running)
        assert listener.errors == ([None] if patience else [None, engine.failure])
        engine.failure = None
        await until(lambda: len(engine.questions) == 2 and not topic.running)
        assert listener.errors[-1] is None

    run(story)


def test_a_new_period_begins_by_the_clock(house: House, keys: Keys, engine: Asked, run: Callable[..., None]) -> None:
    """A range that ends now is read when a quarter of an hour begins, one that is over is not."""
    shift = timedelta()

    def clock() -> datetime:
        return house.rooms.clock() + shift

    async def story(hub: Hub) -> None:
        nonlocal shift
        now = house.rooms.clock()
        shift = timedelta(seconds=900 - now.timestamp() % 900 - 1)  # a second before the next quarter
        topic, _ = await followed(hub, house, keys, TOTAL)
        over, _ = await followed(hub, house, keys, {**TOTAL, "last": None, "date_from": "2026-01-01", "date_to": "2026-01-02"})
        assert topic.tick is not None
        assert 0 < topic.tick - asyncio.get_running_loop().time() < 4
        assert over.tick is None
        engine.questions.clear()
        await until(lambda: len(engine.questions) == 1)
        assert engine.questions == [(TOTAL, True, True)], "past the cache"

    run(story, clock=clock)


@pytest.mark.parametrize(("question", "seconds"), [({"interval": "minute", "last": "30 minutes"}, 60), ({"interval": "day"}, 900)])
def test_minutes_are_watched_where_the_question_speaks_of_them(house: House, keys: Keys, question: dict[str, Any], seconds: float) -> None:
    topic = QuestionTopic(house.rooms, keys.project, {**TOTAL, **question})
    topic.take(topic.look(by_clock=False))
    wait = topic.until_tick(house.rooms.clock())
    assert wait is not None
    assert 0 < wait <= seconds


def test_versions_are_kept_for_who_comes_back_within_bounds(house: House, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_topics, "_KEPT_STATES", 3)
    topic = QuestionTopic(house.rooms, keys.project, TOTAL)
    versions = []
    for _ in range(6):
        order(house, keys)
        topic.take(topic.look(by_clock=True))
        versions.append(topic.version)
    assert b'"type":"snapshot"' in topic.text(versions[1])
    assert b'"type":"change"' in topic.text(versions[2])
    assert b'"rows":[]' in topic.text(versions[-1])
    assert topic.text("made up") is topic.text("made up too"), "what clients make up takes no memory"


def test_too_many_different_questions_are_refused(
    house: House, keys: Keys, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_hub, "MOST_OF_A_PROJECT", 2)

    async def story(hub: Hub) -> None:
        project = house.catalog.project(keys.project)
        for days in (1, 2):
            await hub.question(project, {**TOTAL, "last": f"{days} days"})
        await hub.question(project, {**TOTAL, "last": "2 days"})
        with pytest.raises(AlmanacError) as refused:
            await hub.question(project, {**TOTAL, "last": "3 days"})
        assert refused.value.code is Code.LIMITED

    run(story)


def test_events_that_come_late_are_told_once(house: House, keys: Keys) -> None:
    topic = EventsTopic(house.rooms, keys.project, "")
    told: list[bytes] = []
    base = ""
    for _ in range(5):
        topic.take(topic.look(by_clock=False))
        told.append(topic.text(base))
        base = topic.version
        house.send(keys.project, {"event": "a", "distinct_id": "u1"}, {"event": "b", "distinct_id": "u2"})
    assert [text.count(b'"event":"a"') for text in told] == [0, 1, 1, 1, 1]
    everything = topic.text("")
    epoch = base.partition("-")[0]
    assert all(topic.text(f"{epoch}-{wrong}") is everything for wrong in ("", "x", "-1", "99", "9" * 30))
