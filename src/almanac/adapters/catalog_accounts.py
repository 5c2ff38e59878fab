"""The catalog's accounts: users, sessions and the links that set passwords; members and invitations stand in catalog_members.py.

Of tokens, which are long and random, only the SHA-256 is kept.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from almanac.adapters import catalog_members as membership
from almanac.adapters.catalog_database import Database
from almanac.adapters.catalog_database import plain as _plain
from almanac.adapters.catalog_keys import digest, moment
from almanac.adapters.catalog_memory import Memory
from almanac.core import accounts as rules
from almanac.core.accounts import Account, Invitation, Member, Role, Session, SignedIn, User
from almanac.core.errors import AlmanacError, conflict, not_found

_FIRST: Final = "first"  # the id of the account that sets the server up: there is one such row, however many try at once
_SEEN_US: Final = 60_000_000  # a session's use is noted so often
_AGENT_LENGTH: Final = 300

_USER: Final = "users.id, users.email, users.name, users.owner, users.disabled, users.created_us"

_ADD_USER: Final = """
INSERT INTO users (id, email, email_key, name, password, owner, disabled, created_us)
VALUES (:id, :email, :email_key, :name, :password, :owner, :disabled, :created_us)
"""

_CHANGE_USER: Final = """
UPDATE users
SET name = :name, owner = :owner, disabled = :disabled
WHERE id = :id
"""

# Taken before owners are counted, so that two changes at once cannot each leave the other's owner as the last.
_LOCK_OWNERS: Final = "UPDATE users SET owner = owner WHERE owner"

_ADD_SESSION: Final = """
INSERT INTO sessions (hash, id, user_id, created_us, seen_us, agent)
VALUES (:hash, :id, :user_id, :now, :now, :agent)
"""

_FIND_SESSION: Final = f"""
SELECT sessions.id AS session, sessions.created_us AS begun_us, sessions.seen_us, sessions.agent, {_USER}
FROM sessions
INNER JOIN users ON users.id = sessions.user_id
WHERE sessions.hash = :hash AND NOT users.disabled
"""

_SESSIONS: Final = """
SELECT id AS session, user_id, created_us AS begun_us, seen_us, agent
FROM sessions
WHERE user_id = :user_id AND seen_us > :idle_us AND created_us > :longest_us
ORDER BY seen_us DESC, created_us DESC, id
"""

_SEEN: Final = "UPDATE sessions SET seen_us = :now WHERE hash = :hash AND seen_us <= :before"

_FORGET_OLD: Final = "DELETE FROM sessions WHERE seen_us <= :idle_us OR created_us <= :longest_us"

_END_OTHERS: Final = "DELETE FROM sessions WHERE user_id = :user_id AND id != :keep"

_ADD_RESET: Final = """
INSERT INTO resets (hash, user_id, expires_us)
VALUES (:hash, :user_id, :expires_us)
ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, expires_us = excluded.expires_us
"""

_FIND_RESET: Final = f"""
SELECT {_USER}
FROM resets
INNER JOIN users ON users.id = resets.user_id
WHERE resets.hash = :hash AND resets.expires_us > :now
"""

_LAST_SEEN: Final = "SELECT user_id, max(seen_us) AS seen_us FROM sessions GROUP BY user_id"


@dataclass(frozen=True)
class SqlAccounts:
    """As `Accounts` says, in the catalog's database."""

    database: Database
    memory: Memory
    clock: Callable[[], int]  # microseconds since 1970

    # -------------------------------------------------------------------- users

    def any(self) -> bool:
        """As the port says."""

        def read() -> bool:
            with self.database.read() as connection:
                return connection.execute(text("SELECT 1 FROM users LIMIT 1")).first() is not None

        return self.memory.get(("accounts",), read)

    def create_user(self, email: str, name: str, password: str, *, owner: bool = False, first: bool = False) -> User:
        """As the port says."""
        try:
            with self.database.write() as connection:
                if first and connection.execute(text("SELECT 1 FROM users LIMIT 1")).first():
                    raise _set_up()
                id_ = _FIRST if first else secrets.token_hex(6)
                return add_user(connection, self.clock(), id_, email, name, password, owner=owner)
        except IntegrityError:
            raise (_set_up() if first else _email_taken(email)) from None

    def user(self, id_: str) -> User:
        """As the port says."""
        with self.database.read() as connection:
            return one_user(connection, id_)

    def credentials(self, email: str) -> tuple[User, str] | None:
        """As the port says."""
        with self.database.read() as connection:
            statement = text(f"SELECT {_USER}, users.password FROM users WHERE email_key = :email_key")
            row = connection.execute(statement, {"email_key": _plain(rules.email_key(email))}).first()
        return None if row is None else (_user(row), str(row.password))

    def password_of(self, id_: str) -> str:
        """As the port says."""
        with self.database.read() as connection:
            one_user(connection, id_)
            return str(connection.execute(text("SELECT password FROM users WHERE id = :id"), {"id": _plain(id_)}).scalar())

    def all_accounts(self) -> list[Account]:
        """As the port says."""
        with self.database.read() as connection:
            rows = connection.execute(text(f"SELECT {_USER} FROM users ORDER BY email_key")).all()
            seen = {row.user_id: moment(row.seen_us) for row in connection.execute(text(_LAST_SEEN))}
            roles = membership.roles_of_all(connection)
        return [Account(_user(row), roles.get(row.id, {}), seen.get(row.id)) for row in rows]

    def change_user(self, id_: str, *, name: str | None = None, owner: bool | None = None, disabled: bool | None = None) -> User:
        """As the port says."""
        with self.database.write() as connection:
            connection.execute(text(_LOCK_OWNERS))
            before = one_user(connection, id_)
            after = replace(
                before,
                name=before.name if name is None else rules.checked_name(name),
                owner=before.owner if owner is None else owner,
                disabled=before.disabled if disabled is None else disabled,
            )
            row = {"id": after.id, "name": after.name, "owner": after.owner, "disabled": after.disabled}
            connection.execute(text(_CHANGE_USER), row)
            if not connection.execute(text("SELECT 1 FROM users WHERE owner AND NOT disabled LIMIT 1")).first():
                raise conflict("The server would have no owner.", place="owner", way_out="Make somebody else an owner first.")
            if after.disabled:
                connection.execute(text(_END_OTHERS), {"user_id": after.id, "keep": ""})
        return after

    def set_password(self, id_: str, password: str, *, keep: str = "") -> None:
        """As the port says."""
        with self.database.write() as connection:
            _set_password(connection, one_user(connection, id_).id, password, keep)

    # ----------------------------------------------------------------- sessions

    def open_session(self, user: str, agent: str) -> tuple[Session, str]:
        """As the port says."""
        now, token = self.clock(), rules.SESSION_PREFIX + secrets.token_urlsafe(32)
        shown = "".join(letter if letter.isprintable() else " " for letter in _plain(agent))[:_AGENT_LENGTH]
        with self.database.write() as connection:
            connection.execute(text(_FORGET_OLD), _oldest(now))
            found = one_user(connection, user)
            row = {"hash": digest(token), "id": secrets.token_hex(6), "user_id": found.id, "now": now, "agent": shown}
            connection.execute(text(_ADD_SESSION), row)
        return Session(str(row["id"]), found.id, moment(now), moment(now), shown), token

    def find_session(self, token: str) -> SignedIn | None:
        """As the port says."""
        hash_, now = digest(token), self.clock()
        found = self.memory.get(("session", hash_), lambda: self._find_session(hash_))
        if found is None or found.session.expires_at <= moment(now):
            return None
        if found.session.seen_at <= moment(now - _SEEN_US):
            with contextlib.suppress(AlmanacError), self.database.write() as connection:  # to read, it need not be noted
                connection.execute(text(_SEEN), {"hash": hash_, "now": now, "before": now - _SEEN_US})
        return found

    def _find_session(self, hash_: str) -> SignedIn | None:
        with self.database.read() as connection:
            row = connection.execute(text(_FIND_SESSION), {"hash": hash_}).first()
            return None if row is None else SignedIn(_user(row), _session(row, row.id), membership.roles_of(connection, row.id))

    def sessions(self, user: str) -> list[Session]:
        """As the port says."""
        with self.database.read() as connection:
            rows = connection.execute(text(_SESSIONS), {"user_id": _plain(user), **_oldest(self.clock())})
            return [_session(row, row.user_id) for row in rows]

    def end_session(self, user: str, id_: str) -> bool:
        """As the port says."""
        with self.database.write() as connection:
            statement = text("DELETE FROM sessions WHERE user_id = :user_id AND id = :id")
            return connection.execute(statement, {"user_id": _plain(user), "id": _plain(id_)}).rowcount > 0

    # -------------------------------------------------- links that set passwords

    def start_reset(self, user: str) -> tuple[str, datetime]:
        """As the port says."""
        token, until = secrets.token_urlsafe(32), self.clock() + rules.RESET_HOURS * 3_600_000_000
        with self.database.write() as connection:
            row = {"hash": digest(token), "user_id": one_user(connection, user).id, "expires_us": until}
            connection.execute(text(_ADD_RESET), row)
        return token, moment(until)

    def find_reset(self, token: str) -> User:
        """As the port says."""
        with self.database.read() as connection:
            return self._reset(connection, token)

    def finish_reset(self, token: str, password: str) -> User:
        """As the port says."""
        with self.database.write() as connection:
            user = self._reset(connection, token)
            # Of two that come at once, one finds the row gone.
            if not connection.execute(text("DELETE FROM resets WHERE hash = :hash"), {"hash": digest(token)}).rowcount:
                raise _no_reset()
            _set_password(connection, user.id, password, "")
        return user

    def _reset(self, connection: Connection, token: str) -> User:
        row = connection.execute(text(_FIND_RESET), {"hash": digest(token), "now": self.clock()}).first()
        if row is None:
            raise _no_reset()
        return _user(row)

    # ------------------------------------------------- members and invitations

    def members(self, project: str) -> list[Member]:
        """As the port says."""
        with self.database.read() as connection:
            return membership.members(connection, _plain(project))

    def set_role(self, project: str, user: str, role: Role) -> Member:
        """As the port says."""
        with self.database.write() as connection:
            found = one_user(connection, user)
            return membership.set_role(connection, self.clock(), _plain(project), found.id, role)

    def remove_member(self, project: str, user: str) -> None:
        """As the port says."""
        with self.database.write() as connection:
            membership.remove(connection, _plain(project), _plain(user))

    def invite(self, project: str, role: Role, email: str, *, days: float, author: str) -> tuple[Invitation, str]:
        """As the port says."""
        token, now = secrets.token_urlsafe(32), self.clock()
        until = now + int(timedelta(days=days).total_seconds() * 1e6)
        with self.database.write() as connection:
            made = membership.invite(
                connection, now, _plain(project), role, rules.checked_email(email), until, _plain(author)[:200], digest(token)
            )
        return made, token

    def invitations(self, project: str) -> list[Invitation]:
        """As the port says."""
        with self.database.read() as connection:
            return membership.invitations(connection, _plain(project))

    def revoke_invitation(self, project: str, id_: str) -> None:
        """As the port says."""
        with self.database.write() as connection:
            membership.revoke(connection, self.clock(), _plain(project), _plain(id_))

    def find_invitation(self, token: str) -> Invitation:
        """As the port says."""
        with self.database.read() as connection:
            return membership.find(connection, self.clock(), digest(token))

    def accept(self, token: str, *, user: str = "", name: str = "", password: str = "") -> User:
        """As the port says."""
        now, email = self.clock(), ""
        try:
            with self.database.write() as connection:
                found = membership.use(connection, now, digest(token))
                email = found.email
                new = secrets.token_hex(6)
                joined = one_user(connection, user) if user else add_user(connection, now, new, email, name, password)
                membership.join(connection, now, found, joined.id)
                return joined
        except IntegrityError:
            raise _email_taken(email) from None


def add_user(connection: Connection, now_us: int, id_: str, email: str, name: str, password: str, *, owner: bool = False) -> User:
    """A new account. IntegrityError says that the email has one."""
    plain = rules.checked_email(email)
    user = User(id_, plain, rules.checked_name(name), owner=owner, created_at=moment(now_us))
    row = {"id": id_, "email": plain, "email_key": rules.email_key(plain), "name": user.name, "password": password}
    connection.execute(text(_ADD_USER), {**row, "owner": owner, "disabled": False, "created_us": now_us})
    return user


def one_user(connection: Connection, id_: str) -> User:
    """Raises `not_found`."""
    row = connection.execute(text(f"SELECT {_USER} FROM users WHERE id = :id"), {"id": _plain(id_)}).first()
    if row is None:
        raise not_found(f"There is no user {id_!r}.", place="user", way_out="List the users to see their ids.")
    return _user(row)


def _set_password(connection: Connection, user: str, password: str, keep: str) -> None:
    connection.execute(text("UPDATE users SET password = :password WHERE id = :id"), {"id": user, "password": password})
    connection.execute(text("DELETE FROM resets WHERE user_id = :user_id"), {"user_id": user})
    connection.execute(text(_END_OTHERS), {"user_id": user, "keep": _plain(keep)})


def _oldest(now_us: int) -> Mapping[str, int]:
    """Before which moments sessions are over."""
    idle, longest = (int(span.total_seconds() * 1e6) for span in (rules.SESSION_IDLE, rules.SESSION_LONGEST))
    return {"idle_us": now_us - idle, "longest_us": now_us - longest}


def _user(row: Any) -> User:
    return User(row.id, row.email, row.name, bool(row.owner), bool(row.disabled), moment(row.created_us))


def _session(row: Any, user: str) -> Session:
    return Session(row.session, user, moment(row.begun_us), moment(row.seen_us), row.agent)


def _set_up() -> AlmanacError:
    return conflict("The server has its first account already.", way_out="Sign in, or ask for an invitation.")


def _email_taken(email: str) -> AlmanacError:
    return conflict(f"There is an account of {email} already.", place="email", way_out="Sign in with it.")


def _no_reset() -> AlmanacError:
    return not_found("This link sets no password (any more).", place="token", way_out="Ask an owner of the server for a new one.")
