"""The engine is killed again and again while events come and their tracking plan changes: each is stored or a dead letter, once."""

from __future__ import annotations

import random
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from tests.story.servers import Server

EVEN = {"required": ["n"], "properties": {"n": {"multipleOf": 2}}}


class Sender(threading.Thread):
    """Sends batches until they are acknowledged, the same again with the same ids."""

    def __init__(self, server: Server, key: str) -> None:
        super().__init__(daemon=True)
        self.server, self.key = server, key
        self.dice = random.Random(5)
        self.numbers: dict[str, int] = {}
        self.stop_asked = threading.Event()

    def run(self) -> None:
        while not self.stop_asked.is_set() and len(self.numbers) < 1500:  # the list of dead letters ends at a thousand
            batch = {str(uuid.UUID(int=self.dice.getrandbits(128))): self.dice.randrange(100) for _ in range(5)}
            messages = [
                {"type": "track", "event": "beat", "userId": "u", "messageId": id_, "properties": {"n": n}} for id_, n in batch.items()
            ]
            while not self.taken({"batch": messages, "writeKey": self.key}):
                time.sleep(0.05)
            self.numbers |= batch
            time.sleep(0.1)

    def taken(self, body: Any) -> bool:
        try:
            return self.server.call("POST", "/v1/batch", body, key="")[0] == 200
        except OSError:
            return False


def plan(server: Server, mode: str, schema: Any) -> None:
    """Saved as soon as the engine is there to save it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            body = {"mode": mode, "schema": schema}
            if server.call("PUT", "/api/v1/projects/shop/definitions/plan/beat", body, key=server.keys["shop"]["admin"])[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise TimeoutError("the plan cannot be saved")


def test_kills_while_the_plan_changes_double_and_lose_nothing(tmp_path: Path) -> None:
    dice = random.Random(3)
    server = Server(tmp_path)
    keys = server.project("shop")
    with server:
        plan(server, "reject", EVEN)
        time.sleep(1.2)  # by now it is in force
        sender = Sender(server, keys["write"])
        sender.start()
        for mode in ("stamp", "reject", "observe", "reject"):
            time.sleep(dice.uniform(0.4, 1.2))
            server.kill("engine")
            plan(server, mode, EVEN)
        sender.stop_asked.set()
        sender.join(60)
        server.wait()
        books = server.settled("shop")
        stored = server.sql("shop", "SELECT toString(id) AS id, properties.n.:Int64 AS n, violations, plan_version FROM events")
        letters = dead_letters(server, keys["admin"])
        ids = [row["id"] for row in stored]
        assert len(sender.numbers) > 60, "the story tells nothing without load"
        assert len(ids) == len(set(ids)), "doubled"
        rejected = [id_ for id_ in sender.numbers if any(id_ in letter for letter in letters)]
        assert set(ids) | set(rejected) == set(sender.numbers), "lost"
        assert not set(ids) & set(rejected), "stored and rejected"
        assert len(letters) == len(rejected) == books["rejected"]
        assert (books["stored"], books["gap"]) == (len(ids), 0)
        assert rejected, "the plan rejected nothing"
        assert all(sender.numbers[id_] % 2 for id_ in rejected)
        assert all(row["plan_version"] >= 1 for row in stored)
        found = server.get("/api/v1/projects/shop/tracking-plan/violations", key=keys["read"])[1]
        assert sum(row["checked"] for row in found["events"]) == len(sender.numbers)
        odd = sum(n % 2 for n in sender.numbers.values())
        assert sum(row["failed"] for row in found["events"]) == odd == sum(row["count"] for row in found["violations"])


def dead_letters(server: Server, key: str) -> list[str]:
    """The originals of all that wait."""
    status, found = server.get("/api/v1/projects/shop/dead-letters?limit=1000", key=key)
    assert status == 200
    assert len(found) < 1000
    return [letter["original"] for letter in found if letter["reason"] == "against_plan"]
