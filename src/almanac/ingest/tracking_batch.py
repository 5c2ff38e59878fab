"""Judges one batch of the load by the tracking plans: what is wrong is marked, made a dead letter, and counted.

Only events that an entry with rules is meant for leave the engine, as the text of their properties; equal texts are judged once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from almanac.core.event import LOG_COLUMNS
from almanac.core.ports import EventStore, Limits, Segment
from almanac.core.sql import EMPTY, Sql
from almanac.ingest.statements import statement
from almanac.ingest.tracking import Entry, Faults, mark
from almanac.ingest.tracking_plans import Plans

NESTED: Final = ("groups", "properties", "profile", "group_profile", "context", "flags", "rest")
STAGING: Final = (
    "CREATE TABLE IF NOT EXISTS staging.entries (meant UInt64, entry UInt32, version UInt32,"
    " mode String, judges Bool, reads Bool) ENGINE = Memory",
    "CREATE TABLE IF NOT EXISTS staging.faults (number UInt32, mark String, detail String, broken Array(String), rules Array(String))"
    " ENGINE = Memory",
    "CREATE TABLE IF NOT EXISTS staging.verdicts (line UInt64, verdict_entry UInt32, verdict_mode String, verdict_version UInt32,"
    " fault UInt32) ENGINE = Memory",
)
TABLES: Final = ("entries", "faults", "verdicts")

_ENTRY_COLUMNS: Final = ("meant", "entry", "version", "mode", "judges", "reads")
_LIMITS: Final = Limits(seconds=600, memory_bytes=0, result_rows=0, priority=0)
_MOST_REMEMBERED: Final = 20_000  # texts of one batch whose verdict is looked up and not found again
_MOST_FINDINGS: Final = 1000  # of one batch that are counted by the names of their properties, which senders make up
_MORE: Final = "…"
_LONGEST_REMEMBERED: Final = 2_000  # characters

# What the insert of the events says of them: where no plan is meant for any, where all fit theirs, and otherwise.
_ENTRIES: Final = "LEFT ANY JOIN staging.entries AS entries ON entries.meant = cityHash64(staged.project, staged.name, staged.kind)"
UNJUDGED: Final[Mapping[str, Sql]] = {"violations": Sql("''"), "plan_version": Sql("0"), "judged": EMPTY}
_FITTING: Final[Mapping[str, Sql]] = {"violations": Sql("''"), "plan_version": Sql("version"), "judged": Sql(_ENTRIES)}
_JUDGED: Final[Mapping[str, Sql]] = {
    "violations": Sql("if(verdict_mode = 'stamp', mark, '')"),
    "plan_version": Sql("version"),
    "judged": Sql(
        f"""{_ENTRIES}
LEFT ANY JOIN staging.verdicts AS verdicts ON verdicts.line = staged.row
LEFT ANY JOIN staging.faults AS faults ON faults.number = verdicts.fault"""
    ),
}


class Court:
    """The judging of one batch. Its tables in `staging` are empty before and after it."""

    def __init__(self, store: EventStore, number: int, segments: Sequence[Segment], plans: Plans) -> None:
        self.pieces = UNJUDGED  # of the insert of events
        self.counts: Counter[str] = Counter()  # of this batch: checked, and by mode those that do not fit
        self._store = store
        self._number = number
        self._plans = plans
        self._projects = sorted({tally.project for segment in segments for tally in segment.tallies} & plans.of.keys())
        self._entries: list[Entry] = []
        self._faults: dict[tuple[int, Faults], int] = {}

    def judge(self, unknown: Sql) -> bool:
        """Judges the staged lines that another batch did not bring; whether some of them became dead letters."""
        if not self._projects or not self._enter(unknown):
            return False
        self.pieces = _FITTING
        verdicts = self._verdicts(unknown) if any(entry.judges for entry in self._entries) else []
        if not verdicts:
            return False
        self.pieces = _JUDGED
        faults = [
            (
                number,
                mark(faults),
                self._entries[entry - 1].sentence(faults),
                [fault.property if number <= _MOST_FINDINGS else _MORE for fault in faults],
                [fault.rule for fault in faults],
            )
            for (entry, faults), number in self._faults.items()
        ]
        self._store.insert("staging.faults", ("number", "mark", "detail", "broken", "rules"), faults)
        self._store.insert("staging.verdicts", ("line", "verdict_entry", "verdict_mode", "verdict_version", "fault"), verdicts)
        if not any(verdict[2] == "reject" for verdict in verdicts):
            return False
        for name in ("forgive", "reject", "leave"):
            settings = {"mutations_sync": 1} if name != "reject" else None
            self._store.execute(self._statement(name, original=_ORIGINAL), settings=settings)
        return True

    def account(self, fresh: Sql) -> None:
        """Writes down what was found in the lines that count."""
        if not self._entries:
            return
        counted = self._store.query(self._statement("checks", fresh=fresh), limits=_LIMITS).rows
        rows = []
        for project, name, number, day, checked, failed in counted:
            entry = self._entries[number - 1]
            rows.append((project, name, entry.mode, entry.version, day, checked, failed))
            self.counts["checked"] += int(checked)
            self.counts[entry.mode] += int(failed)
        if rows:
            columns = ("project", "event", "mode", "version", "day", "checked", "failed")
            self._store.insert("plan_checks", columns, rows, token=f"{self._number}:plan_checks")
        if self._faults:
            self._store.execute(self._statement("violations", fresh=fresh), token=f"{self._number}:plan_violations")

    def _enter(self, unknown: Sql) -> bool:
        """Tells the engine which entry is meant for which events of the batch; whether any is."""
        numbers: dict[tuple[str, str], int] = {}
        rows: list[tuple[Any, ...]] = []
        for project, name, meant, tracked in self._store.query(self._statement("names", unknown=unknown), limits=_LIMITS).rows:
            entry = self._plans.entry(project, name, tracked=bool(tracked))
            if entry is None:
                continue
            if (project, entry.event) not in numbers:
                self._entries.append(entry)
                numbers[project, entry.event] = len(self._entries)
            number = numbers[project, entry.event]
            rows.append((meant, number, entry.version, entry.mode, entry.judges, entry.schema is not None))
        if rows:
            self._store.insert("staging.entries", _ENTRY_COLUMNS, rows)
        return bool(rows)

    def _verdicts(self, unknown: Sql) -> list[tuple[int, int, str, int, int]]:
        """A row for each line that something is wrong with."""
        known: dict[tuple[int, str], int] = {}
        verdicts: list[tuple[int, int, str, int, int]] = []
        for block in self._store.blocks(self._statement("texts", unknown=unknown), limits=_LIMITS):
            for row, number, text in block.rows:
                found = known.get((number, text))
                if found is None:
                    found = self._fault(number, self._entries[number - 1].faults(text))
                    if len(text) <= _LONGEST_REMEMBERED and len(known) < _MOST_REMEMBERED:
                        known[number, text] = found
                if found:
                    entry = self._entries[number - 1]
                    verdicts.append((row, number, entry.mode, entry.version, found))
        return verdicts

    def _fault(self, entry: int, faults: Faults) -> int:
        """The number of a finding; 0 for none."""
        return self._faults.setdefault((entry, faults), len(self._faults) + 1) if faults else 0

    def _statement(self, name: str, **pieces: Sql) -> Sql:
        return statement("tracking.sql", name, {"batch": self._number, "projects": self._projects}, **pieces)


def _written() -> Sql:
    """A staged line as it stood in the log."""
    parts: list[str] = []
    for name, kind in LOG_COLUMNS.items():
        column = f"line.{name}"
        if name in NESTED:
            parts.append(f"if(substring({column}, 1, 1) IN ('{{', '['), {column}, toJSONString({column}))")
        elif name == "merges" or kind in ("Bool", "Int64"):
            parts.append(f"toString({column})")
        else:
            parts.append(f"toJSONString({column})")
    between = ", ',', "
    return Sql(f"concat('[', {between.join(parts)}, ']')")


_ORIGINAL: Final = _written()
