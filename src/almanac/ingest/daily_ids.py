"""Ids for people who keep nothing on their devices (cookieless): the same for a day, another one the next day, and nobody can go back.

An id is a keyed hash of the project, the address and the browser's name. Its key is made by chance each day (UTC) and kept in the data
folder, so that all collectors share it; the key of the day before is deleted, and with it the way from an id to an address. Backups do
not hold it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final

_BYTES: Final = 32
_NAME: Final = "day-"


def daily_id(folder: Path, received_us: int, project: str, address: str, agent: str) -> str:
    """The id of whoever sends from this address with this browser on this day. `folder`: the data folder."""
    day = datetime.fromtimestamp(received_us / 1e6, UTC).date().isoformat()
    text = f"{project}\0{address}\0{agent}".encode("utf-8", "replace")
    return "c:" + hashlib.blake2b(text, digest_size=16, key=_key(folder, day)).hexdigest()


@lru_cache(maxsize=100_000)
def coarse(address: str) -> str:
    """An address that still tells the country and no more: without the last byte of IPv4, without all but the first 48 bits of IPv6."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    return str(ip_network((found, 24 if found.version == 4 else 48), strict=False).network_address)


@lru_cache(maxsize=1)  # yesterday's is forgotten
def _key(folder: Path, day: str) -> bytes:
    """The day's key; the first of the collectors to need it makes it."""
    place = folder / "run"
    place.mkdir(parents=True, exist_ok=True)
    file = place / f"{_NAME}{day}"
    fresh = place / f"{_NAME}{day}.{os.getpid()}"
    if not file.exists():
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(secrets.token_bytes(_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(fresh, file)  # whole, or not at all, and never over another's
        fresh.unlink()
    for old in place.glob(f"{_NAME}*"):
        if old.name[: len(file.name)] < file.name:
            old.unlink(missing_ok=True)
    return file.read_bytes()
