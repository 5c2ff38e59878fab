"""`almanac user`: accounts of people, for when nobody can sign in yet, or any more. Read and written in the catalog, server or not."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from almanac.cli.wiring import AsJson, Commands, Data, settings_of
from almanac.core.errors import invalid, not_found
from almanac.web.terminal import say, show, show_rows

if TYPE_CHECKING:
    from almanac.core.ports import Catalog

app = Commands(help="Accounts of people: create, list, reset a password.")

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="What the person signs in with.", show_default=False)]


@contextmanager
def _catalog(data: Path | None) -> Iterator[Catalog]:
    from almanac.house import open_catalog

    catalog = open_catalog(settings_of(data))
    try:
        yield catalog
    finally:
        catalog.close()


@app.command("create")
def create(
    email: Email,
    name: Annotated[str, typer.Option(help="What others see; the email when left out.", show_default=False)] = "",
    owner: Annotated[bool, typer.Option("--owner", help="May do everything on this server. The first account always may.")] = False,
    project: Annotated[str, typer.Option(help="A project that the person becomes a member of.", show_default=False)] = "",
    role: Annotated[Literal["viewer", "analyst", "admin", "owner"], typer.Option(help="What the person may do there.")] = "viewer",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make an account. The password is asked for; without a terminal it is the first line of the input."""
    from almanac.adapters.passwords import hashed
    from almanac.core.accounts import checked_email, checked_name, checked_password

    plain = checked_email(email)
    shown_name = checked_name(name or plain)
    with _catalog(data) as catalog:
        id_ = catalog.project(project).id if project else ""
        if catalog.accounts.credentials(plain):
            raise invalid(f"There is an account of {plain} already.", place="EMAIL", way_out="`almanac user list` lists them.")
        password = checked_password(_asked(), plain)
        first = not catalog.accounts.any()
        made = catalog.accounts.create_user(plain, shown_name, hashed(password), owner=owner or first)
        if id_:
            catalog.accounts.set_role(id_, made.id, role)
    result = {"id": made.id, "email": made.email, "name": made.name, "owner": made.owner, "roles": {id_: role} if id_ else {}}
    what = "an owner of the server" if made.owner else f"{role} of {id_}" if id_ else "a member of no project yet"
    show(result, f"{made.email} can sign in: {what}.", as_json)


def _asked() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if password != getpass.getpass("Again: "):
        raise invalid("These are two different passwords.", way_out="Try again.")
    return password


@app.command("list")
def list_(data: Data = None, as_json: AsJson = False) -> None:
    """All accounts."""
    with _catalog(data) as catalog:
        found = catalog.accounts.all_accounts()
    rows: list[dict[str, Any]] = [
        {
            "id": account.user.id,
            "email": account.user.email,
            "name": account.user.name,
            "owner": account.user.owner,
            "disabled": account.user.disabled,
            "roles": dict(account.roles),
            "last_here": account.seen_at.strftime("%Y-%m-%d %H:%M UTC") if account.seen_at else None,
        }
        for account in found
    ]
    columns = ("email", "name", "owner", "disabled", "roles", "last_here")
    show_rows(rows, columns, "There is no account yet. Make one with `almanac user create EMAIL`.", as_json)


@app.command("reset-password")
def reset_password(email: Email, data: Data = None, as_json: AsJson = False) -> None:
    """Print a link that sets a new password: good once, for a day. The old password works until then."""
    from almanac.web.client import serving

    with _catalog(data) as catalog:
        found = catalog.accounts.credentials(email)
        if found is None:
            raise not_found(f"There is no account of {email}.", place="EMAIL", way_out="`almanac user list` lists them.")
        token, until = catalog.accounts.start_reset(found[0].id)
    server = serving(settings_of(data))
    link = f"{server['url'] if server else ''}/app/reset/{token}"
    if not server:
        say("No server runs on this data folder: put its address before the link.")
    show({"email": found[0].email, "link": link, "token": token, "expires_at": until.isoformat()}, link, as_json)
