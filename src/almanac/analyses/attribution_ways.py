"""Attribution's view of whole paths: which sequences of touches end in conversions, how often, for how much and after how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from almanac.core.errors import invalid
from almanac.core.sql import Sql, sql

# A way holds the places of labels; [0] is that of a conversion without a touch.
WAYS: Final = """
SELECT
    shown,
    if(shown, arrayMap(place -> if(place = 511, {other:String}, top[place]), arrayFilter(place -> place > 0, way)), []) AS path,
    sum(some) AS conversions,
    sumKahan(some_worth) AS worth,
    sum(some_touches) AS touches,
    sum(some_micros) AS micros,
    sum(some_cut) AS cut
FROM
(
    SELECT *, row_number() OVER (ORDER BY $most DESC, way) <= {ways:UInt32} AS shown
    FROM
    (
        SELECT
            arrayCompact(labels) AS way,
            count() AS some,
            sumKahan(amount) AS some_worth,
            sum(if(empty(found), 0, n)) AS some_touches,
            sum(if(empty(found), 0, toUnixTimestamp64Micro(moment) - {origin:Int64} - toInt64(bitShiftRight(path[1], 12)))) AS some_micros,
            countIf(cut) AS some_cut
        FROM weighed
        WHERE converted
        GROUP BY way
    )
)
GROUP BY shown, path
"""

PEOPLE_OF_WAY: Final = """
SELECT DISTINCT person
FROM weighed
WHERE person != 0 AND converted AND $this
"""

ONE: Final = """
arrayMap(place -> if(place = 511, {other:String}, top[place]), arrayFilter(place -> place > 0, arrayCompact(labels)))
    = {way:Array(String)}"""

REST: Final = """
arrayCompact(labels) NOT IN
(
    SELECT arrayCompact(labels) AS way
    FROM weighed
    WHERE converted
    GROUP BY way
    ORDER BY $most DESC, way
    LIMIT {ways:UInt32}
)"""


def counted(ways: int, *, by_value: bool) -> Sql:
    """From `weighed` to the biggest ways, and all further ones in one row."""
    return sql(WAYS, {"ways": ways}, most=Sql("some_worth" if by_value else "some"))


def people(ways: int, row: Mapping[str, Any], *, by_value: bool) -> Sql:
    """Whose conversions came by the row's path. Raises `invalid` for a row without one."""
    path = row.get("path", "")
    if path is None:
        rest = sql(REST, {"ways": ways}, most=Sql("sumKahan(amount)" if by_value else "count()"))
        return sql(PEOPLE_OF_WAY, this=rest)
    if not isinstance(path, list) or not all(isinstance(label, str) for label in path):
        raise invalid("The row names no path.", place="row", way_out="Give path as the answer has it: a list of labels, or null.")
    return sql(PEOPLE_OF_WAY, this=Sql(ONE, {"way": path}))


def rows_of(found: Sequence[Mapping[str, Any]], *, valued: bool, by_value: bool) -> list[dict[str, Any]]:
    """The biggest first; all further paths last, with None for a path."""
    most, total = "worth" if by_value else "conversions", 0.0
    for row in found:
        total += row[most]
    ordered = sorted(found, key=lambda row: (not row["shown"], -row[most], [(label == "Other", label) for label in row["path"]]))
    return [
        {
            "path": list(row["path"]) if row["shown"] else None,
            "conversions": row["conversions"],
            **({"value": round(row["worth"], 9)} if valued else {}),
            "share": round(row[most] / total, 9) if total else 0.0,
            "touches": round(row["touches"] / row["conversions"], 9),
            "average_seconds": round(row["micros"] / row["conversions"] / 1e6, 6),
        }
        for row in ordered
    ]
