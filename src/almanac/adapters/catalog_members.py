"""Rows of the catalog's members and invitations, in their caller's transaction."""

from __future__ import annotations

import secrets
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.engine import Connection

from almanac.adapters.catalog_keys import moment
from almanac.core.accounts import ROLES, Invitation, Member, Role, User, no_member
from almanac.core.errors import AlmanacError, conflict, not_found

_MOST: Final = 500  # invitations of a list

_MEMBERS: Final = """
SELECT users.id, users.email, users.name, users.owner, users.disabled, users.created_us, members.role, members.since_us
FROM members
INNER JOIN users ON users.id = members.user_id
WHERE members.project = :project
ORDER BY users.email_key
"""

_SET_ROLE: Final = """
INSERT INTO members (project, user_id, role, since_us)
VALUES (:project, :user_id, :role, :now)
ON CONFLICT (project, user_id) DO UPDATE SET role = excluded.role
"""

# Taken before owners are counted, so that two changes at once cannot each leave the other's owner as the last.
_LOCK: Final = "UPDATE projects SET name = name WHERE id = :project"

_INVITATION: Final = "id, project, role, email, author, created_us, expires_us, used_us, revoked_us"

_INVITE: Final = """
INSERT INTO invitations (hash, id, project, role, email, author, created_us, expires_us)
VALUES (:hash, :id, :project, :role, :email, :author, :created_us, :expires_us)
"""

_USE: Final = """
UPDATE invitations
SET used_us = :now
WHERE hash = :hash AND used_us IS NULL AND revoked_us IS NULL
"""

_REVOKE: Final = """
UPDATE invitations
SET revoked_us = :now
WHERE project = :project AND id = :id AND used_us IS NULL AND revoked_us IS NULL
"""


def roles_of(connection: Connection, user: str) -> dict[str, Role]:
    """A user's roles by project id."""
    rows = connection.execute(text("SELECT project, role FROM members WHERE user_id = :user_id"), {"user_id": user})
    return {row.project: row.role for row in rows}


def roles_of_all(connection: Connection) -> dict[str, dict[str, Role]]:
    """As `roles_of`, by user."""
    found: dict[str, dict[str, Role]] = {}
    for row in connection.execute(text("SELECT user_id, project, role FROM members ORDER BY project")):
        found.setdefault(row.user_id, {})[row.project] = row.role
    return found


def members(connection: Connection, project: str) -> list[Member]:
    """By email."""
    rows = connection.execute(text(_MEMBERS), {"project": project})
    return [
        Member(
            User(row.id, row.email, row.name, bool(row.owner), bool(row.disabled), moment(row.created_us)), row.role, moment(row.since_us)
        )
        for row in rows
    ]


def set_role(connection: Connection, now_us: int, project: str, user: str, role: Role) -> Member:
    """See `Accounts.set_role`."""
    _lock(connection, project)
    owned = _has_owner(connection, project)
    connection.execute(text(_SET_ROLE), {"project": project, "user_id": user, "role": role, "now": now_us})
    _still_owned(connection, project, owned)
    return next(member for member in members(connection, project) if member.user.id == user)


def remove(connection: Connection, project: str, user: str) -> None:
    """See `Accounts.remove_member`."""
    _lock(connection, project)
    owned = _has_owner(connection, project)
    statement = text("DELETE FROM members WHERE project = :project AND user_id = :user_id")
    if not connection.execute(statement, {"project": project, "user_id": user}).rowcount:
        raise no_member(user)
    _still_owned(connection, project, owned)


def invite(connection: Connection, now_us: int, project: str, role: Role, email: str, until_us: int, author: str, hash_: str) -> Invitation:
    """A new one. Raises `not_found` for the project."""
    _lock(connection, project)
    row = {"hash": hash_, "id": secrets.token_hex(6), "project": project, "role": role, "email": email, "author": author}
    connection.execute(text(_INVITE), {**row, "created_us": now_us, "expires_us": until_us})
    return _one(connection, hash_)


def invitations(connection: Connection, project: str) -> list[Invitation]:
    """The newest first."""
    statement = f"SELECT {_INVITATION} FROM invitations WHERE project = :project ORDER BY created_us DESC, id LIMIT {_MOST}"
    return [_invitation(row) for row in connection.execute(text(statement), {"project": project})]


def revoke(connection: Connection, now_us: int, project: str, id_: str) -> None:
    """See `Accounts.revoke_invitation`."""
    where = {"project": project, "id": id_, "now": now_us}
    if connection.execute(text(_REVOKE), where).rowcount:
        return
    row = connection.execute(text(f"SELECT {_INVITATION} FROM invitations WHERE project = :project AND id = :id"), where).first()
    if row is None:
        raise not_found(f"The project has no invitation {id_!r}.", place="invitation", way_out="List its invitations to see their ids.")
    if row.used_us is not None:
        raise conflict("The invitation was used.", place="invitation", way_out="Remove the member instead.")


def find(connection: Connection, now_us: int, hash_: str) -> Invitation:
    """See `Accounts.find_invitation`."""
    found = _one(connection, hash_)
    if found.used_at is not None:
        raise _no_use("was used already")
    if found.revoked_at is not None:
        raise _no_use("was revoked")
    if found.expires_at <= moment(now_us):
        raise _no_use("has run out")
    return found


def use(connection: Connection, now_us: int, hash_: str) -> Invitation:
    """The invitation, used up from now on. Raises as `find` does."""
    found = find(connection, now_us, hash_)
    if not connection.execute(text(_USE), {"hash": hash_, "now": now_us}).rowcount:  # somebody else came in this moment
        raise _no_use("was used already")
    return found


def join(connection: Connection, now_us: int, invitation: Invitation, user: str) -> None:
    """Makes the user a member; a higher role that he has stays."""
    before = roles_of(connection, user).get(invitation.project)
    if before is None or ROLES.index(before) < ROLES.index(invitation.role):
        row = {"project": invitation.project, "user_id": user, "role": invitation.role, "now": now_us}
        connection.execute(text(_SET_ROLE), row)


def _lock(connection: Connection, project: str) -> None:
    if not connection.execute(text(_LOCK), {"project": project}).rowcount:
        raise not_found(f"There is no project {project!r}.", place="project", way_out="List the projects to see their ids.")


def _has_owner(connection: Connection, project: str) -> bool:
    statement = text("SELECT 1 FROM members WHERE project = :project AND role = 'owner' LIMIT 1")
    return connection.execute(statement, {"project": project}).first() is not None


def _still_owned(connection: Connection, project: str, owned: bool) -> None:
    if owned and not _has_owner(connection, project):
        raise conflict("The project would have no owner.", place="role", way_out="Make somebody else an owner first.")


def _one(connection: Connection, hash_: str) -> Invitation:
    row = connection.execute(text(f"SELECT {_INVITATION} FROM invitations WHERE hash = :hash"), {"hash": hash_}).first()
    if row is None:
        raise _no_use("is not known")
    return _invitation(row)


def _no_use(why: str) -> AlmanacError:
    return not_found(f"The invitation {why}.", place="token", way_out="Ask whoever invited you for a new one.")


def _invitation(row: Any) -> Invitation:
    return Invitation(
        row.id,
        row.project,
        row.role,
        row.email,
        row.author,
        moment(row.created_us),
        moment(row.expires_us),
        None if row.used_us is None else moment(row.used_us),
        None if row.revoked_us is None else moment(row.revoked_us),
    )
