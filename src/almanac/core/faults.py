"""What is wrong with something that a user wrote, as one sentence that names the field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from almanac.core.errors import AlmanacError, invalid


def first_fault(error: ValidationError, model: type[BaseModel]) -> AlmanacError:
    """The most telling of the faults that pydantic found in a `model`, with the field as its place and a way out."""
    faults = error.errors(include_url=False)
    # A condition is a filter or a group of filters: pydantic reports both readings; the one that the user meant has fewer unknown fields.
    fault = min(faults, key=lambda item: _foreign(item["loc"], faults))
    place = ".".join(str(part) for part in fault["loc"] if not _is_branch(part))
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "extra_forbidden":
        known = ", ".join(sorted(_fields(model, fault["loc"][:-1])))
        return invalid(
            f"There is no field {fault['loc'][-1]!r} here.", place=place, way_out=f"There are: {known}." if known else "Leave it out."
        )
    if kind == "missing":
        return invalid(f"The field {fault['loc'][-1]!r} is missing.", place=place, way_out="Give it a value.")
    if kind == "literal_error":
        return invalid(
            f"{_short(fault['input'])} is not possible here.", place=place, way_out=f"Use {context.get('expected', 'another value')}."
        )
    message = str(context["error"]) if kind == "value_error" and "error" in context else fault["msg"]
    way_out = "" if kind == "value_error" else f"It was {_short(fault['input'])}."
    return invalid(message[:1].upper() + message[1:].rstrip(".") + ".", place=place, way_out=way_out)


# The forms that a condition or a part of a segment may have: they are no fields.
_FORMS = ("Filter", "FilterGroup", "SegmentFilter", "Did", "DidInOrder", "Listed", "Having", "Segment", "SavedSegment")


def _is_branch(part: Any) -> bool:
    return isinstance(part, str) and (part in _FORMS or "[" in part)


def _foreign(location: tuple[int | str, ...], faults: list[Any]) -> int:
    """How many fields do not fit the readings that this fault belongs to: those of the wrong reading fit least."""
    readings = [location[: place + 1] for place, part in enumerate(location) if _is_branch(part)]
    return sum(1 for item in faults if item["type"] == "extra_forbidden" and item["loc"][:-1] in readings)


def _fields(model: type[BaseModel], location: tuple[int | str, ...]) -> set[str]:
    models: list[type[BaseModel]] = [model]
    for part in location:
        named = [item for item in models if item.__name__ == part]
        fields = [item.model_fields[part].annotation for item in models if isinstance(part, str) and part in item.model_fields]
        models = named or [found for annotation in fields for found in _models(annotation)] or models
    return {field.alias or name for item in models for name, field in item.model_fields.items()}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _short(value: Any) -> str:
    text = repr(dict(value)) if isinstance(value, Mapping) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
