"""Webhooks: Stripe's and GitHub's as they send them, anybody's by a mapping; who is believed, and that nothing is lost or counted twice."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.ingest.protocols.conftest import NOW_US, Door, Reply

from almanac.adapters.catalog_sql import SqlCatalog
from almanac.core.event import DeadLetter, Event, Kind
from almanac.core.settings import Settings
from almanac.core.source import DOCUMENT, source_of, written
from almanac.ingest.replay import decode

SECRET = "whsec_a-secret-of-the-tests"
NOW = NOW_US // 1_000_000

CHARGE: dict[str, Any] = {
    "id": "evt_1charge",
    "object": "event",
    "api_version": "2026-09-30",
    "created": NOW - 30,
    "type": "charge.succeeded",
    "livemode": True,
    "pending_webhooks": 1,
    "data": {
        "object": {
            "id": "ch_1",
            "object": "charge",
            "amount": 2500,
            "amount_captured": 2500,
            "captured": True,
            "currency": "eur",
            "customer": "cus_9",
            "status": "succeeded",
            "metadata": {"user_id": "u7", "cart": "c-1"},
            "billing_details": {"address": {"country": "DE"}},
        }
    },
}
REFUND = {
    **CHARGE,
    "id": "evt_2refund",
    "type": "charge.refunded",
    "data": {"object": {**CHARGE["data"]["object"], "amount_refunded": 900}, "previous_attributes": {"amount_refunded": 400}},
}
CHECKOUT = {
    **CHARGE,
    "id": "evt_3checkout",
    "type": "checkout.session.completed",
    "data": {
        "object": {
            "id": "cs_1",
            "object": "checkout.session",
            "amount_total": 2500,
            "currency": "eur",
            "client_reference_id": "u7",
            "customer": {"id": "cus_9"},
        }
    },
}
INVOICE = {
    **CHARGE,
    "id": "evt_4invoice",
    "type": "invoice.paid",
    "data": {"object": {"id": "in_1", "object": "invoice", "total": 2500, "amount_paid": 2500, "currency": "jpy", "customer": "cus_9"}},
}
PULL = {
    "action": "opened",
    "number": 7,
    "pull_request": {"number": 7, "title": "Mend it", "state": "open", "merged": False, "base": {"ref": "main"}, "html_url": "https://x/7"},
    "repository": {"full_name": "acme/shop", "private": True, "size": 12},
    "organization": {"login": "acme", "id": 1},
    "sender": {"login": "octo", "id": 99},
}


class Hooks:
    """A door with a project of its own and sources in a real catalog."""

    def __init__(self, folder: Path, **given: Any) -> None:
        self.catalog = SqlCatalog(f"sqlite:///{folder / 'catalog.db'}")
        made, self.keys = self.catalog.create_project("Shop")
        self.project = made.id
        self.door = Door(catalog=self.catalog, settings=Settings(data=folder), **given)  # type: ignore[arg-type]

    def source(self, name: str, **body: Any) -> None:
        self.catalog.put(DOCUMENT, self.project, name, {"source": written(source_of(body))})

    def post(self, name: str, body: bytes, **headers: str) -> Reply:
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        return self.door.loop.run_until_complete(self.door.request("POST", f"/hooks/{self.project}/{name}", body, headers=sent))

    def stripe(self, event: Any, *, at: int = NOW, secret: str = SECRET, name: str = "payments") -> Reply:
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        return self.post(name, body, stripe_signature=stripe_header(body, at, secret))

    def github(self, kind: str, payload: Any, *, delivery: str = "d-1", secret: str = SECRET) -> Reply:
        body = json.dumps(payload).encode()
        return self.post("code", body, x_github_event=kind, x_github_delivery=delivery, x_hub_signature_256=github_header(body, secret))

    @property
    def events(self) -> list[Event]:
        return [event for event in self.door.log.all if event.kind != Kind.DEAD_LETTER]

    @property
    def letters(self) -> list[DeadLetter]:
        return [msgspec.json.decode(event.rest, type=DeadLetter) for event in self.door.log.all if event.kind == Kind.DEAD_LETTER]

    def close(self) -> None:
        self.door.loop.close()
        self.catalog.close()


def stripe_header(body: bytes, at: int, secret: str) -> str:
    code = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={'0' * 64},v1={code},v0=00"


def github_header(body: bytes, secret: str) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.fixture
def hooks(tmp_path: Path) -> Iterator[Hooks]:
    made = Hooks(tmp_path)
    made.source("payments", kind="stripe", secret=SECRET)
    made.source("code", kind="github", secret=SECRET)
    yield made
    made.close()


def raw(value: Any) -> Any:
    return json.loads(bytes(value))


def test_a_charge_of_stripe_is_revenue_of_its_person(hooks: Hooks) -> None:
    reply = hooks.stripe(CHARGE)
    assert (reply.status, reply.json) == (200, {"accepted": 1, "rejected": []})
    [event] = hooks.events
    assert (event.name, event.kind, event.event_id, event.project) == ("charge.succeeded", "track", "stripe:evt_1charge", "shop")
    assert (event.user_id, event.anonymous_id, event.distinct_id) == ("u7", "cus_9", "u7")
    assert event.client_time == "2026-11-20T21:09:30+00:00"
    assert (event.protocol, event.library, event.is_server, event.ip) == ("hooks", "webhook:payments", True, "")
    assert raw(event.properties) == {
        "object": "charge",
        "object_id": "ch_1",
        "status": "succeeded",
        "livemode": True,
        "currency": "EUR",
        "revenue": 25.0,
    }
    # What the mapping does not take is beside the event, and nothing of it is there twice.
    rest = raw(event.rest)["payload"]
    assert rest["data"]["object"]["billing_details"] == {"address": {"country": "DE"}}
    assert rest["data"]["object"]["metadata"] == {"cart": "c-1"}
    assert rest["api_version"] == "2026-09-30"
    assert not {"type", "created", "livemode", "id"} & set(rest)


def test_a_payment_counts_once_however_many_events_it_brings(hooks: Hooks) -> None:
    for event in (CHARGE, CHECKOUT, REFUND, INVOICE):
        assert hooks.stripe(event).status == 200
    money = {event.name: raw(event.properties).get("revenue") for event in hooks.events if event.kind == "track"}
    assert money == {"charge.succeeded": 25.0, "checkout.session.completed": None, "charge.refunded": -5.0, "invoice.paid": None}


def test_invoices_may_bring_the_revenue(hooks: Hooks) -> None:
    hooks.source("invoices", kind="stripe", secret=SECRET, revenue="invoices")
    hooks.stripe(INVOICE, name="invoices")
    hooks.stripe(CHARGE, name="invoices")
    assert [raw(event.properties).get("revenue") for event in hooks.events] == [2500, None]  # yen have no smaller unit


def test_the_checkout_says_that_customer_and_user_are_one(hooks: Hooks) -> None:
    hooks.stripe(CHECKOUT)
    event, who = hooks.events
    assert (event.name, event.user_id, event.anonymous_id) == ("checkout.session.completed", "u7", "cus_9")
    assert [(merge.source, merge.target, merge.how) for merge in who.merges] == [("cus_9", "u7", "identify")]
    assert who.event_id == "stripe:evt_3checkout#who"


def test_the_same_delivery_again_has_the_same_id(hooks: Hooks) -> None:
    hooks.stripe(CHARGE)
    hooks.door.now_us += 60_000_000
    hooks.stripe(CHARGE, at=NOW + 60)
    first, again = hooks.events
    assert first.event_id == again.event_id


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("", "no signature"),
        ("v1=abc", "not of the form"),
        ("t=abc", "not of the form"),
        (f"t={NOW},v1={'a' * 64}", "does not fit"),
        (f"t={NOW},v1=é", "does not fit"),
        (stripe_header(b"{}", NOW, SECRET), "does not fit"),
        (stripe_header(json.dumps(CHARGE).encode(), NOW - 301, SECRET), "301 s old"),
        (stripe_header(json.dumps(CHARGE).encode(), NOW + 400, SECRET), "400 s ahead"),
        (stripe_header(json.dumps(CHARGE).encode(), NOW, "another-secret"), "does not fit"),
    ],
)
def test_a_delivery_that_is_not_signed_right_is_refused_in_a_sentence(hooks: Hooks, header: str, words: str) -> None:
    headers = {"stripe_signature": header} if header else {}
    reply = hooks.post("payments", json.dumps(CHARGE).encode(), **headers)
    assert reply.status == 401
    assert words in reply.json["error"]["message"]
    assert SECRET not in reply.body.decode()
    assert hooks.door.log.lines == []


def test_a_source_that_is_not_there_or_is_paused(hooks: Hooks) -> None:
    hooks.source("later", kind="stripe", secret=SECRET, enabled=False)
    assert hooks.stripe(CHARGE, name="none").status == 404
    paused = hooks.stripe(CHARGE, name="later")
    assert (paused.status, paused.headers["retry-after"]) == (503, "300")
    assert "paused" in paused.json["error"]["message"]


def test_a_pull_request_of_github(hooks: Hooks) -> None:
    assert hooks.github("pull_request", PULL).status == 200
    [event] = hooks.events
    assert (event.name, event.event_id, event.user_id) == ("pull_request.opened", "github:d-1", "octo")
    assert raw(event.groups) == {"repository": "acme/shop", "organization": "acme"}
    properties = raw(event.properties)
    assert {name: properties[name] for name in ("action", "number", "title", "state", "merged", "branch")} == {
        "action": "opened",
        "number": 7,
        "title": "Mend it",
        "state": "open",
        "merged": False,
        "branch": "main",
    }
    assert raw(event.rest)["payload"]["repository"] == {"size": 12}


def test_github_may_send_a_form(hooks: Hooks) -> None:
    body = b"payload=" + quote_plus(json.dumps({**PULL, "commits": [1, 2]})).encode()
    headers = {"x_github_event": "push", "x_github_delivery": "d-2", "x_hub_signature_256": github_header(body, SECRET)}
    assert hooks.post("code", body, content_type="application/x-www-form-urlencoded", **headers).status == 200
    [event] = hooks.events
    assert (event.name, raw(event.properties)["commit_count"]) == ("push.opened", 2)


def test_a_mapping_of_ones_own_goes_over_the_vendors(hooks: Hooks) -> None:
    hooks.source("mine", kind="stripe", secret=SECRET, mapping={"user_id": "$.data.object.metadata.cart", "properties": {"c": "$.created"}})
    hooks.stripe(CHARGE, name="mine")
    [event] = hooks.events
    assert (event.name, event.user_id) == ("charge.succeeded", "c-1")
    assert raw(event.properties)["c"] == NOW - 30
    assert raw(event.properties)["revenue"] == 25.0


GENERIC = {"kind": "generic", "secret": SECRET, "sample": {}, "mapping": {"event": "$.what", "id": "$.id", "user_id": "$.who"}}


def test_standard_webhooks(hooks: Hooks) -> None:
    """Id and time are signed too (standardwebhooks.com): the secret is base64, and there may be several signatures."""
    key = base64.b64encode(b"a key of twenty-four bytes").decode()
    signature = {
        "header": "webhook-signature",
        "prefix": "v1,",
        "encoding": "base64",
        "key": "base64",
        "signed": "{id}.{timestamp}.{body}",
        "id_header": "webhook-id",
        "timestamp_header": "webhook-timestamp",
    }
    hooks.source("standard", **{**GENERIC, "secret": f"whsec_{key}", "signature": signature, "mapping": {"event": "$.what"}})
    body = b'{"what":"Opened"}'

    def send(id_: str, at: int) -> int:
        code = base64.b64encode(hmac.new(base64.b64decode(key), f"msg_1.{at}.".encode() + body, hashlib.sha256).digest()).decode()
        headers = {"webhook_id": id_, "webhook_timestamp": str(at), "webhook_signature": f"v1,AAAA v1,{code}"}
        return hooks.post("standard", body, **headers).status

    assert send("msg_1", NOW) == 200
    assert send("msg_2", NOW) == 401  # the id is signed: nobody can make a second delivery of one that he saw
    assert send("msg_1", NOW - 1000) == 401
    [event] = hooks.events
    assert event.event_id == "hook:standard:msg_1"


def test_a_token_for_those_who_sign_nothing(hooks: Hooks) -> None:
    hooks.source("token", **{**GENERIC, "signature": {"style": "token", "header": "X-Gitlab-Token"}})
    body = b'{"what":"Opened","id":1,"who":"u1"}'
    assert hooks.post("token", body, x_gitlab_token="wrong").status == 401
    assert hooks.post("token", body, x_gitlab_token=SECRET).status == 200
    assert [(event.name, event.event_id, event.user_id) for event in hooks.events] == [("Opened", "hook:token:1", "u1")]
    assert SECRET not in b"".join(hooks.door.log.lines).decode()


def signed(hooks: Hooks, name: str, body: bytes) -> Reply:
    return hooks.post(name, body, x_signature=hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest())


def test_one_bad_event_takes_no_good_one_with_it_and_can_be_replayed(hooks: Hooks) -> None:
    hooks.source("many", **{**GENERIC, "mapping": {**GENERIC["mapping"], "each": "$.events"}})  # type: ignore[dict-item]
    body = json.dumps({"events": [{"what": "A", "id": 1}, {"id": 2, "who": "u2"}, {"what": "C"}, 7]}).encode()
    reply = signed(hooks, "many", body)
    assert reply.status == 200
    assert [(one["index"], one["reason"]) for one in reply.json["rejected"]] == [(1, "no_name"), (3, "not_an_object")]
    first, third = hooks.events
    assert (first.event_id, third.event_id.endswith("#2")) == ("hook:many:1", True)
    original = json.loads(hooks.letters[0].original)
    assert (original["source"], original["part"], original["payload"]) == ("many", 1, {"id": 2, "who": "u2"})
    # Nothing of it changed: it waits on. Mended, it is an event with the id that it would have had.
    [again] = decode(hooks.door.settings, hooks.project, "hooks", hooks.letters[0].original, catalog=hooks.catalog)
    assert again.kind == Kind.DEAD_LETTER
    original["payload"]["what"] = "B"
    [mended] = decode(hooks.door.settings, hooks.project, "hooks", json.dumps(original), catalog=hooks.catalog)
    assert (mended.name, mended.event_id, mended.user_id) == ("B", "hook:many:2", "u2")


def test_what_is_no_json_is_kept_and_answered_with_200(hooks: Hooks) -> None:
    assert hooks.stripe(b"not json").status == 200
    assert [(letter.reason, json.loads(letter.original)["payload"]) for letter in hooks.letters] == [("not_json", "not json")]


def test_a_full_log_is_told_so_that_the_vendor_sends_again(hooks: Hooks) -> None:
    from almanac.core.errors import unavailable

    hooks.door.log.failing = unavailable("The log is full.", retry_after=3)
    assert hooks.stripe(CHARGE).status == 503
    hooks.door.log.failing = None
    assert hooks.stripe(CHARGE).status == 200
    assert len(hooks.events) == 1


def test_a_delivery_by_hand_needs_a_write_key(hooks: Hooks) -> None:
    body = json.dumps({"source": "payments", "payload": CHARGE}).encode()

    def post(**headers: str) -> int:
        return hooks.door.loop.run_until_complete(hooks.door.request("POST", "/hooks/", body, headers=headers)).status

    assert post() == 401
    assert post(authorization=f"Bearer {hooks.keys['read']}") == 403
    assert post(authorization=f"Bearer {hooks.keys['write']}") == 200
    assert hooks.events[0].event_id == "stripe:evt_1charge"


def test_a_changed_secret_is_noticed_and_a_removed_source_too(hooks: Hooks) -> None:
    assert hooks.stripe(CHARGE).status == 200
    hooks.source("payments", kind="stripe", secret="another-secret")
    hooks.door.seconds += 3
    assert hooks.stripe(CHARGE).status == 401
    assert hooks.stripe(CHARGE, secret="another-secret").status == 200
    hooks.catalog.delete(DOCUMENT, hooks.project, "payments")
    hooks.door.seconds += 3
    assert hooks.stripe(CHARGE, secret="another-secret").status == 404


mutations = st.lists(
    st.tuples(st.sampled_from(["cut", "put", "drop", "swap", "deep"]), st.integers(0, 2000), st.binary(max_size=6)), max_size=4
)


def mutated(body: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    for what, place, junk in changes:
        place %= len(body) + 1
        if what == "cut":
            body = body[:place]
        elif what == "put":
            body = body[:place] + junk + body[place:]
        elif what == "drop":
            body = body[:place] + body[place + 3 :]
        elif what == "swap":
            body = body.replace(b'"', junk, 1) if junk else body[::-1]
        else:
            body = body[:place] + b"[" * 600 + body[place:]
    return body


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hooks]:
    made = Hooks(tmp_path_factory.mktemp("fuzz"))
    made.source("payments", kind="stripe", secret=SECRET)
    made.source("many", **{**GENERIC, "mapping": {**GENERIC["mapping"], "each": "$.events"}})  # type: ignore[dict-item]
    yield made
    made.close()


def spoiled_delivery(hooks: Hooks, body: bytes, changes: list[tuple[str, int, bytes]]) -> None:
    """However it looks, it is answered, and is an event or a dead letter."""
    hooks.door.log.lines.clear()
    reply = hooks.stripe(mutated(body, changes))
    assert reply.status == 200, reply.body
    assert len(hooks.door.log.all) >= 1


@given(st.sampled_from([CHARGE, REFUND, CHECKOUT, INVOICE]), mutations)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_law_spoiled_deliveries_are_answered_and_kept(fuzzed: Hooks, event: dict[str, Any], changes: list[tuple[str, int, bytes]]) -> None:
    spoiled_delivery(fuzzed, json.dumps(event).encode(), changes)


@pytest.mark.nightly
@given(st.sampled_from([CHARGE, REFUND, CHECKOUT, INVOICE]), mutations)
@settings(max_examples=100_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_law_spoiled_deliveries_many(fuzzed: Hooks, event: dict[str, Any], changes: list[tuple[str, int, bytes]]) -> None:
    spoiled_delivery(fuzzed, json.dumps(event).encode(), changes)


items = st.lists(
    st.one_of(
        st.builds(lambda name: {"what": name}, st.text("abc", min_size=1, max_size=3)),
        st.sampled_from([{}, {"what": None}, {"what": {}}, 7, None, "x", []]),
    ),
    max_size=6,
)


@given(items)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_law_good_events_come_through_beside_bad_ones(fuzzed: Hooks, events: list[Any]) -> None:
    fuzzed.door.log.lines.clear()
    reply = signed(fuzzed, "many", json.dumps({"events": events}).encode())
    good = [one["what"] for one in events if isinstance(one, dict) and isinstance(one.get("what"), str)]
    assert reply.status == 200
    assert [event.name for event in fuzzed.events] == good
    assert [one["index"] for one in reply.json["rejected"]] == [
        place for place, one in enumerate(events) if not (isinstance(one, dict) and isinstance(one.get("what"), str))
    ]
    assert len({event.event_id for event in fuzzed.events}) == len(good)
