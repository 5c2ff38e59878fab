"""The catalog in SQLite or PostgreSQL: projects, keys (by the SHA-256 of their secrets only), definitions, small documents, accounts."""

from __future__ import annotations

import copy
import json
import re
import time
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from almanac.adapters import catalog_definitions, catalog_keys
from almanac.adapters.catalog_accounts import SqlAccounts
from almanac.adapters.catalog_database import Database
from almanac.adapters.catalog_database import plain as _plain
from almanac.adapters.catalog_memory import Memory
from almanac.core.errors import AlmanacError, conflict, invalid, not_found
from almanac.core.ports import Definition, Key, Project
from almanac.core.time import zone_of

_NAME_LENGTH: Final = 100
_TRIES: Final = 5
_DOCUMENT_NAME_LENGTH: Final = 500
_DEFINITION_NAME_LENGTH: Final = 200

_FIND_PROJECT: Final = """
SELECT id, name, zone, week_start, quota, retention_days, settings, created_us
FROM projects
WHERE id = :id OR name_key = :name_key
ORDER BY id = :id DESC
LIMIT 1
"""

_ADD_PROJECT: Final = """
INSERT INTO projects (id, name, name_key, zone, week_start, quota, retention_days, settings, created_us)
VALUES (:id, :name, :name_key, :zone, :week_start, :quota, :retention_days, :settings, :created_us)
"""

_CHANGE_PROJECT: Final = """
UPDATE projects
SET zone = :zone, week_start = :week_start, quota = :quota, retention_days = :retention_days, settings = :settings
WHERE id = :id
"""

_PUT_DOCUMENT: Final = """
INSERT INTO documents (kind, project, name, body, changed_us)
VALUES (:kind, :project, :name, :body, :changed_us)
ON CONFLICT (kind, project, name) DO UPDATE SET body = excluded.body, changed_us = excluded.changed_us
"""


class SqlCatalog:
    """The catalog at `address`: the path of a file, `sqlite:///…` or `postgresql://user:password@host/db`.

    Nothing is opened before the first use; threads and processes may share it. `clock` tells microseconds since 1970.
    """

    def __init__(self, address: str, *, clock: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._database = Database(address)
        self._memory = Memory(self._database.state)
        self._clock = clock
        self.accounts = SqlAccounts(self._database, self._memory, clock)

    def create_project(self, name: str, *, write_key: str = "", zone: str = "UTC") -> tuple[Project, dict[str, str]]:
        """As the port says. Raises `invalid` for an empty or overlong name, an odd key or an unknown zone."""
        name = _checked_text(name.strip(), "name", _NAME_LENGTH)
        zone_of(zone)
        secret_of = {role: write_key if role == "write" and write_key else catalog_keys.new_secret(role) for role in catalog_keys.PREFIXES}
        for _ in range(_TRIES):
            try:
                return self._try_to_create(name, zone, secret_of), secret_of
            except IntegrityError:  # another process took the name or the id in this moment
                continue
        raise _name_taken(name)

    def _try_to_create(self, name: str, zone: str, secret_of: Mapping[str, str]) -> Project:
        now_us = self._clock()
        with self._database.write() as connection:
            if connection.execute(text(_FIND_PROJECT), {"id": name, "name_key": name.casefold()}).first():
                raise _name_taken(name)
            project = Project(id=_free_id(connection, name), name=name, zone=zone, created_at=catalog_keys.moment(now_us))
            connection.execute(text(_ADD_PROJECT), {**_columns(project), "name_key": name.casefold(), "created_us": now_us})
            for role, secret in secret_of.items():
                catalog_keys.add(connection, now_us, project.id, role, secret)
        return project

    def projects(self) -> list[Project]:
        """As the port says."""
        with self._database.read() as connection:
            rows = connection.execute(
                text("SELECT id, name, zone, week_start, quota, retention_days, settings, created_us FROM projects ORDER BY name_key")
            )
            return [_project(row) for row in rows.mappings()]

    def project(self, id_or_name: str) -> Project:
        """As the port says; an id goes before a name, and names are the same in capitals."""
        wanted = _plain(id_or_name)
        found = self._memory.get(("project", wanted), lambda: self._find_project(wanted))
        if found is None:
            raise not_found(f"There is no project {id_or_name!r}.", place="project", way_out="List the projects to see their ids.")
        return replace(found, settings=dict(found.settings))

    def _find_project(self, wanted: str) -> Project | None:
        with self._database.read() as connection:
            row = connection.execute(text(_FIND_PROJECT), {"id": wanted, "name_key": wanted.casefold()}).mappings().first()
        return None if row is None else _project(row)

    def update_project(self, project: Project) -> None:
        """As the port says. Raises `not_found`, and `invalid` for values that make no sense."""
        zone_of(project.zone)
        if project.week_start not in ("monday", "sunday"):
            raise invalid(f"A week cannot start on {project.week_start!r}.", place="week_start", way_out="Use monday or sunday.")
        for field in ("quota", "retention_days"):
            if not 0 <= getattr(project, field) < 1 << 62:
                raise invalid(f"{field} is {getattr(project, field)}.", place=field, way_out="Use 0 for none, or a positive number.")
        with self._database.write() as connection:
            changed = connection.execute(text(_CHANGE_PROJECT), _columns(project)).rowcount
        if not changed:
            raise not_found(f"There is no project {project.id!r}.", place="project")

    def delete_project(self, id_: str) -> None:
        """As the port says."""
        gone = {"id": _plain(id_), "deleted_us": self._clock()}
        with self._database.write() as connection:
            connection.execute(text("DELETE FROM keys WHERE project = :id"), gone)
            connection.execute(text("DELETE FROM documents WHERE project = :id AND project != ''"), gone)
            connection.execute(text("DELETE FROM definitions WHERE project = :id"), gone)
            if not connection.execute(text("DELETE FROM projects WHERE id = :id"), gone).rowcount:
                raise not_found(f"There is no project {id_!r}.", place="project")
            connection.execute(text("INSERT INTO deleted_projects (id, deleted_us) VALUES (:id, :deleted_us)"), gone)

    def deleted_projects(self, *, emptied: bool | None = None) -> frozenset[str]:
        """As the port says."""
        with self._database.read() as connection:
            rows = connection.execute(text("SELECT id, emptied_us FROM deleted_projects")).all()
        return frozenset(row.id for row in rows if emptied is None or emptied == (row.emptied_us is not None))

    def emptied(self, id_: str) -> None:
        """As the port says."""
        with self._database.write() as connection:
            statement = text("UPDATE deleted_projects SET emptied_us = :now WHERE id = :id AND emptied_us IS NULL")
            connection.execute(statement, {"id": _plain(id_), "now": self._clock()})

    def find_key(self, secret: str) -> Key | None:
        """As the port says."""
        key = self._memory.get(("key", catalog_keys.digest(secret)), lambda: self._find_key(secret))
        return key and catalog_keys.in_force(key, self._clock())

    def _find_key(self, secret: str) -> Key | None:
        with self._database.read() as connection:
            return catalog_keys.find(connection, secret)

    def create_key(self, project: str, role: str, *, name: str = "", secret: str = "") -> tuple[Key, str]:
        """As the port says; with project "" an admin key of the server."""
        if role not in catalog_keys.PREFIXES or (not project and role != "admin"):
            raise invalid(f"There is no such role: {role!r}.", place="role", way_out="Use write, read or admin.")
        id_ = self.project(project).id if project else None
        secret = secret or catalog_keys.new_secret(role)
        with self._database.write() as connection:
            return catalog_keys.add(connection, self._clock(), id_, role, secret, name=name), secret

    def keys(self, project: str) -> list[Key]:
        """As the port says; project "" lists the server's."""
        with self._database.read() as connection:
            return catalog_keys.of_project(connection, _plain(project))

    def revoke_key(self, project: str, id_: str, *, after: float = 0.0) -> Key:
        """As the port says."""
        with self._database.write() as connection:
            return catalog_keys.revoke(connection, self._clock(), _plain(project), _plain(id_), after)

    def rotate_key(self, project: str, id_: str, *, after: float = 0.0) -> tuple[Key, str]:
        """As the port says."""
        with self._database.write() as connection:
            return catalog_keys.rotate(connection, self._clock(), _plain(project), _plain(id_), after)

    def ensure_admin(self, secret: str = "") -> str:
        """As the port says."""
        with self._database.write() as connection:
            if secret:
                ours = {"hash": catalog_keys.digest(secret)}
                if connection.execute(text("SELECT 1 FROM keys WHERE project IS NULL AND given AND hash = :hash"), ours).first():
                    return secret
                connection.execute(text("DELETE FROM keys WHERE project IS NULL AND (given OR hash = :hash)"), ours)
                catalog_keys.add(connection, self._clock(), None, "admin", secret, given=True)
                return secret
            if connection.execute(text("SELECT 1 FROM keys WHERE project IS NULL LIMIT 1")).first():
                return ""
            secret = catalog_keys.new_secret("admin")
            catalog_keys.add(connection, self._clock(), None, "admin", secret)
            return secret

    def save_definition(self, project: str, definition: Definition, *, expected: int | None = None) -> Definition:
        """As the port says."""
        return self._save(project, definition, expected=expected, removed=False)

    def remove_definition(self, project: str, kind: str, name: str, *, author: str = "") -> bool:
        """As the port says."""
        found = self.definition(project, kind, name)
        if found is None:
            return False
        self._save(project, replace(found, author=author), expected=None, removed=True)
        return True

    def _save(self, project: str, definition: Definition, *, expected: int | None, removed: bool) -> Definition:
        _checked_text(definition.name, "name", _DEFINITION_NAME_LENGTH)
        body, id_ = _as_json(definition.body), self.project(project).id
        kept = replace(definition, kind=_plain(definition.kind), author=_plain(definition.author)[:200])
        for _ in range(_TRIES):
            try:
                with self._database.write() as connection:
                    return catalog_definitions.save(connection, self._clock(), id_, kept, body, expected=expected, removed=removed)
            except IntegrityError:  # another process saved a version in this moment
                continue
        raise conflict(f"The {kept.kind} {kept.name!r} is being changed by others.", way_out="Save it again.")

    def definition(self, project: str, kind: str, name: str, *, version: int = 0) -> Definition | None:
        """As the port says."""
        key = ("definition", _plain(project), _plain(kind), _plain(name), str(version))
        found = self._memory.get(key, lambda: self._find_definition(*key[1:4], version))
        return found and replace(found, body=copy.deepcopy(found.body))

    def _find_definition(self, project: str, kind: str, name: str, version: int) -> Definition | None:
        with self._database.read() as connection:
            found = catalog_definitions.versions(connection, kind, project, name, version=version)
        return found[0] if found and (version or not found[0].removed) else None

    def definitions(self, project: str, kind: str) -> list[Definition]:
        """As the port says."""
        with self._database.read() as connection:
            return catalog_definitions.latest(connection, _plain(kind), _plain(project))

    def versions(self, project: str, kind: str, name: str) -> list[Definition]:
        """As the port says."""
        with self._database.read() as connection:
            return catalog_definitions.versions(connection, _plain(kind), _plain(project), _plain(name))

    def definitions_of_all(self, kind: str) -> dict[str, list[Definition]]:
        """As the port says."""
        with self._database.read() as connection:
            return catalog_definitions.latest_of_all(connection, _plain(kind))

    def definitions_state(self, kind: str) -> str:
        """As the port says."""
        with self._database.read() as connection:
            return catalog_definitions.state(connection, _plain(kind))

    def put(self, kind: str, project: str, name: str, body: dict[str, Any]) -> None:
        """As the port says."""
        _checked_text(name, "name", _DOCUMENT_NAME_LENGTH)
        row = {"kind": _plain(kind), "project": _plain(project), "name": name, "body": _as_json(body), "changed_us": self._clock()}
        with self._database.write() as connection:
            connection.execute(text(_PUT_DOCUMENT), row)

    def get(self, kind: str, project: str, name: str) -> dict[str, Any] | None:
        """As the port says."""
        where = {"kind": _plain(kind), "project": _plain(project), "name": _plain(name)}
        with self._database.read() as connection:
            statement = text("SELECT body FROM documents WHERE kind = :kind AND project = :project AND name = :name")
            body = connection.execute(statement, where).scalar()
        return None if body is None else dict(json.loads(body))

    def documents(self, kind: str, project: str) -> dict[str, dict[str, Any]]:
        """As the port says, in the order of their names."""
        with self._database.read() as connection:
            rows = connection.execute(
                text("SELECT name, body FROM documents WHERE kind = :kind AND project = :project"),
                {"kind": _plain(kind), "project": _plain(project)},
            ).all()
        return {name: json.loads(body) for name, body in sorted((row[0], row[1]) for row in rows)}

    def documents_of_all(self, kind: str) -> dict[str, dict[str, dict[str, Any]]]:
        """As the port says."""
        with self._database.read() as connection:
            rows = connection.execute(text("SELECT project, name, body FROM documents WHERE kind = :kind"), {"kind": _plain(kind)}).all()
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for project, name, body in sorted((row[0], row[1], row[2]) for row in rows):
            found.setdefault(project, {})[name] = json.loads(body)
        return found

    def delete(self, kind: str, project: str, name: str) -> bool:
        """As the port says."""
        where = {"kind": _plain(kind), "project": _plain(project), "name": _plain(name)}
        with self._database.write() as connection:
            statement = text("DELETE FROM documents WHERE kind = :kind AND project = :project AND name = :name")
            return connection.execute(statement, where).rowcount > 0

    def close(self) -> None:
        """As the port says; the next use opens it again."""
        self._database.close()


def _free_id(connection: Connection, name: str) -> str:
    """The name as a slug; with a number when it is taken, be it by a project that is gone. It never equals another project's name."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].rstrip("-") or "project"
    taken = {word for row in connection.execute(text("SELECT id, name_key FROM projects")) for word in row}
    taken |= {row.id for row in connection.execute(text("SELECT id FROM deleted_projects"))}
    if slug not in taken:
        return slug
    return next(candidate for number in range(2, len(taken) + 3) if (candidate := f"{slug}-{number}") not in taken)


def _checked_text(value: str, place: str, longest: int) -> str:
    if not 0 < len(value) <= longest or "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise invalid(f"This cannot be a {place}.", place=place, way_out=f"Use 1 to {longest} characters.")
    return value


def _name_taken(name: str) -> AlmanacError:
    return conflict(f"There is a project {name!r} already.", place="name", way_out="Choose another name.")


def _columns(project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        "name": project.name,
        "zone": project.zone,
        "week_start": project.week_start,
        "quota": project.quota,
        "retention_days": project.retention_days,
        "settings": _as_json(project.settings),
    }


def _project(row: Mapping[Any, Any]) -> Project:
    return Project(
        id=row["id"],
        name=row["name"],
        zone=row["zone"],
        week_start=row["week_start"],
        quota=row["quota"],
        retention_days=row["retention_days"],
        created_at=catalog_keys.moment(row["created_us"]),
        settings=json.loads(row["settings"]),
    )


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise invalid(f"It cannot be saved as JSON: {error}.", place="body") from None
