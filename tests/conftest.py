"""One embedded store for the whole run (a process can open only one), and the way to ask a question of a few events."""

from __future__ import annotations

import itertools
import json
import os
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings

from almanac.adapters.clickhouse import ClickHouseStore
from almanac.core.ports import Definition, Project
from almanac.core.settings import Settings
from almanac.core.sql import Sql
from almanac.engine import Answer, Engine

# The same examples in every run, so that a red run is the change's own; `make nightly` looks for new ones.
hypothesis_settings.register_profile("steady", derandomize=True)
if os.environ.get("ALMANAC_TESTS_RANDOM") != "yes":
    hypothesis_settings.load_profile("steady")

_NUMBERS = itertools.count(1)
_COLUMNS = {"project": "String", "event": "String", "time": "DateTime64(6, 'UTC')", "id": "UUID", "distinct_id": "String"}


def person(project: str, as_of: datetime | None) -> Sql:
    """Whose an id is, as the running product reads it."""
    return Sql("dictGetOrDefault('person_of', 'person', (project, person_hash), person_hash)")


class Projects:
    """What questions need of a catalog."""

    def __init__(self) -> None:
        self.by_id: dict[str, Project] = {}
        self.saved: dict[tuple[str, str, str], Definition] = {}

    def project(self, id_or_name: str) -> Project:
        return self.by_id[id_or_name]

    def save_definition(self, project: str, definition: Definition, *, expected: int | None = None) -> Definition:
        key = (project, definition.kind, definition.name)
        version = self.saved[key].version + 1 if key in self.saved else 1
        self.saved[key] = replace(definition, version=version)
        return self.saved[key]

    def definition(self, project: str, kind: str, name: str, *, version: int = 0) -> Definition | None:
        return self.saved.get((project, kind, name))

    def definitions(self, project: str, kind: str) -> list[Definition]:
        return [item for key, item in sorted(self.saved.items()) if key[:2] == (project, kind)]


def _changes(event: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    named = {"set": event.get("person_properties"), "set_once": event.get("set_once"), "unset": event.get("unset")}
    for op, what in [*named.items(), *event.get("changes", {}).items()]:
        if what is True:
            yield op, "", None
        for name, value in dict(what if what is not True and what else {}).items():
            yield op, name, value


class NoCache:
    def get(self, key: str) -> bytes | None:
        return None

    def put(self, key: str, value: bytes, *, seconds: float) -> None:
        pass


class World:
    """A store with projects in it, and a clock that stands where a test wants it."""

    def __init__(self, store: ClickHouseStore) -> None:
        self.store = store
        self.projects = Projects()
        self.now = datetime(2026, 2, 1, tzinfo=UTC)
        self.engine = self.build(Settings())

    def build(self, settings: Settings, cache: Any = None, **given: Any) -> Engine:
        return Engine(
            self.store,
            self.projects,  # type: ignore[arg-type]
            cache or NoCache(),
            settings,
            person=person,
            watermark=lambda project: self.now,
            clock=lambda: self.now,
            version="test",
            **given,
        )

    def project(self, *, zone: str = "UTC", week_start: str = "monday") -> str:
        name = f"t{next(_NUMBERS)}"
        self.projects.by_id[name] = Project(id=name, name=name, zone=zone, week_start=week_start)
        return name

    def insert(self, project: str, events: Iterable[Mapping[str, Any]], same: Mapping[str, str] | None = None) -> None:
        """Events as `Example` has them; also `groups`, `set_once`, `unset` and `changes` (any operation: `{"add": {"n": 1}}`). They arrive
        in the order of the list.

        `same`: ids that are another person, as {id: person's id}.
        """
        self.insert_all({project: (list(events), same or {})})

    def insert_all(self, projects: Mapping[str, tuple[Sequence[Mapping[str, Any]], Mapping[str, str]]]) -> None:
        """Events of many projects, and which ids are another person there. At once: a small insert takes as long as a large one."""
        rows = [self._row(project, place, event) for project, (events, _) in projects.items() for place, event in enumerate(events)]
        if rows:
            self._insert_rows(rows)
            self._count_hours(rows)
        self._insert_profiles({project: events for project, (events, _) in projects.items()})
        edges = [{"project": project, "a": a, "b": b} for project, (_, same) in projects.items() for a, b in same.items()]
        if edges:
            self._insert_from(
                "persons SELECT project, cityHash64(a), cityHash64(b), 1", {"project": "String", "a": "String", "b": "String"}, edges
            )
            self._run("SYSTEM RELOAD DICTIONARY person_of")

    def _row(self, project: str, place: int, event: Mapping[str, Any]) -> dict[str, Any]:
        apart = ("person", "time", "person_properties", "set_once", "unset", "changes")
        rest = {name: value for name, value in event.items() if name not in apart}
        distinct_id = event.get("person") or ""
        return {**rest, "project": project, "time": _utc(event["time"]), "id": str(uuid.UUID(int=place + 1)), "distinct_id": distinct_id}

    @cached_property
    def _types(self) -> dict[str, str]:
        types = {row[0]: row[1] for row in self.store.query(Sql("DESCRIBE TABLE events")).rows}
        return {name: re.sub(r"LowCardinality\((.*)\)", r"\1", kind) for name, kind in types.items()}

    def _insert_rows(self, rows: list[dict[str, Any]]) -> None:
        extra = sorted({name for row in rows for name in row} - set(_COLUMNS) - {"properties", "groups"})
        own = {"properties": "JSON(max_dynamic_paths = 256)", "groups": "Map(String, String)"}
        columns = {**_COLUMNS, **own, **{name: self._types[name] for name in extra}}
        names = ", ".join(columns)
        self._insert_from(
            f"events ({names}, day, person_hash) SELECT {names}, toDate(time), if(distinct_id = '', 0, cityHash64(distinct_id))",
            columns,
            rows,
        )

    def _count_hours(self, rows: Iterable[Mapping[str, Any]]) -> None:
        hours = Counter((row["project"], row.get("event", ""), row["time"][:13]) for row in rows)
        counted = [
            (project, event, datetime.fromisoformat(f"{hour}:00:00+00:00"), count) for (project, event, hour), count in hours.items()
        ]
        # Under a token: the same numbers again are more events, not a copy of the insert.
        self.store.insert("events_per_hour", ("project", "event", "hour", "count"), counted, token=f"hours {next(_NUMBERS)}")

    def _insert_profiles(self, projects: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        changes = [
            {
                "project": project,
                "key": event["person"],
                "property": name,
                "op": op,
                "value": json.dumps(value, separators=(",", ":"), ensure_ascii=False),
                "time": _utc(event["time"]),
            }
            for project, events in projects.items()
            for event in events
            for op, name, value in _changes(event)
        ]
        if changes:
            self._insert_from(
                "profile_changes (project, subject, key_hash, key, property, op, value, time) "
                "SELECT project, 'person', cityHash64(key), key, property, op, value, time",
                {**dict.fromkeys(("project", "key", "property", "op", "value"), "String"), "time": "DateTime64(6, 'UTC')"},
                changes,
            )

    def _insert_from(self, into: str, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
        self._run(
            f"INSERT INTO {into} FROM format(JSONEachRow, {{shape:String}}, {{data:String}}) "
            "SETTINGS input_format_try_infer_dates = 0, input_format_try_infer_datetimes = 0, max_partitions_per_insert_block = 0",
            shape=", ".join(f"{name} {kind}" for name, kind in columns.items()),
            data="\n".join(json.dumps(row) for row in rows),
        )

    def _run(self, text: str, **values: Any) -> None:
        self.store.execute(Sql(text, values))

    def ask(
        self,
        events: Iterable[Mapping[str, Any]],
        question: Mapping[str, Any],
        *,
        now: str | datetime = "2026-02-01T00:00:00+00:00",
        zone: str = "UTC",
        week_start: str = "monday",
        same: Mapping[str, str] | None = None,
    ) -> Answer:
        """The whole answer to `question` in a fresh project that holds just these events."""
        self.now = now if isinstance(now, datetime) else datetime.fromisoformat(now)
        project = self.project(zone=zone, week_start=week_start)
        self.insert(project, list(events), same)
        return self.engine.ask(project, question)


def _utc(text: str) -> str:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseStore]:
    folder: Path = tmp_path_factory.mktemp("store")
    # The engine counts all memory of its process, that of the tests too: near its limit it would put off deleting for ever.
    store = ClickHouseStore.embedded(folder, memory_bytes=4 << 30)
    store.migrate()
    yield store
    store.close()


@pytest.fixture(scope="session")
def world(store: ClickHouseStore) -> World:
    return World(store)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI every service is there, so a skipped test is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("ALMANAC_TESTS_MAY_SKIP") == "no" and reporter is not None:
        skipped = reporter.stats.get("skipped", [])
        for report in skipped:
            print(f"\nskipped, which CI does not allow: {report.nodeid}: {report.longrepr}")
        if skipped and exitstatus == 0:
            session.exitstatus = 1
