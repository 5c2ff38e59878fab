"""Whose write key this is, without asking the catalog for each request."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from almanac.core.errors import AlmanacError, Code, denied, not_found, unavailable
from almanac.core.ports import Catalog, Key
from almanac.core.source import DOCUMENT
from almanac.ingest.limits import Bucket

KNOWN_SECONDS: Final = 2.0  # how long a changed quota or a revoked key may go unnoticed
UNKNOWN_SECONDS: Final = 2.0  # how long a wrong key is remembered as wrong once too many wrong keys come
UNKNOWN_RATE: Final = 50.0  # look-ups per second that unknown keys may cause
LONGEST_KEY: Final = 256
MOST_KEYS: Final = 10_000

_WAY_OUT: Final = "Send the write key of a project; `almanac project create` prints it."


@dataclass(frozen=True, slots=True)
class Grant:
    """What a write key allows. `quota` in events per second, 0: none of its own."""

    project: str
    quota: int


@dataclass(frozen=True, slots=True)
class Held:
    """A source of a project as it is kept, and what its project allows."""

    grant: Grant
    name: str
    body: dict[str, Any] = field(repr=False)  # it holds a secret


class Grants(Protocol):
    """Whoever knows what a write key allows, and a project's sources."""

    def grant(self, secret: str) -> Grant:
        """What `secret` allows. Raises `denied`."""
        ...

    def source(self, project: str, name: str) -> Held:
        """The source of that name. Raises `not_found`."""
        ...


@dataclass(frozen=True, slots=True)
class _Known:
    key: Key
    grant: Grant
    until: float


class KeyRing:
    """Write keys and their projects. A key is asked for at once when it is new, so that one made a moment ago works; a flood of
    wrong keys reaches the catalog only so many times per second, and a revoked one, which apps may send for years, once in a while.
    While the catalog is out of reach, known keys go on working."""

    def __init__(self, catalog: Catalog, clock: Callable[[], float] = time.monotonic) -> None:
        self._catalog = catalog
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._wrong: dict[str, float] = {}
        self._revoked: dict[str, tuple[AlmanacError, float]] = {}
        self._sources: dict[str, tuple[Held, float]] = {}
        self._questions = Bucket(UNKNOWN_RATE, UNKNOWN_RATE * 4, clock())

    def grant(self, secret: str) -> Grant:
        """What `secret` allows. Raises `denied`: 401 without a key, a wrong or a revoked one, 403 for one that reads or administrates."""
        now = self._clock()
        known = self._known.get(secret)
        if known is None or known.until < now:
            known = self._ask(secret, known, now)
        if known.key.role != "write":
            raise denied(f"This is a key of role {known.key.role}; it cannot send events.", way_out=_WAY_OUT, status=403)
        return known.grant

    def source(self, project: str, name: str) -> Held:
        """The source of that name, as of `KNOWN_SECONDS` ago at most; the last known one while the catalog is out of reach."""
        now, key = self._clock(), f"{project}\0{name}"
        held, until = self._sources.get(key, (None, 0.0))
        if held is not None and until > now:
            return held
        if held is None and not self._questions.take(now):
            raise unavailable("Too many unknown sources are asked for; this one was not looked up.", way_out="Come back in a moment.")
        try:
            found = held_of(self._catalog, project, name)
        except AlmanacError as error:
            if error.code is Code.UNAVAILABLE and held is not None:
                return held
            self._sources.pop(key, None)
            raise
        _remember(self._sources, key, (found, now + KNOWN_SECONDS))
        return found

    def _ask(self, secret: str, stale: _Known | None, now: float) -> _Known:
        if not secret:
            raise denied("There is no write key in the request.", way_out=_WAY_OUT)
        if len(secret) > LONGEST_KEY:
            raise denied("The write key is not known.", way_out=_WAY_OUT)
        refusal, until = self._revoked.get(secret, (None, 0.0))
        if refusal is not None and until > now:
            raise refusal.with_traceback(None)
        if stale is None and not self._questions.take(now):
            if self._wrong.get(secret, 0.0) > now:
                raise denied("The write key is not known.", way_out=_WAY_OUT)
            raise unavailable("Too many unknown write keys are being sent; this one was not looked up.", way_out="Come back in a moment.")
        try:
            found = self._look_up(secret)
        except AlmanacError as error:
            if error.code is Code.DENIED:
                self._known.pop(secret, None)
                _remember(self._revoked, secret, (error, now + KNOWN_SECONDS))
            if stale is None or error.code is not Code.UNAVAILABLE:
                raise
            found = stale.key, stale.grant
        if found is None:
            self._known.pop(secret, None)
            _remember(self._wrong, secret, now + UNKNOWN_SECONDS)
            raise denied("The write key is not known.", way_out=_WAY_OUT)
        known = _Known(*found, now + KNOWN_SECONDS)
        _remember(self._known, secret, known)
        return known

    def _look_up(self, secret: str) -> tuple[Key, Grant] | None:
        key = self._catalog.find_key(secret)
        if key is None:
            return None
        if key.role != "write":
            return key, Grant(key.project, 0)
        try:
            return key, Grant(key.project, self._catalog.project(key.project).quota)
        except AlmanacError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            return None


def held_of(catalog: Catalog, project: str, name: str) -> Held:
    """The source of that name in a project that goes by id or name. Raises `not_found`, which does not tell which of the two is missing."""
    missing = not_found(
        f"There is no source {name!r} in a project {project!r}.", way_out="Check the address; `almanac source list` shows it."
    )
    if not (project.isprintable() and name.isprintable() and len(project) <= LONGEST_KEY and len(name) <= LONGEST_KEY):
        raise missing
    try:
        found = catalog.project(project)
    except AlmanacError as error:
        raise missing if error.code is Code.NOT_FOUND else error from None
    body = catalog.get(DOCUMENT, found.id, name)
    if body is None:
        raise missing
    return Held(Grant(found.id, found.quota), name, body["source"])


T = TypeVar("T")


def _remember(into: dict[str, T], secret: str, value: T) -> None:
    if len(into) >= MOST_KEYS:
        into.clear()
    into[secret] = value
