"""Reading files of events record by record, in constant memory, from any record on.

Four containers (NDJSON, one JSON document, CSV, Parquet), the text ones plain or gzip. A record is a JSON object as bytes, or the cells of
a row by column. `Record.end` is where reading can go on later.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Literal

from almanac.core.errors import invalid

Container = Literal["ndjson", "json", "csv", "parquet"]

_GZIP: Final = b"\x1f\x8b"
_PARQUET: Final = b"PAR1"
_BOM: Final = b"\xef\xbb\xbf"
_CHUNK: Final = 1 << 18
_ROWS: Final = 2_000  # of a Parquet file, at once
_LARGEST: Final = 64 << 20  # bytes of one record
_MARK: Final = re.compile(rb'["\\{}\[\]]')
_CELL_LIMIT: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place between two records. `offset` in bytes of the unpacked text; unused in Parquet. `line` is that of the next record."""

    offset: int = 0
    row: int = 0
    line: int = 1


@dataclass(slots=True)
class Record:
    """One record: `text` (JSON) or `cells`. `problem` says why it is neither; `text` is then the original. `line` counts from 1."""

    line: int
    end: Cursor
    text: bytes = b""
    cells: dict[str, Any] | None = None
    problem: str = ""


def container_of(path: Path) -> Container:
    """What kind of file it is, by its first bytes, then its name. Raises `not_found`-like `invalid` for what is no file."""
    if not path.is_file():
        raise invalid(f"There is no file {path}.", place=str(path), way_out="Check the path; folders are given as FOLDER/*.ndjson.")
    with _unpacked(path) as file:
        start = file.read(4096)
    if start[:4] == _PARQUET:
        return "parquet"
    names = [suffix.lower() for suffix in path.suffixes]
    if ".csv" in names or ".tsv" in names:
        return "csv"
    text = start.removeprefix(_BOM).lstrip()
    if text[:1] == b"[":
        return "json"
    if text[:1] == b"{":
        return "json" if _is_results(text) else "ndjson"
    if ".json" in names or ".ndjson" in names or ".jsonl" in names:
        return "ndjson"
    return "csv"


def _is_results(text: bytes) -> bool:
    """PostHog's API wraps its rows: {"next": …, "results": [ … ]}."""
    return re.match(rb'\{\s*("(next|previous|count)"\s*:\s*("[^"]*"|null|\d+)\s*,\s*)*"results"\s*:\s*\[', text) is not None


def records(path: Path, container: Container, start: Cursor = Cursor()) -> Iterator[Record]:
    """The records from `start` on."""
    if container == "parquet":
        yield from _parquet(path, start)
        return
    with _unpacked(path) as file:
        if container == "csv":
            yield from _csv(file, start, "\t" if ".tsv" in path.suffixes else "")
        elif container == "json":
            yield from _json(file, start)
        else:
            yield from _ndjson(file, start)


def size_of(path: Path, container: Container) -> int:
    """The size in the unit of progress: rows of Parquet, bytes of text; 0 when it cannot be known beforehand (gzip)."""
    if container == "parquet":
        return _opened(path)[1]
    with path.open("rb") as file:
        return 0 if file.read(2) == _GZIP else path.stat().st_size


def _unpacked(path: Path) -> IO[bytes]:
    try:
        with path.open("rb") as start:
            packed = start.read(2) == _GZIP
        opened: Any = gzip.GzipFile(path, "rb") if packed else path.open("rb")
    except OSError as error:
        raise invalid(f"{path} cannot be read: {error.strerror or error}.", place=str(path)) from None
    file: IO[bytes] = opened
    return file


def _lines(file: IO[bytes], start: Cursor) -> Iterator[tuple[bytes, int]]:
    """Lines and where each ends. A damaged gzip ends with an error that names the file's place."""
    offset = start.offset
    try:
        file.seek(offset)
        for line in file:
            offset += len(line)
            yield line, offset
    except (OSError, EOFError) as error:
        raise invalid(
            f"The file is damaged after byte {offset} (unpacked): {error}.", way_out="Get it again and repeat the import."
        ) from None


def _ndjson(file: IO[bytes], start: Cursor) -> Iterator[Record]:
    row, number = start.row, start.line
    for line, offset in _lines(file, start):
        text = (line.removeprefix(_BOM) if number == 1 else line).strip()
        number += 1
        if text:
            row += 1
            yield Record(number - 1, Cursor(offset, row, number), text)


def _csv(file: IO[bytes], start: Cursor, delimiter: str) -> Iterator[Record]:
    csv.field_size_limit(_CELL_LIMIT)
    head = file.readline()
    delimiter = delimiter or _delimiter(head)
    place = Cursor(max(start.offset, len(head)), start.row, max(start.line, 2))
    columns = next(csv.reader([head.removeprefix(_BOM).decode("utf-8", "replace")], delimiter=delimiter), [])
    if not any(columns):
        raise invalid("The first line does not name the columns.", place="line 1", way_out="Put a header there: event,distinct_id,time,…")
    raw: list[bytes] = []
    end = place.offset

    def texts() -> Iterator[str]:
        nonlocal end
        for line, offset in _lines(file, place):
            end = offset
            raw.append(line)
            yield line.decode("utf-8", "surrogateescape")

    number, row = place.line, place.row
    for cells in _rows(csv.reader(texts(), delimiter=delimiter)):
        line, number = number, number + len(raw)
        original = b"".join(raw)
        raw.clear()
        if cells:
            row += 1
            cursor = Cursor(end, row, number)
            problem = cells if isinstance(cells, str) else _misfit(columns, cells)
            if problem:
                yield Record(line, cursor, original.strip(), problem=problem)
            else:
                yield Record(line, cursor, original.strip(), dict(zip(columns, cells, strict=False)))


def _rows(reader: Iterator[list[str]]) -> Iterator[list[str] | str]:
    """The rows; of one that cannot be read, why."""
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield f"It is not a row of a table: {error}."


def _delimiter(head: bytes) -> str:
    counts = {mark: head.count(mark.encode()) for mark in (",", ";", "\t")}
    return max(counts, key=lambda mark: counts[mark])


def _misfit(columns: list[str], cells: list[str]) -> str:
    if len(cells) > len(columns):
        return f"It has {len(cells)} cells for {len(columns)} columns."
    if any("\udc80" <= char <= "\udcff" for cell in cells if not cell.isascii() for char in cell):
        return "It is not UTF-8."
    return ""


def _json(file: IO[bytes], start: Cursor) -> Iterator[Record]:
    """The elements of the one list in the document: the outermost, or that under `results`. Only brackets and texts are looked at."""
    file.seek(start.offset)
    wanted = 1 if start.offset else 0  # inside the list already
    buffer, base, row, line = b"", start.offset, start.row, start.line
    while True:
        chunk = file.read(_CHUNK)
        buffer += chunk
        if not wanted:
            opening = re.match(rb"(\xef\xbb\xbf)?\s*(\[|\{[^\[]*\[)", buffer)
            if not opening:
                raise invalid("The JSON document holds no list of events.", way_out='Give [ … ], {"results": [ … ]} or one object a line.')
            line += opening[0].count(b"\n")
            buffer, base, wanted = buffer[opening.end() :], base + opening.end(), 1
        used = 0
        for begin, end in _elements(buffer):
            line += buffer.count(b"\n", used, begin)
            row += 1
            if stray := buffer[used:begin].strip(b", \r\n\t"):
                yield Record(line, Cursor(base + begin, row, line), stray[:100_000], problem="It is not a JSON object.")
                row += 1
            here = line
            line += buffer.count(b"\n", begin, end)
            yield Record(here, Cursor(base + end, row, line), b" ".join(buffer[begin:end].splitlines()))
            used = end
        buffer, base = buffer[used:], base + used
        if not chunk or (len(buffer) > _LARGEST):
            rest = buffer.lstrip(b", \r\n\t")
            if rest and not rest.startswith(b"]"):
                yield Record(
                    line, Cursor(base + len(buffer), row + 1, line), rest[:100_000], problem="The document ends within this event."
                )
            return


def _elements(buffer: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of each whole element (an object or a list) at the top of `buffer`."""
    depth = begin = position = 0
    while mark := _MARK.search(buffer, position):
        position = mark.end()
        sign = mark[0]
        if sign == b'"':
            end = _text_end(buffer, position)
            if end < 0:
                return
            position = end
        elif sign in b"{[":
            if depth == 0:
                begin = mark.start()
            depth += 1
        elif sign in b"}]":
            if depth == 0:
                return  # the list itself ends
            depth -= 1
            if depth == 0:
                yield begin, position


def _text_end(buffer: bytes, position: int) -> int:
    while (end := buffer.find(b'"', position)) >= 0:
        back = end - 1
        while buffer[back] == 0x5C:
            back -= 1
        if (end - back) % 2:
            return end + 1
        position = end + 1
    return -1


def _opened(path: Path) -> tuple[Any, int]:
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        file: Any = parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise invalid(f"{path} is not a readable Parquet file: {error}.", place=str(path)) from None
    return file, int(file.metadata.num_rows)


def _parquet(path: Path, start: Cursor) -> Iterator[Record]:
    file, _ = _opened(path)
    first = group = 0
    sizes = [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]
    while group < len(sizes) and first + sizes[group] <= start.row:
        first += sizes[group]
        group += 1
    row = first
    for batch in file.iter_batches(batch_size=_ROWS, row_groups=list(range(group, len(sizes)))):
        for cells in batch.to_pylist():
            row += 1
            if row > start.row:
                yield Record(row, Cursor(0, row, row + 1), cells=cells)
