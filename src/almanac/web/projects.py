"""Projects and keys as every face shows them, straight from the catalog: the event store need not be opened for them.

The HTTP face answers with these; so does the command line when no server runs. `Api` in client.py has the same words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from almanac.core.errors import invalid, not_found
from almanac.core.ports import Catalog, Key, Project
from almanac.core.time import zone_of
from almanac.web.reads import instant

HOUR = 3600.0


class CatalogProjects:
    """What can be done with projects and keys, short of deleting events. Projects go by id or name; `AlmanacError` as the catalog says."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def only_project(self) -> str:
        """The id of the project, when there is just one. Raises `invalid`, which lists them, or `not_found`."""
        return only_id(self.projects())

    def projects(self) -> list[dict[str, Any]]:
        """All of them, by name. Whoever opens the catalog itself may do everything: `role` is owner."""
        return [{**shown(project), "role": "owner"} for project in self._catalog.projects()]

    def create_project(self, name: str, *, write_key: str = "", zone: str = "UTC") -> dict[str, Any]:
        """With its keys, in the only moment when they can be read."""
        zone_of(zone)
        project, keys = self._catalog.create_project(name, write_key=write_key, zone=zone)
        return {**shown(project), "write_key": keys["write"], "api_key": keys["read"], "admin_key": keys["admin"]}

    def change_project(self, project: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Zone, week start, quota, retention, settings; what is left out stays."""
        changed = replace(self._catalog.project(project), **changes)
        zone_of(changed.zone)
        self._catalog.update_project(changed)
        return shown(changed)

    def keys(self, project: str) -> list[dict[str, Any]]:
        """Without their secrets, revoked ones too."""
        return [_key(key) for key in self._catalog.keys(self._id(project))]

    def create_key(self, project: str, role: str, *, name: str = "") -> dict[str, Any]:
        """A further key, with its secret, in the only moment when it can be read."""
        return _made(*self._catalog.create_key(self._id(project), role, name=name))

    def revoke_key(self, project: str, key: str, *, grace_hours: float = 0.0) -> dict[str, Any]:
        """Refuses the key of this id, at once or in some hours."""
        return _key(self._catalog.revoke_key(self._id(project), key, after=grace_hours * HOUR))

    def rotate_key(self, project: str, key: str, *, grace_hours: float = 0.0) -> dict[str, Any]:
        """A new key in the place of that one, which is revoked at once or in some hours."""
        return _made(*self._catalog.rotate_key(self._id(project), key, after=grace_hours * HOUR))

    def _id(self, project: str) -> str:
        return self._catalog.project(project).id


def shown(project: Project) -> dict[str, Any]:
    """A project as JSON."""
    return {**asdict(project), "created_at": instant(project.created_at) if project.created_at else None}


def only_id(projects: Sequence[Mapping[str, Any]]) -> str:
    """The id of the only one of these. Raises `invalid`, which lists them, or `not_found`."""
    if not projects:
        raise not_found("There is no project yet.", way_out="Make one with `almanac project create NAME`.")
    if len(projects) > 1:
        names = ", ".join(str(project["id"]) for project in projects)
        raise invalid("There are several projects.", place="--project", way_out=f"Say which: {names}.")
    return str(projects[0]["id"])


def really(project: Project, name: str) -> None:
    """Raises `invalid` unless `name` is the project's own."""
    if name not in (project.name, project.id):
        raise invalid("This is not the project's name; nothing was deleted.", place="name", way_out=f"Write {project.name!r} to delete it.")


def _key(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "prefix": key.prefix,
        "last_four": key.last_four,
        "created_at": instant(key.created_at) if key.created_at else None,
        "revoked_at": instant(key.revoked_at) if key.revoked_at else None,
    }


def _made(key: Key, secret: str) -> dict[str, Any]:
    return {**_key(key), "key": secret}
