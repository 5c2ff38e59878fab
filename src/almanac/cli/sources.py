"""`almanac source`: webhooks, and files that are fetched by a schedule."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from almanac.cli.wiring import AsJson, Commands, Data, Of, entered
from almanac.core.errors import AlmanacError, Code, invalid
from almanac.web.terminal import print_json, say, show, show_rows

app = Commands(help="Sources of events other than SDKs: signed webhooks, and files of S3, web servers and folders.")

_POLL: Final = 0.5  # seconds
_COLUMNS: Final = ("name", "kind", "status", "last", "next", "sentence")

SourceFile = Annotated[Path, typer.Argument(help="YAML or JSON file with kind and the other fields.")]
SecretFrom = Annotated[
    list[str] | None,
    typer.Option("--secret-from", help="FIELD=VARIABLE: a secret, from the environment: secret=STRIPE_SECRET.", show_default=False),
]


@app.command("list")
def list_(project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """All sources and how they fare."""
    with entered(project, data) as (api, chosen):
        found = api.sources(chosen)
    rows = found if as_json else [{**item, **item["state"]} for item in found]
    show_rows(rows, _COLUMNS, "There is no source.", as_json)


@app.command("show")
def show_one(name: str, project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """One source, without its secrets, with its last runs."""
    with entered(project, data) as (api, chosen):
        found = api.source(chosen, name)
    show(found, _described(found), as_json)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Small letters, digits, - and _.")],
    file: SourceFile,
    project: Of = "",
    data: Data = None,
    as_json: AsJson = False,
    secret_from: SecretFrom = None,
) -> None:
    """Save a source, in the place of the one of that name. Secrets that are left out stay as they were."""
    body = read_source(file, secret_from or [])
    with entered(project, data) as (api, chosen):
        saved = api.save_source(chosen, name, body)
    path = saved["path"]
    show(saved, f"{name} is saved. " + (f"Its sender posts to {path} of this server." if path else saved["state"]["sentence"]), as_json)


@app.command("try")
def try_out(
    file: SourceFile,
    project: Of = "",
    data: Data = None,
    as_json: AsJson = False,
    sample: Annotated[
        Path | None, typer.Option(help="A delivery's body, or some lines of a file; left out: its sample, or a real file.")
    ] = None,
    header: Annotated[list[str] | None, typer.Option(help="NAME=VALUE: a header of the delivery.", show_default=False)] = None,
    name: Annotated[str, typer.Option(help="Use the secrets of the source of this name.", show_default=False)] = "",
    secret_from: SecretFrom = None,
) -> None:
    """Show what a source would bring. Nothing is kept. Exits with 1 when something would become a dead letter."""
    body = read_source(file, secret_from or [])
    text = sample.read_text() if sample is not None else None
    headers = dict(_pair(item, "--header") for item in header or [])
    with entered(project, data) as (api, chosen):
        found = api.try_source(chosen, body, name=name, sample=text, headers=headers)
    if as_json:
        print_json(found)
    else:
        if found["files"]:
            show_rows(found["files"], ("key", "size", "modified"), "", as_json)
        show_rows(found["events"], ("event", "distinct_id", "time", "properties", "groups", "id"), "It makes no event.", as_json)
        if found["rejected"]:
            show_rows(found["rejected"], ("index", "reason", "detail"), "", as_json)
    if found["rejected"]:
        raise typer.Exit(1)


@app.command("run")
def run(name: str, project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """Fetch what is new now, and wait until it is in the log. Exits with 1 when something failed."""
    with entered(project, data) as (api, chosen):
        before = api.source(chosen, name)["state"]["run"].get("began", "")
        api.run_source(chosen, name)
        while True:
            found = _patiently(api, chosen, name)
            if found is not None and found["state"]["status"] != "running":
                break
            time.sleep(_POLL)
    state = found["state"]
    if state["run"].get("began", "") == before and not state["run"].get("error"):
        say("The run did not begin; see the server's log.")
        raise typer.Exit(1)
    show(found, state["sentence"], as_json)
    if state["status"] == "failing":
        raise typer.Exit(1)


@app.command("files")
def files(
    name: str,
    project: Of = "",
    data: Data = None,
    as_json: AsJson = False,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that could not be imported.")] = False,
) -> None:
    """The files that a source looked at last."""
    with entered(project, data) as (api, chosen):
        found = api.source_files(chosen, name, failed=failed)
    show_rows(found, ("key", "done", "records", "accepted", "rejected", "at", "error"), "No file yet.", as_json)


@app.command("delete")
def delete(name: str, project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """Remove a source. Its events stay."""
    with entered(project, data) as (api, chosen):
        api.remove_source(chosen, name)
    show({"removed": name}, f"{name} is removed; its events stay.", as_json)


def read_source(file: Path, secret_from: list[str]) -> dict[str, Any]:
    """The body that a file says, with secrets from the environment. Raises `invalid`."""
    import yaml

    try:
        body = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise invalid(f"The file cannot be read: {error}.", place=str(file)) from None
    if not isinstance(body, dict):
        raise invalid("The file holds no source.", place=str(file), way_out="Write kind: stripe, and the other fields below it.")
    for item in secret_from:
        field, variable = _pair(item, "--secret-from")
        if variable not in os.environ:
            raise invalid(f"There is no variable {variable!r} in the environment.", place="--secret-from")
        outer, _, inner = field.partition(".")
        if inner:
            body.setdefault(outer, {})[inner] = os.environ[variable]
        else:
            body[field] = os.environ[variable]
    plain: dict[str, Any] = json.loads(json.dumps(body, default=str))  # YAML has dates
    return plain


def _pair(item: str, place: str) -> tuple[str, str]:
    name, equals, value = item.partition("=")
    if not equals or not name:
        raise invalid(f"{item!r} is not of the form NAME=VALUE.", place=place)
    return name, value


def _patiently(api: Any, project: str, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = api.source(project, name)
    except AlmanacError as error:
        if error.code is not Code.UNAVAILABLE:
            raise
        return None
    return found


def _described(found: dict[str, Any]) -> str:
    state = found["state"]
    lines = [f"{found['name']} ({found['kind']}): {state['sentence']}"]
    if found["path"]:
        lines.append(f"Address: {found['path']}")
    lines += [f"{name}: {value}" for name, value in found["source"].items() if name not in ("kind", "sample")]
    if state["next"]:
        lines.append(f"Next run: {state['next']}")
    for run_ in state["runs"][:5]:
        lines.append(
            f"  {run_.get('ended')}: {run_.get('files', 0)} files, {run_.get('records', 0)} records. {run_.get('error', '')}".rstrip()
        )
    return "\n".join(lines)
