"""How sessions are made of events: measured as they are read where the sender names them, else gathered and cut by pauses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from almanac.analyses import breakdowns
from almanac.core.sql import EMPTY, Sql, sql

if TYPE_CHECKING:
    from almanac.analyses.session import Session

# What is known of a session that the sender names, as its events are read.
KNOWN: Final = """
        session,
        min(mark) AS first,
        max(mark) AS latest,
        count() AS number,
        countIf(bitTest(mark, 0)) AS seen,
        $bits AS bits,
        $known_value AS known_value,"""

SPLIT: Final = """
        arraySplit(
            (entry, pause) -> pause > {timeout:Int64},
            stream,
            arrayDifference(arrayMap(entry -> bitShiftRight($mark, 3), stream))
        )"""


def gathered(question: Session, *, text: bool) -> dict[str, Sql]:
    """How events become sessions, and what is said of each: by what is known of it where the sender names it, else by its `marks`."""
    entry, mark = (Sql("(mark, text)"), Sql("entry.1")) if text else (Sql("mark"), Sql("entry"))
    named = question.by == "sender"
    stream = sql("groupArray($entry)", entry=entry)
    if named:
        needed = Sql("session = 0 OR bitTest(mark, 0)" if question.view == "pages" else "session = 0")
        stream = sql("groupArrayIf($entry, $needed)", entry=entry, needed=needed)
    # Simultaneous events are told apart by their texts, not by the bits of their marks.
    order = Sql("entry -> (bitShiftRight(entry.1, 3), entry.2), " if text else "")
    split = sql(SPLIT, mark=mark)
    cut = {
        "began": Sql("bitShiftRight(marks[1], 3)"),
        "ended": Sql("bitShiftRight(marks[-1], 3)"),
        "number": Sql("length(marks)"),
        "pages": Sql("arrayCount(mark -> bitTest(mark, 0), marks)"),
        "bits": Sql("arrayReduce('groupBitOr', marks)" if question.key_event or question.event else "0"),
        "value": _values(question)[1],
    }
    known = {
        "began": Sql("bitShiftRight(first, 3)"),
        "ended": Sql("bitShiftRight(latest, 3)"),
        "number": Sql("number"),
        "pages": Sql("seen"),
        "bits": Sql("bits"),
        "value": Sql("known_value"),
    }
    if named:
        bits = Sql("groupBitOr(mark)" if question.key_event or question.event else "0")
        cut = {name: sql("if(session = 0, $cut, $known)", cut=cut[name], known=known[name]) for name in cut}
        split = sql("if(session = 0, $split, [stream])", split=split)
    return {
        **cut,
        "known": sql(KNOWN, bits=bits, known_value=_values(question)[0]) if named else EMPTY,
        "keys": Sql(", session" if named else ""),
        "sorted": sql("arraySort($order $stream)", order=order, stream=stream),
        "visits": split,
        "marks": sql("arrayMap(entry -> $mark, entries)", mark=mark) if text else Sql("entries"),
    }


def _values(question: Session) -> tuple[Sql, Sql]:
    """What a session is counted under: an aggregate where the sender names it, an expression over its `entries` where it was cut."""
    if question.view == "entry_pages":
        return breakdowns.first_value(_TEXT, _IS_PAGE), Sql("arrayFirst(entry -> bitTest(entry.1, 0), entries).2")
    if question.view == "exit_pages":
        return breakdowns.last_value(_TEXT, _IS_PAGE), Sql("arrayLast(entry -> bitTest(entry.1, 0), entries).2")
    if question.view == "pages" or not question.breakdown:
        return Sql("''"), Sql("''")
    if question.breakdown_event == "first":
        return breakdowns.first_value(_TEXT, _IS_SET), Sql("arrayFirst(entry -> entry.2 != '', entries).2")
    return breakdowns.last_value(_TEXT, _IS_SET), Sql("arrayLast(entry -> entry.2 != '', entries).2")


_TEXT: Final = Sql("text")
_IS_PAGE: Final = Sql("bitTest(mark, 0)")
_IS_SET: Final = Sql("text != ''")
