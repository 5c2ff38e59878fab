"""A schema that would check nothing, reach out or never end is refused when it is saved, naming the place."""

from __future__ import annotations

from typing import Any

import pytest

from almanac.core.errors import AlmanacError, Code
from almanac.ingest.tracking import Entry, Fault, mark
from almanac.ingest.tracking_schema import FORMATS, LONGEST, compiled


def of(total: Any, **more: Any) -> dict[str, Any]:
    return {"properties": {"total": total}, **more}


@pytest.mark.parametrize(
    ("schema", "place", "message"),
    [
        (of({"type": "numbr"}), "schema.properties.total.type", '"numbr" is not valid under any of the schemas'),
        (of({"minimun": 1}), "schema.properties.total.minimun", "There is no rule 'minimun'."),
        (of({"minimum": "1"}), "schema.properties.total.minimum", '"1" is not of type "number".'),
        (of(5), "schema.properties.total", '5 is not of types "boolean", "object".'),
        (of({}, required="total"), "schema.required", '"total" is not of type "array".'),
        (of({"multipleOf": 0}), "schema.properties.total.multipleOf", "0 is less than or equal to the minimum of 0."),
        (of({"format": "e-mail"}), "schema.properties.total.format", 'There is no format "e-mail".'),
        (of({"pattern": "(?=x)"}), "schema.properties.total.pattern", '"(?=x)" is no pattern.'),
        (of({"pattern": "("}), "schema.properties.total.pattern", '"(" is no pattern.'),
        ({"patternProperties": {"[": {}}}, "schema.patternProperties.[", '"[" is no pattern.'),
        ({"anyOf": [{}, {"requird": []}]}, "schema.anyOf.1.requird", "There is no rule 'requird'."),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "schema.$schema", "The draft"),
        ({"$id": "https://example.com/x"}, "schema.$id", "There is no rule '$id'."),
        ({"$ref": "https://example.com/x"}, "schema.$ref", 'The reference "https://example.com/x" leads out of the schema.'),
        ({"$ref": "#/$defs/x"}, "schema.$ref", 'The reference "#/$defs/x" leads nowhere.'),
        ({"$ref": "#/required", "required": ["a"]}, "schema.$ref", 'The reference "#/required" leads to no schema.'),
        ({"$ref": "#"}, "schema.$ref", 'The reference "#" comes back to itself.'),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "schema.$defs.a.$ref", "comes back to itself."),
        (
            {"$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"properties": {"x": {"$ref": "#/$defs/a"}}}}},
            "schema.$defs.a.items.$ref",
            "comes back to itself.",
        ),
        (of({"enum": [float("nan")]}), "", "The schema cannot be written as JSON"),
        (of({"description": "x" * LONGEST}), "", "The schema has"),
    ],
)
def test_refused_with_its_place(schema: Any, place: str, message: str) -> None:
    with pytest.raises(AlmanacError) as refused:
        compiled(schema)
    assert refused.value.code is Code.INVALID
    assert refused.value.place == place
    assert message in refused.value.message
    assert refused.value.way_out


def test_a_rule_that_is_nearly_right_is_named() -> None:
    with pytest.raises(AlmanacError) as refused:
        compiled({"additionalPropertys": False})
    assert refused.value.way_out == "Did you mean 'additionalProperties'?"


def test_schemas_without_end_are_refused() -> None:
    nested: dict[str, Any] = {}
    for _ in range(100):
        nested = {"not": nested}
    with pytest.raises(AlmanacError, match="nested too deeply"):
        compiled(nested)
    # Each of 20 levels refers to the next one twice: a million paths in a page of text.
    levels = {f"l{n}": {"allOf": [{"$ref": f"#/$defs/l{n + 1}"}, {"$ref": f"#/$defs/l{n + 1}"}]} for n in range(20)}
    with pytest.raises(AlmanacError, match="too many others"):
        compiled({"$ref": "#/$defs/l0", "$defs": {**levels, "l20": {}}})


def test_what_is_right_is_taken() -> None:
    assert compiled({"$schema": "https://json-schema.org/draft/2020-12/schema", "x-team": "shop", "title": "t"}).is_valid({})
    for format_ in FORMATS:
        assert not compiled({"format": format_}).is_valid("no ~ such \\ thing\n"), format_
    shared = {"properties": {"a": {"$ref": "#/$defs/money"}, "b": {"$ref": "#/$defs/money"}}, "$defs": {"money": {"minimum": 0}}}
    assert not compiled(shared).is_valid({"b": -1})


def faults(schema: Any, properties: str) -> list[tuple[str, str]]:
    return [(fault.property, fault.rule) for fault in Entry("order", 1, "stamp", schema).faults(properties)]


def test_paths_of_faults() -> None:
    schema = {
        "properties": {
            "items": {"items": {"required": ["sku"], "properties": {"price": {"type": "number"}}}},
            "a": {"properties": {"b": {"const": 1}}},
            "tags": {"items": {"type": "string"}},
        },
        "minProperties": 1,
    }
    assert faults(schema, "{}") == [("", "minProperties")]
    assert faults(schema, '{"items":[{"price":1},{"sku":1,"price":"x"},{"sku":1,"price":"y"}]}') == [
        ("items[].price", "type"),
        ("items[].sku", "required"),
    ]
    assert faults(schema, '{"a":{"b":2},"tags":["x",1]}') == [("a.b", "const"), ("tags[]", "type")]
    assert faults({"type": "object"}, "[1]") == [("", "type")]
    assert faults({}, '{"a":1e999}') == [("", "unreadable")]
    assert faults({"properties": {"n": {"type": "integer", "minimum": 2**70}}}, f'{{"n":{2**70}}}') == []


def test_names_of_sdks_count_only_where_the_schema_names_them() -> None:
    closed = {"properties": {"total": {}}, "additionalProperties": False}
    sent = '{"total":1,"$lib":"web","$session_id":"s","token":"phc","distinct_id":"ann"}'
    assert faults(closed, sent) == []
    assert faults(closed, '{"total":1,"token":"mine"}') == [("token", "additionalProperties")]
    named = {"properties": {"$lib": {"const": "ios"}}, "required": ["token"]}
    assert faults(named, sent) == [("$lib", "const")]
    assert faults(named, '{"$lib":"ios"}') == [("token", "required")]
    assert faults({"minProperties": 1}, '{"$lib":"web"}') == [("", "minProperties")]


def test_a_mark_names_property_and_rule_and_ends_somewhere() -> None:
    assert mark((Fault("currency", "required"), Fault("", "unplanned"))) == "currency: required; unplanned"
    assert len(mark(tuple(Fault(f"{n}" * 200, "type") for n in range(9)))) == 500
    many = ",".join(f'"p{n:02d}":1' for n in range(50))
    assert len(faults({"additionalProperties": False}, f"{{{many}}}")) == 20


def test_what_is_wanted_is_told_in_the_dead_letter() -> None:
    entry = Entry("order", 3, "reject", {"properties": {"total": {"type": ["number", "null"]}, "c": {"enum": ["x" * 200]}}})
    told = entry.sentence(entry.faults('{"total":"5","c":1}'))
    assert told == 'It does not fit version 3 of the plan of \'order\': c: enum; total: type ["number", "null"].'
