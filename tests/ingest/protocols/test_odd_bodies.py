"""Bodies that no standard describes and every vendor has sent: taken as they come, or refused in words; never an accident."""

from __future__ import annotations

import base64
import gzip
import json
import sys
import zlib
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almanac.core.errors import AlmanacError
from almanac.ingest import body as bodies

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

KEY = "test-write-key"
BODY = json.dumps({"api_key": KEY, "batch": [{"event": "e", "uuid": "i", "distinct_id": "u", "properties": {"n": "Grüße 🎉"}}]}).encode()


@pytest.mark.parametrize(
    ("body", "headers", "query"),
    [
        (BODY, {"content-type": "text/plain"}, ""),
        (b"\xef\xbb\xbf" + BODY, {}, ""),
        (b" \r\n" + BODY + b"\n", {}, ""),
        (gzip.compress(BODY), {"content-encoding": "gzip"}, ""),
        (gzip.compress(BODY), {"content-type": "text/plain"}, ""),
        (gzip.compress(BODY[:50]) + gzip.compress(BODY[50:]), {"content-encoding": "gzip"}, ""),
        (gzip.compress(gzip.compress(BODY)), {"content-encoding": "gzip"}, ""),
        (BODY, {"content-encoding": "gzip"}, ""),
        (zlib.compress(BODY), {"content-encoding": "deflate"}, ""),
        (zlib.compress(BODY)[2:-4], {"content-encoding": "deflate"}, ""),
        (zstd.compress(BODY), {"content-encoding": "zstd"}, ""),
        (base64.b64encode(BODY), {}, ""),
        (base64.urlsafe_b64encode(BODY).rstrip(b"="), {}, ""),
        (base64.b64encode(gzip.compress(BODY)), {}, ""),
        (urlencode({"data": base64.b64encode(BODY)}).encode(), {"content-type": "application/x-www-form-urlencoded"}, "compression=base64"),
        (b"data=" + base64.b64encode(BODY), {"content-type": "text/plain"}, ""),
        (urlencode({"data": BODY}).encode(), {}, ""),
        (urlencode({"ip": "0", "data": BODY}).encode(), {}, ""),
        (b"", {}, urlencode({"data": BODY})),
        (b"", {}, urlencode({"data": base64.b64encode(BODY)})),
    ],
)
def test_every_wrapping_is_taken_off(body: bytes, headers: dict[str, str], query: str, door: Any) -> None:
    reply = door.send("POST", "/e/", body, headers=headers, query=query)
    assert reply.status == 200, reply.body
    (event,) = door.events
    assert json.loads(bytes(event.properties)) == {"n": "Grüße 🎉"}


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        (b"NaN", b'"NaN"'),
        (b"[Infinity, -Infinity]", b'["Infinity", "-Infinity"]'),
        (b'"NaN"', b'"NaN"'),
        (b"1180591620717411303424", b"1180591620717411303424"),
        (b"9007199254740993", b"9007199254740993"),
        (b"1.10", b"1.10"),
        (b'"a\\u0000b"', b'"a\\u0000b"'),
        (b'"x\\ud800y"', b'"x\\ufffdy"'),
        (b'"\\ud83c\\udf89 \\udf89"', b'"\\ud83c\\udf89 \\ufffd"'),
        (b'"\\\\ud800"', b'"\\\\ud800"'),
        (b'"\xed\xa0\xbc\xed\xbe\x89"', "🎉".encode().join([b'"', b'"'])),
        (b'"\xed\xa0\xbc"', '"�"'.encode()),
        (b'"\xff"', '"�"'.encode()),
        (b'"two\nlines"', b'"two\\nlines"'),
        (b'"a\ttab"', b'"a\\ttab"'),
        (b"{}", b"{}"),
    ],
)
def test_what_is_not_quite_json(written: bytes, stored: bytes, door: Any) -> None:
    """Beside it lies an ordinary event, which stays as it is."""
    good = b'{"type":"track","messageId":"good","userId":"u","event":"E","properties":{"n": 1.50}}'
    odd = b'{"type":"track","messageId":"odd","userId":"u","event":"E","properties":{"v": ' + written + b"}}"
    reply = door.post("/v1/batch", b'{"batch":[' + good + b"," + odd + b'],\r\n"writeKey":"test-write-key"}', key=None)
    assert reply.status == 200, reply.body
    assert door.dead == []
    assert [event.event_id for event in door.events] == ["good", "odd"]
    assert bytes(door.events[1].properties) in (b'{"v": ' + stored + b"}", b'{"v":' + stored + b"}")
    assert json.loads(bytes(door.events[0].properties)) == {"n": 1.5}


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(["\\ud83c", "\\uDF89", "\\ud83c\\udf89", "\\\\", "\\\\ud83c", "\\u00e4", "ud83c", '\\"', "é", "x"]), max_size=12
    )
)
def test_half_surrogates_are_mended_and_nothing_else_is_touched(pieces: list[str]) -> None:
    written = ('{"v": "' + "".join(pieces) + '"}').encode()
    meant = json.loads(written)["v"]
    whole = meant.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    mended = bodies.clean(written)
    assert json.loads(mended)["v"] == whole
    if meant == whole:
        assert mended == written


@pytest.mark.parametrize("levels", [65, 600, 1000, 100_000])
def test_what_is_too_deep_is_rejected_alone(levels: int, door: Any) -> None:
    deep = b"[" * levels + b"]" * levels
    for path, key, name in (
        ("/v1/batch", "writeKey", "userId"),
        ("/batch", "api_key", "distinct_id"),
        ("/api/v1/events", "write_key", "user_id"),
    ):
        door.clear()
        good = f'{{"type":"track","event":"E","{name}":"u"}}'.encode()
        if path != "/v1/batch":
            good = good.replace(b'"type":"track",', b"")
        odd = good[:-1] + b',"properties":{"d":' + deep + b"}}"
        reply = door.post(path, b'{"batch":[' + good + b"," + odd + b"," + good + f'],"{key}":"{KEY}"}}'.encode(), key=None)
        assert reply.status == 200, reply.body
        assert len(door.events) == 2
        assert [(letter["reason"], letter["original"].count("[")) for letter in door.dead] == [("too_deep", levels)]
        door.clear()
        assert door.post(path, odd).status == 200
        assert [letter["reason"] for letter in door.dead] == ["too_deep"]


def test_sixty_four_levels_are_fine(door: Any) -> None:
    deep = b"[" * 63 + b'"' + b"[" * 100 + b'"' + b"]" * 63
    assert door.post("/v1/batch", b'{"batch":[{"type":"track","event":"E","properties":{"d":' + deep + b"}}]}").status == 200
    assert len(door.events) == 1


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"hello", {}, 400),
        (b"{", {}, 400),
        (b'{"batch": [}', {}, 400),
        (b"\x00\x01\x02", {}, 400),
        (gzip.compress(BODY)[:-20], {"content-encoding": "gzip"}, 400),
        (gzip.compress(BODY)[:-20], {}, 400),
        (b"\x1f\x8b", {}, 400),
        (b"garbage", {"content-encoding": "deflate"}, 400),
        (zstd.compress(BODY)[:-5], {}, 400),
        (BODY, {"content-encoding": "br"}, 415),
        (b"[" + b" " * 40_000_000 + b"]", {}, 413),
        (gzip.compress(b"[" + b" " * 40_000_000 + b"]"), {}, 413),
        (zstd.compress(b"[" + b" " * 40_000_000 + b"]"), {}, 413),
        (zlib.compress(b"[" + b" " * 40_000_000 + b"]"), {"content-encoding": "deflate"}, 413),
    ],
)
def test_what_cannot_be_read_is_refused_in_words_that_every_sdk_understands(
    body: bytes, headers: dict[str, str], status: int, door: Any
) -> None:
    for path in ("/v1/batch", "/v1/t", "/batch", "/i/v1/analytics/events", "/api/v1/events"):
        reply = door.send("POST", path, body, headers={**headers, "authorization": f"Bearer {KEY}"})
        assert reply.status == status, (path, reply.body)
        told = reply.json
        assert (told["status"], told["code"], bool(told["error"]), bool(told["message"]), bool(told["detail"])) == (
            0,
            status,
            True,
            True,
            True,
        )
        assert told["missing_field"]
    assert door.log.lines == []
    assert door.unexpected == 0


def test_what_is_over_the_batch_limit_becomes_one_dead_letter(doors: Any) -> None:
    door = doors(batch_limit=2)
    for path, more in (("/v1/batch", {}), ("/v1/batch", {"odd": 1}), ("/batch", {}), ("/api/v1/events", {})):
        door.clear()
        reply = door.post(path, {"batch": [{"event": name, **more} for name in "abcd"]})
        assert [(found["index"], found["reason"]) for found in reply.json["rejected"]] == [(2, "over_batch_limit")]
        assert [event.name for event in door.events] == ["a", "b"]
        assert [[one["event"] for one in json.loads(letter["original"])] for letter in door.dead] == [["c", "d"]]
        again = b'{"batch":[' + door.dead[0]["original"].encode() + b"]}"  # as a dead letter is replayed
        door.clear()
        assert door.post(path, again).status == 200
        assert [event.name for event in door.events] == ["c", "d"]


@pytest.mark.parametrize("body", [b"[" + b"1," * 4_000_000 + b"1]", b'{"batch":[' + b"{}," * 3_000_000 + b"{}]}"])
def test_millions_of_values_are_refused_before_they_take_memory(body: bytes, door: Any) -> None:
    for path in ("/v1/batch", "/batch", "/api/v1/events"):
        assert door.post(path, body).status == 413


def test_a_bomb_is_not_unpacked_beyond_the_limit() -> None:
    bomb = gzip.compress(b"\0" * 500_000_000)
    with pytest.raises(AlmanacError) as refused:
        bodies.unpack(bomb, encoding="gzip", query={}, limit=1000)
    assert refused.value.status == 413


def test_ten_megabytes_in_one_event_are_too_large_for_an_event_and_fine_for_a_body(door: Any) -> None:
    big = {"event": "big", "distinct_id": "u", "properties": {"v": "x" * 10_000_000}}
    reply = door.post("/batch", {"batch": [big, {"event": "small", "distinct_id": "u"}]})
    assert reply.status == 200
    assert [event.name for event in door.events] == ["small"]
    assert [letter["reason"] for letter in door.dead] == ["too_large"]
    assert len(door.dead[0]["original"]) > 10_000_000


@pytest.mark.parametrize("text", ["inf", "-Infinity", "1e999", "nan", "9" * 400, "12e12x"])
def test_a_time_that_is_none_stays_as_it_was_sent(text: str, door: Any) -> None:
    """Dividing it until it is a count of seconds must come to an end."""
    assert door.post("/v1/batch", {"batch": [{"type": "track", "event": "e", "userId": "u", "timestamp": text}]}).status == 200
    assert [event.client_time for event in door.events] == [text]


@pytest.mark.parametrize("text", ["%ff", "2026-%ff", "%ed%a0%80"])
def test_a_time_in_an_address_may_be_no_text_at_all(text: str, door: Any) -> None:
    assert door.send("POST", "/e", BODY, query=f"_={text}").status == 200
    (event,) = door.events
    assert "�" in event.sent_time
    assert door.unexpected == 0
