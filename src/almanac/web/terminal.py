"""How answers, tables and errors look in a terminal. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from almanac.core.errors import AlmanacError, invalid


def print_json(value: Any) -> None:
    """JSON on stdout, for people and programs."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def show(value: Any, words: str, as_json: bool) -> None:
    """What was done: as JSON, or in words."""
    if as_json:
        print_json(value)
    else:
        print(words)


def show_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], nothing: str, as_json: bool, *, one: bool = False) -> None:
    """As JSON (the object itself when it is just `one`), or as a table; `nothing` is said when there are no rows."""
    if as_json:
        print_json(rows[0] if one else rows)
    elif rows:
        print_rows(rows, columns)
    else:
        say(nothing)


def print_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """A table of these columns on stdout."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in columns:
        numeric = bool(rows) and all(isinstance(row.get(name), (int, float)) and not isinstance(row.get(name), bool) for row in rows)
        table.add_column(Text(name.replace("_", " ")), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(row.get(name))) for name in columns))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def cell(value: Any) -> str:
    """A value as one cell shows it; missing is a dash, and a fraction has four significant digits (all of them are in the JSON)."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def print_answer(answer: Mapping[str, Any]) -> None:
    """The rows on stdout, and the receipt's main points on stderr."""
    receipt = answer["receipt"]
    if answer["rows"]:
        print_rows(answer["rows"], [column["name"] for column in answer["columns"]])
    else:
        print("No rows: there are no such events in the range.")
    window = receipt.get("window") or {}
    said = [
        "exact" if receipt.get("exact", True) else f"approximate: {receipt.get('approximation', '')}",
        f"{window['from']} to {window['to']}" if "from" in window else "",
        str(receipt.get("timezone") or ""),
        f"{receipt['rows_read']} rows read in {float(receipt.get('seconds', 0)):.3f} s" if "rows_read" in receipt else "",
    ]
    say(" · ".join(part for part in said if part))
    for note in receipt.get("notes") or ():
        say(str(note))


def print_update(
    answer: Mapping[str, Any], changed: Sequence[Mapping[str, Any]], removed: Sequence[Mapping[str, Any]], as_json: bool, *, first: bool
) -> None:
    """The whole answer first, then a line for each row that is another or gone. As JSON, a line for each update."""
    if as_json:
        told = {"asked_at": answer["receipt"].get("asked_at"), "changed": changed, "removed": removed}
        print(json.dumps(told, ensure_ascii=False, default=str), flush=True)
        return
    if first:
        print_answer(answer)
        return
    at = str(answer["receipt"].get("asked_at", ""))[11:19]
    names = [column["name"] for column in answer["columns"]]
    for row in changed:
        print(at, " · ".join(f"{name} {cell(row[name])}" for name in names if row.get(name) not in (None, "")), flush=True)
    for key in removed:
        print(at, "gone:", " · ".join(f"{name} {cell(value)}" for name, value in key.items() if value not in (None, "")), flush=True)


def print_event(event: Mapping[str, Any], as_json: bool) -> None:
    """One event in a line."""
    if as_json:
        print(json.dumps(event, ensure_ascii=False, default=str), flush=True)
    else:
        print(event["time_received"], event["event"], event["distinct_id"], cell(event["properties"]), flush=True)


def print_import(outcome: Mapping[str, Any]) -> None:
    """What became of imported events."""
    for progress in outcome["files"]:
        if progress["skipped"]:
            say(f"{progress['file']} was imported before, longer ago than ids are remembered: left alone. --again imports it anyway.")
    print("{accepted} accepted: {stored} stored, {duplicate} duplicates, {rejected} rejected.".format(**outcome))
    if outcome["rejected"]:
        say("`almanac dead-letters list` shows what was rejected, and why.")


def print_person(found: Mapping[str, Any]) -> None:
    """One person: ids, properties, merges, latest events."""
    print(f"Ids: {', '.join(found['ids'])}")
    if found["properties"]:
        print_rows([{"property": name, "value": value} for name, value in found["properties"].items()], ("property", "value"))
    if found["edges"]:
        print_rows(found["edges"], ("edge", "source", "target", "how", "state", "at"))
    if found["events"]:
        print_rows(found["events"], ("time", "event", "distinct_id", "properties"))


def write_pieces(pieces: Iterable[bytes], output: Path | None) -> int:
    """Writes a file, or to stdout; answers how many bytes. A file gets its name only when it is whole."""
    if output is None:
        size = sum(sys.stdout.buffer.write(piece) for piece in pieces)
        sys.stdout.buffer.flush()
        return size
    part = output.with_name(f"{output.name}.part")
    with part.open("wb") as file:
        size = sum(file.write(piece) for piece in pieces)
    part.replace(output)
    return size


def say(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr, flush=True)


def tell(error: Exception) -> None:
    """What went wrong, where, and what to do. The stack of what nobody foresaw is shown to those who debug."""
    if isinstance(error, OSError):
        way_out = "Check the name of the file." if isinstance(error, FileNotFoundError) else "`almanac doctor` looks at the installation."
        error = invalid(f"{error.strerror or error}.", place=str(error.filename or ""), way_out=way_out)
    elif not isinstance(error, AlmanacError):
        if os.environ.get("ALMANAC_LOG_LEVEL") == "debug":
            traceback.print_exception(error)
        what = f"Something went wrong in Almanac itself: {type(error).__name__}: {error}."
        error = invalid(what, way_out="Run it again with ALMANAC_LOG_LEVEL=debug, and report what it prints.")
    say(error.message)
    if error.place:
        say(f"Where: {error.place}")
    if error.way_out:
        say(f"What to do: {error.way_out}")
