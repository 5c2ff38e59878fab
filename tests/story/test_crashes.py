"""Processes are killed at random points under load: nothing acknowledged is lost, nothing is doubled, the ledger closes."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from tests.story.servers import Sdk, Server


def _rounds(folder: Path, rounds: int, seed: int) -> None:
    dice = random.Random(seed)
    server = Server(folder)
    keys = server.project("shop")
    with server:
        senders = [Sdk(server, keys["write"], seed=seed * 10 + number) for number in range(3)]
        for sender in senders:
            sender.start()
        for round_ in range(rounds):
            time.sleep(dice.uniform(0.1, 1.2))
            victim = (
                ("engine", "collector", "supervisor", "engine")[round_ % 4]
                if round_ < 4
                else dice.choice(["engine", "collector", "supervisor"])
            )
            assert server.kill(victim) or victim != "supervisor"
            if victim == "supervisor":
                assert server.process is not None
                server.process.wait(10)
                server.start()
        for sender in senders:
            sender.finish()
        server.wait()
        books = server.settled("shop")
        acknowledged = [id_ for sender in senders for id_ in sender.acknowledged]
        stored = [row["id"] for row in server.sql("shop", "SELECT toString(id) AS id FROM events")]
        assert len(acknowledged) > 100, "the story tells nothing without load"
        assert len(stored) == len(set(stored)), "doubled"
        assert set(acknowledged) <= set(stored), "lost"
        assert books["gap"] == 0
        assert books["stored"] == len(stored)
        assert server.get("/health", key="")[0] == 200


def test_five_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    _rounds(tmp_path, 5, seed=1)


@pytest.mark.nightly
def test_fifty_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    _rounds(tmp_path, 50, seed=int(time.time()))


def test_a_stop_drains(tmp_path: Path) -> None:
    """SIGTERM: what is under way is answered, the next start finds everything."""
    server = Server(tmp_path)
    keys = server.project("shop")
    with server:
        sender = Sdk(server, keys["write"], seed=7)
        sender.start()
        time.sleep(1.5)
        assert server.stop() == 0
        server.start()
        server.wait()
        sender.finish()
        books = server.settled("shop")
        assert books == {"accepted": books["stored"] + books["duplicate"], "stored": len(sender.acknowledged), **_rest(books)}


def _rest(books: dict[str, int]) -> dict[str, int]:
    return {"duplicate": books["duplicate"], "rejected": 0, "in_flight": 0, "gap": 0}
