"""Every command. Wiring and printing only; what commands do lives in the rooms.

Over 300 lines: a command is some lines of flags and help, and they are read together.

With a server running on the data folder, commands talk to it over HTTP with its admin key; otherwise they open the folder in this process.
Results go to stdout, everything else (progress, errors) to stderr. Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
"""

from __future__ import annotations

import functools
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from almanac.core import settings as all_settings
from almanac.core.errors import invalid
from almanac.core.settings import Settings
from almanac.web.flags import day_of, edits_of, meant, of_question, of_settings, pairs_of, shaped
from almanac.web.terminal import print_answer, print_import, print_json, print_person, print_rows, say, show, show_rows, tell, write_pieces

if TYPE_CHECKING:
    from almanac.web.client import Api
    from almanac.web.import_desk import ImportDesk
    from almanac.web.projects import CatalogProjects

app = typer.Typer(
    name="almanac",
    help="Event analytics: every event kept exactly once, every behavioural question answered with a receipt.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
project_app = typer.Typer(help="Projects and their keys.", no_args_is_help=True)
letters_app = typer.Typer(help="Messages that could not become events.", no_args_is_help=True)
people_app = typer.Typer(help="Who is who.", no_args_is_help=True)
merge_app = typer.Typer(help="Merges of two ids into one person.", no_args_is_help=True)
app.add_typer(project_app, name="project")
app.add_typer(letters_app, name="dead-letters")
app.add_typer(people_app, name="people")
app.add_typer(merge_app, name="merge")

Data = Annotated[Path | None, typer.Option("--data", help="Data folder. Also ALMANAC_DATA.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Of = Annotated[str, typer.Option("--project", help="Id or name; may be left out when there is only one.", show_default=False)]

_PROJECT = ("id", "name", "zone", "week_start", "quota", "retention_days")
_LEDGER = ("project", "hour", "accepted", "stored", "duplicate", "rejected", "in_flight", "gap")

F = TypeVar("F", bound=Callable[..., Any])


def _guarded(command: F) -> F:
    """No stack trace reaches a user; an error is a sentence, its place and the way out."""

    @functools.wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.Abort):
            raise
        except BrokenPipeError:  # whoever read our output has enough of it
            sys.stderr.close()
        except Exception as error:
            tell(error)
        raise typer.Exit(1)

    return guarded  # type: ignore[return-value]


def _settings(data: Path | None, **given: Any) -> Settings:
    return all_settings.load({"data": data, **given})


@contextmanager
def _api(data: Path | None) -> Iterator[Api]:
    from almanac.app import open_rooms
    from almanac.web.client import reach

    with reach(_settings(data), open_rooms) as api:
        yield api


@contextmanager
def _projects(data: Path | None) -> Iterator[Api | CatalogProjects]:
    """Projects need no event store: another process may hold it."""
    from almanac.app import open_catalog
    from almanac.web.client import Api, HttpTransport, serving
    from almanac.web.projects import CatalogProjects

    settings = _settings(data)
    if server := serving(settings):
        yield Api(HttpTransport(server["url"], server.get("admin_key", "")))
        return
    catalog = open_catalog(settings)
    try:
        yield CatalogProjects(catalog)
    finally:
        catalog.close()


def serve(settings: Settings) -> int:
    """Run everything: collection, API and pages."""
    from almanac import app as house

    return house.serve(settings)


def _with_settings(command: Callable[[Settings], int]) -> Callable[..., None]:
    """A command that takes every setting as a flag."""

    def run(**given: Any) -> None:
        if code := command(all_settings.load(given)):
            raise typer.Exit(code)

    return shaped(_guarded(run), command.__name__, command.__doc__ or "", of_settings())


app.command("serve")(_with_settings(serve))


@app.command("demo")
@_guarded
def demo(
    data: Data = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of everything.")] = 8000,
    events: Annotated[int, typer.Option(help="How many events the made-up life has.", min=1000, max=5_000_000)] = 200_000,
) -> None:
    """Serve a made-up shop, with a known truth planted in its 90 days."""
    from almanac import app as house

    if code := house.demo(all_settings.load({"data": data, "host": host, "port": port}), events=events):
        raise typer.Exit(code)


@project_app.command("create")
@_guarded
def create_project(
    name: str,
    data: Data = None,
    as_json: AsJson = False,
    write_key: Annotated[str, typer.Option(help="A write key that SDKs have already; made when left out.", show_default=False)] = "",
    zone: Annotated[str, typer.Option(help="IANA zone in which days begin.")] = "UTC",
) -> None:
    """Make a project. Prints its keys as JSON, in the only moment when they can be read."""
    with _projects(data) as projects:
        print_json(projects.create_project(name, write_key=write_key, zone=zone))


@project_app.command("list")
@_guarded
def list_projects(data: Data = None, as_json: AsJson = False) -> None:
    """All projects."""
    with _projects(data) as projects:
        found = projects.projects()
    show_rows(
        found,
        _PROJECT,
        "There is no project yet. Make one with `almanac project create NAME`.",
        as_json,
    )


@project_app.command("set")
@_guarded
def set_project(
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
    with _projects(data) as projects:
        changed = projects.change_project(name, changes)
    show_rows([changed], _PROJECT, "", as_json, one=True)


@project_app.command("keys")
@_guarded
def project_keys(
    name: str,
    data: Data = None,
    as_json: AsJson = False,
    add: Annotated[
        Literal["write", "read", "admin"] | None, typer.Option(help="Make a further key of this role.", show_default=False)
    ] = None,
) -> None:
    """The keys of a project, without their secrets; a new one is printed once."""
    with _projects(data) as projects:
        found = [projects.create_key(name, add)] if add else projects.keys(name)
    if as_json:
        print_json(found[0] if add else found)
    else:
        print_rows(found, ("role", "key") if add else ("role", "prefix", "created_at"))


# ----------------------------------------------------------------- questions


@app.command("ask")
@_guarded
def ask(
    file: Annotated[str, typer.Argument(help="File with a question as JSON, or - for stdin.")],
    project: Of = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Answer a question."""
    text = sys.stdin.read() if file == "-" else Path(file).read_text()
    try:
        question = json.loads(text)
    except ValueError as error:
        raise invalid(f"The question is not valid JSON: {error}.", place=file) from None
    if not isinstance(question, dict):
        raise invalid("A question is one JSON object.", place=file, way_out='Such as {"kind": "trend", "series": ["signup"]}.')
    _ask(question, project, data, as_json)


@app.command("sql")
@_guarded
def ask_sql(statement: str, project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """Answer a SELECT over the project's events."""
    _ask({"kind": "sql", "sql": statement}, project, data, as_json)


def _ask(question: Mapping[str, Any], project: str, data: Path | None, as_json: bool) -> None:
    with _api(data) as api:
        answer = api.ask(project or api.only_project(), question)
    (print_json if as_json else print_answer)(answer)


def _add_questions() -> None:
    """One command for each kind of question; its flags are the question's fields."""
    from almanac.core.analysis import registry

    taken = {command.name for command in app.registered_commands}
    for kind, analysis in registry().items():
        if kind in taken:
            continue
        word = kind.replace("_", "-")
        app.command(word, help=analysis.doc, short_help=analysis.title, rich_help_panel="Questions")(_question_command(kind, analysis))


def _question_command(kind: str, analysis: Any) -> Callable[..., None]:
    def run(project: str, data: Path | None, as_json: bool, **given: Any) -> None:
        values = {name: meant(value) for name, value in given.items() if value not in (None, [])}
        _ask({"kind": kind, **values}, project, data, as_json)

    common = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind_of)
        for name, default, kind_of in (("project", "", Of), ("data", None, Data), ("as_json", False, AsJson))
    ]
    return shaped(_guarded(run), kind, analysis.doc, [*common, *of_question(analysis.question)])


@app.command("import")
@_guarded
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
    settings = _settings(data)
    with _importing(settings) as desk:
        found_project = desk.project(project)
        jobs = [Job(file, found_project, format_, columns, again) for file in files]
        outcome = desk.run(jobs)
    (print_json if as_json else print_import)(outcome)


@contextmanager
def _importing(settings: Settings) -> Iterator[ImportDesk]:
    from almanac import app as house
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


@app.command("export")
@_guarded
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
    days = [day_of(text, place) for text, place in ((date_from, "--date-from"), (date_to, "--date-to"))]
    if as_json and output is None:
        raise invalid("With --json the events need a file to go to.", place="--output", way_out="Give --output FILE, or leave --json out.")
    with _api(data) as api:
        pieces = api.export(project or api.only_project(), format_=format_, event=event, date_from=days[0], date_to=days[1])
        size = write_pieces(pieces, output)
    if as_json:
        print_json({"file": str(output), "bytes": size})
    elif output:
        print(f"{output}: {size} bytes.")


@app.command("ledger")
@_guarded
def ledger(project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """What became of every accepted event, by project and hour. A gap other than 0 is an alarm."""
    with _api(data) as api:
        rows = api.ledger(project)
    show_rows(rows, _LEDGER, "No event was accepted yet.", as_json)
    if any(row["gap"] for row in rows):
        say("There is a gap: see `almanac doctor`.")
        raise typer.Exit(1)


@letters_app.command("list")
@_guarded
def list_letters(
    project: Of = "",
    data: Data = None,
    as_json: AsJson = False,
    reason: Annotated[str, typer.Option(help="Only those of this reason.", show_default=False)] = "",
    state: Annotated[Literal["waiting", "replayed", "discarded"], typer.Option(help="What became of them.")] = "waiting",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most to show.")] = 100,
) -> None:
    """Dead letters with their reason and original, the newest first."""
    with _api(data) as api:
        found = api.dead_letters(project or api.only_project(), limit=limit, reason=reason, state=state)
    show_rows(found, ("id", "received", "reason", "detail", "original"), f"No dead letter is {state}.", as_json)


@letters_app.command("replay")
@_guarded
def replay_letters(
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
    with _api(data) as api:
        done = api.replay(project or api.only_project(), ids or (list(edits) or None), edits)
    show(done, f"{done.get('replayed', 0)} sent again, {len(done.get('failed') or [])} still cannot become events.", as_json)


@letters_app.command("discard")
@_guarded
def discard_letters(ids: list[str], project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """Give dead letters up. The ledger goes on counting them as rejected."""
    with _api(data) as api:
        done = api.discard(project or api.only_project(), ids)
    show(done, f"{done.get('discarded', len(ids))} discarded.", as_json)


@people_app.command("show")
@_guarded
def show_person(distinct_id: str, project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """One person: ids, merges, properties, latest events."""
    with _api(data) as api:
        found = api.person(project or api.only_project(), distinct_id)
    (print_json if as_json else print_person)(found)


@merge_app.command("undo")
@_guarded
def undo_merge(edge: str, project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """Take a merge back: from now on questions read two persons. No event moves."""
    _merge(edge, "undo", project, data, as_json)


@merge_app.command("redo")
@_guarded
def redo_merge(edge: str, project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """Make an undone merge count again."""
    _merge(edge, "redo", project, data, as_json)


def _merge(edge: str, deed: str, project: str, data: Path | None, as_json: bool) -> None:
    with _api(data) as api:
        done = api.merge(project or api.only_project(), edge, deed)
    show(done, f"The merge {edge} {'is undone' if deed == 'undo' else 'counts again'}.", as_json)


@app.command("backup")
@_guarded
def backup(folder: Path, data: Data = None, as_json: AsJson = False) -> None:
    """Back everything up to an empty folder, while events come in."""
    folder.mkdir(parents=True, exist_ok=True)
    with _api(data) as api:
        done = api.backup(str(folder.resolve()))
    show(done, f"{done['folder']}: {done['bytes']} bytes.", as_json)


@app.command("restore")
@_guarded
def restore(folder: Path, data: Data = None, as_json: AsJson = False) -> None:
    """Put a backup into an empty data folder."""
    from almanac.adapters.clickhouse import ClickHouseStore
    from almanac.watch import backup as backups

    settings = _settings(data)

    def fill(source: Path) -> None:
        store = ClickHouseStore.embedded(settings.store_folder, memory_bytes=settings.store_memory)
        try:
            store.restore(source)
            store.migrate()
        finally:
            store.close()

    done = backups.restore(folder, settings, fill)
    if as_json:
        print_json({"data": str(settings.data), **done})
    else:
        print(f"{settings.data} holds what the backup of {done['at']} held. `almanac serve --data {settings.data}` serves it.")


@app.command("doctor")
@_guarded
def doctor(
    data: Data = None,
    as_json: AsJson = False,
    key: Annotated[str, typer.Option(help="A key that is refused somewhere: what is it?", show_default=False)] = "",
    port: Annotated[int | None, typer.Option(help="The port that is to be free.", show_default=False)] = None,
) -> None:
    """Look for what is wrong, and say what to do."""
    from almanac import app as house
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


def main() -> None:
    """The `almanac` command."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    known = {command.name for command in app.registered_commands} | {group.name for group in app.registered_groups}
    if not words or words[0] not in known:
        _add_questions()  # the commands that are not written down here; reading them takes some tenths of a second
    app()


if __name__ == "__main__":
    main()
