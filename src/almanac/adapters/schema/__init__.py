"""The store's schema as numbered migrations: `NNNN_name.before.sql` runs before new code serves, `.after.sql` once old code is gone.

Two holes only: `${engine}` is "Replicated" on a cluster and nothing on the embedded engine, `${on_cluster}` is the ON CLUSTER clause or
nothing. A statement ends with a semicolon at the end of a line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from almanac.core.sql import Sql

_MADE: Final = re.compile(r"^CREATE (?:TABLE|DICTIONARY|VIEW|MATERIALIZED VIEW) (?:IF NOT EXISTS )?(\w+)", re.MULTILINE)

# Tables whose rows belong to projects: a tenant's statement sees only its own rows of these.
TENANT_TABLES = (
    "events",
    "dead_letters",
    "ledger",
    "identity_edges",
    "identity_undone",
    "persons",
    "profile_changes",
    "event_names",
    "event_properties",
    "events_per_hour",
    "message_ids",
    "plan_checks",
    "plan_violations",
)

JOURNAL = """
CREATE TABLE IF NOT EXISTS schema_migrations ${on_cluster}
(
    name       String,
    phase      LowCardinality(String),
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ${engine}MergeTree()
ORDER BY name
"""


@dataclass(frozen=True)
class Migration:
    """One step; `phase` is before or after."""

    name: str
    phase: str
    statements: tuple[str, ...]


def migrations() -> list[Migration]:
    """All of them, in order."""
    found: list[Migration] = []
    for file in sorted(resources.files(__name__).iterdir(), key=lambda item: item.name):
        if file.name.endswith(".sql"):
            name, phase, _ = file.name.split(".")
            text = file.read_text()
            found.append(Migration(name, phase, tuple(part for part in _statements(text) if part.strip())))
    return found


@cache
def hidden_tables() -> frozenset[str]:
    """Tables and dictionaries of ours that no tenant may read."""
    made = (name for migration in migrations() for text in migration.statements for name in _MADE.findall(text))
    return frozenset({"schema_migrations", *made}) - set(TENANT_TABLES)


def fill(statement: str, engine: Sql, on_cluster: Sql) -> Sql:
    """Fills the two holes."""
    return Sql(statement.replace("${engine}", engine.text).replace("${on_cluster}", on_cluster.text))


def _statements(text: str) -> list[str]:
    return [part.rstrip().rstrip(";") for part in (text + "\n").split(";\n")]
