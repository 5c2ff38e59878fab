"""Every field of an event reaches its column, and what cannot becomes a dead letter without holding up the rest."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from tests.together import together

from almanac.core.event import Event, Merge
from almanac.core.sql import Sql
from almanac.ingest.agents import open_places
from almanac.ingest.ledger import Ledger

from .conftest import NOW, NOW_US, Bench

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def at(text: str) -> datetime:
    """A time as the engine gives it: UTC, without saying so."""
    return datetime.fromisoformat(text)


def test_every_field_reaches_its_column(bench: Bench) -> None:
    row = bench.one(
        id_="0191f6a2-0000-7000-8000-000000000001",
        kind="page",
        name="Ticket bought",
        client_time="2026-03-10T12:29:59.5Z",
        sent_time="2026-03-10T12:29:59.9Z",
        distinct_id="user-1",
        user_id="user-1",
        anonymous_id="anon-1",
        device_id="device-1",
        session_id="session-1",
        window_id="window-1",
        groups={"company": "acme", "team": ["a", "b"], "size": 5},
        properties={"plan": "pro", "seats": 3, "nested": {"deep": True}, "list": [1, 2], "day": "2026-03-10"},
        url="https://www.Shop.example/a/b?utm_source=news%20letter&utm_medium=e-mail&utm_campaign=spring+sale&utm_term=t&utm_content=c#x",
        title="Tickets",
        referrer="https://www.google.com/search?q=x",
        screen="Home",
        ip="203.0.113.7",
        user_agent=CHROME,
        library="web",
        library_version="1.2",
        context={"locale": "de"},
        flags={"consent": True},
        rest={"left": "over"},
        protocol="segment",
    )
    assert json.loads(json.dumps(row.pop("properties"))) == {
        "plan": "pro",
        "seats": 3,
        "nested": {"deep": True},
        "list": [1, 2],
        "day": "2026-03-10",
    }
    assert row.pop("person_hash") == bench.value("SELECT cityHash64('user-1')")
    assert {name: str(value) if name == "id" else value for name, value in row.items()} == {
        "project": bench.project,
        "event": "Ticket bought",
        "day": at("2026-03-10").date(),
        "time": at("2026-03-10T12:29:59.5"),
        "id": "0191f6a2-0000-7000-8000-000000000001",
        "id_text": "",
        "kind": "page",
        "distinct_id": "user-1",
        "user_id": "",  # it is the distinct id
        "anonymous_id": "anon-1",
        "device_id": "device-1",
        "session_id": "session-1",
        "window_id": "window-1",
        "time_client": at("2026-03-10T12:29:59.5"),
        "time_sent": at("2026-03-10T12:29:59.9"),
        "time_received": at("2026-03-10T12:30:00"),
        "time_origin": "client",
        "properties_exact": "",
        "groups": {"company": "acme", "team": '["a","b"]', "size": "5"},
        "url": "https://www.Shop.example/a/b?utm_source=news%20letter&utm_medium=e-mail&utm_campaign=spring+sale&utm_term=t&utm_content=c#x",
        "host": "shop.example",
        "path": "/a/b",
        "title": "Tickets",
        "screen": "Home",
        "referrer": "https://www.google.com/search?q=x",
        "referrer_host": "google.com",
        "utm_source": "news letter",
        "utm_medium": "e-mail",
        "utm_campaign": "spring sale",
        "utm_term": "t",
        "utm_content": "c",
        "channel": "Email",
        "ip": "203.0.113.7",
        "country": "",
        "region": "",
        "city": "",
        "user_agent": CHROME,
        "browser": "Chrome",
        "browser_version": "126",
        "os": "Windows",
        "os_version": "10",
        "device": "Desktop",
        "is_bot": False,
        "library": "web",
        "library_version": "1.2",
        "protocol": "segment",
        "is_server": False,
        "context": '{"locale": "de"}',
        "flags": '{"consent": true}',
        "rest": '{"left": "over"}',
        "revenue": None,
        "currency": "",
        "violations": "",
        "plan_version": 0,
    }


def test_an_event_with_nothing_but_a_name(bench: Bench) -> None:
    row = bench.one(id_="x", distinct_id="")
    assert (row["person_hash"], row["distinct_id"], row["host"], row["channel"], row["groups"]) == (0, "", "", "Direct", {})
    assert (row["properties"], row["rest"], row["context"], row["is_bot"], row["revenue"]) == ({}, "{}", "{}", False, None)


# ------------------------------------------------------------------------------- times

# Received at 12:30:00. The tolerance is 5 s; beyond it time = received - (sent - client).
TIMES: dict[str, tuple[dict[str, Any], str, str]] = {
    "no time at all": ({}, "2026-03-10T12:30:00", "received"),
    "a client time, no send time": ({"client_time": "2026-03-01T08:00:00Z"}, "2026-03-01T08:00:00", "client"),
    "an offset": ({"client_time": "2026-03-01T08:00:00.123456+02:00"}, "2026-03-01T06:00:00.123456", "client"),
    "sent 5 s ago by its clock": (
        {"client_time": "2026-03-10T12:00:00Z", "sent_time": "2026-03-10T12:29:55Z"},
        "2026-03-10T12:00:00",
        "client",
    ),
    "5.001 s off": (
        {"client_time": "2026-03-10T12:00:00Z", "sent_time": "2026-03-10T12:29:54.999Z"},
        "2026-03-10T12:00:05.001",
        "corrected",
    ),
    "a clock that is 1 h fast": (
        {"client_time": "2026-03-10T13:00:00Z", "sent_time": "2026-03-10T13:30:00Z"},
        "2026-03-10T12:00:00",
        "corrected",
    ),
    "a clock of 2001, the event 10 s before": (
        {"client_time": "2001-01-01T00:00:00Z", "sent_time": "2001-01-01T00:00:10Z"},
        "2026-03-10T12:29:50",
        "corrected",
    ),
    "a clock off, but the sender forbids correction": (
        {"client_time": "2026-03-10T13:00:00Z", "sent_time": "2026-03-10T13:30:00Z", "keep_time": True},
        "2026-03-10T13:00:00",
        "client",
    ),
    "the future, within reason": ({"client_time": "2031-01-01T00:00:00Z"}, "2031-01-01T00:00:00", "client"),
    "a send time that is no time": ({"client_time": "2026-03-10T11:00:00Z", "sent_time": "soon"}, "2026-03-10T11:00:00", "client"),
    "a send time in year 9999": (
        {"client_time": "2026-03-10T11:00:00Z", "sent_time": "9999-01-01T00:00:00Z"},
        "2026-03-10T11:00:00",
        "client",
    ),
}


@pytest.mark.parametrize("name", TIMES)
def test_when_it_happened(bench: Bench, name: str) -> None:
    given, time, origin = TIMES[name]
    row = bench.one(**given)
    assert (row["time"], row["time_origin"]) == (at(time), origin)
    assert row["day"] == at(time).date()
    assert row["time_received"] == NOW.replace(tzinfo=None)


@pytest.mark.parametrize(
    "text", ["yesterday", "9999-01-01T00:00:00Z", "0001-01-01", "2026-02-30T00:00:00Z", "10:00", "2026", "12", '"\\', "-5"]
)
def test_text_that_is_no_time_is_kept(bench: Bench, text: str) -> None:
    row = bench.one(client_time=text, rest={"a": 1})
    assert (row["time"], row["time_origin"], row["time_client"]) == (NOW.replace(tzinfo=None), "received", None)
    assert json.loads(row["rest"]) == {"client_time": text, "a": 1}
    both = bench.one(client_time=text, sent_time=text)
    assert json.loads(both["rest"]) == {"client_time": text, "sent_time": text}


Case = tuple[int | None, int | None, bool]
moments = st.lists(
    st.tuples(
        st.none() | st.integers(-400_000, 400_000),  # client, seconds from the receipt
        st.none() | st.integers(-20_000, 20_000),  # sent
        st.booleans(),
    ),
    min_size=1,
    max_size=30,
)


def test_the_clock_rule(make_bench: Callable[[], Bench]) -> None:
    def check(examples: list[list[Case]]) -> None:
        bench = make_bench()
        events: list[Event] = []
        expected: dict[str, tuple[datetime, str]] = {}
        for place, (client, sent, keep) in enumerate(case for cases in examples for case in cases):
            told = {"client_time": client, "sent_time": sent}
            texts = {name: (NOW + timedelta(seconds=off)).isoformat() for name, off in told.items() if off is not None}
            events.append(bench.event(f"e{place}", keep_time=keep, **texts))
            if client is None:
                found = (NOW, "received")
            elif keep or sent is None or abs(sent) <= 5:
                found = (NOW + timedelta(seconds=client), "client")
            else:
                found = (NOW - timedelta(seconds=sent - client), "corrected")
            expected[f"e{place}"] = (found[0].replace(tzinfo=None), found[1])
        bench.load(*events)
        rows = bench.rows("SELECT id_text, time, time_origin FROM events WHERE project = {project:String}")
        assert {row["id_text"]: (row["time"], row["time_origin"]) for row in rows} == expected

    together(moments, check, count=100)


# -------------------------------------------------------------------------- properties

HARD: dict[str, tuple[bytes, dict[str, Any], bool]] = {
    "dates stay text": (b'{"d":"2026-01-01","t":"2026-01-01T10:00:00Z"}', {"d": "2026-01-01", "t": "2026-01-01T10:00:00Z"}, False),
    "numbers in text stay text": (b'{"n":"123"}', {"n": "123"}, False),
    "dotted keys and nesting are two things": (b'{"a.b":1,"a":{"b":2}}', {"a.b": 1, "a": {"b": 2}}, False),
    "empty and odd keys": ('{"":1,"a`b":2,"ü $":3}'.encode(), {"": 1, "a`b": 2, "ü $": 3}, False),
    "nulls": (b'{"a":null,"b":1}', {"b": 1}, True),
    "an empty object in white space": (b'{"a":{ },"b":1}', {"b": 1}, True),
    "2^70": (b'{"n":1180591620717411303424,"b":1}', {"n": "1180591620717411303424", "b": 1}, True),
    "17 digits": (b'{"n":12345678901234567}', {"n": 12345678901234567}, True),
    "NUL": (b'{"s":"\\u0000x"}', {"s": "\0x"}, True),
    "mixed list": (b'{"l":[1,"a"]}', {"l": [1, "a"]}, False),
    "truth values in a list": (b'{"l":[1,"a",true]}', {"l": [1, "a", True]}, True),
    "a truth value beside a text": (b'{"l":[false,""]}', {"l": ["false", ""]}, True),
    "list of objects": (b'{"l":[{"a":1},{"a":"x"}]}', {"l": [{"a": 1}, {"a": "x"}]}, False),
    "the first of a key given twice": (b'{"a":1,"a":2}', {"a": 1}, False),
}


@pytest.mark.parametrize("name", HARD)
def test_properties_of_all_kinds(bench: Bench, name: str) -> None:
    text, kept, exact = HARD[name]
    row = bench.one(properties=text)
    assert row["properties"] == kept
    assert row["properties_exact"] == (text.decode() if exact else "")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
documents = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), json_values, max_size=6)


def test_no_property_is_lost(make_bench: Callable[[], Bench]) -> None:
    """Whatever JSON: the column and, where it cannot, the exact text beside it give back what was sent."""

    def check(examples: list[list[dict[str, Any]]]) -> None:
        bench = make_bench()
        sent = {f"e{place}": document for place, document in enumerate(document for many in examples for document in many)}
        bench.load(*[bench.event(id_, properties=document) for id_, document in sent.items()])
        found = {
            row["id_text"]: row["exact"] or row["kept"]
            for row in bench.rows(
                "SELECT id_text, toJSONString(properties) AS kept, properties_exact AS exact FROM events WHERE project = {project:String}"
            )
        }
        assert bench.letters() == []
        assert {id_: json.loads(text) for id_, text in found.items()} == sent

    together(st.lists(documents, min_size=1, max_size=12), check, count=100)


@pytest.mark.parametrize(
    "poison",
    [rb'{"s":"\ud800"}', b"[1]", b'"text"', b'{"n":1e400}', b'{"a":' * 1500 + b"1" + b"}" * 1500],
    ids=["half a surrogate pair", "a list", "a text", "a number beyond Float64", "1500 levels"],
)
def test_poison_is_alone(bench: Bench, poison: bytes) -> None:
    """Two poisonous events among seven: they become dead letters, the five others are stored."""
    events = [bench.event(f"e{place}", properties=poison if place in (2, 5) else {"n": place}) for place in range(7)]
    bench.load(*events)
    assert [row["id_text"] for row in bench.rows("SELECT id_text FROM events WHERE project = {project:String} ORDER BY id_text")] == [
        "e0",
        "e1",
        "e3",
        "e4",
        "e6",
    ]
    letters = bench.letters()
    assert [(letter["stage"], letter["reason"], letter["state"]) for letter in letters] == [("insert", "refused_by_store", "waiting")] * 2
    assert sorted(letter["original"].split('","')[1] for letter in letters) == ["e2", "e5"]
    assert all(len(letter["detail"]) > 10 and "DB::" not in letter["detail"] for letter in letters)
    [hour] = Ledger(bench.store, bench.log).rows(bench.project)
    assert (hour.stored, hour.rejected, hour.gap) == (5, 2, 0)


def test_a_line_that_is_no_event(bench: Bench) -> None:
    """A torn or foreign line does not hold up its neighbours; it is kept, though nobody knows whose it was."""
    before = bench.value("SELECT count() FROM dead_letters WHERE project = '' AND reason = 'unreadable_line'")
    bench.load(bench.event("a"), b'["half a line', b"", b'{"an": "object"}', b"\xff\xfe\x00", bench.event("b"))
    assert [row["id_text"] for row in bench.stored()] in (["a", "b"], ["b", "a"])
    found = bench.rows("SELECT stage, original FROM dead_letters WHERE project = '' AND reason = 'unreadable_line' ORDER BY original")
    assert len(found) - before == 3
    assert {"stage": "parse", "original": '["half a line'} in found
    [hour] = Ledger(bench.store, bench.log).rows(bench.project)
    assert (hour.accepted, hour.stored, hour.gap) == (2, 2, 0)


def test_deep_lines_do_not_stop_the_load(bench: Bench) -> None:
    deep = b'{"a":' * 20_000 + b"1" + b"}" * 20_000
    bench.load(bench.event("a"), bench.event("b", properties=deep), bench.event("c"))
    assert {row["id_text"] for row in bench.stored()} == {"a", "c"}


text_fields = [
    "event_id", "kind", "name", "client_time", "sent_time", "distinct_id", "user_id", "anonymous_id", "device_id", "session_id",
    "window_id", "url", "title", "referrer", "screen", "ip", "user_agent", "library", "library_version", "protocol",
]  # fmt: skip
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    [
        "%",
        "https://%zz/?utm_source=%zz&utm_medium=%e4",
        "http://[::1",
        "//x",
        "https://ex ample/?gclid=",
        "::ffff:1.2.3.4",
        "null",
        "{}",
        "$x",
    ]
)
any_event = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(text_fields, any_text),
        **dict.fromkeys(["groups", "properties", "profile", "group_profile", "context", "flags", "rest"], json_values),
        "received_us": st.integers(1_577_836_800_000_000, 1_893_456_000_000_000),
        "keep_time": st.booleans(),
        "is_server": st.booleans(),
        "merges": st.lists(st.builds(Merge, any_text, any_text, st.sampled_from(["identify", "alias", "merge"])), max_size=3),
    },
)


def test_nothing_that_a_field_holds_stops_the_load(make_bench: Callable[[], Bench]) -> None:
    """Each event is stored, a duplicate, or a dead letter, whatever its fields hold."""

    def check(examples: list[list[dict[str, Any]]]) -> None:
        bench = make_bench()
        projects = {f"{bench.project}-{place}": many for place, many in enumerate(examples)}
        bench.load(*[_event(bench, project, place, fields) for project, many in projects.items() for place, fields in enumerate(many)])
        rows = [row for row in Ledger(bench.store, bench.log).rows() if row.project in projects]
        assert [row for row in rows if row.gap] == []
        for project, many in projects.items():
            assert sum(row.stored + row.duplicate + row.rejected for row in rows if row.project == project) == len(many)

    together(st.lists(any_event, min_size=1, max_size=10), check, count=100)


def _event(bench: Bench, project: str, place: int, fields: dict[str, Any]) -> Event:
    given = dict(fields)
    return bench.event(given.pop("event_id", f"e{place}") or f"e{place}", project=project, **given)


# ------------------------------------------------------------------ what is worked out


@pytest.mark.parametrize(
    ("properties", "revenue", "currency"),
    [
        ({"revenue": 12.5, "total": 99, "currency": "EUR"}, 12.5, "EUR"),
        ({"total": 99}, 99.0, ""),
        ({"value": "7.5", "currency": "USD"}, 7.5, "USD"),
        ({"revenue": "free", "value": 3}, 3.0, ""),
        ({"revenue": None, "total": 4}, 4.0, ""),
        ({"revenue": 0, "total": 4}, 0.0, ""),
        ({"nested": {"revenue": 5}}, None, ""),
        ({"note": "revenue"}, None, ""),
        ({"revenue": -3}, -3.0, ""),
    ],
)
def test_revenue_is_lifted(bench: Bench, properties: dict[str, Any], revenue: float | None, currency: str) -> None:
    row = bench.one(properties=properties)
    assert (row["revenue"], row["currency"]) == (revenue, currency)


@pytest.mark.parametrize(
    ("url", "referrer", "expected"),
    [
        # host, path, referring host, channel
        ("https://www.shop.example/a?b=1#c", "", ("shop.example", "/a", "", "Direct")),
        ("https://shop.example/", "https://www.shop.example/a", ("shop.example", "/", "", "Direct")),  # its own host is no referrer
        ("https://SHOP.example/", "https://shop.EXAMPLE/a", ("shop.example", "/", "", "Direct")),
        ("https://shop.example", "https://www.bing.com/", ("shop.example", "", "bing.com", "Organic Search")),
        ("https://shop.example/?gclid=1", "https://www.google.com/", ("shop.example", "/", "google.com", "Paid Search")),
        ("https://shop.example/?utm_source=fb&utm_medium=paid", "", ("shop.example", "/", "", "Paid Social")),
        ("https://shop.example/", "android-app://com.slack", ("shop.example", "/", "com.slack", "Organic Social")),
        ("file:///home/me/index.html?utm_source=google", "", ("", "", "", "Direct")),
        ("app://home", "", ("", "", "", "Direct")),
        ("not a url", "also not", ("", "", "", "Direct")),
        ("https://xn--mnchen-3ya.example:8443/%C3%BC", "", ("xn--mnchen-3ya.example", "/%C3%BC", "", "Direct")),
    ],
)
def test_pages_and_where_they_were_reached_from(bench: Bench, url: str, referrer: str, expected: tuple[str, ...]) -> None:
    row = bench.one(url=url, referrer=referrer)
    assert (row["host"], row["path"], row["referrer_host"], row["channel"]) == expected
    assert (row["url"], row["referrer"]) == (url, referrer)


def test_bots_and_servers(bench: Bench) -> None:
    """A server's own user agent says nothing about the person."""
    bench.load(
        bench.event("person", user_agent=CHROME),
        bench.event("bot", user_agent=GOOGLEBOT),
        bench.event("server", user_agent="python-requests/2.32", is_server=True),
    )
    rows = {row["id_text"]: (row["browser"], row["device"], row["is_bot"]) for row in bench.stored()}
    assert rows == {"person": ("Chrome", "Desktop", False), "bot": ("Googlebot", "Bot", True), "server": ("", "", False)}


def test_countries_without_any_setting(bench: Bench) -> None:
    bench.places = open_places("")
    bench.loader = bench.fresh_loader()
    addresses = {"four": "133.11.0.1", "six": "2001:200::1", "home": "192.168.1.1", "none": ""}
    bench.load(
        *[bench.event(id_, ip=address) for id_, address in addresses.items()], bench.event("server", ip="133.11.0.1", is_server=True)
    )
    found = {row["id_text"]: row["country"] for row in bench.stored()}
    assert found == {"four": "JP", "six": "JP", "home": "", "none": "", "server": ""}


def test_places_by_a_file(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "places.csv"
    file.write_text("81.2.69.0,81.2.69.255,GB,ENG,London\n2001:218::,2001:218:ffff::,JP\n")
    bench.places = open_places(str(file))
    bench.loader = bench.fresh_loader()
    bench.load(
        bench.event("four", ip="81.2.69.142"),
        bench.event("six", ip="2001:218::1"),
        bench.event("nowhere", ip="192.0.2.1"),
        bench.event("odd", ip="unknown"),
        bench.event("server", ip="81.2.69.143", is_server=True),
    )
    rows = {row["id_text"]: (row["country"], row["region"], row["city"]) for row in bench.stored()}
    assert rows == {
        "four": ("GB", "ENG", "London"),
        "six": ("JP", "", ""),
        "nowhere": ("", "", ""),
        "odd": ("", "", ""),
        "server": ("", "", ""),
    }


def test_profiles_of_people_and_groups(bench: Bench) -> None:
    bench.load(
        bench.event(
            "a",
            kind="identify",
            client_time="2026-03-10T12:00:00Z",
            profile={"set": {"plan": "pro", "age": 7}, "set_once": {"first": [1]}, "unset": ["old"]},
        ),
        bench.event("b", kind="group_profile", distinct_id="", group_profile={"type": "company", "key": "acme", "set": {"size": 5}}),
        bench.event("c", profile={"set": {"plan": "free"}}, client_time="2099-01-01T00:00:00Z"),
        bench.event("d", distinct_id="", profile={"set": {"nobody": 1}}),
    )
    rows = bench.rows(
        "SELECT subject, key, property, op, value, time, key_hash = cityHash64(key) AS hashed FROM profile_changes"
        " WHERE project = {project:String} ORDER BY subject, property, time"
    )
    noon, receipt = at("2026-03-10T12:00:00"), at("2026-03-10T12:30:00")
    assert [tuple(row.values()) for row in rows] == [
        ("company", "acme", "size", "set", "5", receipt, True),
        ("person", "ann", "age", "set", "7", noon, True),
        ("person", "ann", "first", "set_once", "[1]", noon, True),
        ("person", "ann", "old", "unset", "null", noon, True),
        ("person", "ann", "plan", "set", '"pro"', noon, True),
        ("person", "ann", "plan", "set", '"free"', receipt, True),  # a clock that runs ahead does not win for ever
    ]


# ------------------------------------------------------------------------------ batches


def test_nothing_to_do(bench: Bench) -> None:
    assert bench.loader.run_once() is False
    bench.load()
    assert bench.log.waiting == {}
    assert bench.stored() == []


def test_two_hundred_months_in_one_batch(bench: Bench) -> None:
    months = [f"{2009 + place // 12}-{1 + place % 12:02d}-01T00:00:00Z" for place in range(200)]
    bench.load(*[bench.event(f"m{place}", client_time=month) for place, month in enumerate(months)])
    assert [row["time"] for row in bench.stored()] == [at(month[:-1]) for month in months]
    bench.store.execute(Sql("TRUNCATE TABLE events"))  # two hundred parts would slow down all tests after this one


def test_over_the_border_of_a_month(bench: Bench) -> None:
    bench.load(bench.event("a", client_time="2026-01-31T23:59:59.999999Z"), bench.event("b", client_time="2026-02-01T00:00:00Z"))
    assert [(row["id_text"], row["day"].isoformat()) for row in bench.stored()] == [("a", "2026-01-31"), ("b", "2026-02-01")]


def test_the_catalog_of_names_and_properties(bench: Bench) -> None:
    bench.load(
        bench.event("a", name="bought", properties={"price": 3, "who": {"plan": "pro"}}),
        bench.event("b", name="bought", properties={"price": "free"}, received_us=NOW_US + 5_000_000),
        bench.event("a", name="bought"),
    )
    names = bench.rows(
        "SELECT event, sum(count) AS n, min(first_seen) AS first, max(last_seen) AS last FROM event_names"
        " WHERE project = {project:String} GROUP BY event"
    )
    assert names == [{"event": "bought", "n": 2, "first": at("2026-03-10T12:30:00"), "last": at("2026-03-10T12:30:05")}]
    found = bench.rows("SELECT DISTINCT property, type FROM event_properties WHERE project = {project:String} ORDER BY property, type")
    assert [tuple(row.values()) for row in found] == [("price", "Int64"), ("price", "String"), ("who.plan", "String")]


def test_late_arrivals_are_in_the_catalog(bench: Bench) -> None:
    """A collector that lagged brings events that were received before the ones that were loaded last."""
    bench.load(bench.event("a", properties={"soon": 1}, received_us=NOW_US))
    bench.load(bench.event("b", properties={"late": 1}, received_us=NOW_US - 3_600_000_000))
    found = bench.rows("SELECT DISTINCT property FROM event_properties WHERE project = {project:String} ORDER BY property")
    assert [row["property"] for row in found] == ["late", "soon"]


def test_the_receipt_is_in_utc(bench: Bench) -> None:
    row = bench.one(received_us=int(datetime(2026, 7, 1, 0, 0, 0, 123456, tzinfo=UTC).timestamp() * 1e6))
    assert row["time_received"] == at("2026-07-01T00:00:00.123456")
