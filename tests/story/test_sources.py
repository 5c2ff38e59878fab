"""Sources beside a real server: deliveries that are repeated, a collector and an import that are killed, and every event counted once."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psutil
import pytest
from tests.story.servers import Server, until

SECRET = "whsec_of-the-story"
RECORDS = 60_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("sources") / "data", collectors=1, source_networks="127.0.0.1/32")
    with made:
        made.project("shop")
        yield made


def sources(server: Server, method: str, path: str, body: Any = None) -> Any:
    status, answer = server.call(method, f"/api/v1/projects/shop/sources{path}", body, key=server.keys["shop"]["admin"])
    assert status < 300, answer
    return answer


def deliver(server: Server, event: dict[str, Any]) -> int:
    """As Stripe does; 0 when nobody answered."""
    body = json.dumps(event).encode()
    at = int(time.time())
    code = hmac.new(SECRET.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    headers = {"Stripe-Signature": f"t={at},v1={code}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{server.url}/hooks/shop/payments", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def charge(number: int) -> dict[str, Any]:
    thing = {"id": f"ch_{number}", "object": "charge", "amount": 1000, "captured": True, "currency": "eur", "customer": f"cus_{number % 7}"}
    return {"id": f"evt_{number}", "type": "charge.succeeded", "created": int(time.time()), "data": {"object": thing}}


def test_deliveries_count_once_although_the_collector_is_killed(server: Server) -> None:
    sources(server, "PUT", "/payments", {"source": {"kind": "stripe", "secret": SECRET}})
    done = threading.Event()

    def kill() -> None:
        while not done.wait(0.7):
            server.kill("collector")

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        for number in range(60):
            for _ in range(200):  # a vendor tries again until it is answered
                if deliver(server, charge(number)) == 200:
                    break
                time.sleep(0.05)
            else:
                pytest.fail("the delivery was not taken")
    finally:
        done.set()
        killer.join()
    until(lambda: deliver(server, charge(0)) == 200)
    assert deliver(server, charge(0)) == 200  # and once more, as vendors do
    found = server.sql("shop", "SELECT count() AS n, uniqExact(distinct_id) AS people, sum(revenue) AS revenue FROM events")
    until(lambda: server.ledger("shop")["in_flight"] == 0)
    found = server.sql("shop", "SELECT count() AS n, uniqExact(distinct_id) AS people, sum(revenue) AS revenue FROM events")
    assert found == [{"n": 60, "people": 7, "revenue": 600.0}]
    books = server.ledger("shop")
    assert (books["gap"], books["stored"], books["duplicate"] >= 2) == (0, 60, True)
    state = sources(server, "GET", "/payments")["state"]
    assert state["status"] == "ok"
    assert state["totals"]["deliveries"] >= 2


class Slow(BaseHTTPRequestHandler):
    """A web server with one large file."""

    content = b"".join(
        json.dumps({"what": f"E{number % 5}", "who": f"u{number % 100}", "n": number}).encode() + b"\n" for number in range(RECORDS)
    )

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.send_header("ETag", f'"{len(self.content)}"')
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[str]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}/big.ndjson"
    made.shutdown()
    made.server_close()


def importer(server: Server) -> psutil.Process | None:
    engine = server.part("engine")
    return next((child for child in (engine.children() if engine else []) if "source" in child.cmdline()), None)


def test_an_import_that_is_killed_goes_on_and_counts_once(server: Server, web: str) -> None:
    mapping = {"event": "$.what", "user_id": "$.who", "others": "properties"}
    sources(server, "PUT", "/big", {"source": {"kind": "http", "urls": [web], "mapping": mapping, "schedule": "every day at 00:00"}})
    before = server.ledger("shop")["accepted"]
    sources(server, "POST", "/big/run")
    kills = 0
    while kills < 2 and (process := importer(server)) is not None:
        if sources(server, "GET", "/big")["state"]["run"].get("accepted", 0) or kills:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
            until(lambda: sources(server, "GET", "/big")["state"]["status"] == "failing")
            assert "signal 9" in sources(server, "GET", "/big")["state"]["sentence"]
            sources(server, "POST", "/big/run")
        time.sleep(0.05)
    assert kills, "it ended before it could be killed"
    until(lambda: sources(server, "GET", "/big")["state"]["status"] == "ok", 60)
    until(lambda: server.ledger("shop")["in_flight"] == 0, 60)
    found = server.sql("shop", "SELECT count() AS n, uniqExact(properties.n::Nullable(Int64)) AS records FROM events WHERE event LIKE 'E%'")
    assert found == [{"n": RECORDS, "records": RECORDS}]
    books = server.ledger("shop")
    assert books["gap"] == 0
    assert books["accepted"] - before >= RECORDS
    [file] = sources(server, "GET", "/big/files")
    assert (file["done"], file["records"], file["error"]) == (True, RECORDS, "")
    assert server.check("sources")["ok"]
