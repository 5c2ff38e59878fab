"""What the models of questions are made of, so that a test reaches every field of every kind, those to come too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from almanac.core.analysis import Question, registry
from almanac.core.filters import Selector, Window

# A value of each model that a field alone cannot say how to write.
WRITTEN: dict[str, Any] = {
    "Window": {"value": 1, "unit": "day"},
    "Filter": {"property": "plan", "value": "pro"},
    "FilterGroup": {"all": [{"property": "plan", "value": "pro"}]},
    "SegmentFilter": {"segment": {"all": [{"did": "visit"}]}},
    "Segment": {"all": [{"did": "visit"}]},
    "Did": {"did": "visit"},
    "DidInOrder": {"in_order": ["visit", "order"]},
    "Listed": {"ids": ["ann"]},
    "Having": {"property": "plan", "value": "pro"},
}


def models_in(annotation: Any) -> set[type[BaseModel]]:
    """The models that a type is made of."""
    found = {annotation} if isinstance(annotation, type) and issubclass(annotation, BaseModel) else set()
    return found.union(*(models_in(inner) for inner in get_args(annotation))) if get_args(annotation) else found


def all_models(model: type[BaseModel]) -> set[type[BaseModel]]:
    """The model with all that it is made of."""
    found: set[type[BaseModel]] = set()
    waiting = {model}
    while waiting:
        one = waiting.pop()
        found.add(one)
        waiting |= {inner for field in one.model_fields.values() for inner in models_in(field.annotation)} - found
    return found


def is_list(field: FieldInfo) -> bool:
    """Whether it takes a list."""
    kinds = [field.annotation, *get_args(field.annotation)]
    return any(get_origin(kind) is list or kind is list for inner in kinds for kind in (inner, *get_args(inner)[:1]))


def written(model: type[BaseModel]) -> dict[str, Any]:
    """A value of the model: what it needs and no more."""
    if model.__name__ in WRITTEN:
        return dict(WRITTEN[model.__name__])
    return {name: _sample(field) for name, field in model.model_fields.items() if field.is_required()}


def _sample(field: FieldInfo) -> Any:
    if field.examples:
        return field.examples[0]
    models = sorted(models_in(field.annotation), key=lambda model: model.__name__)
    if models:
        return [written(models[0])] if is_list(field) else written(models[0])
    return 1 if field.annotation in (int, float) else "visit"


def questions() -> Iterator[tuple[str, dict[str, Any]]]:
    """The questions of all worked examples, with their kinds."""
    for kind, analysis in registry().items():
        for example in analysis.examples:
            yield kind, {"kind": kind, **example.question}


def places(model: type[Question]) -> Iterator[tuple[str, type[BaseModel] | None, str]]:
    """Where a value can be: each field of the question, and each field of each model once, in the first field that takes it.

    As (field of the question, model or None, field of the model or "")."""
    seen: set[tuple[type[BaseModel], str]] = set()
    for name, field in model.model_fields.items():
        if name == "kind":
            continue
        yield name, None, ""
        for inner in sorted(models_in(field.annotation), key=lambda inner: inner.__name__):
            for inner_name in inner.model_fields:
                if (inner, inner_name) not in seen:
                    seen.add((inner, inner_name))
                    yield name, inner, inner_name


def placed(model: type[Question], base: Mapping[str, Any], place: tuple[str, type[BaseModel] | None, str], value: Any) -> dict[str, Any]:
    """The question `base` with `value` at that place."""
    name, inner, inner_name = place
    if inner is None:
        return {**base, name: value}
    part = {**written(inner), (inner.model_fields[inner_name].alias or inner_name): value}
    return {**base, name: [part] if is_list(model.model_fields[name]) else part}


def taking(kind: str, what: type[BaseModel]) -> list[str]:
    """The question's fields that take such a model, or one derived from it."""
    fields = registry()[kind].question.model_fields
    return [name for name, field in fields.items() if any(issubclass(model, what) for model in models_in(field.annotation))]


def selectors(kind: str) -> list[str]:
    """Fields that say which events are meant."""
    return taking(kind, Selector)


def windows(kind: str) -> list[str]:
    """Fields that are lengths of time."""
    fields = registry()[kind].question.model_fields
    return [name for name in taking(kind, Window) if models_in(fields[name].annotation) == {Window}]
