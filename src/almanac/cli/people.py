"""`almanac people` and `almanac merge`: who is who."""

from __future__ import annotations

from pathlib import Path

from almanac.cli.wiring import AsJson, Commands, Data, Of, entered
from almanac.web.terminal import print_json, print_person, show

app = Commands(help="Who is who.")
merges = Commands(help="Merges of two ids into one person.")


@app.command("show")
def show_person(distinct_id: str, project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """One person: ids, merges, properties, latest events."""
    with entered(project, data) as (api, chosen):
        found = api.person(chosen, distinct_id)
    (print_json if as_json else print_person)(found)


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
