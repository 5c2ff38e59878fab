"""Projects and keys straight from the catalog, for when no server runs: the event store need not be opened for them.

The same words and the same JSON as the HTTP face (`Api` in client.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from almanac.core.ports import Catalog, Project
from almanac.core.time import zone_of
from almanac.web.reads import instant


class CatalogProjects:
    """What `Api` does with projects and keys."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def projects(self) -> list[dict[str, Any]]:
        """All of them, by name."""
        return [_shown(project) for project in self._catalog.projects()]

    def create_project(self, name: str, *, write_key: str = "", zone: str = "UTC") -> dict[str, Any]:
        """With its keys, in the only moment when they can be read."""
        zone_of(zone)
        project, keys = self._catalog.create_project(name, write_key=write_key, zone=zone)
        return {**_shown(project), "write_key": keys["write"], "api_key": keys["read"], "admin_key": keys["admin"]}

    def change_project(self, project: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Zone, week start, quota, retention; what is left out stays."""
        changed = replace(self._catalog.project(project), **changes)
        zone_of(changed.zone)
        self._catalog.update_project(changed)
        return _shown(changed)

    def keys(self, project: str) -> list[dict[str, Any]]:
        """Without their secrets."""
        keys = self._catalog.keys(self._catalog.project(project).id)
        return [{"role": key.role, "prefix": key.prefix, "created_at": instant(key.created_at) if key.created_at else None} for key in keys]

    def create_key(self, project: str, role: str) -> dict[str, Any]:
        """A further key."""
        return {"role": role, "key": self._catalog.create_key(self._catalog.project(project).id, role)}


def _shown(project: Project) -> dict[str, Any]:
    return {**asdict(project), "created_at": instant(project.created_at) if project.created_at else None}
