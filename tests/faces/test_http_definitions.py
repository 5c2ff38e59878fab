"""Metrics, segments and questions under names, over HTTP: who may save them, and what a page needs to edit them."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pyarrow.parquet
import pytest

if TYPE_CHECKING:
    from tests.faces.conftest import House, Keys


@pytest.fixture(scope="module")
def shop(house: House) -> Keys:
    keys = house.project("shop of names")
    house.send(keys.project, {"event": "order", "distinct_id": "ann", "id": "n1", "properties": {"total": 5}})
    return keys


def call(house: House, keys: Keys, method: str, path: str, body: Any = None, *, key: str = "", **query: Any) -> Any:
    headers = {"Authorization": f"Bearer {key or keys.admin}"}
    return house.client.request(method, f"/api/v1/projects/{keys.project}/{path}", json=body, params=query, headers=headers)


def test_a_metric_is_saved_asked_by_name_changed_and_removed(house: House, shop: Keys) -> None:
    saved = call(house, shop, "PUT", "definitions/metric/revenue", {"event": "order", "measure": "sum", "prop": "total"}).json()
    assert (saved["version"], saved["removed"]) == (1, False)
    assert saved["body"] == {"event": "order", "measure": "sum", "property": "total"}
    question = {"kind": "trend", "series": [{"metric": "revenue"}], "interval": "total", "last": "1 day"}
    answer = call(house, shop, "POST", "ask", question, key=shop.read).json()
    assert [(row["series"], row["value"]) for row in answer["rows"]] == [("revenue", 5)]
    assert call(house, shop, "PUT", "definitions/metric/revenue", {"event": "order"}, expected=1).json()["version"] == 2
    stale = call(house, shop, "PUT", "definitions/metric/revenue", {"event": "paid"}, expected=1)
    assert (stale.status_code, stale.json()["error"]["message"]) == (409, "The metric 'revenue' is at version 2, not at version 1.")
    assert call(house, shop, "GET", "definitions/metric/revenue", version=1, key=shop.read).json()["body"]["measure"] == "sum"
    history = call(house, shop, "GET", "definitions/metric/revenue/versions", key=shop.read).json()
    assert [item["version"] for item in history] == [2, 1]
    assert [item["name"] for item in call(house, shop, "GET", "definitions/metric", key=shop.read).json()] == ["revenue"]
    assert call(house, shop, "DELETE", "definitions/metric/revenue").status_code == 204
    gone = call(house, shop, "GET", "definitions/metric/revenue")
    assert (gone.status_code, gone.json()["error"]["message"]) == (404, "There is no metric 'revenue'.")


def test_a_read_key_may_look_and_plan_and_not_save(house: House, shop: Keys) -> None:
    file = {"metrics": {"orders": {"event": "order"}}}
    planned = call(house, shop, "POST", "definitions/plan", file, key=shop.read).json()
    assert [(change["name"], change["action"]) for change in planned] == [("orders", "create")]
    for method, path in (("POST", "definitions/apply"), ("PUT", "definitions/metric/x"), ("DELETE", "definitions/metric/x")):
        assert call(house, shop, method, path, file, key=shop.read).status_code == 403
    assert call(house, shop, "GET", "definitions", key=shop.read).json() == {}
    assert [change["action"] for change in call(house, shop, "POST", "definitions/apply", file).json()] == ["create"]
    assert call(house, shop, "GET", "definitions", key=shop.read).json() == file


def test_what_is_wrong_has_its_place(house: House, shop: Keys) -> None:
    wrong = call(house, shop, "PUT", "definitions/segment/x", {"all": [{"did": "order", "often": 3}]})
    assert wrong.status_code == 400
    assert wrong.json()["error"]["place"] == "segments.x.all.0.often"
    assert call(house, shop, "GET", "definitions/horoscope").status_code == 400
    assert call(house, shop, "PUT", "definitions/metric/x", [1]).status_code == 400


def test_two_receipts_are_compared(house: House, shop: Keys) -> None:
    asked = {"kind": "trend", "series": ["order"], "date_from": "2026-01-01", "date_to": "2026-01-02"}
    first, second = (
        call(house, shop, "POST", "ask", {**asked, **more}, key=shop.read).json()["receipt"] for more in ({}, {"date_to": "2026-01-03"})
    )
    found = call(house, shop, "POST", "compare", {"first": first, "second": second}, key=shop.read).json()
    assert found[0]["sentence"].startswith("The second ends 1 day later:")
    assert call(house, shop, "POST", "compare", {"first": {}, "second": second}, key=shop.read).status_code == 400


def test_a_question_is_explained_without_being_asked(house: House, shop: Keys) -> None:
    found = call(house, shop, "POST", "explain", {"kind": "trend", "series": ["order"]}, key=shop.read).json()
    assert found["sql"].lstrip().startswith("SELECT")
    assert found["rows"] >= 1
    assert any("ReadFromMergeTree" in line for line in found["plan"])
    assert call(house, shop, "POST", "explain", {"kind": "trend"}, key=shop.read).status_code == 400
    assert call(house, shop, "POST", "explain", {"kind": "sql", "sql": "SELECT count() FROM events"}, key=shop.read).status_code == 200


def test_an_answer_is_had_as_a_file(house: House, shop: Keys) -> None:
    events = [("=1+1", 5), ("plain, with comma", 2.5), ("-x", None)]
    house.send(
        shop.project,
        *(
            {"event": "sold", "distinct_id": "b", "id": f"s{at}", "properties": {"what": what, "n": n}}
            for at, (what, n) in enumerate(events)
        ),
    )
    columns = "properties.what.:String AS what, properties.n.:Float64 AS n, ['a', 'b'] AS list"
    asked = {"kind": "sql", "sql": f"SELECT {columns} FROM events WHERE event = 'sold' ORDER BY id_text"}
    sheet = call(house, shop, "POST", "ask", asked, key=shop.read, format="csv")
    assert sheet.headers["content-type"] == "text/csv; charset=utf-8"
    assert sheet.text.splitlines()[0] == "what,n,list"
    assert sheet.text.splitlines()[1].startswith("'=1+1,")
    assert '"plain, with comma",2.5,"[""a"", ""b""]"' in sheet.text.splitlines()
    assert "'-x,," in sheet.text
    lines = call(house, shop, "POST", "ask", asked, key=shop.read, format="ndjson").text.splitlines()
    assert json.loads(lines[1]) == {"what": "plain, with comma", "n": 2.5, "list": ["a", "b"]}
    table = pyarrow.parquet.read_table(io.BytesIO(call(house, shop, "POST", "ask", asked, key=shop.read, format="parquet").content))
    assert table.column("what").to_pylist() == [what for what, _ in events]
    assert json.loads(table.schema.metadata[b"almanac.receipt"])["exact"] is True
    assert call(house, shop, "POST", "ask", asked, key=shop.read, format="xml").status_code == 400
