"""Keys of a real catalog at the collector's door: a revoked one is refused soon, and the others go on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from almanac.adapters.catalog_sql import SqlCatalog
from almanac.core.errors import AlmanacError
from almanac.core.ports import Key
from almanac.ingest.keys import KNOWN_SECONDS, KeyRing


class Watch:
    """A clock for the catalog and the key ring."""

    def __init__(self) -> None:
        self.seconds = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()

    def micros(self) -> int:
        return int(self.seconds * 1e6)


class Counted(SqlCatalog):
    """Counts what it is asked."""

    asked = 0

    def find_key(self, secret: str) -> Key | None:
        self.asked += 1
        return super().find_key(secret)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def catalog(tmp_path: Path, watch: Watch) -> Counted:
    catalog = Counted(str(tmp_path / "catalog.db"), clock=watch.micros)
    catalog.create_project("Shop")
    return catalog


def refusal(ring: KeyRing, secret: str) -> tuple[int, str]:
    with pytest.raises(AlmanacError) as error:
        ring.grant(secret)
    return error.value.status, error.value.message


def test_a_revoked_key_is_refused_in_every_collector_and_the_others_go_on(catalog: Counted, watch: Watch) -> None:
    rings = [KeyRing(catalog, lambda: watch.seconds) for _ in range(2)]
    old, old_secret = catalog.create_key("shop", "write", name="old app")
    _, secret = catalog.create_key("shop", "write")
    for ring in rings:
        assert ring.grant(old_secret).project == ring.grant(secret).project == "shop"
    catalog.revoke_key("shop", old.id)
    watch.seconds += KNOWN_SECONDS + 0.1
    for ring in rings:
        status, message = refusal(ring, old_secret)
        assert (status, message.split(" was ")[0]) == (401, f"The key {old_secret[:8]}…{old_secret[-4:]} (old app)")
        assert ring.grant(secret).project == "shop"


def test_apps_that_go_on_sending_a_revoked_key_do_not_reach_the_catalog(catalog: Counted, watch: Watch) -> None:
    ring = KeyRing(catalog, lambda: watch.seconds)
    key, secret = catalog.create_key("shop", "write")
    catalog.revoke_key("shop", key.id)
    messages = {refusal(ring, secret) for _ in range(1000)}
    assert (len(messages), catalog.asked) == (1, 1)
    watch.seconds += KNOWN_SECONDS + 0.1
    assert refusal(ring, secret) in messages
    assert catalog.asked == 2


def test_a_time_of_grace_ends_by_itself(catalog: Counted, watch: Watch) -> None:
    ring = KeyRing(catalog, lambda: watch.seconds)
    key, secret = catalog.create_key("shop", "write")
    _, new = catalog.rotate_key("shop", key.id, after=60)
    for _ in range(20):
        assert ring.grant(secret).project == ring.grant(new).project == "shop"
        watch.seconds += 3
    assert refusal(ring, secret)[0] == 401
    assert ring.grant(new).project == "shop"


def test_the_key_of_a_deleted_project_works_for_the_next_one(catalog: Counted, watch: Watch) -> None:
    ring = KeyRing(catalog, lambda: watch.seconds)
    catalog.create_key("shop", "write", secret="in-the-app")
    assert ring.grant("in-the-app").project == "shop"
    catalog.delete_project("shop")
    watch.seconds += KNOWN_SECONDS + 0.1
    assert refusal(ring, "in-the-app")[0] == 401
    catalog.create_project("Shop", write_key="in-the-app")
    assert ring.grant("in-the-app").project == "shop-2"
