"""`make bench`, or `python -m bench ROW… [--quick]` for some rows: batches freshness live questions clients web-sdk footprint protocols
board soak. `--full` adds those that need an hour and 10 GB of disk: questions over 100 M events."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from bench.board import board
from bench.clients import clients
from bench.footprint import footprint
from bench.ingest import batches, freshness, soak
from bench.live import live
from bench.protocols import protocols
from bench.questions import great_questions, questions
from bench.report import Row, show, write
from bench.web_sdk import web_sdk


def main(arguments: list[str]) -> None:
    """Measures, prints and writes the table."""
    quick = "--quick" in arguments
    rows: dict[str, Callable[[], Iterator[Row]]] = {
        "footprint": footprint,
        "questions": lambda: questions(1_000_000 if quick else 10_000_000),
        "batches": lambda: batches(10 if quick else 60),
        "freshness": lambda: freshness(10 if quick else 30),
        "clients": lambda: clients(5 if quick else 15),
        "web-sdk": lambda: web_sdk(5 if quick else 15),
        "protocols": lambda: protocols(5 if quick else 15),
        "live": lambda: live(6 if quick else 15),
        "board": lambda: board(1_000_000 if quick else 10_000_000),
        "soak": lambda: soak(60 if quick else 1800),
    }
    if "--full" in arguments:
        rows["great-questions"] = great_questions
    chosen = [name for name in arguments if not name.startswith("-")] or list(rows)
    done: list[Row] = []
    for name in chosen:
        for row in rows[name]():
            show(row)
            done.append(row)
    if not quick:
        write(done)


if __name__ == "__main__":
    main(sys.argv[1:])
