"""Mappings: what of a foreign message is what of an event, and where the rest goes; by an oracle that walks the message by hand."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from almanac.core.faults import first_fault
from almanac.core.mapping import Mapping
from almanac.core.picks import MISSING, at, compiled, found, without
from almanac.ingest.messages import UnfitError
from almanac.ingest.source_mapping import Translator, encoded, read

ORDER = {
    "type": "order.paid",
    "when": 1769853600,
    "buyer": {"id": 42, "plan": "pro", "address": {"city": "Ulm"}},
    "amount": 1099,
    "currency": "eur",
    "lines": [{"sku": "a"}, {"sku": "b"}],
    "shop": {"name": "north"},
}


def message(mapping: dict[str, Any], document: Any = ORDER, **headers: str) -> dict[str, Any]:
    made = Translator(Mapping.model_validate(mapping)).message(document, headers)
    found: dict[str, Any] = json.loads(encoded(made))
    return found


def test_an_order_becomes_an_event_and_nothing_of_it_is_lost_or_doubled() -> None:
    mapping = {
        "event": "shop {$.type}",
        "time": "$.when",
        "user_id": ["$.user.id", "$.buyer.id"],
        "revenue": "$.amount",
        "currency": "$.currency",
        "minor_units": True,
        "properties": {"first": "$.lines[0].sku", "last": "$['lines'][-1].sku"},
        "person": {"plan": "$.buyer.plan"},
        "groups": {"shop": "$.shop.name"},
    }
    assert message(mapping) == {
        "event": "shop order.paid",
        "time": "2026-01-31T10:00:00+00:00",
        "user_id": "42",
        "groups": {"shop": "north"},
        "person": {"set": {"plan": "pro"}},
        "payload": {"type": "order.paid", "buyer": {"address": {"city": "Ulm"}}, "lines": [{"sku": "a"}, {"sku": "b"}]},
        "properties": {"first": "a", "last": "b", "currency": "EUR", "revenue": 10.99},
    }


def test_the_rest_may_be_properties() -> None:
    made = message({"event": "=Paid", "user_id": "$.buyer.id", "others": "properties"})
    assert "payload" not in made
    assert made["properties"] == {name: value for name, value in ORDER.items() if name != "buyer"} | {
        "buyer": {"plan": "pro", "address": {"city": "Ulm"}}
    }


@pytest.mark.parametrize(
    ("amount", "currency", "expected"), [(1099, "eur", 10.99), (1099, "JPY", 1099), ("1099", "kwd", 1.099), (-5, "usd", -0.05)]
)
def test_smallest_units_are_those_of_the_currency(amount: Any, currency: str, expected: float) -> None:
    made = message({"event": "=Paid", "revenue": "$.a", "currency": "$.c", "minor_units": True}, {"a": amount, "c": currency})
    assert made["properties"]["revenue"] == expected


@pytest.mark.parametrize(
    ("mapping", "document", "reason"),
    [
        ({"event": "$.name"}, {"title": "x"}, "no_name"),
        ({"event": "$.name"}, {"name": {"deep": 1}}, "no_name"),
        ({}, {"name": "x"}, "no_name"),
        ({"event": "=Paid", "revenue": "$.a"}, {"a": "ten"}, "no_amount"),
        ({"event": "=Paid", "revenue": "$.a"}, {"a": True}, "no_amount"),
        ({"event": "=Paid", "revenue": "$.a"}, {"a": "NaN"}, "no_amount"),
        ({"event": "=Paid"}, ["x"], "not_an_object"),
    ],
)
def test_what_cannot_be_an_event_is_said(mapping: dict[str, Any], document: Any, reason: str) -> None:
    with pytest.raises(UnfitError) as refused:
        message(mapping, document)
    assert refused.value.reason == reason


@pytest.mark.parametrize("wrong", ["name", "$.a b", "$..a", "$.a[*]", "$.a[", "{$.a", "header:", "header:a b", "a } b {$.c}", "$x", "{y}"])
def test_a_wrong_pick_is_refused_with_its_field(wrong: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Mapping.model_validate({"event": wrong})
    error = first_fault(refused.value, Mapping)
    assert error.place.startswith("event")
    assert wrong.strip("{}")[:5] in error.message or "brace" in error.message


names = st.sampled_from(["a", "b", "c d", "$", "é", "x'y", "0"])
leaves = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.text(max_size=5), st.sampled_from([1.5, 1e300, -0.0]))
documents = st.dictionaries(
    names,
    st.recursive(leaves, lambda inner: st.one_of(st.dictionaries(names, inner, max_size=3), st.lists(inner, max_size=3)), max_leaves=8),
)
steps = st.lists(st.one_of(names, st.integers(-3, 3)), min_size=1, max_size=4)


def as_written(path: list[str | int]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else "['" + step.replace("'", "\\'") + "']" for step in path)


def walked(document: Any, path: list[str | int]) -> Any:
    for step in path:
        try:
            if isinstance(step, str) != isinstance(document, dict) or isinstance(document, str):
                return MISSING
            document = document[step]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return MISSING
    return document


@given(documents, steps)
@settings(max_examples=300, deadline=None)
def test_law_a_path_finds_what_a_walk_finds(document: Any, path: list[str | int]) -> None:
    expected = walked(document, path)
    [pick] = compiled(as_written(path))
    value = at(document, pick.steps)  # type: ignore[union-attr]
    assert value is expected or value == expected
    value, used = found((pick,), document, {})
    if expected is MISSING or expected is None or expected == "":
        assert (value, used) == (MISSING, None)
    else:
        assert value == expected


def leaves_of(document: Any, place: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], Any]:
    if isinstance(document, dict) and document:
        return {key: value for name, part in document.items() for key, value in leaves_of(part, (*place, name)).items()}
    return {place: json.dumps(document)}


@given(documents, st.lists(st.lists(names, min_size=1, max_size=3).map(tuple), max_size=4))
@settings(max_examples=300, deadline=None)
def test_law_what_is_not_taken_stays_and_nothing_else(document: Any, taken: list[tuple[str, ...]]) -> None:
    before, after = leaves_of(document), leaves_of(without(document, taken))
    wanted = {place: value for place, value in before.items() if not any(place[: len(one)] == one for one in taken)}
    assert {place: value for place, value in after.items() if place} == {place: value for place, value in wanted.items() if place}


@given(documents)
@settings(max_examples=200, deadline=None)
def test_law_a_message_that_nothing_is_taken_of_comes_back_to_the_digit(document: dict[str, Any]) -> None:
    text = json.dumps(document).encode()
    made = Translator(Mapping(event="=x")).message(read(text, levels=64))
    back = json.loads(encoded(made), parse_float=Decimal, parse_int=Decimal).get("payload", {})
    assert back == json.loads(text, parse_float=Decimal, parse_int=Decimal)
