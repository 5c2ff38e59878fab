"""People who sign in: who they are, what they may do in which project, their sessions, and the links that let them in.

A role in a project includes those before it: a viewer reads and asks; an analyst also saves metrics, segments, questions and boards; an
admin also manages keys, members, dead letters, merges and settings; an owner may also delete the project and make owners. An owner of the
server may do everything.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

from almanac.core.errors import AlmanacError, invalid, not_found

Role = Literal["viewer", "analyst", "admin", "owner"]
ROLES: Final[tuple[Role, ...]] = ("viewer", "analyst", "admin", "owner")

SESSION_PREFIX: Final = "st_"  # tells a session's token from a key
SESSION_IDLE: Final = timedelta(days=30)  # unused for so long, a session is over
SESSION_LONGEST: Final = timedelta(days=90)  # and so long after its begin, used or not
RESET_HOURS: Final = 24  # in which a link sets a new password

_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,189}")
_SHORTEST, _LONGEST = 10, 1000  # characters of a password


@dataclass(frozen=True)
class User:
    """An account. `owner`: of the whole server. A disabled one cannot sign in."""

    id: str
    email: str
    name: str
    owner: bool = False
    disabled: bool = False
    created_at: datetime | None = None


@dataclass(frozen=True)
class Session:
    """A sign-in on one device. `agent`: what the browser called itself. Of the token only a hash is kept."""

    id: str
    user: str
    created_at: datetime
    seen_at: datetime  # to the minute
    agent: str = ""

    @property
    def expires_at(self) -> datetime:
        """When it is over, unless it is used before."""
        return min(self.seen_at + SESSION_IDLE, self.created_at + SESSION_LONGEST)


@dataclass(frozen=True)
class SignedIn:
    """Who shows a session's token, with his roles by project id."""

    user: User
    session: Session
    roles: Mapping[str, Role]

    def role_in(self, project: str) -> Role | None:
        """None: to him there is no such project."""
        return "owner" if self.user.owner else self.roles.get(project)


@dataclass(frozen=True)
class Member:
    """Somebody in a project."""

    user: User
    role: Role
    since: datetime


@dataclass(frozen=True)
class Account:
    """A user as the server's owner sees him: his roles by project id, and when he was last here."""

    user: User
    roles: Mapping[str, Role]
    seen_at: datetime | None


@dataclass(frozen=True)
class Invitation:
    """A link into a project, good for one person until `expires_at`."""

    id: str
    project: str
    role: Role
    email: str
    author: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    revoked_at: datetime | None = None


class Accounts(Protocol):
    """The part of the catalog that knows people. Passwords come and go as the hashes that `adapters.passwords` makes."""

    def any(self) -> bool:
        """Whether there is an account; the first one is made by whoever sets the server up."""
        ...

    def create_user(self, email: str, name: str, password: str, *, owner: bool = False, first: bool = False) -> User:
        """A new account. Raises `conflict` for an email that has one (without regard to case), and with `first` when there is any."""
        ...

    def user(self, id_: str) -> User:
        """Raises `not_found`."""
        ...

    def credentials(self, email: str) -> tuple[User, str] | None:
        """The account of an email, and its password's hash."""
        ...

    def password_of(self, id_: str) -> str:
        """The hash. Raises `not_found`."""
        ...

    def all_accounts(self) -> list[Account]:
        """By email."""
        ...

    def change_user(self, id_: str, *, name: str | None = None, owner: bool | None = None, disabled: bool | None = None) -> User:
        """What is None stays. Disabling ends his sessions. Raises `not_found`, and `conflict` when no owner of the server would be left."""
        ...

    def set_password(self, id_: str, password: str, *, keep: str = "") -> None:
        """Ends all his sessions but `keep` (an id), and voids links that set his password. Raises `not_found`."""
        ...

    def open_session(self, user: str, agent: str) -> tuple[Session, str]:
        """A new session, and its token, which is told only here. Raises `not_found`."""
        ...

    def find_session(self, token: str) -> SignedIn | None:
        """Who this is; None when the session is over or unknown, or the user disabled. Notes that it was used, once a minute at most."""
        ...

    def sessions(self, user: str) -> list[Session]:
        """Those that are not over, the last used first."""
        ...

    def end_session(self, user: str, id_: str) -> bool:
        """False when he has none of this id."""
        ...

    def start_reset(self, user: str) -> tuple[str, datetime]:
        """The token of a link that sets a new password once, and when it runs out; earlier ones are void. Raises `not_found`."""
        ...

    def find_reset(self, token: str) -> User:
        """Whose password it sets. Raises `not_found` when it is unknown, used or has run out."""
        ...

    def finish_reset(self, token: str, password: str) -> User:
        """Sets the password, ends all his sessions and uses the link up. Raises as `find_reset` does."""
        ...

    def members(self, project: str) -> list[Member]:
        """By email."""
        ...

    def set_role(self, project: str, user: str, role: Role) -> Member:
        """Makes somebody a member, or changes his role. Raises `not_found`, and `conflict` when the project would lose its last owner."""
        ...

    def remove_member(self, project: str, user: str) -> None:
        """Raises the same."""
        ...

    def invite(self, project: str, role: Role, email: str, *, days: float, author: str) -> tuple[Invitation, str]:
        """A new invitation, and the token of its link, which is told only here. Raises `not_found`."""
        ...

    def invitations(self, project: str) -> list[Invitation]:
        """Used, revoked and old ones too, the newest first; 500 at most."""
        ...

    def revoke_invitation(self, project: str, id_: str) -> None:
        """May be repeated. Raises `not_found`, and `conflict` when it was used."""
        ...

    def find_invitation(self, token: str) -> Invitation:
        """Raises `not_found`, which says so, when it is unknown, used, revoked or has run out."""
        ...

    def accept(self, token: str, *, user: str = "", name: str = "", password: str = "") -> User:
        """Makes this user a member, or a new account of the invitation's email; a higher role that he has stays. Uses the invitation up.
        Raises as `find_invitation` does, and `conflict` when the email has an account."""
        ...


def email_key(email: str) -> str:
    """What an email is compared by."""
    return unicodedata.normalize("NFC", email).strip().casefold()


def checked_email(email: str) -> str:
    """Raises `invalid` for what cannot be one."""
    plain = unicodedata.normalize("NFC", email).strip()
    if not _EMAIL.fullmatch(plain) or not _sound(plain):
        raise invalid("This is not an email address.", place="email", way_out="Write it like ann@example.com.")
    return plain


def checked_name(name: str) -> str:
    """A person's name as people see it. Raises `invalid`."""
    plain = unicodedata.normalize("NFC", name).strip()
    if not 1 <= len(plain) <= 100 or not plain.isprintable() or not _sound(plain):
        raise invalid("This cannot be a name.", place="name", way_out="Use 1 to 100 characters in one line.")
    return plain


def checked_password(password: str, email: str) -> str:
    """A new password. Raises `invalid` for one that is too short, too long, or the email."""
    length = len(unicodedata.normalize("NFC", password))
    if not _sound(password):
        raise invalid("The password holds characters that no keyboard makes.", place="password", way_out="Choose another.")
    if length < _SHORTEST:
        way_out = f"Use at least {_SHORTEST} characters; a few words in a row are easy to remember."
        raise invalid("The password is too short.", place="password", way_out=way_out)
    if length > _LONGEST:
        raise invalid("The password is too long.", place="password", way_out=f"Use at most {_LONGEST} characters.")
    if email_key(password) == email_key(email):
        raise invalid("The password is the email address.", place="password", way_out="Choose one that nobody guesses.")
    return password


def no_member(user: str) -> AlmanacError:
    """The project has no such member."""
    return not_found(f"The project has no member {user!r}.", place="user", way_out="List its members to see their ids.")


def _sound(text: str) -> bool:
    """Whether it is Unicode that can be stored: no half of a pair, no NUL."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)
