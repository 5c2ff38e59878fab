"""`almanac key`: the keys of a project."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from almanac.cli.wiring import AsJson, Commands, Data, projects_of
from almanac.web.terminal import print_json, print_rows

app = Commands(help="Keys of a project.")


@app.command("list")
def list_(
    name: str,
    data: Data = None,
    as_json: AsJson = False,
    add: Annotated[
        Literal["write", "read", "admin"] | None, typer.Option(help="Make a further key of this role.", show_default=False)
    ] = None,
) -> None:
    """The keys of a project, without their secrets; a new one is printed once."""
    with projects_of(data) as projects:
        found = [projects.create_key(name, add)] if add else projects.keys(name)
    if as_json:
        print_json(found[0] if add else found)
    else:
        print_rows(found, ("role", "key") if add else ("role", "prefix", "created_at"))
