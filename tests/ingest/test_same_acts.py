"""The same acts, told by the SDKs of five vendors, give the same numbers in the store."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tests.ingest.conftest import NOW_US, Bench

from almanac.core.event import Event
from almanac.core.settings import Settings
from almanac.ingest.call import Call
from almanac.ingest.keys import Grant
from almanac.ingest.protocols import Routes, registry

ADDRESS = "https://shop.example/tickets?utm_source=news&utm_medium=email"
AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
SEEN, BOUGHT, SENT = (NOW_US // 1000 - ago for ago in (61_000, 31_000, 0))  # milliseconds
FAST = 3_600_000  # how far ahead the sender's clock is, where the protocol can tell


class OneProject:
    def __init__(self, project: str) -> None:
        self.project = project

    def grant(self, secret: str) -> Grant:
        return Grant(self.project, 0)


def iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()


def taken(project: str, path: str, body: Any = None, query: str = "") -> list[Event]:
    """The events of a request."""
    call = Call(
        method="GET" if body is None else "POST",
        scheme="http",
        path=path,
        query=dict(parse_qsl(query)),
        headers={b"user-agent": AGENT.encode()},
        peer="198.51.100.7",
        received_us=NOW_US,
        settings=Settings(),
        keys=OneProject(project),
    )
    call.body = b"" if body is None else json.dumps(body).encode()
    routes, _ = Routes(iter(registry().values())).of(path)
    next(route for _, route in routes if route.method == call.method and (route.when is None or route.when(call))).handle(call)
    assert not call.rejected
    return call.events


def segment(project: str) -> list[Event]:
    page = {"url": ADDRESS, "title": "Tickets", "referrer": "https://mail.example/"}
    around = {"context": {"library": {"name": "analytics.js", "version": "1"}, "sessionId": "s1"}, "anonymousId": "a1"}
    batch = [
        {"type": "page", "messageId": "1", "timestamp": iso(SEEN + FAST), "properties": page, **around},
        {"type": "identify", "messageId": "2", "timestamp": iso(BOUGHT + FAST), "userId": "u1", **around},
        {
            "type": "track",
            "event": "order",
            "messageId": "3",
            "timestamp": iso(BOUGHT + FAST),
            "userId": "u1",
            "properties": {"revenue": 49.9, "currency": "EUR"},
            **around,
        },
    ]
    return taken(project, "/v1/batch", {"batch": batch, "sentAt": iso(SENT + FAST), "writeKey": "k"})


def snowplow(project: str) -> list[Event]:
    around = {"tv": "js-4.10.1", "p": "web", "aid": "k", "duid": "a1", "sid": "s1", "stm": str(SENT + FAST)}
    seen = {"e": "pv", "eid": "1", "dtm": str(SEEN + FAST), "url": ADDRESS, "page": "Tickets", "refr": "https://mail.example/"}
    bought = {"e": "tr", "eid": "2", "dtm": str(BOUGHT + FAST), "uid": "u1", "tr_id": "o1", "tr_tt": "49.9", "tr_cu": "EUR"}
    body = {
        "schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
        "data": [{**seen, **around}, {**bought, **around}],
    }
    return taken(project, "/com.snowplowanalytics.snowplow/tp2", body)


def snowplow_ecommerce(project: str) -> list[Event]:
    around = {"tv": "js-4.10.1", "p": "web", "aid": "k", "duid": "a1", "sid": "s1", "stm": str(SENT + FAST)}
    vendor = "iglu:com.snowplowanalytics.snowplow"
    action = {"schema": f"{vendor}.ecommerce/snowplow_ecommerce_action/jsonschema/1-0-2", "data": {"type": "transaction"}}
    order = {
        "schema": f"{vendor}.ecommerce/transaction/jsonschema/1-0-0",
        "data": {"transaction_id": "o1", "revenue": 49.9, "currency": "EUR"},
    }
    told = {
        "ue_px": {"schema": f"{vendor}/unstruct_event/jsonschema/1-0-0", "data": action},
        "cx": {"schema": f"{vendor}/contexts/jsonschema/1-0-0", "data": [order]},
    }
    packed = {name: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=") for name, value in told.items()}
    seen = {"e": "pv", "eid": "1", "dtm": str(SEEN + FAST), "url": ADDRESS, "page": "Tickets", "refr": "https://mail.example/"}
    bought = {"e": "ue", "eid": "2", "dtm": str(BOUGHT + FAST), "uid": "u1", **packed}
    return [event for message in (seen, bought) for event in taken(project, "/i", query=urlencode({**message, **around}))]


def ga4(project: str) -> list[Event]:
    page = {"page_location": ADDRESS, "page_title": "Tickets", "page_referrer": "https://mail.example/", "session_id": "s1"}
    order = {"transaction_id": "o1", "value": 49.9, "currency": "EUR", "session_id": "s1"}
    events = [
        {"name": "page_view", "params": page, "timestamp_micros": SEEN * 1000},
        {"name": "purchase", "params": order, "timestamp_micros": BOUGHT * 1000},
    ]
    requests = [{"client_id": "a1", "events": events[:1]}, {"client_id": "a1", "user_id": "u1", "events": events[1:]}]
    return [event for body in requests for event in taken(project, "/mp/collect", body, "measurement_id=G-1&api_secret=k")]


def matomo(project: str) -> list[Event]:
    around = {"idsite": "k", "rec": "1", "_id": "a1", "token_auth": "k"}
    seen = {"url": ADDRESS, "action_name": "Tickets", "urlref": "https://mail.example/", "cdt": str(SEEN // 1000)}
    bought = {"idgoal": "0", "ec_id": "o1", "revenue": "49.9", "uid": "u1", "cdt": str(BOUGHT // 1000)}
    return [event for hit in (seen, bought) for event in taken(project, "/matomo.php", query=urlencode({**hit, **around}))]


SENDERS = {"segment": segment, "snowplow": snowplow, "snowplow ecommerce": snowplow_ecommerce, "ga4": ga4, "matomo": matomo}


def test_the_same_acts_give_the_same_numbers(bench: Bench) -> None:
    projects = {name: f"{bench.project}-{place}" for place, name in enumerate(SENDERS)}
    bench.load(*(event for name, sender in SENDERS.items() for event in sender(projects[name])))
    everything = f"""
        SELECT project, kind IN ('page', 'screen') AS is_page, toUnixTimestamp(time) AS second, distinct_id, user_id, session_id, url, host,
            title, referrer_host, utm_source, utm_medium, channel, browser, is_server, revenue, currency
        FROM events
        WHERE startsWith(project, '{bench.project}-') AND kind != 'identify'
        ORDER BY project, time
    """
    rows = bench.rows(everything)
    for name, project in projects.items():
        seen, bought = [row for row in rows if row["project"] == project]
        told = {"second": SEEN // 1000, "distinct_id": "a1", "session_id": "" if name == "matomo" else "s1"}
        address = {"url": ADDRESS, "host": "shop.example", "title": "Tickets", "referrer_host": "mail.example"}
        campaign = {
            "utm_source": "news",
            "utm_medium": "email",
            "channel": "Email",
            "browser": "Chrome",
            "is_server": False,
            "revenue": None,
        }
        assert {"is_page": 1, **told, **address, **campaign}.items() <= seen.items(), name
        told = {"is_page": 0, "second": BOUGHT // 1000, "distinct_id": "u1", "revenue": 49.9, "is_server": False, "browser": "Chrome"}
        assert {**told, "currency": "" if name == "matomo" else "EUR"}.items() <= bought.items(), name
    edges = f"SELECT project, source, target, how FROM identity_edges WHERE startsWith(project, '{bench.project}-') ORDER BY project"
    # Segment's sender says who it is; the others' two ids stand on one event.
    how = {project: "identify" if name == "segment" else "same-event" for name, project in projects.items()}
    assert [list(row.values()) for row in bench.rows(edges)] == [[project, "a1", "u1", how[project]] for project in sorted(how)]
