"""Questions: from a file, in SQL, and one command for each kind, its flags derived from the question's fields."""

from __future__ import annotations

import contextlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from almanac.cli.wiring import AsJson, Commands, Data, Of, entered
from almanac.core.errors import invalid
from almanac.web.flags import meant, of_question, shaped
from almanac.web.tables import MEDIA_TYPES
from almanac.web.terminal import print_answer, print_event, print_json, print_update, say, write_pieces


def add_free(app: Commands) -> None:
    """The commands that take any question."""
    app.command("ask")(ask)
    app.command("sql")(ask_sql)
    app.command("watch")(watch)
    app.command("compare")(compare)
    app.command("explain")(explain)


def ask(
    file: Annotated[str, typer.Argument(help="File with a question as JSON, or - for stdin.", show_default=False)] = "",
    saved: Annotated[str, typer.Option(help="Instead: the name of a saved question.", show_default=False)] = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="Past the cache.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", help="Write the rows to a file: .csv, .xlsx, .ndjson, .parquet or .json.", show_default=False)
    ] = None,
    project: Of = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Answer a question."""
    question = asked(file, saved)
    if output is None:
        _ask(question, project, data, as_json, fresh=fresh)
        return
    format_ = output.suffix.removeprefix(".")
    if format_ not in MEDIA_TYPES:
        way_out = f"Use .{', .'.join(MEDIA_TYPES)}."
        raise invalid(f"Answers are not written as {output.suffix or 'that'}.", place=str(output), way_out=way_out)
    with entered(project, data) as (api, chosen):
        size = write_pieces(api.answer_file(chosen, question, format_, fresh=fresh), output)
    say(f"{output}: {size} bytes.")


def explain(
    file: Annotated[str, typer.Argument(help="File with a question as JSON, or - for stdin.", show_default=False)] = "",
    saved: Annotated[str, typer.Option(help="Instead: the name of a saved question.", show_default=False)] = "",
    project: Of = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Say what a question will read, and how to make it cheaper, without answering it."""
    with entered(project, data) as (api, chosen):
        found = api.explain(chosen, asked(file, saved))
    if as_json:
        print_json(found)
        return
    print(found["sql"])
    print("\n".join(found["plan"]))
    took = f", some {found['seconds']:.3g} s" if found["seconds"] is not None else ""
    say(f"It reads about {found['rows']} of {found['all_rows']} rows{took}.")
    for sentence in found["advice"]:
        say(sentence)


def asked(file: str, saved: str) -> dict[str, Any]:
    """The question in a file (- is stdin), or the saved one of that name."""
    if bool(file) == bool(saved):
        raise invalid("Give either a file or the name of a saved question.", place="FILE", way_out="Or --saved NAME.")
    return {"saved": saved} if saved else _object(file, "question", 'Such as {"kind": "trend", "series": ["signup"]}.')


def watch(
    file: Annotated[str, typer.Argument(help="File with a question as JSON, or - for stdin.", show_default=False)] = "",
    saved: Annotated[str, typer.Option(help="Instead: the name of a saved question.", show_default=False)] = "",
    events: Annotated[bool, typer.Option("--events", help="Instead: the events as they come in.")] = False,
    project: Of = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Follow a question or the latest events, until Ctrl-C: each line is something that changed."""
    from almanac.web import live_client

    if [bool(file), bool(saved), events].count(True) != 1:
        raise invalid("Give a file, the name of a saved question, or --events.", place="FILE", way_out="almanac watch question.json")
    with entered(project, data) as (api, chosen), contextlib.suppress(KeyboardInterrupt):
        if events:
            for event in live_client.latest_events(*api.server(), chosen):
                print_event(event, as_json)
            return
        question = {"saved": saved} if saved else _object(file, "question", 'Such as {"kind": "trend", "series": ["signup"]}.')
        for number, update in enumerate(live_client.updates(*api.server(), chosen, question)):
            print_update(update.answer, update.changed, update.removed, as_json, first=not number)


def compare(
    first: Annotated[str, typer.Argument(help="File with an answer, as `almanac ask --json` prints it.")],
    second: Annotated[str, typer.Argument(help="File with the other answer.")],
    project: Of = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Say why two answers differ, from their receipts."""
    receipts = [_receipt(file) for file in (first, second)]
    with entered(project, data) as (api, chosen):
        found = api.compare(chosen, *receipts)
    if as_json:
        print_json(found)
        return
    for difference in found:
        print(difference["sentence"])
    if not found:
        say("Nothing makes them differ: they are the same question over the same events.")


def _receipt(file: str) -> dict[str, Any]:
    way_out = "Keep the output of `almanac ask --json`."
    receipt = _object(file, "answer", way_out).get("receipt")
    if not isinstance(receipt, dict):
        raise invalid("This answer has no receipt.", place=file, way_out=way_out)
    return receipt


def _object(file: str, what: str, way_out: str) -> dict[str, Any]:
    text = sys.stdin.read() if file == "-" else Path(file).read_text()
    try:
        found = json.loads(text)
    except ValueError as error:
        raise invalid(f"The {what} is not valid JSON: {error}.", place=file) from None
    if not isinstance(found, dict):
        raise invalid(f"A {what} is one JSON object.", place=file, way_out=way_out)
    return found


def ask_sql(statement: str, project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """Answer a SELECT over the project's events."""
    _ask({"kind": "sql", "sql": statement}, project, data, as_json)


def add_kinds(app: Commands) -> None:
    """One command for each kind of question that has none yet."""
    from almanac.core.analysis import registry

    taken = {command.name for command in app.registered_commands}
    for kind, analysis in registry().items():
        if kind in taken:
            continue
        word = kind.replace("_", "-")
        app.command(word, help=analysis.doc, short_help=analysis.title, rich_help_panel="Questions")(_command(kind, analysis))


def _command(kind: str, analysis: Any) -> Callable[..., None]:
    def run(project: str, data: Path | None, as_json: bool, **given: Any) -> None:
        values = {name: meant(value) for name, value in given.items() if value not in (None, [])}
        _ask({"kind": kind, **values}, project, data, as_json)

    common = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind_of)
        for name, default, kind_of in (("project", "", Of), ("data", None, Data), ("as_json", False, AsJson))
    ]
    return shaped(run, kind, analysis.doc, [*common, *of_question(analysis.question)])


def _ask(question: Mapping[str, Any], project: str, data: Path | None, as_json: bool, *, fresh: bool = False) -> None:
    with entered(project, data) as (api, chosen):
        answer = api.ask(chosen, question, fresh=fresh)
    (print_json if as_json else print_answer)(answer)
