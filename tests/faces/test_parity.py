"""The same question, the same answer, by every face: rows and definition, for the first worked example of each kind of question.

A face is one function from kind and question to rows and definition hash; a new one is a further line of `faces`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from tests.story.servers import Server, until

import almanac
from almanac.core.analysis import Analysis, registry
from almanac.web.live_client import updates

KINDS: dict[str, Analysis[Any]] = registry()
CLOCK = Path(__file__).parent.parent / "story" / "clock"
Answers = dict[str, tuple[list[dict[str, Any]], str]]  # by kind: rows, and the definition's hash
Questions = Mapping[str, dict[str, Any]]

# What the in-process face runs: the same client, on the data folder itself.
IN_PROCESS = """
import json, sys, almanac
from almanac.web.answers import Client
answers = {}
with almanac.open(sys.argv[1]) as opened:
    for kind, question in json.load(sys.stdin).items():
        answer = Client(opened.api, project=kind).ask(question)
        answers[kind] = [answer.rows, answer.receipt["definition_hash"]]
print(json.dumps(answers))
"""


def question_of(kind: str) -> dict[str, Any]:
    return {"kind": kind, **KINDS[kind].examples[0].question}


def taken(answer: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str]:
    return list(answer["rows"]), str(answer["receipt"]["definition_hash"])


def environment(folder: Path) -> dict[str, str]:
    """The clock stands in the days of the examples, in every process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ALMANAC_")}
    return {**kept, "PYTHONPATH": f"{CLOCK}:{kept.get('PYTHONPATH', '')}", "TESTS_CLOCK": str(folder / "wrong-by")}


# ------------------------------------------------------------------- the faces


def by_rest(server: Server, questions: Questions) -> Answers:
    found = {}
    for kind, question in questions.items():
        status, answer = server.call("POST", f"/api/v1/projects/{kind}/ask", question, key=server.keys[kind]["read"])
        assert status == 200, answer
        found[kind] = taken(answer)
    return found


def by_graphql(server: Server, questions: Questions) -> Answers:
    """By the kind's own field, its arguments as variables of the types that the schema gives them."""
    key = server.keys["trend"]["read"]
    asked = '{__type(name: "Project") {fields {name args {name type {...T ofType {...T ofType {...T ofType {...T}}}}}}}} '
    schema = server.call("POST", "/graphql", {"query": f"{asked} fragment T on __Type {{kind name}}"}, key=key)[1]
    arguments = {
        field["name"]: {item["name"]: spelled(item["type"]) for item in field["args"]} for field in schema["data"]["__type"]["fields"]
    }
    found = {}
    for kind, question in questions.items():
        given = {name: value for name, value in question.items() if name != "kind"}
        declared = ", ".join([f"${name}: {arguments[kind][name]}" for name in given])
        passed = ", ".join(f"{name}: ${name}" for name in given)
        columns = " ".join(KINDS[kind].row.model_fields)
        rows = f"rows {{{columns}}}" if columns else "rows"
        query = f'query ({declared}) {{project(id: "{kind}") {{{kind}({passed}) {{columns {{name}} {rows} receipt {{definition_hash}}}}}}}}'
        body = {"query": query, "variables": given}
        status, told = server.call("POST", "/graphql", body, key=server.keys[kind]["read"])
        assert (status, "errors" in told) == (200, False), told
        answer = told["data"]["project"][kind]
        # GraphQL gives all columns of a kind; an answer has those that its `columns` name.
        names = [column["name"] for column in answer["columns"]]
        answer["rows"] = [{name: row[name] for name in names} for row in answer["rows"]]
        found[kind] = taken(answer)
    return found


def spelled(kind: dict[str, Any]) -> str:
    inner = spelled(kind["ofType"]) if kind.get("ofType") else kind["name"]
    return {"NON_NULL": f"{inner}!", "LIST": f"[{inner}]"}.get(kind["kind"], str(kind["name"]))


def by_mcp(server: Server, questions: Questions) -> Answers:
    async def asked() -> Answers:
        found = {}
        for kind, question in questions.items():
            headers = {"Authorization": f"Bearer {server.keys[kind]['read']}"}
            async with (
                httpx2.AsyncClient(headers=headers, timeout=60) as http,
                Client(streamable_http_client(f"{server.url}/mcp", http_client=http)) as client,
            ):
                found[kind] = await called(client, kind, question)
        return found

    return asyncio.run(asked())


def by_mcp_over_stdio(server: Server, questions: Questions) -> Answers:
    words = ["-m", "almanac.cli", "mcp", "--data", str(server.folder)]
    parameters = StdioServerParameters(command=sys.executable, args=words, env=environment(server.folder.parent))

    async def asked() -> Answers:
        async with Client(parameters) as client:
            return {kind: await called(client, kind, {**question, "project": kind}) for kind, question in questions.items()}

    return asyncio.run(asked())


async def called(client: Client, kind: str, question: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    outcome = await client.call_tool(kind, {name: value for name, value in question.items() if name != "kind"})
    assert not outcome.is_error, outcome.content
    return taken(outcome.structured_content)


def by_command_line(server: Server, questions: Questions) -> Answers:
    found = {}
    for kind, question in questions.items():
        words = [sys.executable, "-m", "almanac.cli", "ask", "-", "--project", kind, "--data", str(server.folder), "--json"]
        done = subprocess.run(
            words, input=json.dumps(question), capture_output=True, text=True, timeout=120, env=environment(server.folder.parent)
        )
        assert done.returncode == 0, done.stderr
        found[kind] = taken(json.loads(done.stdout))
    return found


def by_python(server: Server, questions: Questions) -> Answers:
    found = {}
    for kind, question in questions.items():
        with almanac.open(server.url, key=server.keys[kind]["read"], project=kind) as client:
            model = KINDS[kind].question.model_validate(question)
            answer = client.ask(model)
            found[kind] = (answer.rows, answer.receipt["definition_hash"])
    return found


def by_websocket(server: Server, questions: Questions) -> Answers:
    """The first answer that a subscription gets."""
    return {
        kind: taken(next(updates(server.url, server.keys[kind]["read"], kind, question)).answer) for kind, question in questions.items()
    }


def in_process(folder: Path, questions: Questions) -> Answers:
    words = [sys.executable, "-c", IN_PROCESS, str(folder)]
    given = environment(folder.parent)
    done = subprocess.run(words, input=json.dumps(questions), capture_output=True, text=True, timeout=300, env=given)
    assert done.returncode == 0, done.stderr
    return {kind: (rows, definition) for kind, (rows, definition) in json.loads(done.stdout).items()}


FACES: dict[str, Callable[[Server, Questions], Answers]] = {
    "GraphQL": by_graphql,
    "MCP over HTTP": by_mcp,
    "MCP over stdio": by_mcp_over_stdio,
    "command line": by_command_line,
    "Python": by_python,
    "WebSocket": by_websocket,
}


# ------------------------------------------------------------------- the story


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answers]:
    """By face. Each kind has a project of its own, with the events of its first worked example."""
    folder = tmp_path_factory.mktemp("parity")
    wrong_by = (datetime(2026, 1, 31, 12, tzinfo=UTC) - datetime.now(UTC)).total_seconds()
    (folder / "wrong-by").write_text(f"{wrong_by}\n")
    server = Server(folder / "data", environment=environment(folder), collectors=1)
    for kind in KINDS:
        server.project(kind)
    questions = {kind: question_of(kind) for kind in KINDS}
    with server:
        for kind, analysis in KINDS.items():
            batch = [sendable(kind, place, event) for place, event in enumerate(analysis.examples[0].events)]
            status, told = server.call("POST", "/api/v1/events", batch, key=server.keys[kind]["write"])
            assert (status, told["rejected"]) == (200, []), told
            until(lambda kind=kind, batch=batch: server.ledger(kind)["stored"] == len(batch))
        found = {"REST": by_rest(server, questions), **{name: face(server, questions) for name, face in FACES.items()}}
    return {**found, "in process": in_process(server.folder, questions)}


def sendable(kind: str, place: int, event: Mapping[str, Any]) -> dict[str, Any]:
    """An event of an example as senders send it."""
    known = {
        name: event[name]
        for name in ("event", "time", "kind", "properties", "url", "title", "screen", "referrer", "groups")
        if name in event
    }
    person = {"person": {"set": event["person_properties"]}} if event.get("person_properties") else {}
    page = {"url": f"https://shop.example{event['path']}"} if "path" in event else {}
    return {**known, **person, **page, "id": f"{kind}-{place}", "user_id": event["person"]}


@pytest.mark.parametrize("face", [*FACES, "in process"])
def test_a_question_has_one_answer(answers: dict[str, Answers], face: str) -> None:
    for kind, (rows, definition) in answers["REST"].items():
        assert answers[face][kind] == (rows, definition), kind
        assert rows, kind


def test_it_is_the_one_that_was_worked_out_by_hand(answers: dict[str, Answers]) -> None:
    """Where the events can be sent as the example has them, and the range was over long before."""
    plain = {"person", "event", "time", "properties"}
    sure = [
        kind
        for kind, analysis in KINDS.items()
        if {name for event in analysis.examples[0].events for name in event} <= plain
        and analysis.examples[0].question.get("date_to", "later") < "2026-01-25"
    ]
    assert len(sure) >= 5
    for kind in sure:
        assert answers["REST"][kind][0] == [dict(row) for row in KINDS[kind].examples[0].rows], kind
