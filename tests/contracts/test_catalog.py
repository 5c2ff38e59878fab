"""What every catalog promises, one suite over SQLite and a real PostgreSQL."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from almanac.adapters.catalog_database import MIGRATIONS, Database
from almanac.adapters.catalog_sql import SqlCatalog
from almanac.core.errors import AlmanacError, Code
from almanac.core.ports import Catalog, Definition, Project

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def catalog(address: str) -> Iterator[Catalog]:
    opened = SqlCatalog(address, clock=lambda: int(NOW.timestamp()) * 1_000_000)
    yield opened
    opened.close()


def refused(code: Code, call: Any, *arguments: Any, **named: Any) -> AlmanacError:
    with pytest.raises(AlmanacError) as error:
        call(*arguments, **named)
    assert error.value.code == code
    return error.value


def test_a_project_with_its_three_keys(catalog: Catalog) -> None:
    project, secrets = catalog.create_project("Ticket Shop", write_key="my-write-key", zone="Europe/Berlin")
    assert project == Project(id="ticket-shop", name="Ticket Shop", zone="Europe/Berlin", created_at=NOW)
    assert secrets["write"] == "my-write-key"
    assert secrets["read"].startswith("rk_")
    assert secrets["admin"].startswith("ak_")
    assert min(len(secrets["read"]), len(secrets["admin"])) >= 27
    for role, secret in secrets.items():
        key = catalog.find_key(secret)
        assert key
        assert (key.role, key.project, key.created_at) == (role, "ticket-shop", NOW)
        assert secret.startswith(key.prefix)
    assert catalog.find_key("no such key") is None
    assert sorted(key.role for key in catalog.keys("ticket-shop")) == ["admin", "read", "write"]


def test_projects_are_found_by_id_and_by_name(catalog: Catalog) -> None:
    club, _ = catalog.create_project("Club 27")
    cafe, _ = catalog.create_project("  Café  ")
    assert (club.id, cafe.id, cafe.name) == ("club-27", "cafe", "Café")
    assert catalog.projects() == [cafe, club]
    assert catalog.project("club-27") == catalog.project("CLUB 27") == club
    assert catalog.project("café") == cafe
    for unknown in ("nothing", "", "a\0b", "\ud800"):
        assert refused(Code.NOT_FOUND, catalog.project, unknown).place == "project"


def test_ids_are_slugs_that_never_mean_two_projects(catalog: Catalog) -> None:
    ids = [catalog.create_project(name)[0].id for name in ("A b", "a, b", "日本", "中国", "x" * 100)]
    assert ids == ["a-b", "a-b-2", "project", "project-2", "x" * 40]
    refused(Code.CONFLICT, catalog.create_project, "a-b")  # the id of another


def test_a_taken_name_or_key_is_a_conflict_and_leaves_nothing(catalog: Catalog) -> None:
    catalog.create_project("Shop", write_key="key-1")
    refused(Code.CONFLICT, catalog.create_project, "SHOP")
    refused(Code.CONFLICT, catalog.create_project, "Other", write_key="key-1")
    assert [project.name for project in catalog.projects()] == ["Shop"]
    refused(Code.CONFLICT, catalog.create_key, "shop", "read", secret="key-1")


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\0b", "\ud800"])
def test_an_odd_name_is_refused(catalog: Catalog, name: str) -> None:
    refused(Code.INVALID, catalog.create_project, name)


def test_odd_keys_zones_and_roles_are_refused(catalog: Catalog) -> None:
    refused(Code.INVALID, catalog.create_project, "Shop", write_key="with space")
    refused(Code.INVALID, catalog.create_project, "Shop", zone="Mars/Base")
    catalog.create_project("Shop")
    refused(Code.INVALID, catalog.create_key, "shop", "owner")
    refused(Code.INVALID, catalog.create_key, "", "write")
    refused(Code.NOT_FOUND, catalog.create_key, "none", "write")


def test_a_project_is_changed(catalog: Catalog) -> None:
    project, _ = catalog.create_project("Shop")
    changed = replace(
        project, zone="Asia/Tokyo", week_start="sunday", quota=500, retention_days=90, settings={"pii": ["email"], "n": 2**60}
    )
    catalog.update_project(changed)
    assert catalog.project("shop") == changed
    refused(Code.NOT_FOUND, catalog.update_project, replace(changed, id="none"))
    for wrong in (
        {"zone": "Mars"},
        {"week_start": "friday"},
        {"quota": -1},
        {"settings": {"x": float("nan")}},
        {"settings": {"x": object()}},
    ):
        refused(Code.INVALID, catalog.update_project, replace(changed, **wrong))


def test_further_keys_work_and_are_listed_without_their_secrets(catalog: Catalog) -> None:
    catalog.create_project("Shop")
    made, secret = catalog.create_key("Shop", "read", name=" iOS app ✓ ")
    assert (made.role, made.project, made.name, made.created_at, made.revoked_at) == ("read", "shop", "iOS app ✓", NOW, None)
    assert (made.prefix, made.last_four) == (secret[:8], secret[-4:])
    assert catalog.find_key(secret) == made
    assert made in catalog.keys("shop")
    for short, shown in (("abc", ("", "")), ("abcdefgh", ("ab", "h")), ("0123456789abcdef", ("0123", "ef"))):
        key, told = catalog.create_key("shop", "write", secret=short)
        assert (told, (key.prefix, key.last_four)) == (short, shown), "of a short key not so much that the rest could be guessed"
        assert catalog.find_key(short) == key
    keys = catalog.keys("shop")
    assert len({key.id for key in keys} - {""}) == len(keys) == 7
    for name in ("x" * 101, "two\nlines", "a\0b", "\ud800"):
        assert refused(Code.INVALID, catalog.create_key, "shop", "read", name=name).place == "name"


def test_a_revoked_key_is_refused_and_says_so_while_the_others_go_on(catalog: Catalog) -> None:
    catalog.create_project("Shop")
    made, secret = catalog.create_key("shop", "write", name="old app")
    _, other = catalog.create_key("shop", "write", name="other app")
    revoked = catalog.revoke_key("shop", made.id)
    assert revoked == replace(made, revoked_at=NOW)
    said = refused(Code.DENIED, catalog.find_key, secret)
    assert (said.status, said.message) == (401, f"The key {secret[:8]}…{secret[-4:]} (old app) was revoked on 2026-01-31 12:00 UTC.")
    assert secret not in str(said)
    assert catalog.find_key(other)
    assert catalog.revoke_key("shop", made.id, after=3600) == revoked, "it does not come back"
    assert [key.revoked_at for key in catalog.keys("shop") if key.id == made.id] == [NOW]
    refused(Code.CONFLICT, catalog.create_key, "shop", "write", secret=secret)


def test_a_key_works_until_its_time_of_grace_is_over(address: str) -> None:
    now = NOW
    catalog = SqlCatalog(address, clock=lambda: int(now.timestamp()) * 1_000_000)
    catalog.create_project("Shop")
    made, secret = catalog.create_key("shop", "write", name="app")
    fresh, new_secret = catalog.rotate_key("shop", made.id, after=3600)
    assert (fresh.role, fresh.name, fresh.revoked_at) == ("write", "app", None)
    assert fresh.id != made.id
    for moment, works in ((0, True), (3599, True), (3600, False), (90_000, False)):
        now = NOW + timedelta(seconds=moment)
        assert catalog.find_key(new_secret) == fresh
        if works:
            assert catalog.find_key(secret) == replace(made, revoked_at=NOW + timedelta(hours=1))
        else:
            refused(Code.DENIED, catalog.find_key, secret)
    refused(Code.CONFLICT, catalog.rotate_key, "shop", made.id)
    catalog.close()


def test_keys_of_other_projects_and_of_the_server_are_out_of_reach(catalog: Catalog) -> None:
    catalog.create_project("Shop")
    catalog.create_project("Club")
    catalog.ensure_admin("the-server-admin-key")
    elsewhere = [*catalog.keys("club"), *catalog.keys("")]
    for key in elsewhere:
        for attempt in (catalog.revoke_key, catalog.rotate_key):
            for id_ in (key.id, "", "none", "a\0b", "\ud800"):
                assert refused(Code.NOT_FOUND, attempt, "shop", id_).place == "key"
    assert [*catalog.keys("club"), *catalog.keys("")] == elsewhere


def test_a_deleted_project_leaves_nothing_but_its_id(catalog: Catalog) -> None:
    _, secrets = catalog.create_project("Shop", write_key="my-write-key")
    club, club_keys = catalog.create_project("Club")
    for project in ("shop", "club", ""):
        catalog.put("question", project, "Sales", {"a": 1})
    assert catalog.deleted_projects() == frozenset()
    catalog.delete_project("shop")
    assert catalog.projects() == [club]
    refused(Code.NOT_FOUND, catalog.project, "Shop")
    refused(Code.NOT_FOUND, catalog.delete_project, "shop")
    refused(Code.NOT_FOUND, catalog.delete_project, "")
    assert [catalog.find_key(secret) for secret in secrets.values()] == [None, None, None]
    assert catalog.keys("shop") == []
    assert [catalog.get("question", project, "Sales") for project in ("shop", "club", "")] == [None, {"a": 1}, {"a": 1}]
    assert all(catalog.find_key(secret) for secret in club_keys.values())

    assert catalog.deleted_projects() == catalog.deleted_projects(emptied=False) == {"shop"}
    assert catalog.deleted_projects(emptied=True) == frozenset()
    for _ in range(2):
        catalog.emptied("shop")
    assert catalog.deleted_projects() == catalog.deleted_projects(emptied=True) == {"shop"}
    assert catalog.deleted_projects(emptied=False) == frozenset()

    again, _ = catalog.create_project("Shop", write_key="my-write-key")
    assert (again.id, catalog.project("shop")) == ("shop-2", again), "the name is free again, the id never"


def test_keys_of_a_catalog_from_before_they_had_names(address: str) -> None:
    """The first schema, with rows in it, is brought up to date by being opened."""
    engine = Database(address)._connected()
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    digest = hashlib.sha256(b"an-old-key").hexdigest()
    with engine.execution_options(writes=True).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(sa.text("INSERT INTO projects VALUES ('shop', 'Shop', 'shop', 'UTC', 'monday', 0, 0, '{}', 0)"))
        for place, hash_ in enumerate((digest, "another")):
            row = {"hash": hash_, "given": False, "us": place}
            connection.execute(sa.text("INSERT INTO keys VALUES (:hash, 'shop', 'write', 'an-old-k', :given, :us)"), row)
    engine.dispose()
    catalog = SqlCatalog(address)
    old = catalog.find_key("an-old-key")
    assert old
    assert (old.project, old.prefix, old.last_four, old.name, old.revoked_at) == ("shop", "an-old-k", "", "", None)
    assert len({key.id for key in catalog.keys("shop")} - {""}) == 2
    catalog.revoke_key("shop", old.id)
    refused(Code.DENIED, catalog.find_key, "an-old-key")
    catalog.close()


def test_the_servers_admin_key_is_told_once(catalog: Catalog) -> None:
    first = catalog.ensure_admin()
    assert first.startswith("ak_")
    assert catalog.ensure_admin() == ""
    key = catalog.find_key(first)
    assert key
    assert (key.role, key.project) == ("admin", "")


def test_a_given_admin_key_replaces_the_one_given_before(catalog: Catalog) -> None:
    made = catalog.ensure_admin()
    for secret in ("first-secret", "first-secret", "second-secret"):
        assert catalog.ensure_admin(secret) == secret
    assert catalog.find_key("first-secret") is None
    assert catalog.find_key("second-secret")
    assert catalog.find_key(made)
    assert catalog.ensure_admin(made) == made
    assert catalog.find_key("second-secret") is None
    assert len(catalog.keys("")) == 1


def test_no_secret_is_kept(address: str, tmp_path: Path) -> None:
    catalog = SqlCatalog(address)
    _, secrets = catalog.create_project("Shop", write_key="a-write-key-of-mine")
    everything = [*secrets.values(), catalog.ensure_admin(), catalog.create_key("shop", "read")[1]]
    catalog.close()
    dump = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    if address.startswith("postgresql"):
        engine = sa.create_engine(address.replace("postgresql:", "postgresql+pg8000:"))
        with engine.connect() as connection:
            dump = repr(connection.execute(sa.text("SELECT * FROM keys")).all()).encode()
        engine.dispose()
    assert b"ak_" in dump
    assert [secret for secret in everything if secret.encode() in dump] == []


def test_documents_are_saved_by_kind_project_and_name(catalog: Catalog) -> None:
    question = {"kind": "trend", "series": [{"event": "Bought ✓"}], "nul": "\0", "odd": "\ud800", "big": 2**70, "none": None}
    catalog.put("question", "shop", "Sales", question)
    catalog.put("question", "shop", "Änderung", {"a": 1})
    catalog.put("question", "club", "Sales", {"b": 2})
    catalog.put("geo", "", "rules", {"c": 3})
    assert catalog.get("question", "shop", "Sales") == question
    assert catalog.documents("question", "shop") == {"Sales": question, "Änderung": {"a": 1}}
    catalog.put("question", "shop", "Sales", {"new": True})
    assert catalog.get("question", "shop", "Sales") == {"new": True}
    assert catalog.get("question", "club", "Sales") == {"b": 2}
    assert catalog.delete("question", "shop", "Sales") is True
    assert catalog.delete("question", "shop", "Sales") is False
    assert catalog.get("question", "shop", "Sales") is None
    assert catalog.documents("geo", "") == {"rules": {"c": 3}}
    assert catalog.get("geo", "", "a\0b") is None
    for wrong in ({"x": float("inf")}, {"x": {1, 2}}):
        refused(Code.INVALID, catalog.put, "question", "shop", "wrong", wrong)
    refused(Code.INVALID, catalog.put, "question", "shop", "", {})


def test_definitions_have_versions(catalog: Catalog) -> None:
    project = catalog.create_project("shop")[0].id
    orders = Definition("metric", "orders", {"event": "order"}, author="ann")
    first = catalog.save_definition(project, orders)
    assert first == replace(orders, version=1, saved_at=NOW)
    assert catalog.save_definition(project, orders) == first, "the same again is no version"
    second = catalog.save_definition(project, replace(orders, body={"event": "paid"}))
    assert (second.version, catalog.definition(project, "metric", "orders")) == (2, second)
    assert catalog.definition(project, "metric", "orders", version=1) == first
    assert catalog.definition(project, "metric", "orders", version=3) is None
    assert catalog.definition(project, "segment", "orders") is None
    assert catalog.versions(project, "metric", "orders") == [second, first]
    visits = catalog.save_definition(project, Definition("metric", "a visit", {}))
    assert catalog.definitions(project, "metric") == [visits, second]
    assert catalog.definitions("other", "metric") == []


def test_definitions_of_all_projects_and_whether_any_changed(catalog: Catalog) -> None:
    one, two = (catalog.create_project(name)[0].id for name in ("one of many", "two of many"))
    states = [catalog.definitions_state("plan")]
    assert catalog.definitions_of_all("plan") == {}

    def changed() -> bool:
        states.append(catalog.definitions_state("plan"))
        return states[-1] != states[-2]

    first = catalog.save_definition(one, Definition("plan", "order", {"mode": "stamp"}))
    assert changed()
    second = catalog.save_definition(one, Definition("plan", "order", {"mode": "reject"}))
    assert changed()
    assert second.version == first.version + 1
    other = catalog.save_definition(two, Definition("plan", "*", {}))
    assert changed()
    assert catalog.definitions_of_all("plan") == {one: [second], two: [other]}
    catalog.save_definition(two, Definition("plan", "*", {}))
    catalog.save_definition(two, Definition("metric", "m", {}))
    assert not changed(), "nothing was changed of that kind"
    catalog.remove_definition(one, "plan", "order")
    assert changed()
    assert catalog.definitions_of_all("plan") == {two: [other]}
    catalog.delete_project(two)
    assert changed()
    assert catalog.definitions_of_all("plan") == {}


def test_a_removed_definition_keeps_its_history(catalog: Catalog) -> None:
    project = catalog.create_project("shop")[0].id
    orders = Definition("metric", "orders", {"event": "order"})
    first = catalog.save_definition(project, orders)
    assert catalog.remove_definition(project, "metric", "orders", author="ben")
    assert not catalog.remove_definition(project, "metric", "orders")
    assert (catalog.definition(project, "metric", "orders"), catalog.definitions(project, "metric")) == (None, [])
    gone, kept = catalog.versions(project, "metric", "orders")
    assert (gone.removed, gone.version, gone.author, kept) == (True, 2, "ben", first)
    assert catalog.save_definition(project, orders).version == 3
    catalog.delete_project(project)
    assert catalog.versions(project, "metric", "orders") == []


def test_who_saves_over_a_version_that_he_did_not_see_is_refused(catalog: Catalog) -> None:
    project = catalog.create_project("shop")[0].id
    orders = Definition("metric", "orders", {"event": "order"})
    catalog.save_definition(project, orders, expected=0)
    told = refused(Code.CONFLICT, catalog.save_definition, project, replace(orders, body={}), expected=0)
    assert told.message == "The metric 'orders' is at version 1, not at version 0."
    catalog.save_definition(project, replace(orders, body={}), expected=1)
    catalog.remove_definition(project, "metric", "orders")
    told = refused(Code.CONFLICT, catalog.save_definition, project, orders, expected=2)
    assert told.message == "The metric 'orders' does not exist, not at version 2."
    refused(Code.NOT_FOUND, catalog.save_definition, "nowhere", orders)
    refused(Code.INVALID, catalog.save_definition, project, replace(orders, name=""))
    refused(Code.INVALID, catalog.save_definition, project, replace(orders, body={"x": float("nan")}))


def test_of_many_who_save_at_once_each_gets_a_version_of_his_own(catalog: Catalog) -> None:
    project = catalog.create_project("shop")[0].id
    with ThreadPoolExecutor(4) as threads:
        saved = list(threads.map(lambda n: catalog.save_definition(project, Definition("metric", "m", {"n": n})).version, range(8)))
    assert sorted(saved) == list(range(1, 9))


def test_what_another_process_changes_is_seen_at_once(address: str) -> None:
    """Whatever was asked before: nothing is remembered beyond a change."""
    here, there = SqlCatalog(address), SqlCatalog(address)
    project, secrets = here.create_project("shop")
    orders = there.save_definition(project.id, Definition("metric", "orders", {"event": "order"}))
    for _ in range(2):
        assert (here.project("shop").zone, here.find_key("nobody's")) == ("UTC", None)
        assert (here.find_key(secrets["read"]) is None, here.definition(project.id, "metric", "orders")) == (False, orders)
    there.update_project(replace(project, zone="Asia/Tokyo"))
    assert here.project("SHOP").zone == here.project("shop").zone == "Asia/Tokyo"
    changed = there.save_definition(project.id, replace(orders, body={"event": "paid"}))
    assert here.definition(project.id, "metric", "orders") == changed
    (read,) = [key for key in there.keys(project.id) if key.role == "read"]
    there.revoke_key(project.id, read.id)
    refused(Code.DENIED, here.find_key, secrets["read"])
    assert here.find_key(there.create_key(project.id, "read", secret="nobody's")[1]) is not None
    there.delete_project(project.id)
    refused(Code.NOT_FOUND, here.project, "shop")
    for catalog in (here, there):
        catalog.close()


def test_what_is_given_away_can_be_changed(catalog: Catalog) -> None:
    """By whoever asked, without a trace in what the next one gets."""
    project = catalog.create_project("shop")[0].id
    catalog.save_definition(project, Definition("metric", "orders", {"filters": [{"property": "a", "value": 1}]}))
    for _ in range(2):
        found = catalog.definition(project, "metric", "orders")
        assert found is not None
        assert found.body == {"filters": [{"property": "a", "value": 1}]}
        found.body["filters"][0]["value"] = 2
        catalog.project("shop").settings["x"] = 1
        assert catalog.project("shop").settings == {}


def test_a_key_that_is_to_end_ends_without_a_change(address: str) -> None:
    moments = [NOW, NOW + timedelta(hours=1), NOW + timedelta(hours=3)]
    catalog = SqlCatalog(address, clock=lambda: int(moments[0].timestamp()) * 1_000_000)
    project, secrets = catalog.create_project("shop")
    (read,) = [key for key in catalog.keys(project.id) if key.role == "read"]
    catalog.revoke_key(project.id, read.id, after=7200)
    assert catalog.find_key(secrets["read"]) is not None
    moments.pop(0)
    assert catalog.find_key(secrets["read"]) is not None
    moments.pop(0)
    refused(Code.DENIED, catalog.find_key, secrets["read"])
    catalog.close()


def test_threads_share_one_catalog(catalog: Catalog) -> None:
    catalog.create_project("Shop")

    def work(number: int) -> str:
        catalog.put("progress", "shop", f"file-{number % 5}", {"rows": number})
        return catalog.create_project(f"p {number % 20}.{number}")[0].id if number % 2 else catalog.create_key("shop", "read")[1]

    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(work, range(80)))
    assert len(set(made)) == 80
    assert all(catalog.find_key(secret) for secret in made[::2])
    assert len(catalog.projects()) == 41
    assert len(catalog.documents("progress", "shop")) == 5


def test_many_threads_that_want_one_name_get_it_once(catalog: Catalog) -> None:
    def work(_: int) -> bool:
        try:
            catalog.create_project("Wanted")
        except AlmanacError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(work, range(16))) == 1


OPEN = """
import sys
from almanac.adapters.catalog_sql import SqlCatalog
catalog = SqlCatalog(sys.argv[1])
if sys.argv[3:]:
    import alembic.command, pg8000, sqlalchemy.dialects.postgresql.pg8000, sqlite3  # so that they meet
print("ready", flush=True)
sys.stdin.readline()
catalog.projects()
catalog.create_project(sys.argv[2])
print("alembic" in sys.modules)
"""


def _starting(*arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", OPEN, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def test_processes_that_open_a_new_catalog_at_once_all_succeed(address: str) -> None:
    processes = [_starting(address, f"p{number}", "at once") for number in range(5)]
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    catalog = SqlCatalog(address)
    assert [project.name for project in catalog.projects()] == [f"p{number}" for number in range(5)]
    catalog.close()
    later = _starting(address, "later").communicate("go\n", timeout=60)[0]
    assert later.strip() == "False", "a catalog that is up to date is opened without alembic"


def test_a_catalog_out_of_reach_is_unavailable(tmp_path: Path) -> None:
    tmp_path.joinpath("catalog.db").write_bytes(b"this is not a database" * 100)
    gone = SqlCatalog("postgresql://almanac@127.0.0.1:1/none")
    for catalog in (SqlCatalog(str(tmp_path / "catalog.db")), gone):
        error = refused(Code.UNAVAILABLE, catalog.projects)
        assert error.message == "The catalog is out of reach."
        catalog.close()


@pytest.mark.parametrize("address", ["mysql://host/db", "postgresql://host:port/db", "://"])
def test_an_odd_address_is_refused(address: str) -> None:
    assert refused(Code.INVALID, SqlCatalog, address).place == "catalog"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=4,
    )
)
def test_a_document_comes_back_as_it_was_put(catalog: Catalog, body: dict[str, Any]) -> None:
    catalog.put("law", "shop", "it", body)
    assert catalog.get("law", "shop", "it") == body
