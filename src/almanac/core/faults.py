"""What is wrong with something that a user wrote, as one sentence that names the field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

from almanac.core.errors import AlmanacError, invalid

# What a value has to be, by pydantic's name of the fault; the holes are filled from what it says beside it.
_HAS_TO_BE: Final = {
    "string_type": "a text",
    "string_sub_type": "a text",
    "string_unicode": "text that is valid Unicode",
    "string_too_short": "at least {min_length} {characters} long",
    "string_too_long": "at most {max_length} {characters} long",
    "string_pattern_mismatch": "of the form {pattern}",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "{model}",
    "greater_than": "greater than {gt}",
    "greater_than_equal": "greater than or equal to {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "less than or equal to {le}",
}
_FOREIGN_WORDS: Final = re.compile(r"^(?:Input|Value|String|List) should (be|have|match)")


def first_fault(error: ValidationError, model: type[BaseModel]) -> AlmanacError:
    """The most telling of the faults that pydantic found in a `model`, with the field as its place and a way out."""
    faults = error.errors(include_url=False)
    # A condition is a filter or a group of filters: pydantic reports both readings; the one that the user meant has fewer unknown fields.
    fault = min(faults, key=lambda item: _foreign(item["loc"], faults))
    place = ".".join(str(part) for part in fault["loc"] if not _is_branch(part))
    unknown = fault["type"] == "extra_forbidden"
    message, way_out = told(fault, _models_at(model, fault["loc"][:-1] if unknown else fault["loc"]))
    return invalid(message, place=place, way_out=way_out)


def told(fault: Mapping[str, Any], here: Sequence[type[BaseModel]] = ()) -> tuple[str, str]:
    """One of pydantic's faults as a sentence and a way out, "" where the sentence says it. `here`: the models that its place takes."""
    kind, context = str(fault["type"]), dict(fault.get("ctx", {}))
    value = _short(fault.get("input"))
    if kind == "extra_forbidden":
        known = ", ".join(sorted({field.alias or name for item in here for name, field in item.model_fields.items()}))
        return f"There is no field {fault['loc'][-1]!r} here.", f"There are: {known}." if known else "Leave it out."
    if kind == "missing":
        return f"The field {fault['loc'][-1]!r} is missing." if fault["loc"] else "It is missing.", "Give it a value."
    if kind in ("literal_error", "enum"):
        return f"{value} is not possible here.", f"Use {context.get('expected', 'another value')}."
    if kind == "too_short":
        return f"It needs at least {_count(context['min_length'], 'item')}.", ""
    if kind == "too_long":
        return f"It takes at most {_count(context['max_length'], 'item')}.", f"It has {context.get('actual_length') or 'more'}."
    if kind in _HAS_TO_BE:
        characters = "character" if 1 in (context.get("min_length"), context.get("max_length")) else "characters"
        form, example = _written(str(context.get("class_name")), here)
        return f"It is {value} and has to be {_HAS_TO_BE[kind].format(**context, characters=characters, model=form)}.", example
    message = str(context["error"]) if kind == "value_error" and "error" in context else _FOREIGN_WORDS.sub(r"It has to \1", fault["msg"])
    return message[:1].upper() + message[1:].rstrip(".") + ".", "" if kind == "value_error" else f"It was {value}."


def _written(name: str, here: Sequence[type[BaseModel]]) -> tuple[str, str]:
    """What a model is called, and how it is written."""
    wanted = next((item for item in here if item.__name__ == name), None)
    if wanted is None:
        return "an object", ""
    form, example = getattr(wanted, "WRITTEN", ("an object", ""))
    fields = ", ".join(field.alias or field_name for field_name, field in wanted.model_fields.items())
    return form, example or f"Its fields are: {fields}."


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


# The forms that a condition or a part of a segment may have: they are no fields.
_FORMS = ("Filter", "FilterGroup", "SegmentFilter", "Did", "DidInOrder", "Listed", "Having", "Segment", "SavedSegment")


def _is_branch(part: Any) -> bool:
    return isinstance(part, str) and (part in _FORMS or "[" in part)


def _foreign(location: tuple[int | str, ...], faults: list[Any]) -> int:
    """How many fields do not fit the readings that this fault belongs to: those of the wrong reading fit least."""
    readings = [location[: place + 1] for place, part in enumerate(location) if _is_branch(part)]
    return sum(1 for item in faults if item["type"] == "extra_forbidden" and item["loc"][:-1] in readings)


def _models_at(model: type[BaseModel], location: Sequence[int | str]) -> list[type[BaseModel]]:
    models: list[type[BaseModel]] = [model]
    for part in location:
        named = [item for item in models if item.__name__ == part]
        fields = [item.model_fields[part].annotation for item in models if isinstance(part, str) and part in item.model_fields]
        models = named or [found for annotation in fields for found in _models(annotation)] or models
    return models


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _short(value: Any) -> str:
    """As people write it, cut."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 80 else f"{text[:77]}…"
