"""GraphQL types out of what is declared elsewhere: arguments from questions, objects from the models of rows and of REST.

Names are those of all faces (`date_from`), not GraphQL's own habit, so that a question is written alike everywhere.
"""

from __future__ import annotations

import enum
import functools
import inspect
import operator
import re
import types
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, NewType, Union, get_args, get_origin

import strawberry
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from strawberry.scalars import JSON
from strawberry.tools import create_type

from almanac.core.analysis import Question

# A whole number of up to 53 bits and more: GraphQL's Int ends at 31.
BigInt = NewType("BigInt", int)
SCALARS: Final[Mapping[object, Any]] = {
    BigInt: strawberry.scalar(
        name="BigInt", description="A whole number, which may be greater than GraphQL's Int.", serialize=lambda value: value
    )
}

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN: Final[dict[Any, Any]] = {str: str, bool: bool, int: BigInt, float: float, datetime: str, date: str}
_POSITIONAL: Final = inspect.Parameter.POSITIONAL_OR_KEYWORD
_KEYWORD: Final = inspect.Parameter.KEYWORD_ONLY


def member(value: Any, name: str) -> Any:
    """A field of an object: of a mapping by its key, else of an object."""
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def many(kind: Any) -> Any:
    """A list of a type that is known when the program runs."""
    return types.GenericAlias(list, (kind,))


def object_of(name: str, model: type[BaseModel], *, described: str = "") -> Any:
    """An object with the fields of a model. Each may be null, as rows leave out what does not apply. None for a model without fields."""
    fields = [
        strawberry.field(name=field, graphql_type=_output(info.annotation) | None, description=info.description)
        for field, info in model.model_fields.items()
    ]
    return create_type(name, fields, description=described or inspect.getdoc(model)) if fields else None


def page_of(name: str, node: Any) -> Any:
    """A page of a long list, as Relay has it."""
    fields = [
        strawberry.field(name="nodes", graphql_type=many(node)),
        strawberry.field(name="pageInfo", graphql_type=PageInfo),
        strawberry.field(
            name="totalCount", graphql_type=BigInt | None, description="Of all pages; null where counting would cost too much."
        ),
    ]
    return create_type(name, fields)


@strawberry.type(description="Where a page ends.")
class PageInfo:
    """See Relay's cursor connections."""

    hasNextPage: bool  # noqa: N815 (Relay's word)
    endCursor: str | None  # noqa: N815


def field_of(
    resolve: Callable[..., Any], returns: Any, arguments: Iterable[inspect.Parameter] = (), *, name: str, described: str = ""
) -> Any:
    """A field whose arguments are known when the program runs. `resolve` gets `root`, `info` and the arguments that were given. The field
    may be null, so that one that fails leaves the others whole."""

    def resolver(root: Any, info: Any, **given: Any) -> Any:
        return resolve(root, info, **{key: _bare(value) for key, value in given.items() if value not in (None, strawberry.UNSET)})

    own = [inspect.Parameter("root", _POSITIONAL, annotation=Any), inspect.Parameter("info", _POSITIONAL, annotation=strawberry.Info)]
    resolver.__name__ = name
    resolver.__signature__ = inspect.Signature([*own, *arguments], return_annotation=returns | None)  # type: ignore[attr-defined]
    return strawberry.field(resolver=resolver, name=name, description=described or None)


def argument(name: str, kind: Any, described: str = "", *, required: bool = False) -> inspect.Parameter:
    """An argument of a field."""
    wanted = kind if required else kind | None
    noted: Any = Annotated.__class_getitem__((wanted, strawberry.argument(name=name, description=described or None)))  # type: ignore[attr-defined]
    python = name if name.isidentifier() and name not in ("not", "from") else f"{name}_"
    default = inspect.Parameter.empty if required else strawberry.UNSET
    return inspect.Parameter(python, _KEYWORD, annotation=noted, default=default)


def arguments_of(question: type[Question]) -> list[inspect.Parameter]:
    """The fields of a question but its kind. What has a form of its own (events, filters, breakdowns) is written as JSON."""
    return [
        argument(info.alias or name, _input(f"{_owner(question, name)}_{name}", info), info.description or "", required=info.is_required())
        for name, info in question.model_fields.items()
        if name != "kind"
    ]


def _owner(question: type[Question], name: str) -> str:
    """Who declares the field: what all questions share has one type."""
    shared = name in Question.model_fields and question.model_fields[name].annotation == Question.model_fields[name].annotation
    return (Question if shared else question).__name__


def _input(name: str, info: FieldInfo) -> Any:
    annotation = _without_none(info.annotation)
    if get_origin(annotation) is list:
        inner = _scalar(name, _without_none(get_args(annotation)[0]))
        return JSON if inner is JSON else many(inner)
    return _scalar(name, annotation)


def _scalar(name: str, annotation: Any) -> Any:
    words = _words(annotation)
    if words and all(_NAME.fullmatch(word) for word in words):
        return _enum(name, tuple(words))
    if words:
        return str
    return int if annotation is int else _PLAIN.get(annotation, JSON)


@functools.cache
def _enum(name: str, words: tuple[str, ...]) -> Any:
    words_of: Any = enum.Enum(name, {word: word for word in words})  # type: ignore[misc]
    return strawberry.enum(words_of)


def _words(annotation: Any) -> list[str]:
    """The texts of a Literal, or of several in one union."""
    origin = get_origin(annotation)
    if origin is Literal:
        values = get_args(annotation)
        return list(values) if all(isinstance(value, str) for value in values) else []
    if origin in (Union, types.UnionType):
        parts = [_words(part) for part in get_args(annotation)]
        return [word for part in parts for word in part] if all(parts) else []
    return []


def _output(annotation: Any) -> Any:
    annotation = _without_none(annotation)
    if get_origin(annotation) is list:
        inner = _output(get_args(annotation)[0])
        return JSON if inner is JSON else many(inner)
    return str if _words(annotation) else _PLAIN.get(annotation, JSON)


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        return _without_none(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        return _without_none(parts[0]) if len(parts) == 1 else functools.reduce(operator.or_, parts)
    return annotation


def _bare(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    return [_bare(item) for item in value] if isinstance(value, list) else value
