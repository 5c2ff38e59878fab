"""MCP, by its own client: over HTTP through a real server's public port, and over stdio."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from tests.story.servers import Server, until

from almanac.core.analysis import registry
from almanac.web.toolbox import MOST_ROWS, Toolbox

EVENTS = [{"type": "track", "event": "visit", "userId": f"u{n % 3}", "timestamp": f"2026-01-0{5 + n}T09:00:00Z"} for n in range(4)]
TREND = {"series": ["visit"], "interval": "total", "date_from": "2026-01-05", "date_to": "2026-01-08"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("mcp") / "data", collectors=1)
    server.project("shop")
    with server:
        write = server.keys["shop"]["write"]
        assert server.call("POST", "/v1/batch", {"batch": EVENTS, "writeKey": write}, key="")[0] == 200
        until(lambda: server.ledger("shop")["stored"] == len(EVENTS))
        yield server


@asynccontextmanager
async def over_http(server: Server, key: str, mode: Any = "auto") -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=30) as http,
        Client(streamable_http_client(f"{server.url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


def stdio(*words: str, **more: str) -> StdioServerParameters:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ALMANAC_")}
    return StdioServerParameters(command=sys.executable, args=["-m", "almanac.cli", "mcp", *words], env={**environment, **more})


async def looked_around(client: Client) -> None:
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(registry()) <= set(tools)
    for kind, analysis in registry().items():
        own = {info.alias or name for name, info in analysis.question.model_fields.items() if name != "kind"}
        assert set(tools[kind].input_schema["properties"]) == own | {"project"}
        assert tools[kind].annotations is not None
        assert tools[kind].annotations.read_only_hint
    names = (await client.call_tool("list_events", {})).structured_content
    assert [(item["event"], item["count"]) for item in names["items"]] == [("visit", 4)]
    answer = await client.call_tool("trend", TREND)
    assert answer.structured_content["rows"][0]["value"] == 4
    assert answer.structured_content["receipt"]["exact"] is True
    assert json.loads(answer.content[0].text) == answer.structured_content
    pages = (await client.list_resources()).resources
    assert {page.name for page in pages} == set(registry())
    (page,) = (await client.read_resource("almanac://docs/questions/trend")).contents
    assert page.text.startswith("# trend\n")
    question = {"kind": "stickiness", "series": ["visit"], "date_from": "2026-01-05", "date_to": "2026-01-08"}
    behind = (await client.call_tool("people", {"question": question, "row": {"series": "visit", "periods": 2}})).structured_content
    assert (behind["total"], behind["people"][0]["distinct_id"]) == (1, "u0")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_by_http_with_a_read_key(server: Server, mode: Any) -> None:
    async def story() -> None:
        async with over_http(server, server.keys["shop"]["read"], mode) as client:
            await looked_around(client)

    asyncio.run(story())


def test_by_stdio_over_a_data_folder_and_over_an_address(server: Server) -> None:
    async def story(parameters: StdioServerParameters) -> None:
        async with Client(parameters) as client:
            await looked_around(client)

    asyncio.run(story(stdio("--data", str(server.folder))))
    asyncio.run(story(stdio("--url", server.url, ALMANAC_KEY=server.keys["shop"]["read"])))


def test_what_is_wrong_is_said_and_the_talk_goes_on(server: Server) -> None:
    async def story() -> None:
        async with over_http(server, server.keys["shop"]["read"]) as client:
            for name, arguments, code, place in (
                ("trend", {"series": ["visit"], "interval": "fortnight"}, "invalid", "interval"),
                ("trend", {"serie": ["visit"]}, "invalid", "serie"),
                ("people", {"row": {}}, "invalid", "question"),
                ("list_events", {"project": "theirs"}, "not_found", "project"),
                ("list_events", {"project": 3}, "invalid", "project"),
                ("horoscope", {}, "not_found", "name"),
                ("latest_events", {"limit": 0}, "invalid", "limit"),
            ):
                found = await client.call_tool(name, arguments)
                assert found.is_error, name
                error = found.structured_content["error"]
                assert (error["code"], error["place"]) == (code, place), error
            with pytest.raises(MCPError, match="no page 'almanac://docs/questions/horoscope'"):
                await client.read_resource("almanac://docs/questions/horoscope")
            assert not (await client.call_tool("list_projects", {})).is_error

    asyncio.run(story())


def test_keys(server: Server) -> None:
    server.project("theirs")
    initialize = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }
    accept = {"accept": "application/json, text/event-stream"}
    for key, status in (("", 401), ("wrong", 401), (server.keys["shop"]["write"], 403), (server.keys["shop"]["read"], 200)):
        answered = server.call("POST", "/mcp", initialize, key=key, headers=accept)
        assert answered[0] == status, answered
    status, refused = server.call("GET", "/mcp", key=server.keys["shop"]["read"], headers=accept)
    assert (status, refused["error"]["code"]) == (405, "invalid")

    async def others() -> Any:
        async with over_http(server, server.keys["theirs"]["read"]) as client:
            return await client.call_tool("trend", {**TREND, "project": "shop"})

    assert asyncio.run(others()).structured_content["error"]["code"] == "not_found"


def test_it_can_change_nothing(server: Server) -> None:
    """Even with a key that may: all it ever sends are requests that read."""
    sent: list[tuple[str, str]] = []

    class Recording:
        def send(self, method: str, path: str, body: bytes | None) -> Iterator[bytes]:
            sent.append((method, path.partition("?")[0].rpartition("/")[2]))
            yield b'{"projects": [{"id": "shop"}], "rows": []}'

    from almanac.web.client import Api

    toolbox = Toolbox(Api(Recording()))
    filled = {"question": {}, "row": {}, "first": {}, "second": {}, "kind": "metric", "name": "n", "distinct_id": "d", "limit": 1}
    for tool in toolbox.tools.values():
        given = {name: filled[name] for name in tool.schema["properties"] if name in filled}
        required = {name: "x" for name in tool.schema.get("required", ()) if name not in given}
        toolbox.call(tool.name, {**given, **required, "project": "shop"} if "project" in tool.schema["properties"] else given)
    asking = {"ask", "people", "compare", "explain"}
    assert {method for method, _ in sent} == {"GET", "POST"}
    assert {word for method, word in sent if method == "POST"} == asking


def test_a_long_answer_is_cut_and_says_so(server: Server) -> None:
    async def story() -> Any:
        async with over_http(server, server.keys["shop"]["read"]) as client:
            return await client.call_tool("sql", {"sql": "SELECT number FROM numbers(700)"})

    found = asyncio.run(story()).structured_content
    assert (len(found["rows"]), found["rows_left_out"]) == (MOST_ROWS, 200)
    assert "first 500 of 700 rows" in found["note"]


def test_stdin_that_ends_ends_it(server: Server, tmp_path: Path) -> None:
    async def story() -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "almanac.cli",
            "mcp",
            "--data",
            str(server.folder),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.close()
        return await asyncio.wait_for(process.wait(), 30)

    assert asyncio.run(story()) == 0
