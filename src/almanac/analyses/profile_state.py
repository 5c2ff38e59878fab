"""What the changes of a property amount to: one rule for questions, people and lookups, as SQL.

The changes of one property of one person (all ids that are his) or group count in the order of their times:

- set makes it the value, unset takes it away, set_once makes it the value where there is none; a null is no value;
- add adds a number to a number, or to nothing; what is no number, on either side, changes nothing. Numbers are 64-bit floats, a text
  that is a number is one too;
- append and prepend put a value behind or before a list, union (post_insert) and pre_insert only where the list lacks it; a single value
  becomes a list first, and nothing an empty one. remove takes a value out of a list as often as it is there, and changes nothing else. A
  list stands for its elements, in their order;
- delete and clear_all take all properties away.

Of changes at one instant the order is: delete, clear_all, unset, set, set_once, remove, add, append, prepend, union, post_insert,
pre_insert; of the same operation that of the values as texts (of two sets the greater value stays). So the outcome hangs on the changes
alone, never on the order in which they arrived, and the state as of a time is that of the changes before it.
"""

from __future__ import annotations

from typing import Final

from almanac.core.sql import Sql, identifier, number, sql

# As in the type of profile_changes.op. Those that need the value before them come in the order in which they count at one instant.
SET_ONCE: Final = 2
REMOVE: Final = 4
ADD: Final = 5
APPEND: Final = 6
PREPEND: Final = 7
PRE_INSERT: Final = 10

# Aggregates over the changes of one owner, those that wipe everything among them. Sets and unsets need no list of what was before.
_GATHERED: Final = """
    maxIf(time, op IN ('set', 'unset') AND $one)                                                    AS set_at_$name,
    argMaxIf(if(op = 'set', value, 'null'), (time, op = 'set', value), op IN ('set', 'unset') AND $one) AS set_to_$name,
    groupArrayIf(
        (time, toInt8(op), value),
        op NOT IN ('set', 'unset', 'delete', 'clear_all') AND NOT (op = 'set_once' AND value = 'null') AND $one
    )                                                                                               AS changes_$name"""

_LEFT: Final = """
    if(set_at_$name >= wiped, set_to_$name, '')                                                     AS base_$name,
    arraySort(arrayFilter(change -> change.1 >= greatest(wiped, set_at_$name), changes_$name))      AS later_$name"""

# A state is (1, elements of a list), (0, [the value]) or (0, []): nothing. Values are JSON texts.
_OUTCOME: Final = """multiIf(
        empty(later_$name),
        base_$name,
        (arrayFold(
            (state, step) -> multiIf(
                step.1 = $set_once, if(state.1 = 0 AND empty(state.2), (step.2, step.3), state),
                step.1 = $remove, (state.1, arrayFilter(item -> state.1 = 0 OR NOT has(step.3, item), state.2)),
                step.1 = $add, if(
                    ifNull(
                        state.1 = 0 AND step.2 = 0 AND isFinite(
                            if(empty(state.2), 0, toFloat64OrNull(replaceAll(state.2[1], '"', '')))
                            + toFloat64OrNull(replaceAll(step.3[1], '"', ''))
                        ),
                        0
                    ),
                    (
                        toUInt8(0),
                        [toString(assumeNotNull(
                            if(empty(state.2), 0, toFloat64OrNull(replaceAll(state.2[1], '"', '')))
                            + toFloat64OrNull(replaceAll(step.3[1], '"', ''))
                        ))]
                    ),
                    state
                ),
                step.1 = $append, (toUInt8(1), arrayConcat(state.2, step.3)),
                step.1 = $prepend, (toUInt8(1), arrayConcat(step.3, state.2)),
                step.1 = $pre_insert,
                (toUInt8(1), arrayConcat(arrayFilter(item -> NOT has(state.2, item), arrayDistinct(step.3)), state.2)),
                (toUInt8(1), arrayConcat(state.2, arrayFilter(item -> NOT has(state.2, item), arrayDistinct(step.3))))
            ),
            arrayMap(
                change -> (
                    change.2,
                    toUInt8(startsWith(change.3, '[')),
                    if(startsWith(change.3, '['), JSONExtractArrayRaw(change.3), [change.3])
                ),
                later_$name
            ),
            CAST(
                (
                    startsWith(base_$name, '['),
                    multiIf(
                        startsWith(base_$name, '['), JSONExtractArrayRaw(base_$name),
                        base_$name IN ('', 'null'), [],
                        [base_$name]
                    )
                ),
                'Tuple(UInt8, Array(String))'
            )
        ) AS end_$name).1 = 1,
        concat('[', arrayStringConcat(end_$name.2, ','), ']'),
        end_$name.2[1]
    )"""

# When everything was taken away last; 1970 when it never was.
WIPED: Final = Sql("maxIf(time, op IN ('delete', 'clear_all'))")


def gathered(name: str, one: Sql) -> Sql:
    """Aggregates over columns time, op and value of an owner's changes; `one`: which of them are of the property."""
    return sql(_GATHERED, name=identifier(name), one=one)


def left(name: str) -> Sql:
    """Columns over those and a column `wiped`: the last set, and what changed it since."""
    return sql(_LEFT, name=identifier(name))


def outcome(name: str) -> Sql:
    """An expression over those: the value as JSON; '' or 'null' without one."""
    return sql(
        _OUTCOME,
        name=identifier(name),
        set_once=number(SET_ONCE),
        remove=number(REMOVE),
        add=number(ADD),
        append=number(APPEND),
        prepend=number(PREPEND),
        pre_insert=number(PRE_INSERT),
    )
