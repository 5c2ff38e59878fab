"""What became of an import's own events, whatever else was sent meanwhile: counted by the pieces of the log that it wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from almanac.core.ports import EventStore, Segment
from almanac.core.sql import Sql, sql

PREFIX: Final = "import-"  # of the names under which imports write the log

_NOTE: Final = """
INSERT INTO imported_segments (segment, batch, stored, duplicate, rejected)
SELECT
    file,
    {batch:UInt64},
    countIf(kind != 'dead_letter' AND taken),
    countIf(NOT taken),
    countIf(kind = 'dead_letter' AND taken)
FROM (SELECT file, kind, $fresh AS taken FROM staging.lines WHERE startsWith(file, {prefix:String}))
GROUP BY file
ORDER BY file
"""

_OUTCOME: Final = """
SELECT sum(stored) AS stored, sum(duplicate) AS duplicate, sum(rejected) AS rejected
FROM imported_segments
WHERE startsWith(segment, {writer:String}) AND segment >= {first:String}
"""


def note(store: EventStore, batch: int, segments: Sequence[Segment], fresh: Sql) -> None:
    """Counts the staged lines of imports' segments; `fresh` says which lines are not duplicates. May be repeated for a batch made again."""
    if any(segment.name.startswith(PREFIX) for segment in segments):
        store.execute(sql(_NOTE, {"batch": batch, "prefix": PREFIX}, fresh=fresh), token=f"{batch}:imported")


def outcome(store: EventStore, writer: str, since: int) -> dict[str, int]:
    """How many events are stored, duplicate and rejected, of those that were written under that name since a moment (microseconds since
    1970) and are loaded."""
    first = f"{writer}-{since // 10_000:012d}"  # names of segments count hundredths of a second
    found = store.query(sql(_OUTCOME, {"writer": f"{writer}-", "first": first})).dicts()[0]
    return {name: int(found[name]) for name in ("stored", "duplicate", "rejected")}
