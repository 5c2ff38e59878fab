"""Whatever comes to a door, the answer is a deliberate one, and what was accepted or rejected adds up."""

from __future__ import annotations

import base64
import gzip
import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DOORS = ("/v1/batch", "/v1/t", "/v1/i", "/v1/g", "/v1/a", "/v1/p", "/batch", "/e", "/s", "/i/v1/analytics/events", "/api/v1/events")
DOORS += ("/2/httpapi", "/identify", "/groupidentify", "/track", "/engage", "/groups", "/import")
WORDS = re.findall(
    r"\S+",
    """
    uuid distinct_id $set $set_once $unset options api_key token sent_at historical_migration offset library session_id
    id time kind person groups group write_key is_server keep_time user_id anonymous_id previous_id page device
    event_type user_properties event_properties group_properties events identification insert_id time revenue $price $identify
    $distinct_id $token $add $append $unset $delete $group_key $group_id $insert_id $transactions $amount $merge $distinct_ids
    $group_set $lib $is_server $ip $current_url $anon_distinct_id $device_id $is_identified set unset consent url
    """,
)

words = st.sampled_from(WORDS)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.floats(allow_nan=True, allow_infinity=True),
    words,
    st.text(st.characters(codec=None), max_size=12),
)
values = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(words, inner, max_size=6)), max_leaves=20
)
messages = st.dictionaries(words, values, max_size=8)
bodies = st.one_of(values, messages, st.lists(messages, max_size=4), messages.map(lambda message: {"batch": [message, 1, message]}))
raw = st.one_of(
    bodies.map(lambda value: json.dumps(value).encode()),
    bodies.map(lambda value: json.dumps(value, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass")),
    bodies.map(lambda value: gzip.compress(json.dumps(value).encode())),
    bodies.map(lambda value: b"data=" + base64.b64encode(json.dumps(value).encode())),
    bodies.map(lambda value: json.dumps(value).encode()[:-1]),
    st.binary(max_size=200),
)


@pytest.mark.parametrize("path", DOORS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=raw, encoding=st.sampled_from(["", "", "gzip", "deflate", "zstd", "nonsense"]), query=st.text(max_size=20))
def test_no_accident(path: str, door: Any, body: bytes, encoding: str, query: str) -> None:
    door.clear()
    before = door.collector.counters()
    headers = {"authorization": "Bearer test-write-key", **({"content-encoding": encoding} if encoding else {})}
    reply = door.send("POST", path, body, headers=headers, query=query.encode("utf-8", "replace").decode("latin-1"))
    assert reply.status in (200, 400, 401, 413, 415), reply.body
    assert door.unexpected == 0
    after = door.collector.counters()
    accepted = after["events"].get("p1", 0) - before["events"].get("p1", 0)
    rejected = sum(after["rejected"].values()) - sum(before["rejected"].values())
    assert (len(door.events), len(door.dead)) == (accepted, rejected)
    for event in door.events:
        assert event.event_id
        assert event.name
        assert event.project == "p1"
        assert all(
            isinstance(json.loads(bytes(getattr(event, name))), dict)
            for name in ("properties", "context", "groups", "profile", "rest", "flags")
        )
    if reply.status == 200 and reply.body != b"1" and reply.json.get("rejected"):
        assert len(reply.json["rejected"]) == rejected
