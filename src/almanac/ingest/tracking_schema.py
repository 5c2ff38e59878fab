"""What a schema of a tracking plan may say: JSON Schema, draft 2020-12, without whatever would reach out of the document or never end.

A rule whose name nobody knows would check nothing, silently; so it is refused with the nearest name there is, as an unknown format is.
References stay within the schema and never come back to where they began: a circle that consumes nothing of the event has no end.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

import jsonschema_rs
from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from almanac.core.errors import AlmanacError, invalid

LONGEST: Final = 100_000  # characters of a schema
_DEEPEST: Final = 60  # steps of a path
_MOST_STEPS: Final = 20_000  # schemas within a schema, each counted as often as a reference leads to it
_DRAFT: Final = ("https://json-schema.org/draft/2020-12/schema", "https://json-schema.org/draft/2020-12/schema#")

# Where a rule holds schemas: one, several in a list, several by name.
_ONE: Final = (
    "not",
    "if",
    "then",
    "else",
    "items",
    "contains",
    "additionalProperties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED: Final = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")
_STORED: Final = ("$defs", "definitions")  # they say nothing by themselves
_PLAIN: Final = (
    "$ref",
    "$schema",
    "$comment",
    "type",
    "enum",
    "const",
    "multipleOf",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "format",
    "maxItems",
    "minItems",
    "uniqueItems",
    "maxContains",
    "minContains",
    "maxProperties",
    "minProperties",
    "required",
    "dependentRequired",
    "title",
    "description",
    "default",
    "deprecated",
    "readOnly",
    "writeOnly",
    "examples",
)
RULES: Final = frozenset((*_ONE, *_LISTS, *_NAMED, *_PLAIN))
FORMATS: Final = ("date", "date-time", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid")


def compiled(schema: Mapping[str, Any]) -> Draft202012Validator:
    """The validator of a schema. Raises `invalid`, the place within the schema being its path with dots (`properties.total.type`)."""
    try:
        text = json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise invalid(f"The schema cannot be written as JSON: {error}.", way_out="Put dates and other special values in quotes.") from None
    if len(text) > LONGEST:
        raise invalid(f"The schema has {len(text)} characters.", way_out=f"Keep it below {LONGEST}.")
    plain: dict[str, Any] = json.loads(text)
    try:
        for path, part in _parts(plain):
            if len(path) > _DEEPEST:
                raise invalid("The schema is nested too deeply.", place="schema", way_out=f"Use at most {_DEEPEST} levels.")
            _check_words(path, part)
        jsonschema_rs.meta.validate(plain)
        _check_references(plain)
        for _, part in list(_parts(plain)):
            if part.get("additionalProperties") is False:
                # TRICKY: by itself this rule is taken for one that nothing fits, and its errors don't name the properties.
                part.setdefault("properties", {})
        return Draft202012Validator(
            plain, validate_formats=True, ignore_unknown_formats=False, offline=True, pattern_options=RegexOptions()
        )
    except RecursionError:
        raise invalid("The schema is nested too deeply.", place="schema", way_out=f"Use at most {_DEEPEST} levels.") from None
    except ValidationError as error:
        raise _refused(error) from None


def _refused(error: ValidationError) -> AlmanacError:
    place = _dotted(error.instance_path)
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Format):
        way_out = "A pattern is a regular expression without look-around and back-references."
        return invalid(f"{_short(error.instance)} is no pattern.", place=place, way_out=way_out)
    way_out = "Write it as JSON Schema, draft 2020-12, has it; the page on tracking plans has examples."
    return invalid(f"{error.message[:1].upper()}{error.message[1:300].rstrip('.')}.", place=place, way_out=way_out)


def _parts(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """The schema and all within it, as they are written down. What is no schema at all is left to the meta-schema."""
    if not isinstance(schema, dict):
        return
    yield path, schema
    for word, value in _within(schema):
        yield from _parts(value, (*path, *word))


def _within(schema: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for rule, value in schema.items():
        if rule in _ONE:
            yield (rule,), value
        elif rule in _LISTS and isinstance(value, list):
            yield from (((rule, str(place)), item) for place, item in enumerate(value))
        elif rule in _NAMED and isinstance(value, Mapping):
            yield from (((rule, str(name)), item) for name, item in value.items())


def _check_words(path: tuple[str, ...], schema: Mapping[str, Any]) -> None:
    for rule in schema:
        if rule in RULES or rule.startswith("x-"):
            continue
        near = difflib.get_close_matches(rule, RULES, n=1, cutoff=0.6)
        way_out = f"Did you mean {near[0]!r}?" if near else "What is a note of your own begins with x-; rules are those of JSON Schema."
        raise invalid(f"There is no rule {rule!r}.", place=_dotted((*path, rule)), way_out=way_out)
    if (format_ := schema.get("format")) is not None and format_ not in FORMATS:
        raise invalid(
            f"There is no format {_short(format_)}.", place=_dotted((*path, "format")), way_out=f"There are: {', '.join(FORMATS)}."
        )
    if (draft := schema.get("$schema")) is not None and (path or draft not in _DRAFT):
        raise invalid(
            f"The draft {_short(draft)} is not known here.",
            place=_dotted((*path, "$schema")),
            way_out=f"Leave it out, or write {_DRAFT[0]}.",
        )


def _check_references(root: Mapping[str, Any]) -> None:
    """Each leads to a schema within the document, and none back to where it stands."""
    known = {id(part) for _, part in _parts(root)}
    steps = 0

    def walk(path: tuple[str, ...], schema: Any, came: tuple[str, ...]) -> None:
        nonlocal steps
        steps += 1
        if steps > _MOST_STEPS:
            raise invalid("The references of the schema lead to too many others.", place="schema", way_out="Write it in a plainer way.")
        if not isinstance(schema, Mapping):
            return
        if (reference := schema.get("$ref")) is not None:
            place = _dotted((*path, "$ref"))
            if reference in came:
                raise invalid(
                    f"The reference {_short(reference)} comes back to itself.", place=place, way_out="Write out as many levels as you need."
                )
            target, steps_to = _target(root, str(reference), known, place)
            walk(steps_to, target, (*came, reference))
        for word, value in _within(schema):
            if word[0] not in _STORED:
                walk((*path, *word), value, came)

    walk((), root, ("#",))
    for path, part in _parts(root):  # what nothing refers to is in order too
        if "$ref" in part:
            walk(path, part, ("#",))


def _target(root: Mapping[str, Any], reference: str, known: set[int], place: str) -> tuple[Any, tuple[str, ...]]:
    way_out = "Put it into $defs, and write #/$defs/NAME."
    if not reference.startswith("#/"):
        raise invalid(f"The reference {_short(reference)} leads out of the schema.", place=place, way_out=way_out)
    found: Any = root
    words = tuple(unquote(step).replace("~1", "/").replace("~0", "~") for step in reference.split("/")[1:])
    for word in words:
        if isinstance(found, list) and word.isdigit() and int(word) < len(found):
            found = found[int(word)]
        elif isinstance(found, Mapping) and word in found:
            found = found[word]
        else:
            raise invalid(f"The reference {_short(reference)} leads nowhere.", place=place, way_out=way_out)
    if id(found) not in known and not isinstance(found, bool):
        raise invalid(f"The reference {_short(reference)} leads to no schema.", place=place, way_out=way_out)
    return found, words


def _dotted(path: Any) -> str:
    return ".".join(str(step) for step in ("schema", *path))


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}…"
