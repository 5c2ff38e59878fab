"""`almanac project`: projects, from the first key to the last row."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from almanac.cli.wiring import AsJson, Commands, Data, projects_of, reached
from almanac.web.terminal import print_json, say, show, show_rows

app = Commands(help="Projects.")

_COLUMNS = ("id", "name", "zone", "week_start", "quota", "retention_days")


@app.command("create")
def create(
    name: str,
    data: Data = None,
    as_json: AsJson = False,
    write_key: Annotated[str, typer.Option(help="A write key that SDKs have already; made when left out.", show_default=False)] = "",
    zone: Annotated[str, typer.Option(help="IANA zone in which days begin.")] = "UTC",
) -> None:
    """Make a project. Prints its keys as JSON, in the only moment when they can be read."""
    with projects_of(data) as projects:
        print_json(projects.create_project(name, write_key=write_key, zone=zone))


@app.command("list")
def list_(data: Data = None, as_json: AsJson = False) -> None:
    """All projects."""
    with projects_of(data) as projects:
        found = projects.projects()
    show_rows(found, _COLUMNS, "There is no project yet. Make one with `almanac project create NAME`.", as_json)


@app.command("set")
def set_(
    name: str,
    data: Data = None,
    as_json: AsJson = False,
    zone: Annotated[str | None, typer.Option(help="IANA zone in which days begin.", show_default=False)] = None,
    week_start: Annotated[Literal["monday", "sunday"] | None, typer.Option(help="First day of the week.", show_default=False)] = None,
    quota: Annotated[int | None, typer.Option(min=0, help="Events per second; 0: no limit of its own.", show_default=False)] = None,
    retention_days: Annotated[int | None, typer.Option(min=0, help="Days that events are kept; 0: for ever.", show_default=False)] = None,
) -> None:
    """Change a project; what is left out stays."""
    given = {"zone": zone, "week_start": week_start, "quota": quota, "retention_days": retention_days}
    changes = {key: value for key, value in given.items() if value is not None}
    with projects_of(data) as projects:
        changed = projects.change_project(name, changes)
    show_rows([changed], _COLUMNS, "", as_json, one=True)


@app.command("delete")
def delete(
    name: str,
    data: Data = None,
    as_json: AsJson = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for the name again.")] = False,
) -> None:
    """Delete a project for ever: keys, events, everything. Asks for its name again."""
    with reached(data) as api:
        if not yes:
            say(f"{name} and all its events will be deleted for ever. Type the name again to go on:")
        ended = api.delete_project(name, name if yes else sys.stdin.readline().strip())
    show(ended, f"{ended['id']} is deleted, with {ended['events']} events.", as_json)
