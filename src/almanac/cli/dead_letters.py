"""`almanac dead-letters`: what could not become an event, looked at, mended, given up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from almanac.cli.wiring import AsJson, Commands, Data, Of, entered
from almanac.web.flags import edits_of
from almanac.web.terminal import show, show_rows

app = Commands(help="Messages that could not become events.")


@app.command("list")
def list_(
    project: Of = "",
    data: Data = None,
    as_json: AsJson = False,
    reason: Annotated[str, typer.Option(help="Only those of this reason.", show_default=False)] = "",
    state: Annotated[Literal["waiting", "replayed", "discarded"], typer.Option(help="What became of them.")] = "waiting",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most to show.")] = 100,
) -> None:
    """Dead letters with their reason and original, the newest first."""
    with entered(project, data) as (api, chosen):
        found = api.dead_letters(chosen, limit=limit, reason=reason, state=state)
    show_rows(found, ("id", "received", "reason", "detail", "original"), f"No dead letter is {state}.", as_json)


@app.command("replay")
def replay(
    ids: Annotated[list[str] | None, typer.Argument(help="Which; all that wait when left out.", show_default=False)] = None,
    project: Of = "",
    data: Data = None,
    as_json: AsJson = False,
    edit: Annotated[
        Path | None, typer.Option(help="Mended original of the one id that is given; a JSON file {id: text} for several.")
    ] = None,
) -> None:
    """Send dead letters again, mended or as they are. However often: an event counts once."""
    edits: dict[str, str] = {}
    if edit is not None:
        text = edit.read_text()
        edits = {ids[0]: text} if ids and len(ids) == 1 else edits_of(text, str(edit))
    with entered(project, data) as (api, chosen):
        done = api.replay(chosen, ids or (list(edits) or None), edits)
    show(done, f"{done['replayed']} sent again, {len(done['failed'])} still cannot become events.", as_json)


@app.command("discard")
def discard(ids: list[str], project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """Give dead letters up. The ledger goes on counting them as rejected."""
    with entered(project, data) as (api, chosen):
        done = api.discard(chosen, ids)
    show(done, f"{done['discarded']} discarded.", as_json)
