"""The sources of projects: made, changed, tried out, removed; and how they fare.

A source and its state are documents of the catalog. What is saved was tried before: a mapping that makes no event of its sample is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

from almanac.core.errors import AlmanacError, conflict, invalid, limited, not_found
from almanac.core.event import EMPTY, Event
from almanac.core.ports import Catalog
from almanac.core.settings import Settings
from almanac.core.source import (
    DOCUMENT,
    MOST,
    NAME,
    STATE,
    Base,
    Files,
    Folder,
    Generic,
    Hook,
    complete,
    shown,
    source_of,
    with_secrets,
    written,
)
from almanac.ingest.answers import Rejection
from almanac.ingest.import_shapes import all_formats
from almanac.ingest.importing import sampled
from almanac.ingest.protocols.hooks import tried
from almanac.ingest.source_book import Book, Entry, book_of
from almanac.ingest.source_places import place_of

_SAMPLE_FILE: Final = 64 << 20  # bytes of a file that is fetched for a look
_SAMPLE_RECORDS: Final = 20
_LISTED: Final = 20


@dataclass(frozen=True)
class Kept:
    """A source as it is kept. `body` holds its secrets."""

    name: str
    body: dict[str, Any]
    author: str = ""
    made_at: str = ""
    saved_at: str = ""

    @property
    def source(self) -> Base:
        """What the body says."""
        return source_of(self.body)


@dataclass(frozen=True)
class Tried:
    """What a source would bring: files (of sources of files), events, and why some things would become none."""

    files: list[dict[str, Any]]
    events: list[dict[str, Any]]
    rejected: list[dict[str, Any]]


class Sources:
    """The sources of all projects. Project arguments are ids. Threads may share it."""

    def __init__(self, catalog: Catalog, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._catalog = catalog
        self._settings = settings
        self._clock = clock

    def every(self, project: str) -> list[Kept]:
        """By name."""
        return [_kept(name, document) for name, document in self._catalog.documents(DOCUMENT, project).items()]

    def get(self, project: str, name: str) -> Kept:
        """Raises `not_found`."""
        document = self._catalog.get(DOCUMENT, project, name) if re.fullmatch(NAME, name) else None
        if document is None:
            raise not_found(f"There is no source {name!r}.", place="source", way_out="List the sources to see their names.")
        return _kept(name, document)

    def read(self, project: str, name: str, body: Mapping[str, Any]) -> Base:
        """The source that somebody is about to save or try under that name, with the secrets that it has there. Raises `invalid`."""
        document = self._catalog.get(DOCUMENT, project, name) if re.fullmatch(NAME, name) else None
        source = source_of(with_secrets(dict(body), document["source"] if document else None))
        if isinstance(source, Files):
            _check_files(source)
        return source

    def save(self, project: str, name: str, body: Mapping[str, Any], *, author: str) -> Kept:
        """In the place of the one of that name. Raises `invalid`, `limited`, and `conflict` for another kind under a name in use."""
        if not re.fullmatch(NAME, name):
            way_out = "Use small letters, digits, - and _, a letter or digit first, 64 at most."
            raise invalid(f"{name[:100]!r} is no name for a source.", place="name", way_out=way_out)
        present = self._catalog.documents(DOCUMENT, project)
        source = self.read(project, name, body)
        if name in present and present[name]["source"]["kind"] != body.get("kind"):
            raise conflict(f"{name} is a source of another kind.", place="kind", way_out="Remove it first, or choose another name.")
        if name not in present and len(present) >= MOST:
            raise limited(f"The project has {MOST} sources.", way_out="Remove those that nobody needs.")
        if (lacking := complete(source)) is not None:
            raise lacking
        if isinstance(source, Generic):
            self._proven(source)
        now = self._clock().isoformat(timespec="seconds")
        made = present.get(name, {}).get("made_at") or now
        document = {"source": written(source), "author": author, "made_at": made, "saved_at": now}
        self._catalog.put(DOCUMENT, project, name, document)
        if isinstance(source, Files):  # what failed before may be mended now
            state = self._catalog.get(STATE, project, name) or {}
            self._catalog.put(STATE, project, name, {**state, "since": now, "failures": 0})
        return _kept(name, document)

    def remove(self, project: str, name: str) -> None:
        """It takes and fetches nothing from now on; its events stay, and so does what is remembered of files that were imported. Raises
        `not_found`."""
        if not self._catalog.delete(DOCUMENT, project, name):
            raise not_found(f"There is no source {name!r}.", place="source", way_out="List the sources to see their names.")
        self._catalog.delete(STATE, project, name)
        book_of(self._settings, project, name).unlink(missing_ok=True)

    def state(self, project: str, name: str) -> dict[str, Any]:
        """How the source of files fares: its last run, failures in a row, earlier runs; {} before the first."""
        return self._catalog.get(STATE, project, name) or {}

    def files(self, project: str, name: str, *, limit: int, failed: bool) -> list[Entry]:
        """The files that were looked at last."""
        path = book_of(self._settings, project, name)
        if not path.exists():
            return []
        with Book(path) as book:
            return book.latest(limit, failed=failed)

    def totals(self, project: str, name: str) -> dict[str, int]:
        """How many files were imported, and could not be."""
        path = book_of(self._settings, project, name)
        if not path.exists():
            return {}
        with Book(path) as book:
            return book.totals()

    # ------------------------------------------------------------- trying out

    def try_hook(self, source: Hook, sample: Any, headers: Mapping[str, str]) -> Tried:
        """What a delivery would become."""
        now_us = int(self._clock().timestamp() * 1e6)
        body = sample.encode() if isinstance(sample, str) else json.dumps(sample).encode()
        events, rejected = tried(source, body, headers, self._settings, now_us)
        return Tried([], [told(event) for event in events], [_rejection(item) for item in rejected])

    def try_text(self, source: Files, sample: str) -> Tried:
        """What the records of a text would become, as if it were a file of the source."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / ("sample.csv" if source.format == "csv" else "sample.txt")
            path.write_text(sample)
            return self._of_file(source, path, "the sample")

    def try_files(self, source: Files) -> Tried:
        """The first files that are found, and what the first records of one of them would become. Raises `invalid`, `unavailable`."""
        place = place_of(source, self._settings)
        items = []
        for item in place.items():
            items.append(item)
            if len(items) == _LISTED:
                break
        files = [{"key": item.key, "size": item.size, "modified": item.modified.isoformat() if item.modified else None} for item in items]
        small = next((item for item in items if item.size <= _SAMPLE_FILE), None)
        if small is None:
            return Tried(files, [], [])
        with TemporaryDirectory() as folder:
            path = Path(folder) / (re.sub(r"[^A-Za-z0-9._-]", "_", small.key.partition("?")[0].rpartition("/")[2])[-100:] or "file")
            with place.content(small, "") as content, path.open("wb") as out:
                size = 0
                for piece in content.pieces if content is not None else ():
                    size += len(piece)
                    if size > _SAMPLE_FILE:
                        raise invalid(f"{small.key} is too large to be tried out.", place=small.key, way_out="Try it with a sample.")
                    out.write(piece)
            found = self._of_file(source, path, small.key)
        return replace(found, files=files)

    def _of_file(self, source: Files, path: Path, label: str) -> Tried:
        now_us = int(self._clock().timestamp() * 1e6)
        try:
            events, letters = sampled(path, source.format, source.mapping, self._settings, now_us, _SAMPLE_RECORDS)
        except AlmanacError as error:
            error.message = error.message.replace(str(path), label)
            error.place = label if str(path) in error.place else error.place
            raise
        return Tried([], [told(event) for event in events], letters)

    def _proven(self, source: Generic) -> None:
        found = self.try_hook(source, source.sample, source.sample_headers)
        if found.rejected:
            first = found.rejected[0]
            raise invalid(f"The sample makes no event: {first['detail']}", place="mapping", way_out="Mend the mapping, or the sample.")
        if not found.events:
            raise invalid("The sample holds no event.", place="sample", way_out="Give a delivery as the sender sends it.")


def told(event: Event) -> dict[str, Any]:
    """An event as a person looks at it, without what is empty."""
    said: dict[str, Any] = {"event": event.name, "kind": event.kind, "id": event.event_id}
    for name in ("distinct_id", "user_id", "anonymous_id", "session_id", "url"):
        if value := getattr(event, name):
            said[name] = value
    if event.client_time:
        said["time"] = event.client_time
    for name in ("groups", "properties", "profile", "rest"):
        raw = getattr(event, name)
        if raw != EMPTY:
            said[name] = msgspec.json.decode(raw)
    if event.merges:
        said["merges"] = [{"source": merge.source, "target": merge.target, "how": merge.how} for merge in event.merges]
    return said


def needs_owner(source: Base) -> bool:
    """Whether only whoever rules the server may make it: it reads the host's own files."""
    return isinstance(source, Folder)


def shown_source(kept: Kept) -> dict[str, Any]:
    """A source as JSON, without its secrets."""
    return {
        "name": kept.name,
        "kind": kept.body["kind"],
        "source": shown(kept.body),
        "author": kept.author,
        "made_at": kept.made_at,
        "saved_at": kept.saved_at,
    }


def _check_files(source: Files) -> None:
    known = tuple(all_formats())
    if source.format not in known:
        raise invalid(f"There is no format {source.format!r}.", place="format", way_out=f"There are: {', '.join(known)}.")
    if source.mapping is None:
        return
    if source.mapping.each is not None:
        raise invalid("Records of files are taken one by one.", place="mapping.each", way_out="Leave each out.")
    if source.mapping.event is None:
        raise invalid("The mapping does not say what the event is called.", place="mapping.event", way_out="Write a path, or =a name.")
    if source.format in ("native", "almanac", "segment", "posthog"):
        raise invalid(f"The format {source.format} says itself what is what.", place="mapping", way_out="Leave mapping or format out.")


def _rejection(item: Rejection) -> dict[str, Any]:
    return {"index": item.index, "reason": item.reason, "detail": item.detail}


def _kept(name: str, document: Mapping[str, Any]) -> Kept:
    return Kept(name, document["source"], document.get("author", ""), document.get("made_at", ""), document.get("saved_at", ""))
