"""To run it and to keep it well: serve, demo, backup, restore, doctor; and to lend it to programs: mcp."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from almanac.cli.wiring import AsJson, Commands, Data, Of, reached, settings_of
from almanac.core import settings as all_settings
from almanac.core.settings import Settings
from almanac.web.flags import of_settings, shaped
from almanac.web.terminal import print_json, print_rows, show


def add_servers(app: Commands) -> None:
    """The commands that serve."""
    app.command("serve")(_with_settings(serve))
    app.command("demo")(demo)


def add(app: Commands) -> None:
    """The other commands of this file."""
    app.command("backup")(backup)
    app.command("restore")(restore)
    app.command("doctor")(doctor)
    app.command("mcp")(mcp)


def serve(settings: Settings) -> int:
    """Run everything: collection, API and pages."""
    from almanac import app

    return app.serve(settings)


def _with_settings(command: Callable[[Settings], int]) -> Callable[..., None]:
    """A command that takes every setting as a flag."""

    def run(**given: Any) -> None:
        if code := command(all_settings.load(given)):
            raise typer.Exit(code)

    return shaped(run, command.__name__, command.__doc__ or "", of_settings())


def demo(
    data: Data = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of everything.")] = 8000,
    events: Annotated[int, typer.Option(help="How many events the made-up life has.", min=1000, max=5_000_000)] = 200_000,
) -> None:
    """Serve a made-up shop that goes on living, with a known truth planted in its 90 days."""
    from almanac import app

    if code := app.demo(settings_of(data, host=host, port=port), events=events):
        raise typer.Exit(code)


def backup(folder: Path, data: Data = None, as_json: AsJson = False) -> None:
    """Back everything up to an empty folder, while events come in."""
    folder.mkdir(parents=True, exist_ok=True)
    with reached(data) as api:
        done = api.backup(str(folder.resolve()))
    show(done, f"{done['folder']}: {done['bytes']} bytes.", as_json)


def restore(folder: Path, data: Data = None, as_json: AsJson = False) -> None:
    """Put a backup into an empty data folder."""
    from almanac.adapters.clickhouse import ClickHouseStore
    from almanac.watch import backup as backups

    settings = settings_of(data)

    def fill(source: Path) -> None:
        store = ClickHouseStore.embedded(settings.store_folder, memory_bytes=settings.store_memory)
        try:
            store.restore(source)
            store.migrate()
        finally:
            store.close()

    done = backups.restore(folder, settings, fill)
    words = f"{settings.data} holds what the backup of {done['at']} held. `almanac serve --data {settings.data}` serves it."
    show({"data": str(settings.data), **done}, words, as_json)


def doctor(
    data: Data = None,
    as_json: AsJson = False,
    key: Annotated[str, typer.Option(help="A key that is refused somewhere: what is it?", show_default=False)] = "",
    port: Annotated[int | None, typer.Option(help="The port that is to be free.", show_default=False)] = None,
) -> None:
    """Look for what is wrong, and say what to do."""
    from almanac import house
    from almanac.web.checkup import checked

    findings = checked({"data": data, "port": port}, key, open_catalog=house.open_catalog, open_local=house.open_local)
    if as_json:
        print_json({"ok": all(finding.ok for finding in findings), "checks": [asdict(finding) for finding in findings]})
    else:
        rows = [{"": "ok" if item.ok else "WRONG", "check": item.name, "finding": item.finding} for item in findings]
        print_rows(rows, ("", "check", "finding"))
        for item in findings:
            if not item.ok and item.way_out:
                print(f"{item.name}: {item.way_out}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def mcp(
    data: Data = None,
    project: Of = "",
    url: Annotated[str, typer.Option(help="Instead of a data folder: the address of a server.", show_default=False)] = "",
    key: Annotated[str, typer.Option(envvar="ALMANAC_KEY", help="With --url: a read key.", show_default=False)] = "",
) -> None:
    """Serve questions, names and docs to a program that talks MCP over stdin and stdout. It can read, and change nothing."""
    from almanac.house import VERSION
    from almanac.web.client import Api, HttpTransport
    from almanac.web.mcp import over_stdio

    if url:
        over_stdio(Api(HttpTransport(url, key)), VERSION, project=project)
        return
    with reached(data) as api:
        over_stdio(api, VERSION, project=project)
