"""What every catalog promises of accounts, one suite over SQLite and a real PostgreSQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from almanac.adapters.catalog_sql import SqlCatalog
from almanac.core.accounts import (
    SESSION_IDLE,
    SESSION_LONGEST,
    Account,
    Accounts,
    checked_email,
    checked_name,
    checked_password,
)
from almanac.core.errors import AlmanacError, Code

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


class World:
    """A catalog with a clock that stands where a test wants it, and two projects."""

    def __init__(self, address: str) -> None:
        self.now = NOW
        self.catalog = SqlCatalog(address, clock=lambda: round(self.now.timestamp() * 1e6))
        self.accounts: Accounts = self.catalog.accounts
        self.shop, self.club = (self.catalog.create_project(name)[0].id for name in ("shop", "club"))

    def user(self, name: str, **given: Any) -> str:
        return self.accounts.create_user(f"{name}@example.com", name.title(), f"hash of {name}", **given).id


@pytest.fixture
def world(address: str) -> Iterator[World]:
    made = World(address)
    yield made
    made.catalog.close()


def refused(code: Code, call: Callable[..., Any], *args: Any, **named: Any) -> AlmanacError:
    with pytest.raises(AlmanacError) as caught:
        call(*args, **named)
    assert caught.value.code is code
    assert caught.value.way_out
    return caught.value


# ------------------------------------------------------------------------- users


def test_an_account_is_found_by_its_email_without_regard_to_case(world: World) -> None:
    accounts = world.accounts
    assert not accounts.any()
    made = accounts.create_user(" Ann@Example.com ", " Ann ", "hash")
    assert (made.email, made.name, made.owner, made.disabled, made.created_at) == ("Ann@Example.com", "Ann", False, False, NOW)
    assert accounts.any()
    assert accounts.credentials("ANN@EXAMPLE.COM") == (made, "hash")
    assert accounts.user(made.id) == made
    assert accounts.password_of(made.id) == "hash"
    assert accounts.credentials("bob@example.com") is None
    assert accounts.credentials("\0 \ud800") is None
    refused(Code.CONFLICT, accounts.create_user, "ann@EXAMPLE.com", "Other Ann", "hash")
    for call in (accounts.user, accounts.password_of, accounts.start_reset):
        refused(Code.NOT_FOUND, call, "nobody")


def test_there_is_one_first_account(world: World) -> None:
    def make(number: int) -> Code | None:
        return tried(world.accounts.create_user, f"u{number}@example.com", "U", "hash", owner=True, first=True)

    with ThreadPoolExecutor(8) as threads:
        assert Counter(threads.map(make, range(16))) == {None: 1, Code.CONFLICT: 15}
    assert len(world.accounts.all_accounts()) == 1


def test_the_server_keeps_an_owner_who_can_sign_in(world: World) -> None:
    ann, bob = world.user("ann", owner=True), world.user("bob")
    for change in ({"owner": False}, {"disabled": True}):
        refused(Code.CONFLICT, world.accounts.change_user, ann, **change)
    assert world.accounts.user(ann).owner
    assert world.accounts.change_user(bob, owner=True).owner
    assert world.accounts.change_user(ann, disabled=True, name="Ann II").name == "Ann II"
    refused(Code.CONFLICT, world.accounts.change_user, bob, owner=False)
    refused(Code.NOT_FOUND, world.accounts.change_user, "nobody", name="x")

    world.accounts.change_user(ann, disabled=False)
    with ThreadPoolExecutor(2) as threads:  # two owners who end each other at once
        outcomes = threads.map(lambda id_: tried(world.accounts.change_user, id_, owner=False), (ann, bob))
        assert Counter(outcomes) == {None: 1, Code.CONFLICT: 1}
    assert sum(account.user.owner for account in world.accounts.all_accounts()) == 1


def tried(call: Callable[..., Any], *args: Any, **named: Any) -> Code | None:
    """How it was refused, if it was."""
    try:
        call(*args, **named)
    except AlmanacError as error:
        return error.code
    return None


def test_accounts_are_listed_with_roles_and_last_use(world: World) -> None:
    bob, ann = world.user("bob"), world.user("ann")
    world.accounts.set_role(world.shop, bob, "analyst")
    world.accounts.open_session(bob, "")
    listed = world.accounts.all_accounts()
    assert listed == [Account(world.accounts.user(ann), {}, None), Account(world.accounts.user(bob), {world.shop: "analyst"}, NOW)]


# ---------------------------------------------------------------------- sessions


def test_a_session_tells_who_it_is_until_it_is_ended(world: World) -> None:
    ann, accounts = world.user("ann"), world.accounts
    accounts.set_role(world.shop, ann, "admin")
    session, token = accounts.open_session(ann, "A browser\n\x00")
    assert token.startswith("st_")
    assert len(token) > 40
    assert session.agent == "A browser ?"
    found = accounts.find_session(token)
    assert found
    assert (found.user, found.session, found.roles) == (accounts.user(ann), session, {world.shop: "admin"})
    assert (found.role_in(world.shop), found.role_in(world.club)) == ("admin", None)
    assert accounts.find_session(token + "x") is None
    assert accounts.find_session("") is None
    other, other_token = accounts.open_session(ann, "")
    assert {one.id for one in accounts.sessions(ann)} == {session.id, other.id}
    assert not accounts.end_session("nobody", session.id)
    assert accounts.end_session(ann, session.id)
    assert not accounts.end_session(ann, session.id)
    assert accounts.find_session(token) is None
    assert accounts.find_session(other_token)
    refused(Code.NOT_FOUND, accounts.open_session, "nobody", "")


def test_a_session_ends_when_it_is_not_used(world: World) -> None:
    _, token = world.accounts.open_session(world.user("ann"), "")
    world.now += SESSION_IDLE - timedelta(seconds=1)
    assert world.accounts.find_session(token)
    world.now += SESSION_IDLE
    assert world.accounts.find_session(token) is None


def test_a_session_ends_in_the_end_however_it_is_used(world: World) -> None:
    ann = world.user("ann")
    began, token = world.accounts.open_session(ann, "")
    while world.now < NOW + SESSION_LONGEST:
        found = world.accounts.find_session(token)
        assert found
        assert world.now < found.session.expires_at <= NOW + SESSION_LONGEST
        assert [one.id for one in world.accounts.sessions(ann)] == [began.id]
        world.now += timedelta(days=9)
    assert world.accounts.find_session(token) is None
    assert world.accounts.sessions(ann) == []


def test_use_is_noted_once_a_minute(world: World) -> None:
    ann = world.user("ann")
    _, token = world.accounts.open_session(ann, "")
    for seconds, noted in ((59, 0), (60, 60), (119, 60), (121, 121)):
        world.now = NOW + timedelta(seconds=seconds)
        assert world.accounts.find_session(token)
        assert world.accounts.sessions(ann)[0].seen_at == NOW + timedelta(seconds=noted)


def test_a_disabled_account_has_no_sessions(world: World) -> None:
    world.user("owner", owner=True)
    ann = world.user("ann")
    _, token = world.accounts.open_session(ann, "")
    world.accounts.change_user(ann, disabled=True)
    assert world.accounts.find_session(token) is None
    world.accounts.change_user(ann, disabled=False)
    assert world.accounts.find_session(token) is None, "what was ended stays so"


def test_a_new_password_ends_the_other_sessions(world: World) -> None:
    ann, accounts = world.user("ann"), world.accounts
    (kept, token), (_, other) = accounts.open_session(ann, ""), accounts.open_session(ann, "")
    reset, _ = accounts.start_reset(ann)
    accounts.set_password(ann, "a new hash", keep=kept.id)
    assert accounts.password_of(ann) == "a new hash"
    assert accounts.find_session(token)
    assert accounts.find_session(other) is None
    refused(Code.NOT_FOUND, accounts.find_reset, reset)
    refused(Code.NOT_FOUND, accounts.set_password, "nobody", "hash")


def test_no_token_stands_in_the_database(world: World, address: str) -> None:
    ann = world.user("ann")
    tokens = [
        world.accounts.open_session(ann, "")[1],
        world.accounts.start_reset(ann)[0],
        world.accounts.invite(world.shop, "viewer", "bob@example.com", days=1, author="Ann")[1],
    ]
    with world.catalog._database.read() as connection:
        names = sa.inspect(connection).get_table_names()
        kept = str([connection.execute(sa.text(f"SELECT * FROM {name}")).all() for name in names])
    assert "hash of ann" in kept
    assert [token for token in tokens if token in kept or token.removeprefix("st_") in kept] == []


# ------------------------------------------------------------------------ resets


def test_a_link_sets_a_password_once(world: World) -> None:
    ann, accounts = world.user("ann"), world.accounts
    _, session = accounts.open_session(ann, "")
    void, _ = accounts.start_reset(ann)
    token, until = accounts.start_reset(ann)
    assert until == NOW + timedelta(days=1)
    refused(Code.NOT_FOUND, accounts.find_reset, void)
    assert accounts.find_reset(token).id == ann
    assert accounts.password_of(ann) == "hash of ann"

    with ThreadPoolExecutor(8) as threads:
        outcomes = threads.map(lambda number: tried(accounts.finish_reset, token, f"hash {number}"), range(8))
        assert Counter(outcomes) == {None: 1, Code.NOT_FOUND: 7}
    assert accounts.password_of(ann).startswith("hash ")
    assert accounts.password_of(ann) != "hash of ann"
    assert accounts.find_session(session) is None


def test_a_link_for_a_password_runs_out(world: World) -> None:
    token, until = world.accounts.start_reset(world.user("ann"))
    world.now = until
    refused(Code.NOT_FOUND, world.accounts.find_reset, token)
    refused(Code.NOT_FOUND, world.accounts.finish_reset, token, "hash")


# ----------------------------------------------------------------------- members


def test_members_and_their_roles(world: World) -> None:
    ann, bob, accounts = world.user("ann"), world.user("bob"), world.accounts
    assert accounts.members(world.shop) == []
    accounts.set_role(world.shop, bob, "viewer")
    accounts.set_role(world.club, bob, "owner")
    made = accounts.set_role(world.shop, ann, "owner")
    assert (made.user.id, made.role, made.since) == (ann, "owner", NOW)
    world.now += timedelta(days=1)
    assert accounts.set_role(world.shop, bob, "admin").since == NOW, "he is a member since then"
    assert [(member.user.id, member.role) for member in accounts.members(world.shop)] == [(ann, "owner"), (bob, "admin")]
    accounts.remove_member(world.shop, bob)
    assert [member.user.id for member in accounts.members(world.shop)] == [ann]
    refused(Code.NOT_FOUND, accounts.remove_member, world.shop, bob)
    refused(Code.NOT_FOUND, accounts.set_role, world.shop, "nobody", "viewer")
    refused(Code.NOT_FOUND, accounts.set_role, "nowhere", ann, "viewer")
    refused(Code.NOT_FOUND, accounts.remove_member, "nowhere", ann)


def test_a_role_is_seen_by_the_next_question(world: World) -> None:
    ann = world.user("ann")
    _, token = world.accounts.open_session(ann, "")

    def role() -> str | None:
        found = world.accounts.find_session(token)
        return found and found.role_in(world.shop)

    assert role() is None
    world.accounts.set_role(world.shop, ann, "viewer")
    assert role() == "viewer"
    world.accounts.set_role(world.shop, ann, "admin")
    assert role() == "admin"
    world.accounts.remove_member(world.shop, ann)
    assert role() is None
    world.user("owner", owner=True)
    world.accounts.change_user(ann, owner=True)
    assert role() == "owner", "of the server, so everywhere"


def test_a_project_keeps_its_last_owner(world: World) -> None:
    ann, bob, accounts = world.user("ann"), world.user("bob"), world.accounts
    accounts.set_role(world.shop, bob, "admin")
    accounts.remove_member(world.shop, bob)  # there never was an owner to keep
    accounts.set_role(world.shop, ann, "owner")
    refused(Code.CONFLICT, accounts.set_role, world.shop, ann, "admin")
    refused(Code.CONFLICT, accounts.remove_member, world.shop, ann)
    assert accounts.members(world.shop)[0].role == "owner"
    accounts.set_role(world.shop, bob, "owner")
    with ThreadPoolExecutor(2) as threads:  # both leave at once
        outcomes = threads.map(lambda id_: tried(accounts.remove_member, world.shop, id_), (ann, bob))
        assert Counter(outcomes) == {None: 1, Code.CONFLICT: 1}
    assert [member.role for member in accounts.members(world.shop)] == ["owner"]


def test_a_deleted_project_takes_members_and_invitations_along(world: World) -> None:
    ann, accounts = world.user("ann"), world.accounts
    for project in (world.shop, world.club):
        accounts.set_role(project, ann, "owner")
    _, token = accounts.invite(world.shop, "viewer", "bob@example.com", days=7, author="Ann")
    world.catalog.delete_project(world.shop)
    refused(Code.NOT_FOUND, accounts.find_invitation, token)
    refused(Code.NOT_FOUND, accounts.accept, token, name="Bob", password="hash")
    assert accounts.invitations(world.shop) == []
    assert accounts.members(world.shop) == []
    assert accounts.all_accounts()[0].roles == {world.club: "owner"}


# ------------------------------------------------------------------- invitations


def test_an_invitation_makes_an_account_and_a_member(world: World) -> None:
    accounts = world.accounts
    made, token = accounts.invite(world.shop, "analyst", " Bob@example.com", days=7, author="Ann")
    assert (made.project, made.role, made.email, made.author) == (world.shop, "analyst", "Bob@example.com", "Ann")
    assert (made.expires_at, made.used_at, made.revoked_at) == (NOW + timedelta(days=7), None, None)
    assert accounts.find_invitation(token) == made
    bob = accounts.accept(token, name="Bob", password="hash of bob")
    assert accounts.credentials("bob@example.com") == (bob, "hash of bob")
    assert [(member.user, member.role) for member in accounts.members(world.shop)] == [(bob, "analyst")]
    assert "used" in refused(Code.NOT_FOUND, accounts.find_invitation, token).message
    refused(Code.NOT_FOUND, accounts.accept, token, user=bob.id)
    assert [one.used_at for one in accounts.invitations(world.shop)] == [NOW]
    refused(Code.CONFLICT, accounts.revoke_invitation, world.shop, made.id)


def test_an_invitation_lets_one_in_however_many_come_at_once(world: World) -> None:
    _, token = world.accounts.invite(world.shop, "viewer", "any@example.com", days=7, author="Ann")
    users = [world.user(f"u{number}") for number in range(6)]

    with ThreadPoolExecutor(6) as threads:
        outcomes = threads.map(lambda user: tried(world.accounts.accept, token, user=user), users)
        assert Counter(outcomes) == {None: 1, Code.NOT_FOUND: 5}
    assert len(world.accounts.members(world.shop)) == 1


@pytest.mark.parametrize(
    ("had", "offered", "then"), [("admin", "viewer", "admin"), ("viewer", "analyst", "analyst"), ("", "owner", "owner")]
)
def test_who_has_an_account_joins_with_it(world: World, had: Any, offered: Any, then: str) -> None:
    ann, accounts = world.user("ann"), world.accounts
    if had:
        accounts.set_role(world.shop, ann, had)
    _, token = accounts.invite(world.shop, offered, "ann@example.com", days=7, author="Bob")
    refused(Code.CONFLICT, accounts.accept, token, name="Ann", password="hash")
    assert accounts.find_invitation(token), "a refusal does not use it up"
    assert accounts.accept(token, user=ann).id == ann
    assert [member.role for member in accounts.members(world.shop)] == [then]


def test_invitations_end(world: World) -> None:
    accounts = world.accounts
    (first, token), (second, later) = (
        accounts.invite(world.shop, "viewer", f"{name}@example.com", days=7, author="Ann") for name in ("bob", "carl")
    )
    world.now += timedelta(hours=1)
    third, _ = accounts.invite(world.shop, "viewer", "dora@example.com", days=7, author="Ann")
    assert {one.id for one in accounts.invitations(world.shop)} == {first.id, second.id, third.id}
    assert accounts.invitations(world.shop)[0].id == third.id
    assert accounts.invitations(world.club) == []
    refused(Code.NOT_FOUND, accounts.revoke_invitation, world.club, first.id)
    for _ in range(2):
        accounts.revoke_invitation(world.shop, first.id)
    assert "revoked" in refused(Code.NOT_FOUND, accounts.find_invitation, token).message
    refused(Code.NOT_FOUND, accounts.accept, token, name="Bob", password="hash")
    world.now = NOW + timedelta(days=7)
    assert "run out" in refused(Code.NOT_FOUND, accounts.find_invitation, later).message
    assert "not known" in refused(Code.NOT_FOUND, accounts.find_invitation, "no such token").message
    refused(Code.NOT_FOUND, accounts.invite, "nowhere", "viewer", "bob@example.com", days=7, author="Ann")
    refused(Code.INVALID, accounts.invite, world.shop, "viewer", "bob", days=7, author="Ann")


# ---------------------------------------------------------------------- the rules


@pytest.mark.parametrize(
    "email",
    ["", "ann", "@example.com", "ann@", "ann@exa mple.com", "ann\n@example.com", "a@b@c", "ann@x\0", "\ud800@x.com", "a" * 65 + "@x.com"],
)
def test_what_is_no_email(email: str) -> None:
    assert refused(Code.INVALID, checked_email, email).place == "email"


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\0b", "x" * 101, "\ud800"])
def test_what_is_no_name(name: str) -> None:
    assert refused(Code.INVALID, checked_name, name).place == "name"


@pytest.mark.parametrize("password", ["", "123456789", "x" * 1001, "Ann@Example.com", "long enough \ud800", "e\u0301" * 9])
def test_what_is_no_password(password: str) -> None:
    assert refused(Code.INVALID, checked_password, password, "ann@example.com").place == "password"


@pytest.mark.parametrize("password", ["1234567890", "x" * 1000, "пароль из слов", "🐎🔋📎 and more"])
def test_what_is_a_password(password: str) -> None:
    assert checked_password(password, "ann@example.com") == password
