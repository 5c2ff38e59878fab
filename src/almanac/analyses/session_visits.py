"""How sessions are made of events: measured as they are read where the sender names them, else gathered and cut by pauses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from almanac.analyses import breakdowns
from almanac.core.sql import EMPTY, Sql, join, number, sql

if TYPE_CHECKING:
    from almanac.analyses.session import Session

SPLIT: Final = "arraySplit((entry, pause) -> pause > {timeout:Int64}, stream, arrayDifference($instants))"


@dataclass(frozen=True)
class Told:
    """What is read of an event, each an expression; None: it is not asked about."""

    page: Sql | None  # whether it is a page view
    key: Sql | None  # whether it is a key event
    event: Sql | None  # whether it is the event that a session must have
    text: Sql | None  # its value or its page

    @property
    def bits(self) -> list[tuple[int, Sql]]:
        """What its mark says of it, each with the place of its bit."""
        return [(place, holds) for place, holds in enumerate((self.page, self.key, self.event)) if holds]


def pieces(question: Session, told: Told) -> dict[str, Sql]:
    """What a statement of sessions says of them. Of each session: person, began_at and ended_at (microseconds), events; as far as they are
    told, pages, has_key, has_event, and of a text `value` or, for the view of pages, `views`: its page views in order, as gathered."""
    found = [*_counts(question, told), *_texts(question, told)]
    split = sql(SPLIT, instants=sql("arrayMap(entry -> $instant, stream)", instant=instant_of(told, Sql("entry"))))
    shared = {"began": instant_of(told, Sql("entries[1]")), "ended": instant_of(told, Sql("entries[-1]"))}
    if question.by == "inactivity":
        columns = [sql(", $cut AS $name", cut=one.cut, name=one.name) for one in found]
        return shared | {"told": join("", columns), "stream": _stream(question, told, None), "entries": split}
    gathered, of_named = Sql("empty(session_id)"), Sql("[[]]")
    if question.view == "pages" and told.page:
        gathered, of_named = sql("empty(session_id) OR $page", page=told.page), Sql("[stream]")
    columns = [sql(", if(session = 0, $cut, $known) AS $name", cut=one.cut, known=one.kept, name=one.name) for one in found]
    known = [sql(", $known AS known_$name", known=one.known, name=one.name) for one in found if one.known]
    return shared | {
        "told": join("", columns),
        "known": join("", known),
        "stream": _stream(question, told, gathered),
        # TRICKY: what else is asked of the stream would be copied for each session that is cut from it.
        "entries": sql("if(session = 0, $split, $of_named)", split=split, of_named=of_named),
    }


def instant_of(told: Told, entry: Sql) -> Sql:
    """When an entry was, in microseconds."""
    mark = _mark_of(told, entry)
    return sql("bitShiftRight($mark, 3)", mark=mark) if told.bits else mark


# An event is gathered as one integer, its mark: the instant in microseconds, then three bits. With a text, as one text: the mark in eight
# bytes that sort as it does, and the text; pages in all take three quarters of the time that tuples took, and two thirds of the memory.


def _mark(told: Told) -> Sql:
    if not told.bits:
        return Sql("toUnixTimestamp64Micro(time)")
    bits = [sql(" + $bit * toInt64($holds)", bit=number(1 << place), holds=holds) for place, holds in told.bits]
    return sql("8 * toUnixTimestamp64Micro(time)$bits", bits=join("", bits))


def _mark_of(told: Told, entry: Sql) -> Sql:
    return sql("toInt64(byteSwap(reinterpretAsUInt64(substring($entry, 1, 8))))", entry=entry) if told.text else entry


def _stream(question: Session, told: Told, gathered: Sql | None) -> Sql:
    """An aggregate: the sorted entries of all events, or of those that are gathered."""
    entry, order = _mark(told), EMPTY
    if told.text:
        entry = sql("concat(reinterpretAsFixedString(byteSwap(toUInt64($mark))), $text)", mark=entry, text=told.text)
        # Simultaneous events are told apart by their texts, not by the bits of their marks.
        if question.view == "sessions" or len(told.bits) > 1:
            order = sql("entry -> ($instant, substring(entry, 9)), ", instant=instant_of(told, Sql("entry")))
    if gathered is None:
        return sql("arraySort($order groupArray($entry))", order=order, entry=entry)
    if told.text:
        entry = sql("if($gathered, $entry, '')", gathered=gathered, entry=entry)
    return sql("arraySort($order groupArrayIf($entry, $gathered))", order=order, entry=entry, gathered=gathered)


@dataclass(frozen=True)
class _Column:
    """Something that is told of a session: an expression over its `entries` where it was cut; where the sender names it an aggregate, or
    the entries themselves."""

    name: Sql
    cut: Sql
    known: Sql | None

    @property
    def kept(self) -> Sql:
        """What was known of a named session."""
        return sql("known_$name", name=self.name) if self.known else Sql("entries")


def _counts(question: Session, told: Told) -> Iterator[_Column]:
    names = (Sql("pages"), Sql("has_key"), Sql("has_event"))
    for place, holds in told.bits:
        bit = sql("bitTest($mark, $place)", mark=_mark_of(told, Sql("entry")), place=number(place))
        if place == 0 and question.view == "pages":
            continue  # they are as many as its views
        if place == 0:
            yield _Column(names[place], sql("arrayCount(entry -> $bit, entries)", bit=bit), sql("countIf($holds)", holds=holds))
        else:
            yield _Column(names[place], sql("arrayExists(entry -> $bit, entries)", bit=bit), sql("max($holds)", holds=holds))


def _texts(question: Session, told: Told) -> Iterator[_Column]:
    if told.text is None:
        return
    is_page = sql("bitTest($mark, 0)", mark=_mark_of(told, Sql("entry")))
    if question.view == "pages":
        yield _Column(Sql("views"), sql("arrayFilter(entry -> $is_page, entries)", is_page=is_page), None)
        return
    first = question.view == "entry_pages" or (question.view == "sessions" and question.breakdown_event == "first")
    seen, counts = is_page, told.page or EMPTY
    if question.view == "sessions":
        seen, counts = Sql("length(entry) > 8"), sql("$text != ''", text=told.text)
    known = breakdowns.first_value(told.text, counts) if first else breakdowns.last_value(told.text, counts)
    cut = sql("substring($take(entry -> $seen, entries), 9)", take=Sql("arrayFirst" if first else "arrayLast"), seen=seen)
    yield _Column(Sql("value"), cut, known)
