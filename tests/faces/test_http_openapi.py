"""The reference is true: whatever fits it is answered as it says, and whatever is thrown at the doors, none breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from almanac.core.analysis import registry

if TYPE_CHECKING:
    from tests.faces.conftest import House, Keys

# 503 is an answer by design ("not now"), so `not_a_server_error` is replaced by a check of its own below.
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)


@pytest.fixture(scope="module")
def tenant(house: House) -> Keys:
    keys = house.project("thrown at")
    house.send(keys.project, {"event": "order", "distinct_id": "anna", "properties": {"total": 5}})
    return keys


def test_every_door_keeps_its_word(house: House, tenant: Keys) -> None:
    described = schemathesis.openapi.from_asgi("/openapi.json", house.client.app)
    doors = [operation.ok() for operation in described.get_all_operations()]
    assert len(doors) > 20
    for door in doors:
        if door.path == "/api/v1/backup":  # it writes wherever the server's admin says
            continue
        _throw_at(door, house, tenant)


def _throw_at(door: Any, house: House, tenant: Keys) -> None:
    """What fits the reference, and what almost fits it, by the key that opens everything."""

    @QUICK
    @given(case=st.one_of(door.as_strategy(), door.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)))
    def thrown(case: Any) -> None:
        if case.path_parameters and "project" in case.path_parameters:
            case.path_parameters["project"] = tenant.project
        case.headers["Authorization"] = f"Bearer {house.server_key}"
        answer = case.call()
        assert answer.status_code < 500, answer.text
        case.validate_response(answer, checks=CHECKS, excluded_checks=[not_a_server_error])

    thrown()


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
field_names = sorted({name for analysis in registry().values() for name in analysis.question.model_fields})


@settings(max_examples=200, deadline=None, database=None)
@given(
    kind=st.sampled_from([*registry(), "none"]) | anything,
    rest=st.dictionaries(st.sampled_from(field_names) | st.text(max_size=10), anything, max_size=4),
)
def test_no_question_breaks_the_house(house: House, tenant: Keys, kind: Any, rest: dict[str, Any]) -> None:
    path, headers = f"/api/v1/projects/{tenant.project}/ask", {"Authorization": f"Bearer {tenant.read}"}
    answer = house.client.post(path, json={**rest, "kind": kind}, headers=headers)
    assert answer.status_code in (200, 400, 404, 429), answer.text
    if answer.status_code != 200:
        error = answer.json()["error"]
        assert error["message"]
        assert "error_id" not in error


@settings(max_examples=100, deadline=None, database=None)
@given(project=st.text(min_size=1, max_size=30), rest=st.text(max_size=30), key=st.text(max_size=30))
def test_no_path_and_no_key_breaks_the_house(house: House, tenant: Keys, project: str, rest: str, key: str) -> None:
    for path in (
        f"/api/v1/projects/{quote(project, safe='')}",
        f"/api/v1/projects/{tenant.project}/people/{quote(rest, safe='')}",
        f"/{quote(rest)}",
    ):
        answer = house.client.get(path, headers={"Authorization": f"Bearer {tenant.read}"})
        assert answer.status_code in (200, 400, 404, 405), (path, answer.text)
        answer = house.client.get(path, headers={"Authorization": f"Bearer {key}".encode()})
        assert answer.status_code in (200, 400, 401, 404, 405), (path, answer.text)


def test_every_field_of_the_reference_says_what_it_is_for(house: House) -> None:
    document = house.client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["summary"], path
            assert operation["description"], path
            for parameter in operation.get("parameters", []):
                assert parameter["name"] in ("limit", "state", "fresh", "event") or parameter.get("description"), (path, parameter)
