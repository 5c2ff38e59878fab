"""REST for who may do what in a project: its members, and the links that invite further ones."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

from anyio import to_thread
from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from almanac.core.accounts import Role, SignedIn, checked_name, checked_password, no_member
from almanac.web import account_forms as forms
from almanac.web.accounts import Token, UserName, described, own_page, welcomed
from almanac.web.auth import Caller, House, Visitor
from almanac.web.errors import Json, responses
from almanac.web.manage import ProjectName
from almanac.web.reads import instant
from almanac.web.sign_in import Passwords

router = APIRouter(prefix="/api/v1", tags=["accounts"])

_ENTER: Final = responses(401, 403, 404)
_OF_PROJECT: Final = "/projects/{project}"


# ------------------------------------------------------------------ members


@router.get(f"{_OF_PROJECT}/members", response_model=list[forms.MemberBody], responses=_ENTER, summary="A project's members (admin)")
def members(project: ProjectName, caller: Caller) -> Response:
    """By email. Owners of the server enter every project, and stand here only where they are members too."""
    found = caller.enter(project, "admin")
    return Json([forms.member_shown(member) for member in caller.rooms.catalog.accounts.members(found.id)])


@router.put(
    f"{_OF_PROJECT}/members/{{user}}", response_model=forms.MemberBody, responses=_ENTER | responses(409), summary="Change a role (admin)"
)
def set_role(project: ProjectName, user: UserName, change: forms.RoleChange, caller: Caller) -> Response:
    """Only an owner makes owners, or takes that away from one; the last one stays. An owner of the server may add any user so."""
    found = caller.enter(project, "admin")
    accounts = caller.rooms.catalog.accounts
    before = _role_of(caller, found.id, user)
    if before is None and not caller.rules():
        raise no_member(user)
    if "owner" in (before, change.role):
        caller.enter(project, "own")
    return Json(forms.member_shown(accounts.set_role(found.id, user, change.role)))


@router.delete(
    f"{_OF_PROJECT}/members/{{user}}", status_code=204, responses=_ENTER | responses(409), summary="Remove a member (admin, or oneself)"
)
def remove_member(project: ProjectName, user: UserName, caller: Caller) -> Response:
    """Only an owner removes owners; the last one stays. Anybody may leave."""
    who = caller.who()
    leaving = isinstance(who, SignedIn) and who.user.id == user
    found = caller.enter(project, "read" if leaving else "admin")
    if not leaving and _role_of(caller, found.id, user) == "owner":
        caller.enter(project, "own")
    caller.rooms.catalog.accounts.remove_member(found.id, user)
    return Response(status_code=204)


def _role_of(caller: Visitor, project: str, user: str) -> Role | None:
    return next((member.role for member in caller.rooms.catalog.accounts.members(project) if member.user.id == user), None)


# --------------------------------------------------------------- invitations


@router.get(
    f"{_OF_PROJECT}/invitations", response_model=list[forms.InvitationBody], responses=_ENTER, summary="A project's invitations (admin)"
)
def invitations(project: ProjectName, caller: Caller) -> Response:
    """Used, revoked and old ones too, the newest first. Without their tokens: those are kept by nobody."""
    found = caller.enter(project, "admin")
    return Json([forms.invitation_shown(one) for one in caller.rooms.catalog.accounts.invitations(found.id)])


@router.post(
    f"{_OF_PROJECT}/invitations", status_code=201, response_model=forms.MadeInvitation, responses=_ENTER, summary="Invite somebody (admin)"
)
def invite(project: ProjectName, new: forms.NewInvitation, caller: Caller) -> Response:
    """The answer holds the link's token, and nothing else ever will. Only an owner invites owners."""
    found = caller.enter(project, "own" if new.role == "owner" else "admin")
    accounts = caller.rooms.catalog.accounts
    made, token = accounts.invite(found.id, new.role, new.email, days=new.days, author=caller.author())
    return Json({**forms.invitation_shown(made), "token": token}, status_code=201)


@router.delete(
    f"{_OF_PROJECT}/invitations/{{invitation}}",
    status_code=204,
    responses=_ENTER | responses(409),
    summary="Revoke an invitation (admin)",
)
def revoke_invitation(
    project: ProjectName,
    invitation: Annotated[str, Path(max_length=200, description="Id of the invitation, from the list of invitations.")],
    caller: Caller,
) -> Response:
    """Its link lets nobody in any more. It stays in the list."""
    found = caller.enter(project, "admin")
    caller.rooms.catalog.accounts.revoke_invitation(found.id, invitation)
    return Response(status_code=204)


@router.get("/invitations/{token}", response_model=forms.Invited, responses=responses(404), summary="What an invitation is for")
def invited(token: Token, rooms: House) -> Response:
    """For whoever holds the link; no key."""
    accounts = rooms.catalog.accounts
    found = accounts.find_invitation(token)
    return Json(
        {
            "project": rooms.catalog.project(found.project).name,
            "email": found.email,
            "role": found.role,
            "expires_at": instant(found.expires_at),
            "has_account": accounts.credentials(found.email) is not None,
        }
    )


@router.post(
    "/invitations/{token}", response_model=forms.MeBody, responses=responses(401, 403, 404, 409, 429), summary="Accept an invitation"
)
async def accept(token: Token, given: forms.Acceptance, request: Request, caller: Caller) -> Response:
    """Whoever is signed in joins, with an empty body; anybody else gives name and password, gets an account of the invitation's email, and
    is signed in. Answers as /me does."""
    own_page(request)
    rooms = caller.rooms
    accounts = rooms.catalog.accounts
    signed_in = await to_thread.run_sync(accounts.find_session, caller.secret)
    if signed_in is not None:
        await to_thread.run_sync(partial(accounts.accept, token, user=signed_in.user.id))
        return Json(await to_thread.run_sync(described, rooms, caller))
    found = await to_thread.run_sync(accounts.find_invitation, token)
    name, password = checked_name(given.name), checked_password(given.password, found.email)
    passwords: Passwords = request.app.state.passwords
    kept = await passwords.hashed(password)
    user = await to_thread.run_sync(partial(accounts.accept, token, name=name, password=kept))
    return await to_thread.run_sync(welcomed, rooms, request, user)
