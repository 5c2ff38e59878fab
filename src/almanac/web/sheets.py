"""Answers as workbooks for spreadsheets: a sheet of rows, and one of the receipt. Nothing in them is run: a text stays a text."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from almanac.core.errors import invalid

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.worksheet import Worksheet

MEDIA_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MOST_ROWS: Final = 1_048_575  # of a sheet, beside its line of names
MOST_COLUMNS: Final = 16_384
_LONGEST: Final = 32_767  # letters of a cell
_DIGITS: Final = 10**15  # a spreadsheet keeps 15 digits of a number
_DATE: Final = re.compile(r"(?:19|2\d)\d\d-\d\d-\d\d")
_TIME: Final = re.compile(r"(?:19|2\d)\d\d-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)?")
_WIDEST: Final = 60  # letters
_NO_MAGIC: Final = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False, "in_memory": True}


def as_xlsx(names: Sequence[str], answer: Mapping[str, Any]) -> bytes:
    """Numbers, truth values, dates and times are such cells (times by the clock of their own offset, which a cell cannot hold); lists are
    JSON. Numbers of more than 15 digits are texts, as a spreadsheet would round them. Raises `invalid` for what no sheet can hold."""
    import xlsxwriter

    rows = answer["rows"]
    if len(rows) > MOST_ROWS or len(names) > MOST_COLUMNS:
        raise invalid(
            f"The answer has {len(rows):,} rows of {len(names):,} columns; a sheet holds {MOST_ROWS:,} of {MOST_COLUMNS:,}.",
            place="format",
            way_out="Take csv or parquet.",
        )
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, _NO_MAGIC) as book:
        _write_rows(book, names, rows)
        _write_receipt(book, answer)
    return out.getvalue()


def _write_rows(book: Workbook, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    sheet, bold = book.add_worksheet("rows"), book.add_format({"bold": True})
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    for at, name in enumerate(names):
        values = [row.get(name) for row in rows]
        sheet.write_string(0, at, name[:_LONGEST], bold)
        kind = _times_of(values)
        for place, value in enumerate(values, 1):
            if kind is not None and value is not None:
                found = kind.fromisoformat(value)
                sheet.write_datetime(place, at, _without_offset(found), moment if isinstance(found, datetime) else day)
            else:
                _write(sheet, place, at, value)
        sheet.set_column(at, at, min(_WIDEST, 2 + max([len(name), *(len(str(value)) for value in values[:1000])])))
    sheet.freeze_panes(1, 0)
    if names:
        sheet.autofilter(0, 0, len(rows), len(names) - 1)


def _write_receipt(book: Workbook, answer: Mapping[str, Any]) -> None:
    sheet = book.add_worksheet("receipt")
    wrapped = book.add_format({"text_wrap": True, "valign": "top"})
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 120, wrapped)
    for place, (name, value) in enumerate(_pieces({"kind": answer["kind"], **answer["receipt"]})):
        sheet.write_string(place, 0, name)
        _write(sheet, place, 1, value)


def _pieces(receipt: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What is longer than a cell goes on in the next."""
    for name, value in receipt.items():
        text = value if isinstance(value, (str, int, float)) or value is None else json.dumps(value, ensure_ascii=False)
        if not isinstance(text, str):
            yield name, text
            continue
        for place in range(0, max(1, len(text)), _LONGEST):
            yield name if not place else f"{name} ({place // _LONGEST + 1})", text[place : place + _LONGEST]


def _write(sheet: Worksheet, row: int, column: int, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, (int, float)) and abs(value) < _DIGITS:
        sheet.write_number(row, column, value)
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if len(text) > _LONGEST:
            raise invalid(
                f"A text of {len(text):,} letters is too long for a cell, which holds {_LONGEST:,}.",
                place="format",
                way_out="Take csv or parquet.",
            )
        sheet.write_string(row, column, text)


def _times_of(values: Sequence[Any]) -> type[date] | None:
    """date or datetime when all of them are such texts."""
    texts = [value for value in values if value is not None]
    for kind, pattern in ((date, _DATE), (datetime, _TIME)):
        if texts and all(isinstance(text, str) and pattern.fullmatch(text) for text in texts):
            try:
                for text in texts:
                    kind.fromisoformat(text)
            except ValueError:
                return None
            return kind
    return None


def _without_offset(moment: date) -> date:
    return moment.replace(tzinfo=None) if isinstance(moment, datetime) else moment
