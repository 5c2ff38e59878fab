"""What programs that talk MCP may use: a tool for each kind of question, tools that look around, and the docs. Nothing of it writes.

Derived by walking the registry; no kind of question is named here. `mcp.py` carries it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from almanac.core.analysis import Analysis, registry
from almanac.core.errors import invalid, not_found
from almanac.definitions import KIND_NAMES, KINDS
from almanac.web.client import Api
from almanac.web.question_page import question_page

MOST_ROWS: Final = 500  # of one answer: more would only fill the reader's memory
_PAGES: Final = "almanac://docs/questions/"
_TEXT: Final = {"type": "string"}
_OBJECT: Final = {"type": "object"}
_PROJECT: Final = {"project": {**_TEXT, "description": "Id or name of the project; may be left out when the key enters only one."}}

INSTRUCTIONS: Final = (
    "Event analytics. Look around first: list_projects, list_events, list_properties, list_definitions. Then ask with the tool of a kind "
    "of question; each answer has rows and a receipt that says how they came about (range, zone, exact or not). The tool people tells "
    f"who is behind a row. The pages under {_PAGES} say how each kind counts, with worked examples."
)


@dataclass(frozen=True)
class Tool:
    """Something to be called by name. `schema`: JSON schema of its arguments."""

    name: str
    title: str
    description: str
    schema: dict[str, Any]
    run: Callable[[str, dict[str, Any]], Any]  # of a project's name ("": the only one) and the arguments


@dataclass(frozen=True)
class Page:
    """A text to read."""

    uri: str
    name: str
    description: str


class Toolbox:
    """All tools over one way to Almanac, whose key says what they may read."""

    def __init__(self, api: Api, project: str = "") -> None:
        """`project`: the one that is meant when a tool is told none."""
        self._api = api
        self._default = project
        self.tools: dict[str, Tool] = {tool.name: tool for tool in (*self._looking(), *self._asking())}

    def call(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The outcome, one object. Raises `AlmanacError`."""
        tool = self.tools.get(name)
        if tool is None:
            raise not_found(f"There is no tool {name!r}.", place="name", way_out=f"There are: {', '.join(self.tools)}.")
        given = dict(arguments)
        project = given.pop("project", "")
        if not isinstance(project, str):
            raise invalid("project is a text.", place="project", way_out="Give its id or name.")
        unknown = sorted(set(given) - set(tool.schema["properties"]))
        if unknown:
            known = ", ".join(tool.schema["properties"])
            raise invalid(f"There is no field {unknown[0]!r} here.", place=unknown[0], way_out=f"There are: {known}.")
        if missing := [one for one in tool.schema.get("required", ()) if one not in given]:
            raise invalid(f"The field {missing[0]!r} is missing.", place=missing[0], way_out="Give it a value.")
        found = tool.run(project, given)
        return found if isinstance(found, dict) else {"items": found}

    @property
    def pages(self) -> list[Page]:
        """One for each kind of question."""
        return [Page(f"{_PAGES}{kind}", kind, analysis.title) for kind, analysis in registry().items()]

    def read(self, uri: str) -> str:
        """The page, as Markdown. Raises `not_found`."""
        kind = uri.removeprefix(_PAGES)
        if not uri.startswith(_PAGES) or kind not in registry():
            raise not_found(f"There is no page {uri!r}.", place="uri", way_out=f"There are: {', '.join(page.uri for page in self.pages)}.")
        return question_page(registry()[kind])

    # ------------------------------------------------------------ the tools

    def _asking(self) -> list[Tool]:
        return [self._kind(kind, analysis) for kind, analysis in registry().items()]

    def _kind(self, kind: str, analysis: Analysis[Any]) -> Tool:
        def run(project: str, given: dict[str, Any]) -> Any:
            return self._asked(project, {"kind": kind, **given})

        about, schema = _described(kind)
        return Tool(kind, analysis.title, about, schema, run)

    def _asked(self, project: str, question: Mapping[str, Any]) -> Any:
        answer = self._api.ask(self._project(project), question)
        rows = answer["rows"]
        if len(rows) > MOST_ROWS:
            note = f"Only the first {MOST_ROWS} of {len(rows)} rows are here; ask for fewer (a longer interval, a limit, a narrower range)."
            return {**answer, "rows": rows[:MOST_ROWS], "rows_left_out": len(rows) - MOST_ROWS, "note": note}
        return answer

    def _looking(self) -> list[Tool]:
        api, of = self._api, self._project
        event = {"event": {**_TEXT, "description": "Only of this event name."}}
        limit = {"limit": {"type": "integer", "minimum": 1, "maximum": 1000, "description": "Most to give."}}
        question = {"question": {**_OBJECT, "description": "The question, with its kind."}}
        row = {"row": {**_OBJECT, "description": "A row of its answer."}, "after": {**_TEXT, "description": "`next` of the page before."}}
        receipts = {name: {**_OBJECT, "description": "The receipt of an answer, whole."} for name in ("first", "second")}
        kind = {"kind": {"enum": [*KINDS], "description": "What to list."}}
        saved = {
            "name": {**_TEXT, "description": "Its name."},
            "changes": {**_OBJECT, "description": "What to ask differently, such as its range."},
        }
        person = {"distinct_id": {**_TEXT, "description": "Any of the person's ids."}, **event, **limit}
        return [
            _tool("list_projects", "Projects that the key enters.", {}, lambda project, given: api.projects(), project=False),
            _tool(
                "list_events",
                "Event names with how often and when they came, the most frequent first.",
                {},
                lambda p, g: api.event_names(of(p)),
            ),
            _tool("list_properties", "Properties of events, with the types they came in.", event, lambda p, g: api.properties(of(p), **g)),
            _tool(
                "list_definitions",
                f"What is saved under names ({KIND_NAMES}), of one kind. "
                'Questions take {"metric": NAME} for an event, and {"segment": NAME} as a filter.',
                kind,
                lambda p, g: api.definitions(of(p), str(g["kind"])),
                required=["kind"],
            ),
            _tool(
                "latest_events",
                "The latest events as they were received.",
                {**event, **limit},
                lambda p, g: api.events(of(p), **{"limit": 20, **g}),
            ),
            _tool(
                "ask_saved",
                "Answers a saved question.",
                saved,
                lambda p, g: self._asked(p, {**g.get("changes", {}), "saved": g["name"]}),
                required=["name"],
            ),
            _tool(
                "people",
                "Who is behind a row of an answer: how many, and a page of them with ids, properties, first and last seen.",
                {**question, **row, **limit},
                lambda p, g: api.people(of(p), g.pop("question"), g.pop("row"), **{"limit": 20, **g}),
                required=["question", "row"],
            ),
            _tool(
                "person",
                "One person: ids, merges, properties, latest events.",
                person,
                lambda p, g: api.person(of(p), str(g.pop("distinct_id")), **{"limit": 50, **g}),
                required=["distinct_id"],
            ),
            _tool(
                "compare",
                "Why two answers differ, in sentences, from their receipts.",
                receipts,
                lambda p, g: api.compare(of(p), g["first"], g["second"]),
                required=["first", "second"],
            ),
            _tool(
                "explain",
                "What a question will read, and how to make it cheaper.",
                question,
                lambda p, g: api.explain(of(p), g["question"]),
                required=["question"],
            ),
        ]

    def _project(self, name: str) -> str:
        return name or self._default or self._api.only_project()


@cache
def _described(kind: str) -> tuple[str, dict[str, Any]]:
    """What a kind's tool is for, and the JSON schema of its arguments. Kept: for all kinds it takes 0.1 s to make."""
    analysis = registry()[kind]
    schema = analysis.question.model_json_schema()
    schema["properties"] = {**{name: field for name, field in schema["properties"].items() if name != "kind"}, **_PROJECT}
    schema.pop("description", None)
    example = json.dumps({name: value for name, value in analysis.examples[0].question.items() if name != "kind"})
    return f"{analysis.doc}\n\nA text stands for an event of that name. For example: {example}", schema


def _tool(
    name: str,
    description: str,
    properties: dict[str, Any],
    run: Callable[[str, dict[str, Any]], Any],
    *,
    required: list[str] | None = None,
    project: bool = True,
) -> Tool:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {**properties, **(_PROJECT if project else {})},
        "additionalProperties": False,
    }
    if required:
        schema["required"] = required
    return Tool(name, name.replace("_", " ").capitalize(), description, schema, run)
