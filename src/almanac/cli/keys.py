"""`almanac key`: who may send, read and manage, and until when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from almanac.cli.wiring import AsJson, Commands, Data, Of, projects_of
from almanac.web.terminal import print_json, say, show, show_rows

if TYPE_CHECKING:
    from almanac.web.client import Api
    from almanac.web.projects import CatalogProjects

app = Commands(help="Keys of a project: list, create, rotate, revoke.")

KeyId = Annotated[str, typer.Argument(metavar="ID", help="Id of the key, from `almanac key list`.", show_default=False)]
Grace = Annotated[float, typer.Option("--grace", min=0, max=8784, help="Hours in which the old key goes on working.")]


@contextmanager
def _entered(project: str, data: Path | None) -> Iterator[tuple[Api | CatalogProjects, str]]:
    with projects_of(data) as projects:
        yield projects, project or projects.only_project()


@app.command("list")
def list_(project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """All keys without their secrets, revoked ones too."""
    with _entered(project, data) as (projects, chosen):
        found = projects.keys(chosen)
    rows = found if as_json else [{**key, "key": f"{key['prefix']}…{key['last_four']}"} for key in found]
    show_rows(rows, ("id", "name", "role", "key", "created_at", "revoked_at"), "The project has no key.", as_json)


@app.command("create")
def create(
    role: Annotated[Literal["write", "read", "admin"], typer.Option(help="write: send events; read: ask; admin: everything.")],
    name: Annotated[str, typer.Option(help="What people call it, such as who sends with it.", show_default=False)] = "",
    project: Of = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a further key. Prints its secret, in the only moment when it can be read."""
    with _entered(project, data) as (projects, chosen):
        made = projects.create_key(chosen, role, name=name)
    _show_secret(made, as_json)


@app.command("rotate")
def rotate(key: KeyId, grace: Grace = 0.0, project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """Change a key for a new one of the same role and name. Prints the new secret, in the only moment when it can be read."""
    with _entered(project, data) as (projects, chosen):
        made = projects.rotate_key(chosen, key, grace_hours=grace)
    _show_secret(made, as_json)


@app.command("revoke")
def revoke(key: KeyId, grace: Grace = 0.0, project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """Refuse a key for ever; collectors that run do so within seconds. The other keys go on."""
    with _entered(project, data) as (projects, chosen):
        revoked = projects.revoke_key(chosen, key, grace_hours=grace)
    show(revoked, f"The key {revoked['prefix']}…{revoked['last_four']} is refused from {revoked['revoked_at']} on.", as_json)


def _show_secret(made: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    print(made["key"])
    say(f"This is the only moment when the key can be read. Its id is {made['id']}.")
