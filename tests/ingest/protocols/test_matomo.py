"""Hits of Matomo's tracking API, one of each sort, worked by hand; recorded ones, replayed and spoilt."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.ingest.protocols import mutated

NOW = 1_795_209_000_000_000
ALWAYS = {"idsite": "test-write-key", "rec": "1", "apiv": "1", "rand": "4711", "send_image": "0"}


def get(door: Any, path: str = "/matomo.php", headers: Any = None, **members: str) -> Any:
    return door.send("GET", path, query=urlencode({**ALWAYS, **members}), headers=headers)


def only(door: Any, say: Any, **members: str) -> dict[str, Any]:
    door.clear()
    reply = get(door, **members)
    assert (reply.status, reply.body, reply.headers["cache-control"]) == (204, b"", "no-store")
    assert door.dead == []
    (stored,) = door.events
    found: dict[str, Any] = say(stored)
    assert found.pop("event_id").startswith("h:")
    return found


def event(kind: str = "track", **members: Any) -> dict[str, Any]:
    return {"project": "p1", "received_us": NOW, "protocol": "matomo", "is_server": True, "kind": kind, **members}


def test_each_sort_of_hit(door: Any, say: Any) -> None:
    view = {"url": "https://x.example/a", "action_name": "Hömé", "urlref": "https://g.example/"}
    expected = event("page", name="page_view", url="https://x.example/a", title="Hömé", referrer="https://g.example/")
    assert only(door, say, **view) == expected
    assert only(door, say, e_c="shop", e_a="add", e_n="näme", e_v="2.5") == event(
        name="add", properties={"e_c": "shop", "e_n": "näme", "e_v": 2.5}
    )
    assert only(door, say, idgoal="3", revenue="10") == event(name="goal", properties={"idgoal": 3, "revenue": 10})
    assert only(door, say, search="q ü", search_cat="c", search_count="7") == event(
        name="search", properties={"search": "q ü", "search_cat": "c", "search_count": 7}
    )
    assert only(door, say, download="https://x.example/f.zip") == event(name="download", properties={"download": "https://x.example/f.zip"})
    assert only(door, say, link="https://y.example/") == event(name="outlink", properties={"link": "https://y.example/"})
    assert only(door, say, ping="1") == event("ping", name="ping")
    content = {"c_n": "ad", "c_p": "banner", "c_t": "https://t.example/"}
    assert only(door, say, **content) == event(name="content_impression", properties=content)
    assert only(door, say, **content, c_i="click") == event(name="content_interaction", properties={**content, "c_i": "click"})
    assert only(door, say, cra="boom", cra_tp="Error") == event("exception", name="crash", properties={"cra": "boom", "cra_tp": "Error"})
    assert only(door, say, ca="1") == event(name="custom_action", flags={"custom_action": "1"})


def test_orders_and_carts(door: Any, say: Any) -> None:
    rows = json.dumps([["S-1", "Tee", ["a", "b"], 12.5, 2], ["S-2"]])
    order = {"idgoal": "0", "ec_id": "o1", "revenue": "49.9", "ec_st": "42.5", "ec_tx": "4.4", "ec_sh": "3", "ec_dt": "0", "ec_items": rows}
    products = [{"sku": "S-1", "name": "Tee", "category": ["a", "b"], "price": 12.5, "quantity": 2}, {"sku": "S-2"}]
    expected = {"order_id": "o1", "revenue": 49.9, "subtotal": 42.5, "tax": 4.4, "shipping": 3, "discount": 0, "products": products}
    assert only(door, say, **order) == event(name="order", properties=expected)
    cart = only(door, say, idgoal="0", revenue="12.5", ec_items=rows)
    assert cart == event(name="cart_update", properties={"cart_value": 12.5, "products": products})
    odd = only(door, say, idgoal="0", ec_id="o1", revenue="much", ec_items="[[")
    assert odd == event(name="order", properties={"order_id": "o1", "revenue": "much"}, rest={"ec_items": "[["})


def test_dimensions_and_variables(door: Any, say: Any) -> None:
    found = only(
        door,
        say,
        dimension1="d1",
        pf_net="12",
        _pkp="9.5",
        cvar=json.dumps({"1": ["k", "v"], "2": ["n", 5]}),
        _cvar=json.dumps({"3": ["plan", "pro"]}),
    )
    assert found == event(
        "page",
        name="page_view",
        properties={"k": "v", "n": 5, "dimension1": "d1", "pf_net": 12, "_pkp": 9.5},
        profile={"set": {"plan": "pro"}},
        rest={"cvar": {"k": "1", "n": "2"}, "_cvar": {"plan": "3"}},
    )
    odd = only(door, say, cvar="{1", _cvar='{"1":"x"}')
    assert odd == event("page", name="page_view", rest={"cvar": "{1", "_cvar": '{"1":"x"}'})


def test_who_and_where(door: Any, say: Any) -> None:
    who = {"_id": "0123456789abcdef", "uid": "u1", "pv_id": "AbCdEf", "new_visit": "1"}
    where = {"res": "1920x1080", "lang": "de", "h": "7", "m": "5", "s": "09", "cookie": "1", "uadata": '{"brands":[]}', "country": "ch"}
    found = only(door, say, headers={"user-agent": "Mozilla/5.0"}, **who, **where)
    expected = event(
        "page",
        name="page_view",
        distinct_id="u1",
        user_id="u1",
        anonymous_id="0123456789abcdef",
        merges=[("0123456789abcdef", "u1", "same-event")],
        ip="203.0.113.9",
        user_agent="Mozilla/5.0",
        context={
            "screen": "1920x1080",
            "locale": "de",
            "cookies": "1",
            "pageview_id": "AbCdEf",
            "location": {"country": "ch"},
            "local_time": "07:05:09",
            "user_agent_data": {"brands": []},
        },
        rest={"new_visit": "1"},
    )
    del expected["is_server"]
    assert found == expected
    other = only(door, say, _id="0123456789abcdef", cid="fedcba9876543210")
    assert (other["distinct_id"], other["rest"]) == ("fedcba9876543210", {"_id": "0123456789abcdef"})
    assert only(door, say, uid="u1")["distinct_id"] == "u1"


def test_campaigns(door: Any, say: Any) -> None:
    address = "https://x.example/?mtm_campaign=fr%C3%BCh&mtm_source=news&mtm_medium=email&mtm_kwd=k&mtm_content=c"
    campaign = {"campaign": "früh", "source": "news", "medium": "email", "term": "k", "content": "c"}
    assert json.loads(only(door, say, url=address)["campaign"]) == campaign
    assert json.loads(only(door, say, url="https://x.example/#pk_campaign=spring")["campaign"]) == {"campaign": "spring"}
    both = only(door, say, url="https://x.example/?utm_campaign=a&pk_campaign=b&pk_source=c")
    assert json.loads(both["campaign"]) == {"source": "c"}


def test_a_time_and_an_address_of_ones_own_need_the_token(door: Any, say: Any) -> None:
    members = {"cdt": "2026-11-18 18:09:35", "cip": "198.51.100.7", "ua": "UA/1.0"}
    trusted = only(door, say, **members, token_auth="test-write-key")
    assert (trusted["client_time"], trusted["ip"], trusted["user_agent"]) == ("2026-11-18 18:09:35", "198.51.100.7", "UA/1.0")
    assert "rest" not in trusted
    assert only(door, say, cdt="1795200000", token_auth="test-write-key")["client_time"] == "2026-11-20T18:40:00+00:00"
    doubted = only(door, say, **members)
    assert doubted["rest"] == {"cdt": "2026-11-18 18:09:35", "cip": "198.51.100.7"}
    assert "client_time" not in doubted
    assert "ip" not in doubted


def test_a_hit_counts_once_if_it_holds_a_time(door: Any) -> None:
    def ids(**members: str) -> str:
        door.clear()
        door.now_us += 1
        assert get(door, **members).status == 204
        return str(door.events[0].event_id)

    timed = {"cdt": "1795200000", "token_auth": "test-write-key", "url": "https://x.example/"}
    assert ids(**timed) == ids(**{**timed, "rand": "5", "send_image": "0"})
    assert ids(**timed) != ids(**{**timed, "url": "https://y.example/"})
    assert ids(url="https://x.example/") != ids(url="https://x.example/")


def test_answers(door: Any) -> None:
    image = get(door, send_image="1")
    assert (image.status, image.headers["content-type"], len(image.body), image.headers["cache-control"]) == (
        200,
        "image/gif",
        42,
        "no-store",
    )
    refused = get(door, e_a="", e_c="")
    assert (refused.status, refused.json["rejected"][0]["reason"]) == (200, "no_name")
    wrong = get(door, idsite="99")
    assert (wrong.status, wrong.headers["cache-control"]) == (401, "no-store")
    assert door.send("GET", "/matomo.php").status == 401
    assert door.send("POST", "/matomo.php").status == 401
    junk = door.send("POST", "/matomo.php", b"\x00\x01", query="idsite=test-write-key")
    assert junk.json["rejected"][0]["reason"] == "no_hit"
    assert door.events[1:] == []


def test_a_program_that_does_not_read_its_answer_can_end(door: Any) -> None:
    """matomo-tracker does not, and lets its connection stand open."""
    for more in ({}, {"send_image": "1"}, {"idsite": "99"}, {"e_a": ""}):
        assert get(door, **more).headers["connection"] == "close"
        assert "connection" not in get(door, headers={"user-agent": "Mozilla/5.0"}, **more).headers


def test_forms_and_beacons(door: Any) -> None:
    form = urlencode({**ALWAYS, "url": "https://x.example/ü"}).encode()
    plain = "idsite=test-write-key&rec=1&send_image=0&url=https://x.example/ü".encode()
    for path in ("/matomo.php", "/matomo.php/", "/piwik.php", "/piwik.php/"):
        for body, type_ in ((form, "application/x-www-form-urlencoded; charset=utf-8"), (plain, "text/plain;charset=UTF-8")):
            assert door.send("POST", path, body, headers={"content-type": type_}).status == 204
    assert {event.url for event in door.events} == {"https://x.example/ü"}
    assert len(door.events) == 8
    split = door.send("POST", "/matomo.php", b"url=https://x.example/split", query="idsite=test-write-key&send_image=0")
    assert split.status == 204
    assert door.events[-1].url == "https://x.example/split"


def bulk(door: Any, *requests: Any, **more: Any) -> Any:
    return door.post("/matomo.php", {"requests": list(requests), **more}, key=None)


def test_many_hits(door: Any, say: Any) -> None:
    first = "?" + urlencode({"idsite": "1", "rec": "1", "url": "https://x.example/?a=b&c=ü", "uid": "u1", "_id": "a1"})
    second = urlencode({"idsite": "1", "rec": "1", "uid": "u1", "_id": "a1", "cdt": "2026-11-18 18:09:35"})
    third = {"idsite": 1, "e_a": "play", "e_v": 2}
    reply = bulk(door, first, second, third, token_auth="test-write-key")
    assert (reply.status, reply.json) == (200, {"status": "success", "tracked": 3, "invalid": 0})
    found = [say(event) for event in door.events]
    assert [event["name"] for event in found] == ["page_view", "page_view", "play"]
    assert found[0]["url"] == "https://x.example/?a=b&c=ü"
    assert found[0]["merges"] == [("a1", "u1", "same-event")]
    assert "merges" not in found[1]
    assert found[1]["client_time"] == "2026-11-18 18:09:35"
    assert found[2]["properties"] == {"e_v": 2}
    assert {event["context"]["site"] for event in found} == {"1"}


def test_the_bad_hit_goes_alone(door: Any) -> None:
    good = "?" + urlencode({**ALWAYS, "url": "https://x.example/"})
    reply = bulk(door, 5, good, "nothing", {**ALWAYS, "e_c": ""}, [], {**ALWAYS, "idsite": "nobody"}, good)
    counts = {name: reply.json[name] for name in ("status", "tracked", "invalid", "invalid_indices")}
    assert counts == {"status": "success", "tracked": 2, "invalid": 5, "invalid_indices": [0, 2, 3, 4, 5]}
    assert [event.url for event in door.events] == ["https://x.example/"] * 2
    reasons = ["not_an_object", "not_an_object", "no_name", "not_an_object", "unknown_key"]
    assert [letter["reason"] for letter in door.dead] == reasons


def test_a_bulk_request_may_be_of_two_sites(door: Any) -> None:
    reply = bulk(door, {**ALWAYS, "uid": "a"}, {**ALWAYS, "idsite": "other-write-key", "uid": "b"}, token_auth="t" * 32)
    assert reply.json["tracked"] == 2
    assert [(event.project, event.user_id) for event in door.events] == [("p1", "a"), ("p2", "b")]


def test_a_replay_of_the_original_mended(door: Any) -> None:
    from almanac.core.settings import Settings
    from almanac.ingest.replay import decode

    get(door, e_c="", url="https://x.example/")
    original = json.loads(door.dead[0]["original"])
    (event,) = decode(Settings(), "p1", "matomo", json.dumps({**original, "e_c": "shop"}))
    assert (event.name, event.url, event.project) == ("shop", "https://x.example/", "p1")


# ------------------------------------------------------------ recordings


def test_what_was_recorded(door: Any) -> None:
    door.catalog.keys["1"] = door.catalog.keys["test-write-key"]  # a project whose write key is the site's number
    seen = 0
    for request in mutated.recorded("matomo_raw"):
        door.clear()
        reply = door.send(request["method"], request["path"], mutated.body(request), headers=request["headers"], query=request["query"])
        assert (reply.status, len(reply.body) if reply.status == 204 else reply.status) in ((204, 0), (200, 200)), reply.body
        assert door.dead == []
        if request["phase"] == "bulk":
            assert reply.json == {"status": "success", "tracked": 25, "invalid": 0}
        for event in door.events:
            assert (event.user_id, event.anonymous_id, event.distinct_id) == ("user-r1", "0123456789abcdef", "user-r1")
            assert event.url.startswith("https://example.com/")
        seen += len(door.events)
    assert seen == 40
    assert door.unexpected == 0


def test_nothing_of_a_recorded_hit_is_lost(door: Any) -> None:
    door.catalog.keys["1"] = door.catalog.keys["test-write-key"]
    dropped = {"idsite", "rec", "apiv", "rand", "send_image", "token_auth"}
    for request in mutated.recorded("matomo_raw"):
        if request["method"] != "GET":
            continue
        door.clear()
        door.send("GET", request["path"], headers=request["headers"], query=request["query"])
        stored = json.dumps([json.loads(line) for line in door.log.lines], ensure_ascii=False)
        for name, value in parse_qsl(request["query"]):
            if name not in dropped and value[0] not in "[{" and name not in ("idgoal", "ping", "h", "m", "s"):
                assert value in stored or str(float(value)) in stored, (name, value)


# ------------------------------------------------------------ spoilt


def hits() -> list[dict[str, Any]]:
    found = [dict(parse_qsl(request["query"])) for request in mutated.recorded("matomo_raw") if request["method"] == "GET"]
    return [{**hit, "idsite": "test-write-key"} for hit in found]


def spoil(door: Any, place: int, changes: list[Any], as_text: bool) -> None:
    """One hit of a bulk request is spoilt; the others arrive, and it is counted."""
    requests: list[Any] = hits()
    place %= len(requests)
    requests[place] = mutated.spoilt(requests[place], changes)
    sent = [
        "?" + urlencode({str(name): str(value) for name, value in hit.items()}, errors="surrogatepass")
        if as_text and isinstance(hit, dict)
        else hit
        for hit in requests
    ]
    door.clear()
    door.seconds += 1  # only so many unknown keys are looked up in a second
    reply = bulk(door, *sent)
    assert door.unexpected == 0
    assert reply.status == 200, reply.body
    assert reply.json["tracked"] == len(door.events) >= len(requests) - 1
    assert len(door.events) + len(door.dead) == mutated.count(sent)
    for event in door.events:
        for name in ("properties", "context", "rest", "flags", "profile"):
            assert isinstance(json.loads(bytes(getattr(event, name))), dict)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 100), changes=mutated.CHANGES, as_text=st.booleans())
def test_one_spoilt_hit_goes_alone(place: int, changes: list[Any], as_text: bool, door: Any) -> None:
    spoil(door, place, changes, as_text)


@pytest.mark.nightly
@pytest.mark.timeout(7200)
@settings(max_examples=100_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(place=st.integers(0, 100), changes=mutated.CHANGES, as_text=st.booleans())
def test_one_spoilt_hit_goes_alone_at_length(place: int, changes: list[Any], as_text: bool, door: Any) -> None:
    spoil(door, place, changes, as_text)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass"))))
def test_any_body(body: bytes, door: Any) -> None:
    door.clear()
    reply = door.send("POST", "/matomo.php", body, query="idsite=test-write-key&send_image=0")
    assert reply.status in (200, 204, 400), reply.body
    assert door.unexpected == 0
