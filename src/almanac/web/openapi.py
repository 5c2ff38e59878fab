"""The reference of the API. Questions stand in it as the registry has them: a new kind needs no line here."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from almanac.core.analysis import Analysis, registry
from almanac.core.board import Board

_REF: Final = "#/components/schemas/{model}"
_QUESTION: Final = "Question"
QUESTION_BODY: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"$ref": _REF.format(model=_QUESTION)}}}}
}


@cache
def kinds() -> list[dict[str, Any]]:
    """Every kind with its documentation, schemas and worked examples."""
    return [_kind(analysis) for analysis in registry().values()]


def install(app: FastAPI) -> None:
    """Makes `app` describe itself so."""

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            app.openapi_schema = _described(document)
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def _described(document: dict[str, Any]) -> dict[str, Any]:
    """FastAPI's description, with the questions, and without the 422 that this API never answers."""
    schemas = document["components"]["schemas"]
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            if body.get("schema") == {"$ref": _REF.format(model=_QUESTION)}:
                body["examples"] = _examples()
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas |= _question_schemas()
    return document


def _question_schemas() -> dict[str, Any]:
    models = {kind: analysis.question for kind, analysis in registry().items()}
    # Boards are saved by the path of all definitions, which takes any object; pages want their form.
    described: list[type[BaseModel]] = [*models.values(), Board]
    references, definitions = models_json_schema([(model, "validation") for model in described], ref_template=_REF)
    schemas: dict[str, Any] = definitions.get("$defs", {})
    mapping: dict[str, str] = {}
    for kind, model in models.items():
        reference = references[(model, "validation")]["$ref"]
        mapping[kind] = reference
        schema = schemas[reference.rpartition("/")[2]]
        schema["required"] = sorted({*schema.get("required", []), "kind"})
        schema["properties"]["kind"] = {"const": kind, "type": "string", "description": "The kind of question."}
    schemas[_QUESTION] = {
        "description": "A question of any kind.",
        "oneOf": [{"$ref": reference} for reference in mapping.values()],
        "discriminator": {"propertyName": "kind", "mapping": mapping},
    }
    return schemas


def _examples() -> dict[str, Any]:
    return {
        f"{kind} {number}": {"summary": example.title, "value": {"kind": kind, **example.question}}
        for kind, analysis in registry().items()
        for number, example in enumerate(analysis.examples, 1)
    }


def _kind(analysis: Analysis[Any]) -> dict[str, Any]:
    return {
        "kind": analysis.kind,
        "title": analysis.title,
        "doc": analysis.doc,
        "question": analysis.question.model_json_schema(),
        "row": analysis.row.model_json_schema(),
        "examples": [
            {
                "title": example.title,
                "events": [dict(event) for event in example.events],
                "question": {"kind": analysis.kind, **example.question},
                "rows": [dict(row) for row in example.rows],
                "why": example.why,
                "now": example.now,
            }
            for example in analysis.examples
        ],
    }
