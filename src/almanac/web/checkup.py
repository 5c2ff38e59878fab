"""Brings everything that can be reached to the doctor: a running server's own word, or the rooms of the data folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from typing import Any

from almanac.core import settings as all_settings
from almanac.core.errors import AlmanacError
from almanac.core.ports import Catalog
from almanac.core.settings import Settings
from almanac.watch.doctor import Finding, Opened, Patient, examine, settings_refused
from almanac.web.client import health, serving


def checked(
    given: Mapping[str, Any],
    key: str,
    *,
    open_catalog: Callable[[Settings], Catalog],
    open_local: Callable[[Settings], AbstractContextManager[Opened]],
) -> list[Finding]:
    """All findings about the installation that the settings `given` lead to, and about `key` when it is not empty.

    A data folder that does not exist yet is looked at without making it."""
    try:
        settings = all_settings.load(given)
    except AlmanacError as error:
        return settings_refused(error)
    server = serving(settings)
    checks = (health(str(server["url"])) or {}).get("checks", []) if server else []
    catalog: Catalog | None = None
    opened: Opened | None = None
    closed: AlmanacError | None = None
    with ExitStack() as stack:
        if (settings.data / "catalog.db").exists() or settings.catalog:
            try:
                catalog = open_catalog(settings)
                stack.callback(catalog.close)
                if server is None:
                    opened = stack.enter_context(open_local(settings))
            except AlmanacError as error:
                closed = error
        patient = Patient(settings, datetime.now(UTC), catalog, server, checks, opened, closed, key)
        return examine(patient)
