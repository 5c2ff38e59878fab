"""Rows of the report: one JSON line each, and a table in docs/benchmarks.md."""

from __future__ import annotations

import json
import os
import platform
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Row:
    """One figure. `ratio` is `value` beside the figure of `against` in the same run (None where there is nothing to compare with)."""

    name: str
    value: float
    unit: str
    ratio: float | None = None
    against: str = ""
    goal: str = ""


def show(row: Row) -> None:
    """Prints the row."""
    print(json.dumps({key: value for key, value in asdict(row).items() if key != "goal"}), flush=True)


def write(rows: list[Row]) -> None:
    """Puts the rows into the table, in the place of those of the same name."""
    known = _known()
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.3g}"
        known[row.name] = (
            f"| {row.name} | {row.value:,.4g} | {row.unit} | {ratio} | {row.against} | {row.goal} | {datetime.now(UTC):%Y-%m-%d} |"
        )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    head = [
        "# Benchmarks",
        "",
        "Written by `make bench`. Each ratio is within one run: the machine is shared and noisy, so ratios say more than figures.",
        "",
        f"Machine of the last run: {os.cpu_count()} cores ({_processor()}), {memory} GiB, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}. The load generator runs on the same cores.",
        "",
        "| row | value | unit | ratio | against | goal | day |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    PAGE.write_text("\n".join([*head, *known.values()]) + "\n")


def _known() -> dict[str, str]:
    if not PAGE.is_file():
        return {}
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and not line.startswith(("| row", "| ---"))]
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines}


def _processor() -> str:
    match = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return match.group(1) if match else platform.processor()
