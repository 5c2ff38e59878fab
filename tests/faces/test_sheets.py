"""Answers as workbooks: cells of their types, nothing that a spreadsheet would run, and the receipt."""

from __future__ import annotations

import io
import json
import re
import zipfile
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almanac.core.errors import AlmanacError
from almanac.web.sheets import as_xlsx

if TYPE_CHECKING:
    from tests.faces.conftest import House, Keys

_NS = {"x": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}


def opened(book: bytes) -> dict[str, list[list[Any]]]:
    """The sheets' cells, as the file's own words mean them: texts, numbers, truth values; a number with a date's format is that time."""
    with zipfile.ZipFile(io.BytesIO(book)) as parts:
        assert not [name for name in parts.namelist() if "vba" in name.lower() or "externalLink" in name]
        shared = []
        if "xl/sharedStrings.xml" in parts.namelist():
            shared = ["".join(node.itertext()) for node in ElementTree.fromstring(parts.read("xl/sharedStrings.xml"))]
        styles = ElementTree.fromstring(parts.read("xl/styles.xml"))
        formats = {int(node.get("numFmtId", 0)): node.get("formatCode", "") for node in styles.iterfind(".//x:numFmt", _NS)}
        cells = styles.find("x:cellXfs", _NS)
        assert cells is not None
        dated = ["yy" in formats.get(int(node.get("numFmtId", 0)), "") for node in cells]
        names = [node.get("name", "") for node in ElementTree.fromstring(parts.read("xl/workbook.xml")).iterfind(".//x:sheet", _NS)]
        return {name: _rows(parts.read(f"xl/worksheets/sheet{place}.xml"), shared, dated) for place, name in enumerate(names, 1)}


def _rows(text: bytes, shared: list[str], dated: list[bool]) -> list[list[Any]]:
    root = ElementTree.fromstring(text)
    assert root.find(".//x:f", _NS) is None, "a formula"
    assert root.find(".//x:hyperlink", _NS) is None, "a link"
    found = []
    for row in root.iterfind(".//x:row", _NS):
        line: dict[int, Any] = {}
        for cell in row.iterfind("x:c", _NS):
            value = cell.find("x:v", _NS)
            if value is None:
                continue
            letters = re.match("[A-Z]+", cell.get("r", ""))
            assert letters
            place = 0
            for letter in letters[0]:
                place = place * 26 + ord(letter) - 64
            said: Any = value.text or ""
            if cell.get("t") == "s":
                said = re.sub("_x([0-9A-Fa-f]{4})_", lambda match: chr(int(match[1], 16)), shared[int(said)])
            elif cell.get("t") == "b":
                said = said == "1"
            else:
                said = float(said)
                if dated[int(cell.get("s", 0))]:
                    said = datetime(1899, 12, 30) + timedelta(seconds=round(said * 86_400))
            line[place - 1] = said
        found.append([line.get(place) for place in range(max(line, default=-1) + 1)])
    return found


def answer(rows: list[dict[str, Any]], **receipt: Any) -> dict[str, Any]:
    names = list(rows[0]) if rows else []
    return {"kind": "sql", "columns": [{"name": name} for name in names], "rows": rows, "receipt": receipt}


def sheets(rows: list[dict[str, Any]], **receipt: Any) -> dict[str, list[list[Any]]]:
    return opened(as_xlsx(list(rows[0]) if rows else [], answer(rows, **receipt)))


def test_cells_have_the_types_of_their_values() -> None:
    row = {
        "text": "=1+1",
        "link": "https://example.org",
        "digits": "0042",
        "n": 5,
        "x": 2.5,
        "big": 12345678901234567890,
        "yes": True,
        "none": None,
        "day": "2026-01-31",
        "moment": "2026-01-31T12:30:00+01:00",
        "list": ["a", 1],
    }
    found = sheets([row], sql="SELECT 1", exact=True, notes=["a note"], cache_age=None)
    names, cells = found["rows"]
    assert names == list(row)
    assert cells == [
        *("=1+1", "https://example.org", "0042", 5.0, 2.5, "12345678901234567890", True, None),
        *(datetime(2026, 1, 31), datetime(2026, 1, 31, 12, 30), '["a", 1]'),
    ]
    assert found["receipt"] == [["kind", "sql"], ["sql", "SELECT 1"], ["exact", True], ["notes", '["a note"]'], ["cache_age"]]


def test_a_column_is_of_dates_when_all_of_it_is() -> None:
    found = sheets([{"a": "2026-01-31", "b": "2026-01-31"}, {"a": "2026-02-30", "b": None}])
    assert found["rows"][1:] == [["2026-01-31", datetime(2026, 1, 31)], ["2026-02-30"]]


def test_what_a_sheet_cannot_hold_is_refused_or_goes_on_in_the_next_cell() -> None:
    with pytest.raises(AlmanacError, match="too long for a cell"):
        sheets([{"a": "x" * 32_768}])
    with pytest.raises(AlmanacError, match="a sheet holds 1,048,575"):
        as_xlsx(["a"], {"kind": "sql", "rows": [{}] * 1_048_576, "receipt": {}})
    found = sheets([{"a": 1}], sql="S" * 40_000)["receipt"]
    assert [name for name, *_ in found] == ["kind", "sql", "sql (2)"]
    assert found[1][1] + found[2][1] == "S" * 40_000
    assert sheets([])["rows"] == []


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20) | st.sampled_from(
    ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "{=1}", "\tx", "_x0041_", "http://x.y", "mailto:a@b", "internal:Sheet1!A1", "1e5", "TRUE"]
)


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(st.tuples(TEXTS, st.integers(-(10**14), 10**14) | st.floats(-1e14, 1e14), st.booleans()), min_size=1, max_size=5))
def test_texts_stay_the_texts_that_they_are(rows: list[tuple[str, float, bool]]) -> None:
    found = sheets([{"a": text, "b": number, "c": flag} for text, number, flag in rows])["rows"][1:]
    for (text, number, flag), cells in zip(rows, found, strict=True):
        assert cells[0] == text
        assert cells[1] == pytest.approx(number, rel=1e-15)
        assert cells[2] is flag


@pytest.fixture(scope="module")
def shop(house: House) -> Keys:
    keys = house.project("shop of sheets")
    house.send(keys.project, {"event": "order", "distinct_id": "a", "id": "w1", "time": "2026-01-05T10:00:00Z"})
    return keys


def test_a_workbook_comes_over_http(house: House, shop: Keys) -> None:
    question = {"kind": "trend", "series": ["order"], "date_from": "2026-01-05", "date_to": "2026-01-06"}
    headers = {"Authorization": f"Bearer {shop.read}"}
    path = f"/api/v1/projects/{shop.project}/ask?format=xlsx"
    came = house.client.post(path, json=question, headers=headers)
    assert came.status_code == 200, came.text
    assert came.headers["content-type"] == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    assert came.headers["content-disposition"] == 'attachment; filename="trend.xlsx"'
    found = opened(came.content)
    assert found["rows"][1][:3] == ["order", datetime(2026, 1, 5), 1.0]
    receipt = {line[0]: line[1] if len(line) > 1 else None for line in found["receipt"]}
    assert json.loads(receipt["question"])["kind"] == "trend"
    assert receipt["exact"] is True
