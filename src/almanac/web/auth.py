"""Who asks, and what he may do.

A key has one role: write (send events), read (ask), admin (everything of its project, or of the whole server). To a key, the projects
of others do not exist: they answer as a project that was never made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from almanac.core.errors import AlmanacError, Code, denied, not_found
from almanac.core.ports import Key, Project
from almanac.web.rooms import Rooms

Deed = Literal["read", "admin"]

_ROLES: dict[Deed, Sequence[str]] = {"read": ("read", "admin"), "admin": ("admin",)}
_MAY = {"write": "only send events", "read": "only read and ask", "admin": "do everything in its own project"}

bearer = HTTPBearer(auto_error=False, scheme_name="key", description="A read or admin key: `Authorization: Bearer KEY`.")


@dataclass(frozen=True)
class Visitor:
    """One caller, with the key that he showed. Checks are synchronous: they run in the same thread as the work."""

    rooms: Rooms = field(repr=False)
    secret: str = field(repr=False)  # a traceback in the log must not hold it

    def key(self) -> Key:
        """Who the key is. Raises `denied` (401), which says so when it is revoked."""
        if not self.secret:
            raise denied("There is no key.", way_out="Send the header Authorization: Bearer KEY.")
        key = self.rooms.catalog.find_key(self.secret)
        if key is None:
            raise denied("The key is not known.", way_out="Check that it was copied whole; `almanac key list` lists the keys.")
        return key

    def enter(self, project: str, deed: Deed) -> Project:
        """The project, if the key may do this there. Raises `denied` (401, 403) and `not_found`."""
        key = self.key()
        found = self._find(project)
        if found is None or key.project not in ("", found.id):
            raise not_found(
                f"There is no project {project!r}.", place="project", way_out="Check its name, and that the key is of this project."
            )
        if key.role not in _ROLES[deed]:
            raise _forbidden(key, "An admin key" if deed == "admin" else "A read key")
        return found

    def rule(self) -> None:
        """Passes the server's admin only. Raises `denied` (401, 403)."""
        key = self.key()
        if key.role != "admin" or key.project:
            raise _forbidden(key, "The server's admin key")

    def _find(self, project: str) -> Project | None:
        if not project.isprintable():  # no catalog has such a name, and not every catalog takes such a question
            return None
        try:
            return self.rooms.catalog.project(project)
        except AlmanacError as error:
            if error.code is Code.NOT_FOUND:
                return None
            raise


def _forbidden(key: Key, needed: str) -> AlmanacError:
    return denied(
        f"This is a key of role {key.role}: it may {_MAY.get(key.role, 'not do this')}.", way_out=f"{needed} may do this.", status=403
    )


async def rooms_of(request: Request) -> Rooms:
    """The rooms of this server."""
    rooms: Rooms = request.app.state.rooms
    return rooms


async def visitor_of(
    rooms: Annotated[Rooms, Depends(rooms_of)], key: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> Visitor:
    """The caller; nothing is checked yet."""
    return Visitor(rooms, key.credentials if key else "")


Caller = Annotated[Visitor, Depends(visitor_of)]
House = Annotated[Rooms, Depends(rooms_of)]
