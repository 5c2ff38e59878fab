"""What the REST face takes and gives of accounts, as the reference shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from almanac.core.accounts import Account, Invitation, Member, Role, Session, User
from almanac.web.forms import Form, ProjectBody
from almanac.web.reads import instant

_PASSWORD = Field(max_length=4000, description="At least 10 characters, and not the email address.")


class UserBody(BaseModel):
    """Who is signed in."""

    id: str
    email: str
    name: str
    owner: bool = Field(description="Of the whole server.")


class MyProject(ProjectBody):
    """A project, and what the caller may do in it."""

    role: Role = Field(description="The caller's role; a read key counts as a viewer, an admin key as an owner.")


class MeBody(BaseModel):
    """Who asks, and where he may go. A page or a client starts here."""

    user: UserBody | None = Field(description="Who is signed in; null: nobody, or a key asks.")
    first_run: bool = Field(description="The server has no account yet: /api/v1/setup makes the first.")
    csrf: str = Field(description="What goes, as X-Almanac-CSRF, with all that a page does but GET; empty: nobody is signed in.")
    projects: list[MyProject] = Field(description="Those that the caller may read, by name.")
    version: str = Field(description="Of Almanac.")
    role: str = Field(description="The key's role; empty when no key asks.")
    server: bool = Field(description="The caller may do everything, in all projects.")


class Setup(Form):
    """The first account: the server's owner."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "ann@example.com", "name": "Ann", "password": "a few long words"}]})

    email: str = Field(max_length=300, description="What the owner signs in with.")
    name: str = Field(max_length=200, description="What others see.")
    password: str = _PASSWORD


class Credentials(Form):
    """Who signs in."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "ann@example.com", "password": "a few long words"}]})

    email: str = Field(max_length=300, description="Capitals and small letters are the same.")
    password: str = Field(max_length=4000, description="The password.")


class PasswordChange(Form):
    """A new password."""

    old: str = Field(max_length=4000, description="The one until now.")
    new: str = _PASSWORD


class NewPassword(Form):
    """The password that a link sets."""

    password: str = _PASSWORD


class UserName(Form):
    """What others see."""

    name: str = Field(max_length=200, description="1 to 100 characters.")


class SessionBody(BaseModel):
    """A sign-in on one device."""

    id: str
    created_at: datetime
    seen_at: datetime = Field(description="When it was last used, to the minute.")
    expires_at: datetime = Field(description="When it is over, unless it is used before.")
    agent: str = Field(description="What the browser called itself.")
    current: bool = Field(description="It is the one that asks.")


class MemberBody(BaseModel):
    """Somebody in a project."""

    id: str = Field(description="Of the user.")
    email: str
    name: str
    role: Role
    since: datetime
    disabled: bool = Field(description="He cannot sign in.")


class RoleChange(Form):
    """What somebody may do."""

    role: Role = Field(description="viewer: read and ask; analyst: also save; admin: also manage; owner: everything.")


class NewInvitation(Form):
    """Whom to invite."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "bob@example.com", "role": "analyst"}]})

    email: str = Field(max_length=300, description="Whom the link is for; his account gets this email.")
    role: Role = Field("viewer", description="What he may do then.")
    days: float = Field(7, gt=0, le=90, description="How long the link is good.")


class InvitationBody(BaseModel):
    """An invitation, without its token."""

    id: str = Field(description="What revokes it.")
    email: str
    role: Role
    author: str = Field(description="Who invited.")
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    revoked_at: datetime | None = None


class MadeInvitation(InvitationBody):
    """A new invitation, in the only moment when its token can be read."""

    token: str = Field(description="The end of the link.")


class Invited(BaseModel):
    """What whoever holds the link sees of it."""

    project: str = Field(description="The project's name.")
    email: str
    role: Role
    expires_at: datetime
    has_account: bool = Field(description="The email has an account: sign in with it, then accept.")


class Acceptance(Form):
    """A new account that joins; empty when somebody who is signed in does."""

    name: str = Field("", max_length=200, description="What others see.")
    password: str = Field("", max_length=4000, description="At least 10 characters, and not the email address.")


class AccountBody(UserBody):
    """A user, as the server's owner sees him."""

    disabled: bool
    created_at: datetime
    seen_at: datetime | None = Field(description="When he was last here, to the minute; null: not for long.")
    roles: dict[str, Role] = Field(description="By project id.")


class UserChange(Form):
    """What to change; what is left out stays."""

    disabled: bool | None = Field(None, description="True: cannot sign in, and all sessions end.")
    owner: bool | None = Field(None, description="True: may do everything.")


class ResetBody(BaseModel):
    """A link that sets a new password once, in the only moment when it can be read."""

    token: str = Field(description="The end of the link.")
    expires_at: datetime


def user_shown(user: User) -> dict[str, Any]:
    """A user as JSON."""
    return {"id": user.id, "email": user.email, "name": user.name, "owner": user.owner}


def session_shown(session: Session, current: str) -> dict[str, Any]:
    """A session as JSON; `current`: the id of the one that asks."""
    return {
        "id": session.id,
        "created_at": instant(session.created_at),
        "seen_at": instant(session.seen_at),
        "expires_at": instant(session.expires_at),
        "agent": session.agent,
        "current": session.id == current,
    }


def member_shown(member: Member) -> dict[str, Any]:
    """A member as JSON."""
    user = member.user
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "role": member.role,
        "since": instant(member.since),
        "disabled": user.disabled,
    }


def invitation_shown(invitation: Invitation) -> dict[str, Any]:
    """An invitation as JSON."""
    return {
        "id": invitation.id,
        "email": invitation.email,
        "role": invitation.role,
        "author": invitation.author,
        "created_at": instant(invitation.created_at),
        "expires_at": instant(invitation.expires_at),
        "used_at": instant(invitation.used_at) if invitation.used_at else None,
        "revoked_at": instant(invitation.revoked_at) if invitation.revoked_at else None,
    }


def account_shown(account: Account) -> dict[str, Any]:
    """An account as JSON."""
    user = account.user
    return {
        **user_shown(user),
        "disabled": user.disabled,
        "created_at": instant(user.created_at) if user.created_at else None,
        "seen_at": instant(account.seen_at) if account.seen_at else None,
        "roles": dict(account.roles),
    }
