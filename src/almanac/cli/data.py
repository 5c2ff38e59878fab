"""What goes in and out, and the books: import, export, ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from almanac.cli.wiring import AsJson, Commands, Data, Of, entered, reached, settings_of
from almanac.core.errors import invalid
from almanac.core.settings import Settings
from almanac.web.flags import day_of, pairs_of
from almanac.web.terminal import print_import, print_json, say, show, show_rows, write_pieces

if TYPE_CHECKING:
    from almanac.web.import_desk import ImportDesk

_LEDGER = ("project", "hour", "accepted", "stored", "duplicate", "rejected", "in_flight", "gap")


def add(app: Commands) -> None:
    """The commands of this file."""
    app.command("import")(import_files)
    app.command("export")(export)
    app.command("ledger")(ledger)


def import_files(
    files: Annotated[list[Path], typer.Argument(help="NDJSON, JSON, CSV or Parquet; text may be gzipped.")],
    project: Of = "",
    data: Data = None,
    as_json: AsJson = False,
    format_: Annotated[str, typer.Option("--format", help="auto, native, almanac, segment or posthog.")] = "auto",
    column: Annotated[list[str] | None, typer.Option(help="NAME=COLUMN for tables, such as event=Action.", show_default=False)] = None,
    again: Annotated[bool, typer.Option(help="Import even a file that was imported so long ago that its ids are forgotten.")] = False,
) -> None:
    """Import events. Resumes where it was interrupted; the same file again adds nothing."""
    from almanac.ingest.importing import Job

    columns = pairs_of(column or [], "--column")
    with _importing(settings_of(data)) as desk:
        found_project = desk.project(project)
        jobs = [Job(file, found_project, format_, columns, again) for file in files]
        outcome = desk.run(jobs)
    (print_json if as_json else print_import)(outcome)


@contextmanager
def _importing(settings: Settings) -> Iterator[ImportDesk]:
    from almanac import house
    from almanac.web.client import Api, HttpTransport, InProcess, health, serving
    from almanac.web.import_desk import ImportDesk

    if server := serving(settings):

        def failing() -> str:
            checks = (health(server["url"]) or {}).get("checks", [])
            return next((str(check["detail"]) for check in checks if check["name"] == "load" and not check["ok"]), "")

        yield ImportDesk(settings, Api(HttpTransport(server["url"], server.get("admin_key", ""))), open_log=house.log_writer, stuck=failing)
        return
    with house.open_local(settings) as local:
        local.loader.drain()
        local.loader.start()
        try:
            yield ImportDesk(
                settings, Api(InProcess(house.rooms_of(local))), open_log=house.log_writer, stuck=lambda: local.loader.progress.last_error
            )
        finally:
            local.loader.stop()


def export(
    project: Of = "",
    data: Data = None,
    as_json: AsJson = False,
    event: Annotated[str, typer.Option(help="Only events of this name.", show_default=False)] = "",
    date_from: Annotated[str, typer.Option(help="First day, such as 2026-01-31; UTC.", show_default=False)] = "",
    date_to: Annotated[str, typer.Option(help="Last day; UTC.", show_default=False)] = "",
    format_: Annotated[Literal["ndjson", "csv", "parquet"], typer.Option("--format", help="Format of the file.")] = "ndjson",
    output: Annotated[Path | None, typer.Option(help="File to write; stdout when left out.", show_default=False)] = None,
) -> None:
    """Export events without loss; `almanac import` takes them back to the same ids."""
    first, last = day_of(date_from, "--date-from"), day_of(date_to, "--date-to")
    if as_json and output is None:
        raise invalid("With --json the events need a file to go to.", place="--output", way_out="Give --output FILE, or leave --json out.")
    with entered(project, data) as (api, chosen):
        size = write_pieces(api.export(chosen, format_=format_, event=event, date_from=first, date_to=last), output)
    if output:
        show({"file": str(output), "bytes": size}, f"{output}: {size} bytes.", as_json)


def ledger(project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """What became of every accepted event, by project and hour. A gap other than 0 is an alarm."""
    with reached(data) as api:
        rows = api.ledger(project)
    show_rows(rows, _LEDGER, "No event was accepted yet.", as_json)
    if any(row["gap"] for row in rows):
        say("There is a gap: see `almanac doctor`.")
        raise typer.Exit(1)
