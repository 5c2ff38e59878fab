"""The bodies that `python -m bench protocols` sends are whole: each act becomes one event of the protocol, of the one who acted, then."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from bench.bodies import acts, bodies

from almanac.ingest.protocols import registry


def test_every_protocol_is_measured() -> None:
    assert registry().keys() <= bodies().keys()


@pytest.mark.parametrize("protocol", registry())
def test_each_act_is_one_event(protocol: str, door: Any) -> None:
    done = acts()
    for request in bodies()[protocol]("test-write-key", done):
        path, _, query = request.path.partition("?")
        reply = door.send(request.method, path, request.body, headers=request.headers, query=query)
        assert reply.status in (200, 204), reply.body
    assert door.dead == []
    assert {event.protocol for event in door.events} == {protocol}
    assert [event.distinct_id for event in door.events] == [act["user"] for act in done]
    assert len({event.event_id for event in door.events}) == len(done)
    for event, act in zip(door.events, done, strict=True):
        if event.client_time:
            assert abs((datetime.fromisoformat(event.client_time) - act["time"]).total_seconds()) < 1
