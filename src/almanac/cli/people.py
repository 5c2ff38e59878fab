"""`almanac people` and `almanac merge`: who is who."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from almanac.cli.questions import asked
from almanac.cli.wiring import AsJson, Commands, Data, Of, entered
from almanac.web.flags import object_of
from almanac.web.terminal import print_json, print_person, print_rows, say, show, write_pieces

Limit = Annotated[int, typer.Option(min=1, max=1000, help="Most to show.")]
After = Annotated[str, typer.Option(help="Go on after a page, with the token that it ended with.", show_default=False)]

app = Commands(help="Who is who.")
merges = Commands(help="Merges of two ids into one person.")


@app.command("show")
def show_person(
    distinct_id: str,
    project: Of = "",
    data: Data = None,
    as_json: AsJson = False,
    limit: Limit = 100,
    event: Annotated[str, typer.Option(help="Only events of this name.", show_default=False)] = "",
    until: Annotated[str, typer.Option(help="Only events before this instant, such as 2026-01-31T12:00:00Z.", show_default=False)] = "",
    after: After = "",
) -> None:
    """One person: ids, merges, properties, and events, the latest first."""
    with entered(project, data) as (api, chosen):
        found = api.person(chosen, distinct_id, limit=limit, event=event, until=until, after=after)
    if as_json:
        print_json(found)
        return
    print_person(found)
    _more(found)


@app.command("behind")
def behind(
    file: Annotated[str, typer.Argument(help="File with a question as JSON, or - for stdin.", show_default=False)] = "",
    row: Annotated[str, typer.Option(help="A row of its answer, as JSON.", show_default=False)] = "",
    saved: Annotated[str, typer.Option(help="Instead of a file: the name of a saved question.", show_default=False)] = "",
    project: Of = "",
    data: Data = None,
    as_json: AsJson = False,
    limit: Limit = 100,
    after: After = "",
    output: Annotated[Path | None, typer.Option(help="Write all of them to this file, as CSV.", show_default=False)] = None,
) -> None:
    """The people behind a row of an answer."""
    question, wanted = asked(file, saved), object_of(row, "--row", 'Such as --row \'{"period": "2026-01-31"}\'.')
    with entered(project, data) as (api, chosen):
        if output is not None:
            size = write_pieces(api.people_file(chosen, question, wanted), output)
            show({"file": str(output), "bytes": size}, f"{output}: {size} bytes.", as_json)
            return
        found = api.people(chosen, question, wanted, limit=limit, after=after)
    if as_json:
        print_json(found)
        return
    print_rows(found["people"], ("distinct_id", "events", "first_seen", "last_seen", "properties"))
    say(f"{found['total']} people in all.")
    _more(found)


def _more(found: Mapping[str, Any]) -> None:
    if found["next"]:
        say(f"There are more: --after {found['next']}")


@merges.command("undo")
def undo(edge: str, project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """Take a merge back: from now on questions read two persons. No event moves."""
    _merge(edge, "undo", project, data, as_json)


@merges.command("redo")
def redo(edge: str, project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """Make an undone merge count again."""
    _merge(edge, "redo", project, data, as_json)


def _merge(edge: str, deed: str, project: str, data: Path | None, as_json: bool) -> None:
    with entered(project, data) as (api, chosen):
        done = api.merge(chosen, edge, deed)
    show(done, f"The merge {edge} {'is undone' if deed == 'undo' else 'counts again'}.", as_json)
