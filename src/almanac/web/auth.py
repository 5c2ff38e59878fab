"""Who asks, and what he may do.

A caller shows a key or the token of a session. A key has one role: write (send events), read (ask), admin (everything of its project, or of
the whole server). Whoever is signed in has a role in each project that he is a member of. To either, the projects of others do not exist:
they answer as a project that was never made.

A token comes as a bearer, as keys do, or in a cookie. A browser sends cookies by itself, whichever page made it ask: so whatever may change
something shows, besides the cookie, what only a page of this server can read (`csrf_of`).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from starlette.responses import Response

from almanac.core.accounts import ROLES, SESSION_LONGEST, SESSION_PREFIX, Role, SignedIn
from almanac.core.errors import AlmanacError, Code, denied, not_found
from almanac.core.ports import Key, Project
from almanac.web.rooms import Rooms

# read: ask and look; edit: save definitions and boards; admin: keys, members, dead letters, merges, settings; own: delete, make owners.
Deed = Literal["read", "edit", "admin", "own"]

COOKIE: Final = "almanac_session"
CSRF_HEADER: Final = "X-Almanac-CSRF"
_HARMLESS: Final = ("GET", "HEAD", "OPTIONS")

_KEYS: dict[Deed, Sequence[str]] = {"read": ("read", "admin"), "edit": ("admin",), "admin": ("admin",), "own": ("admin",)}
_LEAST: dict[Deed, Role] = {"read": "viewer", "edit": "analyst", "admin": "admin", "own": "owner"}
_AS_ROLE: dict[str, Role] = {"read": "viewer", "admin": "owner"}  # a key's role, in a member's terms
_MAY = {"write": "only send events", "read": "only read and ask", "admin": "do everything in its own project"}
_MEMBER_MAY: dict[Role, str] = {
    "viewer": "you may read and ask",
    "analyst": "you may ask, and save metrics, segments, questions and boards",
    "admin": "you may do everything but delete it and make owners",
    "owner": "you may do everything",
}

bearer = HTTPBearer(auto_error=False, scheme_name="key", description="A read or admin key: `Authorization: Bearer KEY`.")
cookie = APIKeyCookie(
    name=COOKIE,
    auto_error=False,
    scheme_name="session",
    description=f"Of whoever is signed in; all but GET also needs the header {CSRF_HEADER} with `csrf` of `/api/v1/me`.",
)


@dataclass(frozen=True)
class Visitor:
    """One caller, with the key or the session's token that he showed. Checks are synchronous: they run in the same thread as the work."""

    rooms: Rooms = field(repr=False)
    secret: str = field(repr=False)  # a traceback in the log must not hold it

    def who(self) -> Key | SignedIn:
        """Whose the key or the token is. Raises `denied` (401), which says so when a key is revoked."""
        if not self.secret:
            raise denied("There is no key.", way_out="Send the header Authorization: Bearer KEY, or sign in.")
        if self.secret.startswith(SESSION_PREFIX):
            signed_in = self.rooms.catalog.accounts.find_session(self.secret)
            if signed_in is not None:
                return signed_in
        key = self.rooms.catalog.find_key(self.secret)
        if key is not None:
            return key
        if self.secret.startswith(SESSION_PREFIX):
            raise denied("The session is over.", way_out="Sign in again.")
        raise denied("The key is not known.", way_out="Check that it was copied whole; `almanac key list` lists the keys.")

    def user(self) -> SignedIn:
        """Who is signed in. Raises `denied` (401), for a key too (403)."""
        who = self.who()
        if isinstance(who, Key):
            raise denied("This is of somebody's own account, and a key has none.", way_out="Sign in.", status=403)
        return who

    def reader(self) -> Key | SignedIn:
        """Whoever may read something. Raises `denied` (401, 403)."""
        who = self.who()
        if isinstance(who, Key) and who.role == "write":
            raise denied("This is a key of role write: it may only send events.", way_out="A read key may do this.", status=403)
        return who

    def enter(self, project: str, deed: Deed) -> Project:
        """The project, if the caller may do this there. Raises `denied` (401, 403) and `not_found`."""
        who = self.who()
        found = self._find(project)
        role = None if found is None else _role_in(who, found.id)
        if found is None or role is None:
            raise not_found(
                f"There is no project {project!r}.", place="project", way_out="Check its name, and that the key is of this project."
            )
        if isinstance(who, Key):
            if who.role not in _KEYS[deed]:
                raise _forbidden(who, "A read key" if deed == "read" else "An admin key")
        elif ROLES.index(role) < ROLES.index(_LEAST[deed]):
            least = _LEAST[deed]
            raise denied(
                f"You are {'an' if role[0] in 'ao' else 'a'} {role} of this project: {_MEMBER_MAY[role]}.",
                way_out=f"This takes the role {least}; an admin or owner of the project can give it to you.",
                status=403,
            )
        return found

    def rules(self) -> bool:
        """Whether the caller may do everything: an owner of the server, or its admin key. Raises `denied` (401)."""
        who = self.who()
        return who.user.owner if isinstance(who, SignedIn) else who.role == "admin" and not who.project

    def rule(self) -> None:
        """Passes those only who may do everything. Raises `denied` (401, 403)."""
        if self.rules():
            return
        who = self.who()
        if isinstance(who, Key):
            raise _forbidden(who, "The server's admin key")
        raise denied("This is for owners of the server.", way_out="Ask one of them.", status=403)

    def projects(self) -> list[tuple[Project, Role]]:
        """Those that the caller may read, by name, with his role in each (a key's in a member's terms). Raises `denied` (401)."""
        who, catalog = self.who(), self.rooms.catalog
        candidates = [catalog.project(who.project)] if isinstance(who, Key) and who.project else catalog.projects()
        return [(project, role) for project in candidates if (role := _role_in(who, project.id)) and not _sends_only(who)]

    def author(self) -> str:
        """What is written beside what the caller saves."""
        who = self.who()
        if isinstance(who, SignedIn):
            return who.user.name
        return who.name or (f"{who.prefix}…{who.last_four}" if who.prefix else "the command line")

    def _find(self, project: str) -> Project | None:
        if not project.isprintable():  # no catalog has such a name, and not every catalog takes such a question
            return None
        try:
            return self.rooms.catalog.project(project)
        except AlmanacError as error:
            if error.code is Code.NOT_FOUND:
                return None
            raise


def _role_in(who: Key | SignedIn, project: str) -> Role | None:
    """None: to the caller there is no such project."""
    if isinstance(who, SignedIn):
        return who.role_in(project)
    return _AS_ROLE.get(who.role, "viewer") if who.project in ("", project) else None


def _sends_only(who: Key | SignedIn) -> bool:
    return isinstance(who, Key) and who.role == "write"


def _forbidden(key: Key, needed: str) -> AlmanacError:
    return denied(
        f"This is a key of role {key.role}: it may {_MAY.get(key.role, 'not do this')}.", way_out=f"{needed} may do this.", status=403
    )


# ----------------------------------------------------------------- browsers


def csrf_of(token: str) -> str:
    """What a page shows besides the cookie that holds this token; whoever knows it cannot tell the token."""
    return hmac.new(token.encode("utf-8", "surrogatepass"), b"almanac csrf", hashlib.sha256).hexdigest()


def same_host(origin: str, hosts: Iterable[str]) -> bool:
    """Whether a page of this origin (a header of browsers) came from one of these hosts, given with their ports."""
    try:
        ours = urlsplit(origin).netloc.lower()
    except ValueError:
        return False
    return bool(ours) and ours in {host.strip().lower() for host in hosts}


def from_elsewhere(request: Request) -> bool:
    """Whether a browser says that a page of another host makes it ask."""
    origin = request.headers.get("origin", "")
    hosts = [request.headers.get(name, "") for name in ("host", "x-forwarded-host")]
    return bool(origin) and not same_host(origin, hosts)


def give_cookie(response: Response, request: Request, token: str) -> None:
    """From now on the browser is signed in; with "" it is not any more."""
    secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", "").split(",")[0].strip())
    age = int(SESSION_LONGEST.total_seconds()) if token else 0
    response.set_cookie(COOKIE, token, max_age=age, path="/", httponly=True, samesite="lax", secure=secure)


async def rooms_of(request: Request) -> Rooms:
    """The rooms of this server."""
    rooms: Rooms = request.app.state.rooms
    return rooms


async def visitor_of(
    request: Request,
    key: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)],
    token: Annotated[str | None, Security(cookie)],
) -> Visitor:
    """The caller; nothing is checked yet, but that a browser was not made to ask by somebody else's page. Raises `denied` (403)."""
    rooms: Rooms = request.app.state.rooms  # as a dependency it would cost each request 30 µs more
    if key is not None:
        return Visitor(rooms, key.credentials)
    if token and request.method not in _HARMLESS:
        shown = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(shown.encode("utf-8", "replace"), csrf_of(token).encode()):
            raise denied(
                f"The request does not show that a page of this server makes it: {CSRF_HEADER} is missing or of another session.",
                way_out="Load the page again; a program sends `csrf` of /api/v1/me in that header.",
                status=403,
            )
    return Visitor(rooms, token or "")


Caller = Annotated[Visitor, Depends(visitor_of)]
House = Annotated[Rooms, Depends(rooms_of)]
