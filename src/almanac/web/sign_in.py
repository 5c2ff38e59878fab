"""Trying passwords: slowly, seldom, and at the same cost whether there is such an account or not.

Failures are counted in this process alone: there is one that answers, and a restart that forgets them takes longer than a try.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from anyio import CapacityLimiter, to_thread
from fastapi import Request

from almanac.adapters import passwords
from almanac.core.accounts import email_key
from almanac.core.errors import denied, limited
from almanac.ingest.senders import address

WINDOW: Final = 15 * 60.0  # seconds in which failures count together
OF_EMAIL: Final = 5
OF_ADDRESS: Final = 20
_AT_ONCE: Final = 2  # tries take 64 MiB each
_WAITING: Final = 50
_REMEMBERED: Final = 20_000  # emails and addresses


class Passwords:
    """Where passwords are tried and hashed. On the event loop; `clock` tells seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limiter = CapacityLimiter(_AT_ONCE)
        self._tries: dict[str, deque[float]] = {}

    async def hashed(self, password: str) -> str:
        """What is kept of it. Raises `limited`."""
        self._room()
        return await to_thread.run_sync(passwords.hashed, password, limiter=self._limiter)

    async def check(self, email: str, sender: str, kept: str | None, password: str) -> None:
        """Raises `denied` for a wrong password; `kept` is None when there is no such account. Raises `limited` after too many."""
        names = (f"email {email_key(email)}", f"address {_network(sender)}")
        self._admit(names)
        self._room()
        for name in names:  # before it is tried: many at once are as many tries
            self._tries.setdefault(name, deque()).append(self._clock())
        right = await to_thread.run_sync(passwords.matches, kept or passwords.NOBODY, password, limiter=self._limiter)
        if not right or kept is None:
            way_out = "Try again. An owner of the server can make a link that sets a new password."
            raise denied("The email or the password is wrong.", way_out=way_out)
        self._tries.pop(names[0], None)
        if others := self._tries.get(names[1]):
            others.pop()

    def _admit(self, names: tuple[str, str]) -> None:
        now = self._clock()
        for name, most in zip(names, (OF_EMAIL, OF_ADDRESS), strict=True):
            tries = self._tries.get(name)
            while tries and tries[0] <= now - WINDOW:
                tries.popleft()
            if tries and len(tries) >= most:
                wait = math.ceil(tries[0] + WINDOW - now)
                raise limited("There were too many wrong passwords.", way_out="Come back in some minutes.", retry_after=max(1, wait))
        if len(self._tries) >= _REMEMBERED:
            self._tries = {name: tries for name, tries in self._tries.items() if tries and tries[-1] > now - WINDOW}
            while len(self._tries) >= _REMEMBERED:
                del self._tries[next(iter(self._tries))]

    def _room(self) -> None:
        if self._limiter.statistics().tasks_waiting >= _WAITING:
            raise limited("Too many people sign in at once.", way_out="Try again in a moment.", retry_after=2)


def sender_of(request: Request) -> str:
    """The address that a request comes from. In front of this process stands a collector, which adds its peer's as the last hop."""
    hops = [hop.strip() for line in request.headers.getlist("x-forwarded-for") for hop in line.split(",")]
    peer = hops.pop() if hops else (request.client.host if request.client else "")
    return address(peer, ",".join(hops))


def _network(sender: str) -> str:
    """Whoever has one address of IPv6 has as many as he likes."""
    try:
        found = ip_address(sender)
    except ValueError:
        return sender
    return str(ip_network(f"{found}/64", strict=False)) if isinstance(found, IPv6Address) else sender
