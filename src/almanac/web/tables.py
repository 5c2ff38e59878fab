"""Answers as files: CSV and XLSX for spreadsheets, NDJSON and Parquet for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from almanac.web.sheets import MEDIA_TYPE, as_xlsx

Format = Literal["json", "csv", "ndjson", "parquet", "xlsx"]

MEDIA_TYPES: Final[dict[str, str]] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": MEDIA_TYPE,
}
# What a spreadsheet would take for a formula. Texts in answers come from whoever sends events.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def as_file(answer: Mapping[str, Any], format_: Format) -> bytes:
    """The rows of an answer. Parquet holds the receipt too, under the key `almanac.receipt` of the file's metadata, and XLSX on a sheet."""
    names = [str(column["name"]) for column in answer["columns"]]
    if format_ == "csv":
        return as_csv(names, answer["rows"])
    if format_ == "ndjson":
        return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in answer["rows"]).encode("utf-8", "replace")
    if format_ == "parquet":
        return _parquet(names, answer)
    if format_ == "xlsx":
        return as_xlsx(names, answer)
    return json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace")


def as_csv(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    """RFC 4180, with a line of names; nothing for null, JSON for lists. A text that a spreadsheet would run gets a ' before it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return out.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, (int, float)):
        return value
    return json.dumps(value, ensure_ascii=False)


def _parquet(names: Sequence[str], answer: Mapping[str, Any]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    columns = {name: [row.get(name) for row in answer["rows"]] for name in names}
    receipt = json.dumps(answer["receipt"]).encode()
    table = pyarrow.table({name: _column(values) for name, values in columns.items()}).replace_schema_metadata({"almanac.receipt": receipt})
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out, compression="zstd")
    return out.getvalue()


def _column(values: list[Any]) -> Any:
    """Of one type; values of several (a column of a statement may hold them) as JSON."""
    import pyarrow

    try:
        return pyarrow.array(values)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError):
        return pyarrow.array([None if value is None else json.dumps(value, ensure_ascii=False) for value in values])
