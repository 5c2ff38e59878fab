"""Whatever stands in whatever field of whatever kind: it is understood, or refused by one plain sentence that names the place."""

from __future__ import annotations

import itertools
import json
import math
import re
from typing import Any, cast

import pytest
from annotated_types import MaxLen
from pydantic.fields import FieldInfo
from tests.analyses.shapes import is_list, models_in, placed, places, questions, selectors, taking, windows, written

from almanac.core.analysis import Scope, registry
from almanac.core.errors import AlmanacError
from almanac.core.filters import Breakdown, Window
from almanac.core.metrics import Measured

KINDS = registry()
FIRST = {kind: next(question for of, question in questions() if of == kind) for kind in KINDS}
WRONG: list[Any] = [
    None,
    0,
    5,
    -1,
    1.5,
    10**400,
    math.nan,
    math.inf,
    True,
    "",
    "x",
    "0 days",
    "\ud800",
    "\0",
    "@nothing",
    "y" * 1000,
    [],
    [5],
    [None],
    [[]],
    ["", "x"],
    {},
    {"x": 1},
    {"": None},
    [{"x": 1}],
]
# Words of the libraries that read questions, and of the language that they are written in.
FOREIGN = re.compile(
    r"Input should|instance of|[Vv]alue error|valid dictionary|valid string|valid list|validat|NoneType|<class|<function|object has no"
    r"|Traceback|pydantic|iscriminator|tagged|Unable to|constrained|Error:|Exception|\bdict\b|\bstr\b|\bfloat\b|lambda|_[a-z]+\(",
)


def understood(world: Any, project: str, question: dict[str, Any]) -> AlmanacError | None:
    """What refuses it before anything is read."""
    try:
        asked = world.engine._understand(project, question)
        scope = world.engine._scope(asked)
        scope.complete(asked.analysis.compile(asked.question, cast(Scope, scope)).statement)
    except AlmanacError as error:
        return error
    return None


def check(error: AlmanacError, question: dict[str, Any], field: str) -> None:
    said = f"{error.message} {error.way_out}".strip()
    assert error.code in ("invalid", "not_found"), (question, said)
    assert not FOREIGN.search(re.sub(r"'[^']*'|\{[^}]*\}|\"[^\"]*\"", "", said)), (question, said)
    assert error.message[-1] in ".?", (question, said)
    assert error.message[0] == error.message[0].upper() or error.message.split()[0] in ("null", "true", "false"), (question, said)
    assert len(said) < 1500, (question, said)
    named = error.place.split(".")[0]
    names = KINDS[question["kind"]].question.model_fields
    assert named or any(name.rstrip("s") in said for name in names), (question, said)
    assert error.message.isprintable() or "\n" not in error.message, said


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_value_is_told_in_a_plain_sentence(world: Any, kind: str) -> None:
    """Every tenth of those that are taken is asked too, of a project without events."""
    model, project = KINDS[kind].question, world.project()
    taken = itertools.count()
    for place in places(model):
        for value in WRONG:
            question = placed(model, FIRST[kind], place, value)
            error = understood(world, project, question)
            if error is not None:
                check(error, question, place[0])
            elif next(taken) % 10 == 0:
                try:
                    world.engine.ask(project, question, fresh=True)
                except AlmanacError as error:
                    if error.code != "limited":
                        check(error, question, place[0])


def refused(world: Any, project: str, question: dict[str, Any]) -> AlmanacError:
    error = understood(world, project, question)
    assert error is not None, question
    check(error, question, "")
    return error


@pytest.mark.parametrize("value", [5, True, None, [], ["trend"], {}, "", "horoscope", "Trend"])
def test_a_kind_that_is_none(world: Any, value: Any) -> None:
    with pytest.raises(AlmanacError) as caught:
        world.engine.ask(world.project(), {"kind": value})
    assert (caught.value.place, "trend, " in caught.value.way_out or "funnel" in caught.value.way_out) == ("kind", True)


@pytest.mark.parametrize("question", [5, None, "trend", [], [{"kind": "trend"}]])
def test_a_question_that_is_none(world: Any, question: Any) -> None:
    with pytest.raises(AlmanacError, match="A question is an object"):
        world.engine.ask(world.project(), question)


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind in KINDS for field in selectors(kind)])
def test_an_unknown_metric(world: Any, kind: str, field: str) -> None:
    project = world.project()
    world.engine.definitions.save(project, "metric", "revenue", {"event": "order", "measure": "count"})
    model = KINDS[kind].question
    part = {"metric": "revenues"}
    error = refused(world, project, {**FIRST[kind], field: [part, part] if is_list(model.model_fields[field]) else part})
    assert (error.code, error.place) == ("not_found", "metric")
    assert "'revenues'" in error.message
    assert "revenue" in error.way_out


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_zones_reversed_dates_and_times_that_are_none(world: Any, kind: str) -> None:
    project = world.project()
    bare = {name: value for name, value in FIRST[kind].items() if name not in ("date_from", "date_to", "last")}
    for zone in ("Mars/Base", "/etc/passwd", "../UTC", "\0", "Europe/Berlin\n"):
        assert refused(world, project, {**bare, "timezone": zone}).place == "timezone"
    assert refused(world, project, {**bare, "date_from": "2026-01-05", "date_to": "2026-01-04"}).place == "date_to"
    assert refused(world, project, {**bare, "date_from": "2026-02-30"}).place == "date_from"
    assert refused(world, project, {**bare, "date_to": "soon"}).place == "date_to"
    assert refused(world, project, {**bare, "last": "0 days"}).place in ("last", "date_to")
    assert refused(world, project, {**bare, "last": "some days"}).place == "last"
    assert refused(world, project, {**bare, "as_of": "soon"}).place == "as_of"
    for far in ("-99999y", "-99999d", "-9999m"):
        assert refused(world, project, {**bare, "date_from": far}).place == "date_from"
    assert refused(world, project, {**bare, "last": "99999 years"}).place in ("last", "date_from")
    for moment in ("0001-01-01T00:00:00", "9999-12-31", "0001-01-01T00:00:00+14:00"):
        for name in ("date_from", "date_to", "as_of"):
            error = understood(world, project, {**bare, "timezone": "Asia/Tokyo", name: moment})
            if error is not None:
                check(error, {**bare, name: moment}, name)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "sql"])
def test_an_unknown_property(world: Any, kind: str) -> None:
    project = world.project()
    condition = {"property": "@plann", "value": "pro"}
    error = refused(world, project, {**FIRST[kind], "filters": [condition]})
    assert "@plann" in error.message
    for field in taking(kind, Breakdown):
        error = refused(world, project, {**FIRST[kind], field: {"property": "@plann"}})
        assert "@plann" in error.message


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind in KINDS for field in windows(kind)])
def test_a_window_of_nothing(world: Any, kind: str, field: str) -> None:
    project = world.project()
    for window in (0, 5, "0 days", {"value": 0, "unit": "day"}, {"value": -1}, "-3 days", "5", "", [], True):
        error = refused(world, project, {**FIRST[kind], field: window})
        assert error.place.split(".")[0] == field, error
    error = refused(world, project, {**FIRST[kind], field: 5})
    assert (error.message, error.way_out) == ("It is 5 and has to be a length of time.", Window.WRITTEN[1])


def most(field: FieldInfo) -> int:
    return next((item.max_length for item in field.metadata if isinstance(item, MaxLen)), 0)


LISTS = [
    (kind, name)
    for kind, analysis in KINDS.items()
    for name, field in analysis.question.model_fields.items()
    if is_list(field) and most(field)
]


@pytest.mark.parametrize(("kind", "field"), LISTS)
def test_too_many_of_anything(world: Any, kind: str, field: str) -> None:
    info = KINDS[kind].question.model_fields[field]
    models = sorted(models_in(info.annotation), key=lambda model: model.__name__)
    part = info.default[0] if isinstance(info.default, list) and info.default else written(models[0]) if models else "visit"
    question = {**FIRST[kind], field: [part] * (most(info) + 1)}
    if (error := understood(world, world.project(), question)) is not None:
        check(error, question, field)
        assert (error.place, f"at most {most(info)}" in error.message) == (field, True), error
    else:
        assert len({*question[field]}) == 1, "said again and again, it is said once"


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind in KINDS for field in taking(kind, Measured)])
def test_a_formula_that_divides_by_zero(world: Any, kind: str, field: str) -> None:
    """A number and a note that says so, or a refusal."""
    part = {"formula": "a / b", "of": {"a": "visit", "b": "nothing"}, "name": "quotient"}
    info = KINDS[kind].question.model_fields[field]
    question = {**FIRST[kind], field: [part] if is_list(info) else part}
    project = world.project()
    world.insert(project, [{"person": "ann", "event": "visit", "time": f"2026-01-{day:02d}T09:00:00Z"} for day in range(1, 31)])
    try:
        answer = world.engine.ask(project, question, fresh=True)
    except AlmanacError as error:
        check(error, question, field)
        return
    told = json.dumps([answer.rows, answer.receipt["notes"]])
    assert re.search("divide|by zero|divides", told), told
    assert not re.search("NaN|Infinity", told)


@pytest.mark.parametrize(
    "formula",
    ["a / 0", "a / (b - b)", "1 / 0", "a /", "a ** b", "a // b", "a % b", "a.b", "a[0]", "a(1)", "a if b else 1", "1e308 * 1e308"],
)
def test_formulas_that_are_none(world: Any, formula: str) -> None:
    project = world.project()
    series = [{"formula": formula, "of": {"a": "visit", "b": "order"}}]
    try:
        rows = world.engine.ask(project, {"kind": "trend", "series": series, "date_from": "2026-01-01", "date_to": "2026-01-03"}).rows
    except AlmanacError as error:
        check(error, {"kind": "trend"}, "series")
    else:
        assert [row["value"] for row in rows] == [0, 0, 0]
