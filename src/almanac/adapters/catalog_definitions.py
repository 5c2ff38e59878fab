"""Rows of the catalog's definitions, in their caller's transaction. A version is written once and never changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.engine import Connection, RowMapping

from almanac.core.errors import conflict
from almanac.core.ports import Definition

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_VERSIONS: Final = """
SELECT kind, name, version, body, author, removed, saved_us
FROM definitions
WHERE kind = :kind AND project = :project AND name = :name AND (version = :version OR :version = 0)
ORDER BY version DESC
"""

_LATEST: Final = """
SELECT kind, name, version, body, author, removed, saved_us
FROM definitions AS item
WHERE kind = :kind
    AND project = :project
    AND NOT removed
    AND version =
    (
        SELECT max(version)
        FROM definitions
        WHERE kind = item.kind AND project = item.project AND name = item.name
    )
ORDER BY name
"""

_LATEST_OF_ALL: Final = """
SELECT project, kind, name, version, body, author, removed, saved_us
FROM definitions AS item
WHERE kind = :kind
    AND NOT removed
    AND version =
    (
        SELECT max(version)
        FROM definitions
        WHERE kind = item.kind AND project = item.project AND name = item.name
    )
ORDER BY project, name
"""

# A version is written once: what there is changes with their number, or with the latest of them when some are deleted.
_STATE: Final = "SELECT count(*) AS versions, max(saved_us) AS latest FROM definitions WHERE kind = :kind"

_ADD: Final = """
INSERT INTO definitions (kind, project, name, version, body, author, removed, saved_us)
VALUES (:kind, :project, :name, :version, :body, :author, :removed, :saved_us)
"""


def versions(connection: Connection, kind: str, project: str, name: str, *, version: int = 0) -> list[Definition]:
    """All versions, or the one asked for, the newest first."""
    rows = connection.execute(text(_VERSIONS), {"kind": kind, "project": project, "name": name, "version": version})
    return [_definition(row) for row in rows.mappings()]


def latest(connection: Connection, kind: str, project: str) -> list[Definition]:
    """The newest version of each that is not removed, by name."""
    return [_definition(row) for row in connection.execute(text(_LATEST), {"kind": kind, "project": project}).mappings()]


def latest_of_all(connection: Connection, kind: str) -> dict[str, list[Definition]]:
    """As `latest`, by project."""
    found: dict[str, list[Definition]] = {}
    for row in connection.execute(text(_LATEST_OF_ALL), {"kind": kind}).mappings():
        found.setdefault(row["project"], []).append(_definition(row))
    return found


def state(connection: Connection, kind: str) -> str:
    """Other after each change."""
    row = connection.execute(text(_STATE), {"kind": kind}).one()
    return f"{row.versions} {row.latest}"


def save(
    connection: Connection, now_us: int, project: str, definition: Definition, body: str, *, expected: int | None, removed: bool
) -> Definition:
    """A further version, unless the newest one says the same. Raises `conflict` when that is not the `expected` one."""
    found = versions(connection, definition.kind, project, definition.name)
    newest = found[0] if found else None
    number = newest.version if newest and not newest.removed else 0
    if expected is not None and expected != number:
        state = f"is at version {number}" if number else "does not exist"
        message = f"The {definition.kind} {definition.name!r} {state}, not at version {expected}."
        raise conflict(message, way_out="Look at it, and save again.")
    if newest and newest.removed == removed and newest.body == json.loads(body):
        return newest
    row = {
        "kind": definition.kind,
        "project": project,
        "name": definition.name,
        "version": newest.version + 1 if newest else 1,
        "body": body,
        "author": definition.author,
        "removed": removed,
        "saved_us": now_us,
    }
    connection.execute(text(_ADD), row)
    return _definition(row)


def _definition(row: RowMapping | dict[str, Any]) -> Definition:
    return Definition(
        kind=row["kind"],
        name=row["name"],
        version=row["version"],
        body=json.loads(row["body"]),
        author=row["author"],
        removed=bool(row["removed"]),
        saved_at=_EPOCH + timedelta(microseconds=row["saved_us"]),
    )
