"""Questions seen and stopped over HTTP; also by a connection that breaks, through a collector's server and granian as in the product."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import uvloop
from tests.test_stops import SLOW, a_second, until

from almanac.adapters.http_server import HttpServer
from almanac.app import _listening
from almanac.web.forward import Forward

if TYPE_CHECKING:
    from tests.faces.conftest import House, Keys


@pytest.fixture(scope="module")
def shop(house: House) -> Keys:
    return house.project("shop of long questions")


def call(house: House, keys: Keys, method: str, path: str, body: Any = None, *, key: str = "", id_: str = "") -> Any:
    headers = {"Authorization": f"Bearer {key or keys.read}"} | ({"X-Question-Id": id_} if id_ else {})
    return house.client.request(method, f"/api/v1/projects/{keys.project}/{path}", json=body, headers=headers)


def listed(house: House, keys: Keys) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = call(house, keys, "GET", "questions").json()
    return found


def test_a_question_is_seen_and_stopped_by_its_id(house: House, shop: Keys) -> None:
    id_ = str(uuid4())
    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(call, house, shop, "POST", "ask", SLOW, id_=id_)
        until(lambda: any(one["rows_read"] for one in listed(house, shop)))
        (shown,) = listed(house, shop)
        assert (shown["id"], shown["kind"], shown["state"], shown["rows"]) == (id_, "sql", "running", 4_000_000_000)
        other = house.project("shop of no questions")
        assert listed(house, other) == []
        assert call(house, other, "DELETE", f"questions/{id_}").status_code == 204
        assert listed(house, shop), "whoever is not of the project stops nothing of it"
        assert call(house, shop, "DELETE", f"questions/{id_}", key=shop.write).status_code == 403
        limit = a_second(house.rooms.store)
        assert call(house, shop, "DELETE", f"questions/{id_}").status_code == 204
        assert until(lambda: not house.rooms.store.running()) < limit
        answer = asking.result(timeout=2)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")
    assert answer.json()["error"]["message"] == "The question was stopped before it was answered."
    assert call(house, shop, "DELETE", f"questions/{id_}").status_code == 204, "it has ended meanwhile"
    assert call(house, shop, "DELETE", "questions/5").status_code == 400
    assert call(house, shop, "POST", "ask", SLOW, id_="five").json()["error"]["place"] == "header.X-Question-Id"


def graph(house: House, shop: Keys, id_: str) -> Any:
    asked = f'{{project(id: "{shop.project}") {{ask(question: {{kind: "sql", sql: "{SLOW["sql"]}"}}) {{rows}}}}}}'
    headers = {"Authorization": f"Bearer {shop.read}", "X-Question-Id": id_}
    return house.client.post("/graphql", json={"query": asked}, headers=headers)


def test_a_question_by_graphql_is_seen_and_stopped_too(house: House, shop: Keys) -> None:
    id_ = str(uuid4())
    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(graph, house, shop, id_)
        until(lambda: any(one["rows_read"] for one in listed(house, shop)))
        assert [(one["id"], one["kind"]) for one in listed(house, shop)] == [(id_, "sql")]
        limit = a_second(house.rooms.store)
        assert call(house, shop, "DELETE", f"questions/{id_}").status_code == 204
        assert until(lambda: not house.rooms.store.running()) < limit
        answer = asking.result(timeout=2)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["extensions"]["code"]) == (200, "conflict")


class Stack:
    """The house behind granian on a socket, and a collector's server before it."""

    def __init__(self, house: House, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._run(house, folder / "engine.sock")))
        self._thread.start()
        assert self._ready.wait(10)

    async def _run(self, house: House, path: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with _listening(house.client.app, uds=path):
            while not path.exists():
                await asyncio.sleep(0.01)
            forward = Forward(path)
            server = HttpServer(forward)
            await server.start("127.0.0.1", self.port)
            self._ready.set()
            await self._stop.wait()
            await server.stop(2)
            forward.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def stack(house: House, tmp_path: Path) -> Iterator[Stack]:
    made = Stack(house, tmp_path)
    yield made
    made.stop()


TOOL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "sql", "arguments": {"sql": SLOW["sql"]}},
}


@pytest.mark.parametrize("path", ["/api/v1/projects/{project}/ask", "/graphql", "/mcp"])
def test_whoever_hangs_up_wants_no_answer(house: House, shop: Keys, stack: Stack, path: str) -> None:
    query = f'{{project(id: "{shop.project}") {{sql(sql: "{SLOW["sql"]}") {{rows}}}}}}'
    body = json.dumps({"/graphql": {"query": query}, "/mcp": TOOL}.get(path, SLOW)).encode()
    head = (
        f"POST {path.format(project=shop.project)} HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n"
        f"accept: application/json, text/event-stream\r\nmcp-protocol-version: 2025-06-18\r\n"
        f"authorization: Bearer {shop.read}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", stack.port), timeout=5) as connection:
        connection.sendall(head.encode() + body)
        until(lambda: any(one["rows_read"] for one in listed(house, shop)))
        assert len(house.rooms.store.running()) == 1
    assert until(lambda: not house.rooms.store.running()) < 1.0 + a_second(house.rooms.store)
    until(lambda: not listed(house, shop))


def test_whoever_only_stops_sending_gets_a_quick_answer(house: House, shop: Keys, stack: Stack) -> None:
    with socket.create_connection(("127.0.0.1", stack.port), timeout=5) as connection:
        connection.sendall(b"GET /api/v1/me HTTP/1.1\r\nhost: h\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        time.sleep(0.2)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
