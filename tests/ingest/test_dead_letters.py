"""What could not become an event waits with its reason, and is mended, sent again or put away."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from almanac.core.errors import AlmanacError, Code
from almanac.core.event import LINE_DECODER, DeadLetter, Event, dead_letter
from almanac.ingest.dead_letters import DeadLetters
from almanac.ingest.ledger import Ledger

from .conftest import NOW_US, Bench


class Desk:
    """Dead letters of a bench; a message is `{"id": …, "name": …}`, and one without a name is refused."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.letters = DeadLetters(bench.store, self.decode, lambda events: void(bench.log.add(events)), clock=lambda: bench.now)

    def decode(self, project: str, protocol: str, original: str) -> Sequence[Event]:
        if original.startswith("["):
            event = LINE_DECODER.decode(original)
            event.received_us = NOW_US
            return [event]
        message = json.loads(original)
        if "name" not in message:
            return [self.letter(original)]
        return [self.bench.event(message["id"], name=message["name"], protocol=protocol)]

    def letter(self, original: str, received_us: int = NOW_US) -> Event:
        return dead_letter(self.bench.project, received_us, DeadLetter("decode", "no_name", "It has no name.", original), "segment")

    def waiting(self) -> dict[str, str]:
        """Id by original."""
        return {str(row["original"]): str(row["id"]) for row in self.letters.list(self.bench.project)}


def void(value: object) -> None:
    """Takes a value and gives none."""


@pytest.fixture
def desk(bench: Bench) -> Desk:
    return Desk(bench)


def test_a_dead_letter_waits_with_its_reason(bench: Bench, desk: Desk) -> None:
    bench.load(desk.letter('{"id":"a"}'), desk.letter('{"id":"b"}', NOW_US + 1_000_000), bench.event("c"))
    newest, oldest = desk.letters.list(bench.project)
    assert (newest["original"], oldest["original"]) == ('{"id":"b"}', '{"id":"a"}')
    assert {key: value for key, value in oldest.items() if key != "id"} == {
        "project": bench.project,
        "state": "waiting",
        "received": "2026-03-10T12:30:00+00:00",
        "stage": "decode",
        "reason": "no_name",
        "detail": "It has no name.",
        "original": '{"id":"a"}',
        "protocol": "segment",
    }
    assert len(desk.letters.list(bench.project, limit=1)) == 1
    assert desk.letters.list(bench.project, reason="no_name") == [newest, oldest]
    assert desk.letters.list(bench.project, reason="too_large") == []
    assert desk.letters.list(bench.project, state="discarded") == []
    assert desk.letters.list("another-project") == []


def test_an_unknown_state_is_refused(bench: Bench, desk: Desk) -> None:
    with pytest.raises(AlmanacError, match="no state") as refused:
        desk.letters.list(bench.project, state="lost")
    assert refused.value.code is Code.INVALID


def test_mended_and_replayed(bench: Bench, desk: Desk) -> None:
    bench.load(desk.letter('{"id":"a"}'), desk.letter('{"id":"b"}'))
    ids = desk.waiting()
    a, b = ids['{"id":"a"}'], ids['{"id":"b"}']
    assert desk.letters.replay(bench.project, [a, b], edits={a: '{"id":"a","name":"opened"}'}) == {
        "replayed": 1,
        "failed": [{"id": b, "reason": "no_name"}],
    }
    bench.loader.drain()
    assert [(row["id_text"], row["event"], row["protocol"]) for row in bench.stored()] == [("a", "opened", "segment")]
    assert desk.waiting() == {'{"id":"b"}': b}
    [replayed] = desk.letters.list(bench.project, state="replayed")
    assert (replayed["id"], replayed["original"]) == (a, '{"id":"a"}')  # the original stays what came
    assert [row.gap for row in Ledger(bench.store, bench.log).rows(bench.project)] == [0]


def test_replayed_twice_counts_once(bench: Bench, desk: Desk) -> None:
    bench.load(desk.letter('{"id":"a"}'))
    [id_] = desk.waiting().values()
    edits = {id_: '{"id":"a","name":"opened"}'}
    assert desk.letters.replay(bench.project, None, edits=edits)["replayed"] == 1
    with pytest.raises(AlmanacError, match="No dead letter waits") as refused:
        desk.letters.replay(bench.project, [id_], edits=edits)
    assert refused.value.code is Code.NOT_FOUND
    assert desk.letters.replay(bench.project, None) == {"replayed": 0, "failed": []}
    bench.loader.drain()
    assert len(bench.stored()) == 1


def test_a_crash_before_it_is_marked_counts_once_too(bench: Bench, desk: Desk) -> None:
    """The events are in the log, the mark is not: the letter is replayed again, and its message id counts once."""
    bench.load(desk.letter('{"id":"a"}'))
    [id_] = desk.waiting().values()
    edits = {id_: '{"id":"a","name":"opened"}'}
    bench.log.add(desk.decode(bench.project, "segment", edits[id_]))
    assert desk.letters.replay(bench.project, [id_], edits=edits)["replayed"] == 1
    bench.loader.drain()
    assert len(bench.stored()) == 1
    assert [row.gap for row in Ledger(bench.store, bench.log).rows(bench.project)] == [0]


def test_what_the_store_refused_is_mended_under_its_own_id(bench: Bench, desk: Desk) -> None:
    """The refused event never became one: its mended form is new, and counts once however often it comes."""
    bench.load(bench.event("good"), bench.event("poison", properties=rb'{"s":"\ud800"}'))
    [letter] = desk.letters.list(bench.project)
    assert (letter["stage"], letter["reason"]) == ("insert", "refused_by_store")
    mended = str(letter["original"]).replace(r"\ud800", "?")
    assert desk.letters.replay(bench.project, None, edits={str(letter["id"]): mended}) == {"replayed": 1, "failed": []}
    bench.loader.drain()
    assert {row["id_text"]: row["properties"] for row in bench.stored()} == {"good": {}, "poison": {"s": "?"}}
    bench.load(bench.event("poison", properties={"s": "?"}))
    assert len(bench.stored()) == 2


def test_a_letter_whose_replay_is_refused_by_the_store_waits_again(bench: Bench, desk: Desk) -> None:
    bench.load(bench.event("poison", properties=rb'{"s":"\ud800"}'))
    [letter] = desk.letters.list(bench.project)
    still = str(letter["original"]).replace(r'{"s":"\ud800"}', "[1]")
    bench.now += timedelta(seconds=1)
    assert desk.letters.replay(bench.project, None, edits={str(letter["id"]): still})["replayed"] == 1
    bench.loader.drain()
    [again] = desk.letters.list(bench.project)
    assert again["original"] != letter["original"]
    assert bench.stored() == []


def test_a_letter_that_the_store_refuses_again_is_rejected_once(bench: Bench, desk: Desk) -> None:
    """By a replay that mends nothing and by its sender; mended at last, it is stored."""

    def books() -> tuple[int, ...]:
        rows = Ledger(bench.store, bench.log).rows(bench.project)
        assert [row.gap for row in rows] == [0] * len(rows)
        return tuple(sum(getattr(row, name) for row in rows) for name in ("accepted", "stored", "duplicate", "rejected"))

    poison = bench.event("poison", properties=b"[1]")
    bench.load(bench.event("good"), poison)
    assert books() == (2, 1, 0, 1)
    assert desk.letters.replay(bench.project, None)["replayed"] == 1
    bench.loader.drain()
    assert books() == (3, 1, 1, 1)
    bench.load(poison, poison)
    assert books() == (5, 1, 3, 1)
    [letter] = desk.letters.list(bench.project)
    mended = str(letter["original"]).replace("[1]", '{"s":"?"}')
    assert desk.letters.replay(bench.project, None, edits={str(letter["id"]): mended})["replayed"] == 1
    bench.loader.drain()
    assert books() == (6, 2, 3, 1)
    assert desk.waiting() == {}


def test_what_the_store_refused_and_a_person_put_away_stays_away(bench: Bench, desk: Desk) -> None:
    poison = bench.event("poison", properties=rb'{"s":"\ud800"}')
    bench.load(poison)
    assert desk.letters.discard(bench.project, None) == 1
    bench.now += timedelta(seconds=1)
    bench.load(poison, bench.event("other", properties=rb'{"s":"\ud800"}'))
    assert [json.loads(original)[1] for original in desk.waiting()] == ["other"]


def test_put_away(bench: Bench, desk: Desk) -> None:
    bench.load(desk.letter('{"id":"a"}'), desk.letter('{"id":"b"}'), desk.letter('{"id":"c"}'))
    a = desk.waiting()['{"id":"a"}']
    assert desk.letters.discard(bench.project, [a]) == 1
    assert sorted(desk.waiting()) == ['{"id":"b"}', '{"id":"c"}']
    assert desk.letters.discard(bench.project, None) == 2
    assert desk.waiting() == {}
    assert len(desk.letters.list(bench.project, state="discarded")) == 3
    bench.load(desk.letter('{"id":"a"}'))  # the collector's log is read again: it stays put away
    assert desk.waiting() == {}


def test_ids_that_do_not_wait(bench: Bench, desk: Desk) -> None:
    bench.load(desk.letter('{"id":"a"}'))
    [id_] = desk.waiting().values()
    for call in (desk.letters.replay, desk.letters.discard):
        with pytest.raises(AlmanacError) as refused:
            call(bench.project, [id_, "nobody"])
        assert refused.value.code is Code.NOT_FOUND
        assert "nobody" in refused.value.message
        with pytest.raises(AlmanacError):
            call("another-project", [id_])
    assert list(desk.waiting().values()) == [id_]
    assert desk.letters.discard(bench.project, []) == 0


def test_a_clock_that_was_set_back_does_not_undo_a_mark(bench: Bench, desk: Desk) -> None:
    bench.load(desk.letter('{"id":"a"}'))
    bench.now = datetime(2001, 1, 1, tzinfo=bench.now.tzinfo)
    assert desk.letters.discard(bench.project, None) == 1
    assert desk.waiting() == {}
