"""`almanac tracking-plan`: what did not fit the plan, how stored events would fare under one, and a draft of one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from almanac.cli.definitions import read_files
from almanac.cli.wiring import AsJson, Commands, Data, Of, entered
from almanac.core.errors import invalid
from almanac.definitions import as_yaml
from almanac.web.terminal import print_json, say, show, show_rows

app = Commands(help="The tracking plan: how events are to look, and which do not. It is saved with `almanac apply`.")

Days = Annotated[int, typer.Option(min=1, max=3660, help="Of so many days, today included (UTC).")]
OfEvent = Annotated[str, typer.Option("--event", help="Only of this event's name.", show_default=False)]
Sample = Annotated[int, typer.Option(min=1, max=100_000, help="Look at so many events of each name at most, the latest days first.")]


@app.command("violations")
def violations(project: Of = "", data: Data = None, as_json: AsJson = False, days: Days = 30, event: OfEvent = "") -> None:
    """What did not fit the plan, by event, property, rule, version and day."""
    with entered(project, data) as (api, chosen):
        found = api.plan_violations(chosen, days=days, event=event)
    if as_json:
        print_json(found)
        return
    columns = ("day", "event", "property", "rule", "mode", "version", "count", "last_seen")
    show_rows(found["violations"], columns, "Everything fits the plan.", as_json)
    checked, failed = (sum(row[name] for row in found["events"]) for name in ("checked", "failed"))
    say(f"{checked} events were judged, {failed} do not fit.")


@app.command("check")
def check(
    files: Annotated[
        list[Path] | None, typer.Argument(help="YAML files with plans; left out: the plan in force.", show_default=False)
    ] = None,
    project: Of = "",
    data: Data = None,
    as_json: AsJson = False,
    days: Days = 7,
    event: OfEvent = "",
    sample: Sample = 1000,
) -> None:
    """Say how stored events would fare under a plan. Nothing is changed. Exits with 1 when some do not fit."""
    plans = _plans(files) if files else None
    with entered(project, data) as (api, chosen):
        found = api.check_plan(chosen, plans, days=days, event=event, sample=sample)
    if as_json:
        print_json(found)
    else:
        show_rows(found, ("event", "kind", "mode", "events", "checked", "failed"), "There are no events.", as_json)
        faults = [{"event": row["event"], **fault} for row in found for fault in row["violations"]]
        if faults:
            show_rows(faults, ("event", "property", "rule", "wanted", "count", "example"), "", as_json)
    if any(row["failed"] for row in found):
        raise typer.Exit(1)


@app.command("infer")
def infer(
    project: Of = "", data: Data = None, as_json: AsJson = False, days: Days = 30, event: OfEvent = "", sample: Sample = 1000
) -> None:
    """Print a draft of a plan from what was seen, as a file that `almanac apply` reads."""
    with entered(project, data) as (api, chosen):
        found = api.infer_plan(chosen, days=days, event=event, sample=sample)
    show(found, as_yaml(found).rstrip(), as_json)


def _plans(files: list[Path]) -> dict[str, object]:
    whole = read_files(files)
    if "plans" not in whole:
        raise invalid("The files hold no plans.", place=str(files[0]), way_out="Write plans:, and the names of events under it.")
    return whole["plans"]
