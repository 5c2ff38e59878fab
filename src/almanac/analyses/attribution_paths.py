"""Attribution's way from each person's sorted marks to the weights of the touches on conversions' paths, and from their sums to credit.

A mark is an integer: from the lowest bits whether the label is direct, the label's place (9 bits), the kind (0 touch, 1 conversion, 2 the
end of a person's touches), and the instant in microseconds since the span's start. An `entry` is a mark, with the conversion's value
where one is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from almanac.core.filters import OTHER
from almanac.core.sql import Sql, join, sql
from almanac.predict import attribution as chain

if TYPE_CHECKING:
    from almanac.analyses.attribution import Attribution

# Places of labels: from 1 in alphabetical order, 511 is Other; and these.
_NONE: Final = 0
_START: Final = 600
_CONVERSION: Final = 601
_NOTHING: Final = 602
_STATES: Final = {_START: chain.START, _CONVERSION: chain.CONVERSION, _NOTHING: chain.NOTHING}

# Time and memory stay linear in events, whatever one person does: the entries are cut into parts of so many touches, and a conversion
# looks at its own part and the one before. A lambda that held a person's whole array would copy it for each of the conversions.
PATHS: Final = """
parts AS
(
    SELECT
        person,
        last_conversion,
        $entries AS all_entries,
        arraySplit(
            (entry, nth) -> bitAnd($mark, 3072) = 0 AND nth > 1 AND (nth - 1) % {most:UInt16} = 0,
            all_entries,
            arrayCumSum(entry -> bitAnd($mark, 3072) = 0, all_entries)
        ) AS split,
        arrayJoin(
            arrayMap(
                (here, before) -> (
                    $marks arrayFilter(entry -> bitAnd($mark, 3072) = 0, arrayConcat(before, here))),
                    arrayFilter(entry -> bitAnd($mark, 3072) != 0, here)
                ),
                split,
                arrayShiftRight(split, 1)
            )
        ) AS part
    FROM per_person
),
ends AS
(
    SELECT
        person,
        part.1 AS touches,
        entry,
        $mark AS end,
        bitAnd(end, 1024) != 0 AS converted,
        if(
            converted,
            bitShiftLeft(bitShiftRight(end, 12) - least(bitShiftRight(end, 12), {look_back:UInt64}), 12),
            greatest(last_conversion, {begin:UInt64})
        ) AS since
    FROM parts
    ARRAY JOIN part.2 AS entry
    -- Each row holds up to twice most_touches touches: with the usual 65,000 rows a block, one busy person took over 640 MB.
    SETTINGS max_block_size = 8192
),
paths AS
(
    SELECT
        person,
        converted,
        $amount AS amount,
        arrayFilter(touch -> touch >= since AND touch < end, touches) AS found,
        length(found) > {most:UInt16} AS cut,
        if(empty(found), [bitShiftLeft(bitShiftRight(end, 12), 12)], arraySlice(found, -{most:Int32})) AS path,
        arrayMap(touch -> bitAnd(bitShiftRight(touch, 1), 511), path) AS labels,
        arrayEnumerate(path) AS nths,
        length(path) AS n,
        arrayLastIndex(touch -> bitAnd(touch, 1) = 0, path) AS last_other,
        if(last_other = 0, n, last_other) AS chosen,
        length(arrayDistinct(labels)) AS different,
        path[-1] AS latest,
        fromUnixTimestamp64Micro(toInt64(bitShiftRight(if(converted, end, latest), 12)) + {origin:Int64}, 'UTC') AS moment
    FROM ends
    WHERE converted OR notEmpty(found)
),
weighed AS
(
    SELECT
        *,
        $period AS period,
        arrayMap(touch -> exp2(-toFloat64(bitShiftRight(latest, 12) - bitShiftRight(touch, 12)) / {half_life:Float64}), path) AS decayed,
        arraySum(decayed) AS decay
    FROM paths
),
steps AS
(
    SELECT person, converted, amount, cut AND nth = 1 AS cuts, period, $columns
    FROM weighed
    ARRAY JOIN $arrays
)
"""

# Of each model, the weights of a path's touches: arrays of Float64 that sum up to 1. Their lambdas hold single values only.
WEIGHTS: Final[dict[str, Sql]] = {
    "first": Sql("arrayMap(nth -> toFloat64(nth = 1), nths)"),
    "last": Sql("arrayMap(nth -> toFloat64(nth = n), nths)"),
    "last_non_direct": Sql("arrayMap(nth -> toFloat64(nth = chosen), nths)"),
    "linear": Sql("arrayMap(nth -> 1 / n, nths)"),
    "position": Sql(
        "arrayMap(nth -> multiIf(n = 1, 1., n = 2, if(nth = 1, {first_of_two:Float64}, 1 - {first_of_two:Float64}),"
        " nth = 1, {first_weight:Float64}, nth = n, {last_weight:Float64}, {middle:Float64} / (n - 2)), nths)"
    ),
    "time_decay": Sql("arrayMap(weight -> weight / decay, decayed)"),
    "shapley": Sql("arrayMap(nth -> (nth = 1) / different, arrayEnumerateUniq(labels))"),
}
IN_PATH: Final = Sql("arrayMap(nth -> 1., nths)")


def paths_of(*, valued: bool, steps: bool, period: Sql, weights: Sequence[Sql], names: Sequence[Sql]) -> Sql:
    """The statement's parts from `per_person` to `steps`: one row a touch of a path, its weights under `names`.

    `steps`: rows are the steps of a chain, from and to its ends and on paths that lead nowhere too; else touches of conversions alone.
    """
    if steps:
        ending = Sql("arrayPushBack(entries, ({ending:UInt64}, 0.))" if valued else "arrayPushBack(entries, {ending:UInt64})")
        arrays = [
            Sql("arrayPushFront(labels, 600) AS source"),
            Sql("arrayPushBack(labels, if(converted, 601, 602)) AS touch"),
            Sql("arrayPushBack(nths, 0) AS nth"),
            *(sql("arrayPushBack($weights, 0.) AS $name", weights=one, name=name) for one, name in zip(weights, names, strict=True)),
        ]
    else:
        ending = Sql("entries")
        arrays = [
            Sql("labels AS touch"),
            Sql("nths AS nth"),
            *(sql("$weights AS $name", weights=one, name=name) for one, name in zip(weights, names, strict=True)),
        ]
    return sql(
        PATHS,
        entries=ending,
        mark=Sql("entry.1" if valued else "entry"),
        marks=Sql("arrayMap(entry -> entry.1, " if valued else "("),
        amount=Sql("entry.2" if valued else "0."),
        period=period,
        columns=join(", ", [Sql("source" if steps else "0 AS source"), Sql("touch"), *names]),
        arrays=join(",\n        ", arrays),
    )


class Cell:
    """What one label has in one period: credits and their values by model."""

    def __init__(self) -> None:
        self.credits: dict[str, float] = {}
        self.values: dict[str, float] = {}
        self.cost = 0.0
        self.shown = False  # it is on the way to a conversion, or has costs


def cells_of(found: Sequence[Mapping[str, Any]], summed: Sequence[str], *, with_markov: bool) -> dict[tuple[int, str], Cell]:
    """By period and label, from the statement's rows. `summed`: the models of `credits`, in that order."""
    cells: dict[tuple[int, str], Cell] = {}
    names = {row["touch"]: row["label"] for row in found}
    for row in found:
        if row["touch"] >= _START:
            continue
        cell = cells.setdefault((row["period"], row["label"]), Cell())
        cell.cost += row["cost"]
        cell.shown = cell.shown or row["reached"] > 0 or row["cost"] != 0
        for place, credit in enumerate(row["credits"]):
            cell.credits[summed[place]] = cell.credits.get(summed[place], 0.0) + credit
        for place, value in enumerate(row["amounts"]):
            cell.values[summed[place]] = cell.values.get(summed[place], 0.0) + value
    if with_markov:
        for period in {row["period"] for row in found}:
            _by_removal(cells, period, [row for row in found if row["period"] == period], names)
    return cells


def _by_removal(cells: dict[tuple[int, str], Cell], period: int, found: Sequence[Mapping[str, Any]], names: Mapping[int, str]) -> None:
    """Hands out the conversions of paths with touches by the removal effects; those without a touch stay apart."""
    steps = {(row["source"], row["touch"]): row["steps"] for row in found if row["steps"]}
    ends = {row["source"]: row for row in found if row["touch"] == _CONVERSION}
    without = ends.pop(_NONE, None)
    if without:
        cell = cells[period, names[_NONE]]
        cell.credits["markov"], cell.values["markov"] = float(without["steps"]), without["worth"]
    touched = {pair: count for pair, count in steps.items() if _NONE not in pair}
    removal = chain.markov({(_STATES.get(a, a), _STATES.get(b, b)): count for (a, b), count in touched.items()})
    conversions, value = sum(row["steps"] for row in ends.values()), sum(row["worth"] for row in ends.values())
    for touch, share in removal.shares.items():
        cell = cells[period, names[touch]]
        cell.credits["markov"], cell.values["markov"] = share * conversions, share * value


def labels_of(model: str, cells: Mapping[tuple[int, str], Cell]) -> list[str]:
    """Those on the way to a conversion, or with costs: the ones with most credit under the model first, Other and none last."""
    credit: dict[str, float] = {}
    for (_, label), cell in cells.items():
        if cell.shown:
            credit[label] = credit.get(label, 0.0) + cell.credits.get(model, 0.0)
    return sorted(credit, key=lambda label: (label == "", label == OTHER, -round(credit[label], 9), label))


def row_of(question: Attribution, label: str, model: str, cell: Cell, total: float, *, valued: bool) -> dict[str, Any]:
    """A row of the answer. `total`: all credit of the model in the period."""
    credit, value = cell.credits.get(model, 0.0), cell.values.get(model, 0.0)
    part = value if question.measure == "value" else credit
    # The engine adds up in any order; nine digits are the same each time.
    row: dict[str, Any] = {"touch": label, "model": model, "conversions": round(credit, 9)}
    if valued:
        row["value"] = round(value, 9)
    row["share"] = round(part / total, 9) if total else 0.0
    if question.costs:
        row |= {
            "cost": cell.cost,
            "cpa": round(cell.cost / credit, 9) if credit > 1e-9 else None,
            "roas": round(value / cell.cost, 9) if cell.cost else None,
            "roi": round((value - cell.cost) / cell.cost, 9) if cell.cost else None,
        }
    return row
