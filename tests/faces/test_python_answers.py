"""What a program or a notebook gets: answers as frames and as HTML, errors in words."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

import almanac
from almanac.core.analysis import registry
from almanac.core.errors import AlmanacError, Code
from almanac.web.answers import Answer
from almanac.web.client import error_of

ANSWER = Answer(
    kind="trend",
    columns=[{"name": "series", "type": "string", "help": 'Name of the "line"'}, {"name": "value", "type": "number"}],
    rows=[{"series": "<script>alert(1)</script>", "value": 3}, {"series": "b", "value": None}],
    receipt={"exact": True, "sql": "SELECT 1 < 2"},
)


def test_an_answer_becomes_frames_in_the_order_of_its_columns() -> None:
    assert list(ANSWER.to_pandas().columns) == ["series", "value"]
    assert ANSWER.to_polars().columns == ["series", "value"]
    assert ANSWER.to_polars()["value"].to_list() == [3, None]
    assert ANSWER.to_arrow().to_pylist() == ANSWER.rows


def test_an_empty_answer_keeps_its_columns() -> None:
    empty = Answer(kind="trend", columns=ANSWER.columns, rows=[], receipt={})
    assert list(empty.to_pandas().columns) == empty.to_polars().columns == empty.to_arrow().column_names == ["series", "value"]


def test_html_holds_rows_and_receipt_and_nothing_that_runs() -> None:
    text = ANSWER._repr_html_()
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<td>–</td>" in text
    assert "SELECT 1 &lt; 2" in text
    assert 'title="Name of the &quot;line&quot;"' in text


def test_a_long_answer_is_cut_in_a_notebook_and_says_so() -> None:
    long = Answer(kind="trend", columns=ANSWER.columns, rows=[{"series": "a", "value": 1}] * 80, receipt={})
    assert long._repr_html_().count("<tr><td>") == 50
    assert "30 more rows" in long._repr_html_()


def test_every_kind_of_question_is_a_name_of_the_package() -> None:
    for analysis in registry().values():
        assert getattr(almanac, analysis.question.__name__) is analysis.question
        assert analysis.question.__name__ in dir(almanac)
    with pytest.raises(AttributeError):
        _ = almanac.Nonsense


def test_a_server_that_is_not_there_is_an_error_in_words() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(AlmanacError, match="does not answer") as error:
        almanac.open(url, key="rk").ask({"kind": "trend"})
    assert error.value.code is Code.UNAVAILABLE


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AlmanacError, match="There is no data folder"):
        almanac.open(tmp_path / "nowhere")


def test_what_is_no_question_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AlmanacError, match="A str is not a question"):
        almanac.open("http://127.0.0.1:9", project="shop").ask("signups")  # type: ignore[arg-type]


def test_an_error_of_something_in_between_is_told_too() -> None:
    assert error_of(502, b"<html>Bad gateway</html>").message.startswith("The server answered with status 502")
    told = error_of(429, b'{"error":{"code":"limited","message":"Too much.","retryable":true,"retry_after":3}}')
    assert (told.code, told.message, told.retry_after, told.status) == (Code.LIMITED, "Too much.", 3, 429)
