"""Flags of commands, derived from what is declared elsewhere: settings, and the fields of questions."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable
from dataclasses import fields
from datetime import date
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from almanac.core.analysis import Question
from almanac.core.errors import invalid
from almanac.core.settings import Settings
from almanac.web.terminal import cell

_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def shaped(run: Callable[..., None], name: str, doc: str, parameters: list[inspect.Parameter]) -> Callable[..., None]:
    """`run` with the signature that a command's flags are read from."""
    run.__name__, run.__doc__ = name, doc
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {item.name: item.annotation for item in parameters}
    return run


def of_settings() -> list[inspect.Parameter]:
    """One flag for each setting; None when it is not given."""
    parameters = []
    for item in fields(Settings):
        kind: Any = str if item.metadata["secret"] else type(item.default)
        default = item.default if item.default != "" else "empty"
        help_ = f"{item.metadata['help']} [{item.metadata['unit']}; {default}]"
        option = typer.Option(f"--{item.name.replace('_', '-')}", help=help_, show_default=False)
        parameters.append(inspect.Parameter(item.name, _KEYWORD, default=None, annotation=Annotated[kind | None, option]))
    return parameters


def of_question(question: type[Question]) -> list[inspect.Parameter]:
    """One flag for each field but the kind: lists are repeated, truth values are switches, all else is text (`meant` reads it)."""
    parameters = []
    for name, item in question.model_fields.items():
        if name == "kind":
            continue
        words = f"{item.description or ''}{_examples(item)}"
        option = typer.Option(f"--{(item.alias or name).replace('_', '-')}", help=words, show_default=False)
        kind: Any = list[str] if _holds(item.annotation, list) else bool if _holds(item.annotation, bool) else str
        parameters.append(inspect.Parameter(name, _KEYWORD, default=None, annotation=Annotated[kind | None, option]))
    return parameters


def meant(value: Any) -> Any:
    """Text that begins like JSON is JSON: objects and lists are written so on a command line."""
    if isinstance(value, list):
        return [meant(item) for item in value]
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError as error:
            raise invalid(f"{value!r} is not valid JSON: {error}.", way_out='Quote it for the shell: \'{"event": "signup"}\'.') from None
    return value


def object_of(text: str, place: str, way_out: str) -> dict[str, Any]:
    """An object that is written as JSON."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise invalid(f"It is not valid JSON: {error}.", place=place, way_out=way_out) from None
    if not isinstance(found, dict):
        raise invalid("It is not one JSON object.", place=place, way_out=way_out)
    return found


def day_of(text: str, place: str) -> date | None:
    """A day; None for no text."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise invalid(f"{text!r} is not a day.", place=place, way_out="Write it like 2026-01-31.") from None


def edits_of(text: str, place: str) -> dict[str, str]:
    """Mended originals of dead letters by their ids."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise invalid(f"It is not valid JSON: {error}.", place=place) from None
    if not isinstance(found, dict):
        raise invalid("The mended originals are no JSON object.", place=place, way_out='Write {"ID": "mended message"}.')
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in found.items()}


def pairs_of(texts: Iterable[str], place: str) -> tuple[tuple[str, str], ...]:
    """`NAME=VALUE` texts as pairs."""
    pairs = [text.partition("=") for text in texts]
    for name, found, value in pairs:
        if not (name and found and value):
            raise invalid(f"{name + found + value!r} is not NAME=COLUMN.", place=place, way_out="Write it like event=Action.")
    return tuple((name, value) for name, _, value in pairs)


def _examples(item: Any) -> str:
    return f" Such as {', '.join(map(cell, item.examples))}." if item.examples else ""


def _holds(annotation: Any, kind: type) -> bool:
    if get_origin(annotation) in (Annotated, None):
        return annotation is kind or bool(get_args(annotation) and _holds(get_args(annotation)[0], kind))
    if get_origin(annotation) is kind:
        return True
    return get_origin(annotation) is not Literal and any(_holds(part, kind) for part in get_args(annotation) if part is not type(None))
