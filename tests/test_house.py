"""The house's rules that a machine can check: each question is whole, documented, and its examples are true."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.analyses.shapes import all_models

import almanac
from almanac.core.analysis import Analysis, Example, registry

SOURCES = sorted(Path(almanac.__file__).parent.rglob("*.py"))
KINDS = registry()
EXAMPLES = [(kind, example) for kind, analysis in KINDS.items() for example in analysis.examples]
# Of sql the statement is the user's own, and its tables are walled instead of filtered; segment reads through `Scope.people` alone.
FREE = {"sql", "segment"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_question_is_whole(kind: str) -> None:
    analysis: Analysis[Any] = KINDS[kind]
    assert analysis.kind == kind == analysis.question.model_fields["kind"].default
    assert analysis.title, "its file begins with a title"
    assert len(analysis.doc) > 200, "its file says when to ask it and how it counts"
    assert len(analysis.examples) >= 3


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_help(kind: str) -> None:
    models = all_models(KINDS[kind].question) | all_models(KINDS[kind].row)
    silent = [f"{model.__name__}.{name}" for model in models for name, field in model.model_fields.items() if not field.description]
    assert [name for name in silent if not name.endswith(".kind")] == []


@pytest.mark.parametrize(("kind", "example"), EXAMPLES, ids=[f"{kind}-{example.title}" for kind, example in EXAMPLES])
def test_an_example_is_true(world: Any, kind: str, example: Example) -> None:
    answer = world.ask(example.events, example.question, now=example.now)
    assert answer.rows == [dict(row) for row in example.rows]
    assert {name for row in answer.rows for name in row} <= {column["name"] for column in answer.columns}
    assert all(column["type"] and column["help"] for column in answer.columns)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - FREE))
def test_the_sql_of_a_question_reads_within_its_scope(kind: str) -> None:
    module = importlib.import_module(f"almanac.analyses.{kind}")
    texts = [value for name, value in vars(module).items() if isinstance(value, str) and "$events" in value]
    texts += [text for text in literals_of("sql", Path(inspect.getfile(module))) if "$events" in text]
    assert texts, "its SQL reads $events"
    assert [text for text in texts if "$scope" not in text] == []


def test_a_question_that_reads_beyond_its_filters_says_so() -> None:
    """A link to a board shows none of these where it limits what is seen."""
    assert {kind for kind, analysis in KINDS.items() if not analysis.filtered} == FREE


def calls_of(name: str, path: Path) -> list[ast.Call]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return [node for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name]


def literals_of(name: str, path: Path) -> list[str]:
    return [call.args[0].value for call in calls_of(name, path) if isinstance(call.args[0], ast.Constant)]


def module_constants(path: Path) -> set[str]:
    """Names bound at the top of the file to a text."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        value = getattr(node, "value", None)
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(SOURCES[0].parent)))
def test_sql_takes_texts_of_this_package_only(path: Path) -> None:
    constants = module_constants(path)
    for name in ("sql", "join"):
        for call in calls_of(name, path):
            text = call.args[0]
            fixed = isinstance(text, ast.Constant) or (isinstance(text, ast.Name) and text.id in constants)
            assert fixed, f"{path.name}:{call.lineno}: {name}() is given text that is made while running"


def test_one_kind_of_question_lives_in_one_file() -> None:
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        analyses = [
            node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Analysis"
        ]
        made = [call for call in analyses if path.parent.name == "analyses"]
        assert len(made) <= 1, path.name
        assert bool(made) == (path.parent.name == "analyses" and path.stem in KINDS), path.name


def test_a_server_starts_without_what_few_questions_need() -> None:
    """scipy takes seconds on a busy machine, and 26 to 70 MiB."""
    code = "import sys; from almanac.core.analysis import registry; import almanac.app; registry(); sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
