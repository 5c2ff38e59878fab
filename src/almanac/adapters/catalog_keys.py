"""Rows of the catalog's keys, in their caller's transaction. Of a secret only the SHA-256 is kept, and the characters that are shown."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from almanac.core.errors import conflict, denied, invalid, not_found
from almanac.core.ports import Key

PREFIXES: Final = {"write": "wk_", "read": "rk_", "admin": "ak_"}
_SECRET: Final = re.compile(r"[!-~]{1,200}")  # visible ASCII: it travels in headers and in addresses
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{0,100}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_US: Final = 10 * 366 * 86_400 * 1_000_000  # how far ahead a key's end may lie

_ADD: Final = """
INSERT INTO keys (hash, id, project, role, name, prefix, last_four, given, created_us)
VALUES (:hash, :id, :project, :role, :name, :prefix, :last_four, :given, :created_us)
"""

_FIND: Final = """
SELECT id, role, project, name, prefix, last_four, created_us, revoked_us
FROM keys
WHERE hash = :hash
"""

_OF_PROJECT: Final = """
SELECT id, role, project, name, prefix, last_four, created_us, revoked_us
FROM keys
WHERE coalesce(project, '') = :project AND (id = :id OR :id = '')
ORDER BY created_us, role, prefix, id
"""

_REVOKE: Final = """
UPDATE keys
SET revoked_us = :at_us
WHERE project = :project AND id = :id AND (revoked_us IS NULL OR revoked_us > :at_us)
"""


def new_secret(role: str) -> str:
    """A secret that nobody guesses; its beginning tells what it is for."""
    return PREFIXES[role] + secrets.token_urlsafe(24)


def add(connection: Connection, now_us: int, project: str | None, role: str, secret: str, *, name: str = "", given: bool = False) -> Key:
    """A new key. Raises `conflict` for a secret in use, `invalid` for an odd one or an odd name."""
    if not _SECRET.fullmatch(secret):
        raise invalid("This cannot be a key.", place="key", way_out="Use up to 200 letters, digits and signs without spaces.")
    if not _NAME.fullmatch(name):
        raise invalid("This cannot be the name of a key.", place="name", way_out="Use up to 100 characters in one line.")
    row = {
        "hash": digest(secret),
        "id": secrets.token_hex(6),
        "project": project,
        "role": role,
        "name": name.strip(),
        # Of a short key not so much that the rest could be guessed.
        "prefix": secret[: min(8, len(secret) // 4)],
        "last_four": secret[len(secret) - min(4, len(secret) // 8) :],
        "given": given,
        "created_us": now_us,
    }
    try:
        connection.execute(text(_ADD), row)
    except IntegrityError:
        raise conflict("This key is in use already.", place="key", way_out="Choose another, or leave it out to have one made.") from None
    return _key(connection.execute(text(_FIND), row).one())


def find(connection: Connection, secret: str) -> Key | None:
    """The key, in force or not."""
    row = connection.execute(text(_FIND), {"hash": digest(secret)}).first()
    return None if row is None else _key(row)


def in_force(key: Key, now_us: int) -> Key:
    """The key. Raises `denied` when it is revoked."""
    if key.revoked_at is not None and key.revoked_at <= moment(now_us):
        when = key.revoked_at.strftime("%Y-%m-%d %H:%M UTC")
        raise denied(
            f"The key {shown(key)} was revoked on {when}.",
            way_out="Use another key of the project; `almanac key create` makes one.",
        )
    return key


def of_project(connection: Connection, project: str, id_: str = "") -> list[Key]:
    """The keys of a project id, "" for the server's; only the one of that id, if one is given."""
    return [_key(row) for row in connection.execute(text(_OF_PROJECT), {"project": project, "id": id_})]


def revoke(connection: Connection, now_us: int, project: str, id_: str, after: float) -> Key:
    """See `Catalog.revoke_key`."""
    one(connection, project, id_)
    at_us = now_us + min(_LONGEST_US, max(0, int(after * 1e6)))
    connection.execute(text(_REVOKE), {"project": project, "id": id_, "at_us": at_us})
    return one(connection, project, id_)


def rotate(connection: Connection, now_us: int, project: str, id_: str, after: float) -> tuple[Key, str]:
    """See `Catalog.rotate_key`."""
    old = one(connection, project, id_)
    if old.revoked_at is not None and old.revoked_at <= moment(now_us):
        raise conflict(f"The key {shown(old)} is revoked.", place="key", way_out="Make a new one instead.")
    secret = new_secret(old.role)
    made = add(connection, now_us, project, old.role, secret, name=old.name)
    revoke(connection, now_us, project, id_, after)
    return made, secret


def one(connection: Connection, project: str, id_: str) -> Key:
    """The key of that id. Raises `not_found`."""
    found = of_project(connection, project, id_) if id_ else []
    if not found:
        raise not_found(f"The project has no key {id_!r}.", place="key", way_out="List its keys to see their ids.")
    return found[0]


def shown(key: Key) -> str:
    """A key as people may see it."""
    return " ".join(part for part in (f"{key.prefix}…{key.last_four}", key.name and f"({key.name})") if part)


def digest(secret: str) -> str:
    """Keys are long and random, so that a plain hash cannot be turned back; it is looked up for each request, so that it must be quick."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def moment(us: int) -> datetime:
    """Microseconds since 1970 as a time."""
    return _EPOCH + timedelta(microseconds=us)


def _key(row: Any) -> Key:
    return Key(
        role=row.role,
        project=row.project or "",
        prefix=row.prefix,
        created_at=moment(row.created_us),
        id=row.id,
        name=row.name,
        last_four=row.last_four,
        revoked_at=None if row.revoked_us is None else moment(row.revoked_us),
    )
