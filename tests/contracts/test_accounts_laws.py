"""Roles after any sequence of changes, against docs/accounts.md in plain Python."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from almanac.adapters.catalog_sql import SqlCatalog
from almanac.core.errors import AlmanacError, Code

RANKS = ["viewer", "analyst", "admin", "owner"]
NUMBERS = count()

changes = st.one_of(
    st.tuples(st.just("set"), st.integers(0, 2), st.sampled_from(RANKS)),
    st.tuples(st.just("remove"), st.integers(0, 2), st.just("")),
    st.tuples(st.just("invite"), st.integers(0, 2), st.sampled_from(RANKS)),
)


class People:
    """A catalog with three users, each signed in."""

    def __init__(self, folder: Path) -> None:
        self.catalog = SqlCatalog(str(folder / "catalog.db"))
        self.accounts = self.catalog.accounts
        self.users = [self.accounts.create_user(f"u{number}@example.com", f"U{number}", "hash").id for number in range(3)]
        self.tokens = [self.accounts.open_session(user, "")[1] for user in self.users]

    def change(self, project: str, deed: str, who: int, role: Any) -> Code | None:
        """How it was refused, if it was."""
        user = self.users[who]
        try:
            if deed == "set":
                self.accounts.set_role(project, user, role)
            elif deed == "remove":
                self.accounts.remove_member(project, user)
            else:
                _, token = self.accounts.invite(project, role, "any@example.com", days=1, author="")
                self.accounts.accept(token, user=user)
        except AlmanacError as error:
            return error.code
        return None


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    made = People(tmp_path_factory.mktemp("people"))
    yield made
    made.catalog.close()


def told(roles: dict[int, str], deed: str, who: int, role: str) -> tuple[dict[int, str], Code | None]:
    """The roles afterwards, and why they are as before."""
    after = dict(roles)
    if deed == "remove":
        if who not in roles:
            return roles, Code.NOT_FOUND
        del after[who]
    elif deed == "invite":  # a higher role that he has stays
        after[who] = max(role, roles.get(who, role), key=RANKS.index)
    else:
        after[who] = role
    if "owner" in roles.values() and "owner" not in after.values():
        return roles, Code.CONFLICT
    return after, None


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(changes, min_size=1, max_size=6))
def test_roles_are_what_the_changes_made_of_them(people: People, made: list[tuple[str, int, str]]) -> None:
    project = people.catalog.create_project(f"p{next(NUMBERS)}")[0].id
    roles: dict[int, str] = {}
    for deed, who, role in made:
        roles, refusal = told(roles, deed, who, role)
        assert people.change(project, deed, who, role) == refusal
    found = {people.users.index(member.user.id): member.role for member in people.accounts.members(project)}
    assert found == roles
    for number, token in enumerate(people.tokens):
        session = people.accounts.find_session(token)
        assert session
        assert session.role_in(project) == roles.get(number)
