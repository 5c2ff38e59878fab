"""The documentation page of a kind of question, from its file: for the reference, and for those who read by MCP."""

from __future__ import annotations

import json
from typing import Any

from almanac.core.analysis import Analysis


def question_page(analysis: Analysis[Any]) -> str:
    """Its docstring, fields, rows and worked examples, as Markdown."""
    lines = [
        f"# {analysis.kind}",
        "",
        analysis.doc,
        "",
        "## Question",
        "",
        "| field | type | default | what it is |",
        "| --- | --- | --- | --- |",
    ]
    schema = analysis.question.model_json_schema()
    for name, field in schema["properties"].items():
        default = f"`{json.dumps(field['default'])}`" if "default" in field else "required"
        lines.append(f"| `{name}` | {_type(field)} | {default} | {field.get('description', '')} |")
    lines += ["", "## Rows", "", "| field | what it is |", "| --- | --- |"]
    for name, column in analysis.row.model_fields.items():
        lines.append(f"| `{name}` | {column.description or ''} |")
    lines += ["", "## Worked examples", ""]
    for example in analysis.examples:
        lines += [f"### {example.title}", ""]
        if example.why:
            lines += [example.why, ""]
        shown = {"events": list(example.events), "question": example.question, "rows": list(example.rows)}
        for word, value in shown.items():
            lines += [f"{word}:", "", "```json", json.dumps(value, indent=1, ensure_ascii=False, default=str), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return str(field["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in field:
        return " or ".join(_type(part) for part in field["anyOf"])
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    return str(field.get("type", "any"))
