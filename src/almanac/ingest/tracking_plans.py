"""The tracking plans in force, of all projects: read from the catalog while events come, and kept beside the batch that they judge.

A batch that is made again after a crash has to be judged as it was the first time, or an event could be stored by one version of its plan
and rejected by the next. So the plans of a batch are on disk before its first insert, under a name that is made of what they say.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from almanac.core.errors import AlmanacError, Code
from almanac.core.event import Event, Kind
from almanac.core.ports import Catalog
from almanac.ingest.tracking import OTHERS, Entry

KIND: Final = "plan"  # of the catalog's definitions
FRESH_SECONDS: Final = 1.0  # how long a changed plan may go unnoticed

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Plans:
    """The plans of all projects that have one. `id`: other for other plans, "" when nobody has one."""

    id: str = ""
    of: Mapping[str, Mapping[str, Entry]] = field(default_factory=dict[str, Mapping[str, Entry]])

    def entry(self, project: str, event: str, *, tracked: bool) -> Entry | None:
        """What an event of this name is judged by. `tracked`: the entry for others is meant for it, if it has none of its own."""
        plan = self.of.get(project, {})
        return plan.get(event) or (plan.get(OTHERS) if tracked else None)

    def entry_of(self, event: Event) -> Entry | None:
        """What this event is judged by. Dead letters are no events."""
        if event.kind == Kind.DEAD_LETTER:
            return None
        return self.entry(event.project, event.name, tracked=event.kind == Kind.TRACK and not event.name.startswith("$"))


NO_PLANS: Final = Plans()


class Shelf:
    """Safe under threads, but for `keep` and `tidy`, which are the load's."""

    def __init__(self, catalog: Catalog, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`folder`: where the plans of the batch under way are kept. `clock`: seconds."""
        self._catalog = catalog
        self._folder = folder
        self._clock = clock
        self._plans: Plans | None = None
        self._state = ""
        self._looked = float("-inf")
        self._tidied = ""

    def current(self) -> Plans:
        """The plans in force, at most `FRESH_SECONDS` old; the last known ones while the catalog is out of reach."""
        if self._plans is not None and self._clock() - self._looked < FRESH_SECONDS:
            return self._plans
        looked = self._clock()
        try:
            state = self._catalog.definitions_state(KIND)
            if self._plans is None or state != self._state:
                self._plans = self._read()
                self._state = state
        except AlmanacError as error:
            if self._plans is None or error.code is not Code.UNAVAILABLE:
                raise
        self._looked = looked
        return self._plans

    def keep(self, plans: Plans) -> None:
        """Makes them durable for `kept`. The name of the file is durable with whatever is made so in the folder next."""
        file = self._file(plans.id)
        if file.exists():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        with fresh.open("wb") as out:
            out.write(_content(plans.of))
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(file)

    def kept(self, id_: str) -> Plans:
        """Those that a batch began with."""
        if not id_:
            return NO_PLANS
        if self._plans is not None and self._plans.id == id_:
            return self._plans
        try:
            said = msgspec.json.decode(self._file(id_).read_bytes())
        except FileNotFoundError:
            log.warning("the plans that a batch began with are gone; it is judged by those in force", file=str(self._file(id_)))
            return self.current()
        return Plans(id_, {project: {name: Entry(name, **body) for name, body in plan.items()} for project, plan in said.items()})

    def tidy(self, id_: str) -> None:
        """Forgets what was kept, but for this."""
        if self._tidied == id_:
            return
        for file in self._folder.glob("tracking-*.json"):
            if file != self._file(id_):
                file.unlink(missing_ok=True)
        self._tidied = id_

    def _file(self, id_: str) -> Path:
        return self._folder / f"tracking-{id_}.json"

    def _read(self) -> Plans:
        before = self._plans or NO_PLANS
        found: dict[str, dict[str, Entry]] = {}
        for project, definitions in self._catalog.definitions_of_all(KIND).items():
            # An entry that is unchanged keeps its compiled schema.
            entries = (_same(entry(item.name, item.body, item.version), before.of.get(project, {}).get(item.name)) for item in definitions)
            if plan := {entry.event: entry for entry in entries if _readable(entry, project)}:
                found[project] = plan
        if not found:
            return NO_PLANS
        return Plans(hashlib.blake2b(_content(found), digest_size=12).hexdigest(), found)


def entry(name: str, body: Mapping[str, Any], version: int) -> Entry:
    """The entry that a body of a definition says."""
    return Entry(name, version, body.get("mode", "observe"), body.get("schema"))


def _readable(entry: Entry, project: str) -> bool:
    """An entry was checked when it was saved; one that another version of the validator refuses must not stop the load."""
    try:
        entry.compile()
    except AlmanacError as error:
        log.error("an entry of a tracking plan judges nothing", project=project, of=entry.event, version=entry.version, reason=str(error))
        return False
    return True


def _same(entry: Entry, before: Entry | None) -> Entry:
    return before if before == entry else entry


def _content(plans: Mapping[str, Mapping[str, Entry]]) -> bytes:
    said = {
        project: {name: {"version": entry.version, "mode": entry.mode, "schema": entry.schema} for name, entry in plan.items()}
        for project, plan in plans.items()
    }
    return msgspec.json.encode(said, order="sorted")
