"""What is saved under names, such as metrics and boards: `almanac definitions`, and files of them, `almanac plan | diff | apply`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from almanac.cli.wiring import AsJson, Commands, Data, Of, entered
from almanac.core.errors import invalid
from almanac.definitions import KIND_NAMES, KINDS, as_yaml, from_yaml
from almanac.web.terminal import print_json, say, show, show_rows

app = Commands(help=f"What is saved under names ({KIND_NAMES}): list, show, save, history, remove, export.")

_SECTIONS = ", ".join(kind.section for kind in KINDS.values())

Kind = Annotated[str, typer.Argument(help=f"What it is: {KIND_NAMES}.", show_default=False)]
Name = Annotated[str, typer.Argument(help="Its name.", show_default=False)]
Files = Annotated[list[Path], typer.Argument(help=f"YAML files with {_SECTIONS} by name.", show_default=False)]
Prune = Annotated[bool, typer.Option("--prune", help="Also remove what the files do not hold.")]

_ACTIONS = {"create": ("+", "created"), "change": ("~", "changed"), "remove": ("-", "removed"), "keep": ("=", "kept")}


def add(top: Commands) -> None:
    """The commands for files."""
    top.command("plan")(plan)
    top.command("diff")(diff)
    top.command("apply")(apply)


def plan(files: Files, prune: Prune = False, project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """Say what applying files of definitions would change."""
    with entered(project, data) as (api, chosen):
        changes = api.plan(chosen, read_files(files), prune=prune)
    _show(changes, as_json, "would be")


def diff(files: Files, prune: Prune = False, project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """Show what applying files of definitions would change, line by line."""
    with entered(project, data) as (api, chosen):
        changes = [change for change in api.plan(chosen, read_files(files), prune=prune) if change["action"] != "keep"]
    if as_json:
        print_json(changes)
        return
    for change in changes:
        print(f"{change['action']} {change['kind']} {change['name']}")
        print(change["diff"], end="")
    if not changes:
        say("The files and the project say the same.")


def apply(files: Files, prune: Prune = False, project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """Save the definitions of files; all are checked before the first is saved."""
    with entered(project, data) as (api, chosen):
        changes = api.apply(chosen, read_files(files), prune=prune)
    _show(changes, as_json, "were")


def _show(changes: Sequence[Mapping[str, Any]], as_json: bool, verb: str) -> None:
    if as_json:
        print_json(changes)
        return
    for change in changes:
        print(f"{_ACTIONS[change['action']][0]} {change['kind']} {change['name']}")
    counts = Counter(change["action"] for change in changes)
    told = ", ".join(f"{counts[action]} {verb} {done}" for action, (_, done) in _ACTIONS.items() if counts[action])
    say(f"Of {len(changes)} definitions {told}." if changes else "The files hold no definition.")


def read_files(files: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """All files as one. Raises `invalid` naming file and line."""
    whole: dict[str, dict[str, Any]] = {}
    for file in files:
        found = _yaml(file)
        if not isinstance(found, dict) or not all(isinstance(items, dict) for items in found.values()):
            raise invalid(
                "The file holds no definitions.",
                place=str(file),
                way_out=f"Write one of {_SECTIONS}, each with a colon, and names under it.",
            )
        for section, items in found.items():
            known = whole.setdefault(str(section), {})
            if twice := sorted(set(map(str, items)) & known.keys()):
                raise invalid(f"{twice[0]!r} is in two files.", place=f"{file}: {section}", way_out="Keep it in one.")
            known |= {str(name): body for name, body in items.items()}
    return whole


def _yaml(file: Path) -> Any:
    try:
        return from_yaml(file.read_text())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{file}:{mark.line + 1}" if mark else str(file)
        raise invalid(f"The file is not YAML: {getattr(error, 'problem', error)}.", place=place) from None


@app.command("list")
def list_(kind: Kind, project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """Those in force, by name."""
    with entered(project, data) as (api, chosen):
        found = api.definitions(chosen, kind)
    show_rows(found, ("name", "version", "author", "saved_at"), f"The project has no saved {kind}.", as_json)


@app.command("show")
def show_(kind: Kind, name: Name, project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """What a name stands for, as YAML."""
    with entered(project, data) as (api, chosen):
        found = api.versions(chosen, kind, name)[0]
    show(found, as_yaml(found["body"]).rstrip(), as_json)


@app.command("history")
def history(kind: Kind, name: Name, project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """All versions, the newest first."""
    with entered(project, data) as (api, chosen):
        found = api.versions(chosen, kind, name)
    show_rows(found, ("version", "author", "removed", "saved_at"), "", as_json)


@app.command("save")
def save(
    kind: Kind,
    name: Name,
    file: Annotated[Path, typer.Argument(help="File with its body, as JSON or YAML.", show_default=False)],
    project: Of = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Save one, as a further version."""
    body = _yaml(file)
    if not isinstance(body, dict):
        raise invalid(f"The file holds no {kind}.", place=str(file), way_out="Write its fields, one a line.")
    with entered(project, data) as (api, chosen):
        saved = api.save(chosen, kind, name, body)
    show(saved, f"Version {saved['version']} of the {kind} {name!r} is in force.", as_json)


@app.command("remove")
def remove(kind: Kind, name: Name, project: Of = "", data: Data = None) -> None:
    """The name stands for nothing any more; its history stays."""
    with entered(project, data) as (api, chosen):
        api.remove(chosen, kind, name)
    say(f"The {kind} {name!r} is removed.")


@app.command("export")
def export(project: Of = "", data: Data = None, as_json: AsJson = False) -> None:
    """All definitions as one YAML file, which `almanac apply` reads."""
    with entered(project, data) as (api, chosen):
        found = api.definition_file(chosen)
    show(found, as_yaml(found).rstrip(), as_json)
