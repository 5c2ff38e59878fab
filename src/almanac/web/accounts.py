"""REST for accounts: signing in and out, one's own account, all accounts of the server, and links that set passwords."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final

from anyio import to_thread
from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from almanac.core.accounts import SignedIn, User, checked_email, checked_name, checked_password
from almanac.core.errors import AlmanacError, Code, conflict, denied, not_found
from almanac.core.ports import Key
from almanac.web import account_forms as forms
from almanac.web.auth import Caller, House, Visitor, csrf_of, from_elsewhere, give_cookie
from almanac.web.client import LOOPBACK
from almanac.web.errors import Json, responses
from almanac.web.projects import shown
from almanac.web.reads import instant
from almanac.web.rooms import Rooms
from almanac.web.sign_in import Passwords, sender_of

router = APIRouter(prefix="/api/v1", tags=["accounts"])

_MINE: Final = responses(401, 403)
_SERVER: Final = responses(401, 403, 404)


# -------------------------------------------------------------- in and out


@router.get("/me", response_model=forms.MeBody, responses=responses(401), summary="Who asks, and the projects he may read")
def me(request: Request, caller: Caller) -> Response:
    """Somebody who is signed in, a key, or nobody: that is no error. Only a bearer that is unknown is (401)."""
    try:
        return Json(described(caller.rooms, caller))
    except AlmanacError as error:
        if error.code is not Code.DENIED or "authorization" in request.headers:
            raise
    answer = Json(described(caller.rooms, None))
    if caller.secret:  # a session that is over
        give_cookie(answer, request, "")
    return answer


def described(rooms: Rooms, caller: Visitor | None) -> dict[str, Any]:
    """What /me says of a caller; None: nobody."""
    who = caller.who() if caller else None
    projects = caller.projects() if caller else []
    return {
        "user": forms.user_shown(who.user) if isinstance(who, SignedIn) else None,
        "first_run": not rooms.catalog.accounts.any(),
        "csrf": csrf_of(caller.secret) if caller and isinstance(who, SignedIn) else "",
        "projects": [{**shown(project), "role": role} for project, role in projects],
        "version": rooms.version,
        "role": who.role if isinstance(who, Key) else "",
        "server": caller is not None and caller.rules(),
    }


def welcomed(rooms: Rooms, request: Request, user: User) -> Response:
    """The answer that begins a session: as /me, with its cookie."""
    accounts = rooms.catalog.accounts
    _, token = accounts.open_session(user.id, request.headers.get("user-agent", ""))
    answer = Json(described(rooms, Visitor(rooms, token)))
    give_cookie(answer, request, token)
    return answer


def own_page(request: Request) -> None:
    """Raises `denied` when a browser says that somebody else's page makes it sign in."""
    if from_elsewhere(request):
        raise denied(
            "A page of another host asks for this.",
            way_out="Open a page of this server; a proxy in front of it passes the Host header on.",
            status=403,
        )


@router.post("/setup", response_model=forms.MeBody, responses=responses(401, 403, 409, 429), summary="Make the server's owner, at first")
async def set_up(new: forms.Setup, request: Request, caller: Caller) -> Response:
    """The first account, which may do everything; only while there is none. Signs in. A server that holds projects already takes this from
    its own machine only, or with its admin key."""
    own_page(request)
    rooms, passwords = caller.rooms, _passwords(request)
    email, name = checked_email(new.email), checked_name(new.name)
    password = checked_password(new.password, email)
    await to_thread.run_sync(_may_set_up, caller, _is_near(request))
    kept = await passwords.hashed(password)
    made = await to_thread.run_sync(partial(rooms.catalog.accounts.create_user, email, name, kept, owner=True, first=True))
    return await to_thread.run_sync(welcomed, rooms, request, made)


def _may_set_up(caller: Visitor, near: bool) -> None:
    catalog = caller.rooms.catalog
    if catalog.accounts.any():
        raise conflict("The server has its first account already.", way_out="Sign in, or ask for an invitation.")
    if caller.secret:
        caller.rule()
    elif not near and catalog.projects():
        raise denied(
            "This server holds projects, so not everybody may become its owner.",
            way_out="Do it on the server's own machine, or there by `almanac user create EMAIL`.",
            status=403,
        )


def _is_near(request: Request) -> bool:
    """Whether it comes from the server's own machine, and by its own name: a name of somebody else's may lead here too."""
    return sender_of(request) in LOOPBACK and request.url.hostname in LOOPBACK


@router.post("/session", response_model=forms.MeBody, responses=responses(401, 403, 429), summary="Sign in")
async def sign_in(who: forms.Credentials, request: Request, rooms: House) -> Response:
    """Sets the cookie of a new session, and answers as /me does. After 5 wrong passwords of an email, or 20 of an address, within 15
    minutes, further ones are not looked at for some minutes."""
    own_page(request)
    found = await to_thread.run_sync(rooms.catalog.accounts.credentials, who.email)
    user, kept = found or (None, None)
    await _passwords(request).check(who.email, sender_of(request), kept, who.password)
    if user is None or user.disabled:
        raise denied("This account is disabled.", way_out="Ask an owner of the server.", status=403)
    return await to_thread.run_sync(welcomed, rooms, request, user)


@router.delete("/session", status_code=204, responses=responses(403), summary="Sign out")
def sign_out(request: Request, caller: Caller) -> Response:
    """Ends the session that asks; where there is none, there is nothing to do."""
    signed_in = caller.rooms.catalog.accounts.find_session(caller.secret)
    if signed_in is not None:
        caller.rooms.catalog.accounts.end_session(signed_in.user.id, signed_in.session.id)
    answer = Response(status_code=204)
    give_cookie(answer, request, "")
    return answer


def _passwords(request: Request) -> Passwords:
    found: Passwords = request.app.state.passwords
    return found


# ------------------------------------------------------------- one's own account


@router.patch("/me", response_model=forms.UserBody, responses=_MINE, summary="Change one's own name")
def rename(change: forms.UserName, caller: Caller) -> Response:
    """What others see."""
    user = caller.user().user
    return Json(forms.user_shown(caller.rooms.catalog.accounts.change_user(user.id, name=change.name)))


@router.post("/me/password", status_code=204, responses=_MINE | responses(429), summary="Change one's own password")
async def change_password(change: forms.PasswordChange, request: Request, caller: Caller) -> Response:
    """Ends all other sessions of this account. Wrong passwords count as when signing in."""
    accounts, passwords = caller.rooms.catalog.accounts, _passwords(request)
    mine = await to_thread.run_sync(caller.user)
    new = checked_password(change.new, mine.user.email)
    kept = await to_thread.run_sync(accounts.password_of, mine.user.id)
    await passwords.check(mine.user.email, sender_of(request), kept, change.old)
    hashed = await passwords.hashed(new)
    await to_thread.run_sync(partial(accounts.set_password, mine.user.id, hashed, keep=mine.session.id))
    return Response(status_code=204)


@router.get("/me/sessions", response_model=list[forms.SessionBody], responses=_MINE, summary="Where one is signed in")
def sessions(caller: Caller) -> Response:
    """The last used first."""
    mine = caller.user()
    found = caller.rooms.catalog.accounts.sessions(mine.user.id)
    return Json([forms.session_shown(session, mine.session.id) for session in found])


@router.delete("/me/sessions/{session}", status_code=204, responses=_MINE | responses(404), summary="End one of one's own sessions")
def end_session(
    session: Annotated[str, Path(max_length=200, description="Id of the session, from the list of sessions.")], caller: Caller
) -> Response:
    """On that device somebody has to sign in again."""
    if not caller.rooms.catalog.accounts.end_session(caller.user().user.id, session):
        raise not_found(f"You have no session {session!r}.", place="session", way_out="List your sessions to see their ids.")
    return Response(status_code=204)


# ----------------------------------------------------------- accounts of the server

UserName = Annotated[str, Path(max_length=200, description="Id of the user, from the list of users.")]


@router.get("/users", response_model=list[forms.AccountBody], responses=_MINE, summary="All accounts (server's owner)")
def users(caller: Caller) -> Response:
    """By email, with their roles."""
    caller.rule()
    return Json([forms.account_shown(account) for account in caller.rooms.catalog.accounts.all_accounts()])


@router.patch(
    "/users/{user}", response_model=forms.UserBody, responses=_SERVER | responses(409), summary="Change an account (server's owner)"
)
def change_user(user: UserName, change: forms.UserChange, caller: Caller) -> Response:
    """Disable it, or make it an owner of the server. One owner that can sign in always stays."""
    caller.rule()
    changed = caller.rooms.catalog.accounts.change_user(user, owner=change.owner, disabled=change.disabled)
    return Json(forms.user_shown(changed))


@router.post(
    "/users/{user}/reset",
    status_code=201,
    response_model=forms.ResetBody,
    responses=_SERVER,
    summary="A link for a new password (server's owner)",
)
def start_reset(user: UserName, caller: Caller) -> Response:
    """Good once, for a day; a further one voids it. Until it is used the old password works."""
    caller.rule()
    token, until = caller.rooms.catalog.accounts.start_reset(user)
    return Json({"token": token, "expires_at": instant(until)}, status_code=201)


Token = Annotated[str, Path(max_length=200, description="The end of the link.")]


@router.post("/reset/{token}", response_model=forms.MeBody, responses=responses(403, 404, 429), summary="Set a new password by a link")
async def finish_reset(token: Token, new: forms.NewPassword, request: Request, rooms: House) -> Response:
    """Ends all sessions of the account, and signs in."""
    own_page(request)
    accounts = rooms.catalog.accounts
    user = await to_thread.run_sync(accounts.find_reset, token)
    if user.disabled:
        raise denied("This account is disabled.", way_out="Ask an owner of the server.", status=403)
    kept = await _passwords(request).hashed(checked_password(new.password, user.email))
    await to_thread.run_sync(accounts.finish_reset, token, kept)
    return await to_thread.run_sync(welcomed, rooms, request, user)
