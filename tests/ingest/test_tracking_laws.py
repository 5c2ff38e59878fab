"""Laws of the tracking plan: an event is judged as the reference validator judges it, and counts once, however it is cut into batches.

The oracle is `jsonschema`, the validator that the authors of JSON Schema's tests refer to, and a plain account of what was sent.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jsonschema
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from almanac.core.ports import Definition
from almanac.ingest.ledger import Ledger
from almanac.ingest.load import Loader
from almanac.ingest.tracking import Entry
from almanac.ingest.tracking_plans import Shelf

from .conftest import NOW_US, Bench

NAMES = ("a", "b", "c", "$s")
WORDS = ("", "x", "ab", "abc", "5", "é")

# ------------------------------------------------------------------- schemas

leaves = st.one_of(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(
                ["string", "number", "integer", "boolean", "null", "array", "object", ["string", "null"], ["integer", "array"]]
            )
        }
    ),
    st.fixed_dictionaries({"enum": st.lists(st.sampled_from([1, 1.0, "x", None, True, [], {}]), min_size=1, max_size=3)}),
    st.fixed_dictionaries({"const": st.sampled_from([0, False, "x", None, [1], {"a": 1}])}),
    st.fixed_dictionaries(
        {},
        optional={
            "minimum": st.integers(-3, 3),
            "exclusiveMaximum": st.sampled_from([-1, 0, 2.5]),
            "multipleOf": st.integers(1, 3),
            "minLength": st.integers(0, 3),
            "maxLength": st.integers(0, 3),
            "pattern": st.sampled_from(["^a", "b", "[0-9]+", "x$"]),
        },
    ),
)


def grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas of objects and lists, and combinations."""
    names = st.lists(st.sampled_from(NAMES), max_size=2, unique=True)
    objects = st.fixed_dictionaries(
        {"properties": st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)},
        optional={
            "required": names,
            "additionalProperties": st.just(False) | inner,
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "c"]), inner, max_size=1),
            "minProperties": st.integers(0, 2),
            "maxProperties": st.integers(0, 3),
            "dependentRequired": st.dictionaries(st.sampled_from(NAMES), names, max_size=1),
        },
    )
    lists = st.fixed_dictionaries(
        {"items": inner},
        optional={"minItems": st.integers(0, 2), "maxItems": st.integers(0, 2), "uniqueItems": st.booleans(), "contains": inner},
    )
    combined = st.one_of(
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"oneOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"if": inner, "then": inner}, optional={"else": inner}),
        st.fixed_dictionaries({"$ref": st.just("#/$defs/shared")}),
    )
    return st.one_of(objects, objects, lists, combined)


@st.composite
def schemas(draw: st.DrawFn) -> dict[str, Any]:
    """A schema of an event's properties, with a part to refer to."""
    root = draw(grown(st.recursive(leaves, grown, max_leaves=6)))
    return {**root, "$defs": {"shared": draw(leaves)}}


scalars = st.one_of(st.none(), st.booleans(), st.integers(-4, 4), st.sampled_from([0.5, 1.0, -2.5, 2**70, 1e300]), st.sampled_from(WORDS))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3), max_leaves=5
)
properties = st.dictionaries(st.sampled_from([*NAMES, "$lib", "token", "z"]), values, max_size=4)


# -------------------------------------------------------------------- oracle


def without_sdks(given_: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """As the page on tracking plans says: names with a dollar sign, and of PostHog's events `token` and `distinct_id`, are not judged
    unless `properties` or `required` of the schema name them."""
    named = {*schema.get("properties", {}), *schema.get("required", [])}
    own = {name for name in given_ if name.startswith("$")} | ({"token", "distinct_id"} if "$lib" in given_ else set())
    return {name: value for name, value in given_.items() if name in named or name not in own}


def expected(given_: Mapping[str, Any], schema: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Property and rule of everything that the reference validator finds."""
    found: set[tuple[str, str]] = set()
    for error in jsonschema.Draft202012Validator(schema).iter_errors(without_sdks(given_, schema)):
        path = [step if isinstance(step, str) else "[]" for step in error.absolute_path]
        names: Sequence[str | None] = [None]
        if error.validator == "required":
            names = [name for name in error.validator_value if name not in error.instance]
        elif error.validator == "dependentRequired":
            names = [
                name
                for had, needs in error.validator_value.items()
                if had in error.instance
                for name in needs
                if name not in error.instance
            ]
        elif error.validator == "additionalProperties" and error.validator_value is False:
            known, patterns = error.schema.get("properties", {}), error.schema.get("patternProperties", {})
            names = [name for name in error.instance if name not in known and not any(pattern.strip("^") in name for pattern in patterns)]
        for name in names:
            steps = path if name is None else [*path, name]
            found.add((".".join(steps).replace(".[]", "[]"), str(error.validator)))
    return found


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(schema=schemas(), given_=properties)
@example(schema={"additionalProperties": False}, given_={"z": 1, "token": 1})
@example(schema={"items": {"type": "string"}, "properties": {"a": {"contains": {"const": 1}}}}, given_={"a": []})
def test_an_event_is_judged_as_the_reference_validator_judges_it(schema: dict[str, Any], given_: dict[str, Any]) -> None:
    found = {(fault.property, fault.rule) for fault in Entry("order", 1, "stamp", schema).faults(json.dumps(given_))}
    wanted = expected(given_, schema)
    assert bool(found) == bool(wanted)
    if len(wanted) < 20:
        assert found == wanted


# ------------------------------------------------------------- whole batches


@dataclass
class Sent:
    """One event on its way."""

    id: str
    name: str
    kind: str
    properties: dict[str, Any]


@dataclass
class Life:
    """What becomes of one project: plans that change between batches of events."""

    batches: list[tuple[dict[str, tuple[str, dict[str, Any] | None]], list[Sent]]]


TOTAL = {"properties": {"t": {"type": "number"}}, "required": ["t"]}
SHUT = {"properties": {"t": {}}, "additionalProperties": False}
plans = st.dictionaries(
    st.sampled_from(["order", "visit", "*"]),
    st.tuples(st.sampled_from(["observe", "stamp", "reject"]), st.sampled_from([None, TOTAL, SHUT])),
    max_size=3,
)
sent = st.builds(
    Sent,
    id=st.sampled_from([f"m{n}" for n in range(6)]),
    name=st.sampled_from(["order", "order", "visit", "other", "$auto"]),
    kind=st.sampled_from(["track", "track", "page"]),
    properties=st.fixed_dictionaries({}, optional={"t": st.sampled_from([1, "x", None]), "u": st.just(1)}),
)
lives = st.builds(Life, st.lists(st.tuples(plans, st.lists(sent, max_size=7)), min_size=1, max_size=3))


@dataclass
class Account:
    """What should have become of a life, event by event."""

    stored: dict[str, tuple[str, int]] = field(default_factory=dict)
    letters: set[str] = field(default_factory=set)
    duplicates: int = 0
    violations: Counter[tuple[str, str, str, str, int]] = field(default_factory=Counter)
    checked: Counter[tuple[str, int]] = field(default_factory=Counter)
    failed: Counter[tuple[str, int]] = field(default_factory=Counter)

    def take(self, one: Sent, plan: Mapping[str, tuple[str, dict[str, Any] | None]], version: int) -> None:
        if one.id in self.stored:
            self.duplicates += 1
            return
        own = one.name if one.name in plan else "*" if one.kind == "track" and one.name[0] != "$" else ""
        if own not in plan:
            self.stored[one.id] = ("", 0)
            return
        mode, schema = plan[own]
        faults = expected(one.properties, schema) if schema is not None else {("", "unplanned")} if own == "*" else set()
        if faults and mode == "reject":
            if one.id in self.letters:
                self.duplicates += 1
                return
            self.letters.add(one.id)
        else:
            told = "; ".join(f"{name}: {rule}" if name else rule for name, rule in sorted(faults))
            self.stored[one.id] = (told if mode == "stamp" else "", version)
        self.checked[one.name, version] += 1
        self.failed[one.name, version] += bool(faults)
        for name, rule in faults:
            self.violations[one.name, name, rule, mode, version] += 1


class Saved:
    """The catalog's plans, of all projects of one example."""

    def __init__(self) -> None:
        self.plans: dict[str, list[Definition]] = {}
        self.version = 0

    def definitions_state(self, kind: str) -> str:
        return str(self.version)

    def definitions_of_all(self, kind: str) -> dict[str, list[Definition]]:
        return self.plans

    def save(self, project: str, plan: Mapping[str, tuple[str, dict[str, Any] | None]]) -> None:
        bodies = {name: {"mode": mode, **({} if schema is None else {"schema": schema})} for name, (mode, schema) in plan.items()}
        self.plans[project] = [Definition("plan", name, body, version=self.version) for name, body in bodies.items()]


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(several=st.lists(lives, min_size=12, max_size=12))
def test_every_event_counts_once_as_its_plan_says(make_bench: Callable[[], Bench], several: list[Life]) -> None:
    """Twenty times twelve projects side by side: their events come in the same batches."""
    bench = make_bench()
    saved = Saved()
    shelf = Shelf(saved, bench.folder / "load", clock=iter(range(10**9)).__next__)  # type: ignore[arg-type]
    loader = Loader(bench.log, bench.store, bench.settings, clock=lambda: bench.now, tracking=shelf)
    accounts = [Account() for _ in several]
    names = [f"{bench.project}-{number}" for number in range(len(several))]
    moment = NOW_US
    for turn in range(3):
        saved.version = turn + 1
        for project, life, account in zip(names, several, accounts, strict=True):
            plan, events = life.batches[turn] if turn < len(life.batches) else ({}, [])
            saved.save(project, plan)
            lines = []
            for one in events:
                moment += 1
                account.take(one, plan, saved.version)
                lines.append(
                    bench.event(one.id, project=project, name=one.name, kind=one.kind, properties=one.properties, received_us=moment)
                )
            if lines:
                bench.log.add(lines[::2])  # two segments whose lines alternate: the order is that of receipt
            if lines[1:]:
                bench.log.add(lines[1::2])
        loader.drain()
    for project, account in zip(names, accounts, strict=True):
        assert_right(bench, project, account)


def assert_right(bench: Bench, project: str, account: Account) -> None:
    rows = bench.rows("SELECT id_text, violations, plan_version FROM events WHERE project = {project:String}", project=project)
    assert {row["id_text"]: (row["violations"], row["plan_version"]) for row in rows} == account.stored
    assert len(rows) == len(account.stored)
    letters = bench.rows("SELECT original FROM dead_letters FINAL WHERE project = {project:String}", project=project)
    assert sorted(json.loads(row["original"])[1] for row in letters) == sorted(account.letters)
    books = Ledger(bench.store, bench.log).rows(project)
    assert sum(row.stored for row in books) == len(account.stored)
    assert sum(row.rejected for row in books) == len(account.letters)
    assert sum(row.duplicate for row in books) == account.duplicates
    assert all(row.gap == 0 for row in books)
    counted = bench.rows(
        "SELECT event, property, rule, mode, version, toInt64(sum(count)) AS n FROM plan_violations"
        " WHERE project = {project:String} GROUP BY ALL",
        project=project,
    )
    assert {tuple(row.values())[:5]: row["n"] for row in counted} == dict(account.violations)
    checked = bench.rows(
        "SELECT event, version, toInt64(sum(checked)) AS n, toInt64(sum(failed)) AS bad FROM plan_checks"
        " WHERE project = {project:String} GROUP BY ALL",
        project=project,
    )
    assert {(row["event"], row["version"]): row["n"] for row in checked} == dict(account.checked)
    assert {(row["event"], row["version"]): row["bad"] for row in checked} == {key: account.failed[key] for key in account.checked}
