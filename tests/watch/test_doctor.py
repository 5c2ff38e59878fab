"""What the doctor says of installations that were broken on purpose."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from almanac.adapters.catalog_sql import SqlCatalog
from almanac.core import settings as all_settings
from almanac.core.errors import AlmanacError
from almanac.core.event import Event
from almanac.core.settings import Settings
from almanac.house import log_writer
from almanac.watch.doctor import Finding, Patient, examine, settings_refused


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return Settings(data=tmp_path, port=port, disk_reserve=0)


@pytest.fixture
def catalog(settings: Settings) -> Iterator[SqlCatalog]:
    catalog = SqlCatalog(f"sqlite:///{settings.data / 'catalog.db'}")
    yield catalog
    catalog.close()


def look(settings: Settings, **known: object) -> dict[str, Finding]:
    patient = Patient(settings=settings, now=datetime.now(UTC), **known)  # type: ignore[arg-type]
    return {finding.name: finding for finding in examine(patient)}


def wrong(settings: Settings, **known: object) -> list[str]:
    return [name for name, finding in look(settings, **known).items() if not finding.ok]


def test_nothing_is_wrong_with_a_fresh_folder(settings: Settings) -> None:
    assert wrong(settings) == []


def test_a_folder_that_is_not_there_yet_is_not_made_by_looking(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "new", disk_reserve=0, port=1024 + os.getpid() % 60000)
    look(settings)
    assert not (tmp_path / "new").exists()


def test_a_taken_port_names_who_took_it(settings: Settings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", settings.port))
        other.listen()
        found = look(settings)["port"]
    assert not found.ok
    assert f"Process {os.getpid()}" in found.finding
    assert "--port" in found.way_out


def test_a_held_engine_names_the_process(settings: Settings) -> None:
    settings.store_folder.mkdir()
    with (settings.store_folder / "owner").open("w") as owner:
        owner.write(str(os.getpid()))
        owner.flush()
        fcntl.flock(owner, fcntl.LOCK_EX)
        found = look(settings)["engine lock"]
        assert not found.ok
        assert f"Process {os.getpid()}" in found.finding
        # Held by the server that answers, it is as it should be.
        assert look(settings, server={"pid": os.getpid(), "url": "http://127.0.0.1:1"})["engine lock"].ok


def test_a_server_that_is_said_to_run_and_does_not_answer(settings: Settings) -> None:
    settings.serve_file.write_text('{"pid": 1, "url": "http://127.0.0.1:9"}')
    assert wrong(settings) == ["server"]


def test_a_disk_that_is_nearly_full(tmp_path: Path) -> None:
    assert "disk" in wrong(Settings(data=tmp_path, disk_reserve=1 << 60))


def test_a_clock_that_was_set_back(settings: Settings) -> None:
    (settings.data / "catalog.db-wal").touch()
    ahead = (datetime.now(UTC) + timedelta(hours=2)).timestamp()
    os.utime(settings.data / "catalog.db-wal", (ahead, ahead))
    found = look(settings)["clock"]
    assert not found.ok
    assert "NTP" in found.way_out


def test_a_segment_that_somebody_removed(settings: Settings) -> None:
    async def collect() -> None:
        writer = log_writer(settings, "collector-0")
        await writer.append([Event(project="shop", event_id=str(number), kind="track", name="x", received_us=1) for number in range(3)])
        await writer.close()

    asyncio.run(collect())
    assert wrong(settings) == []
    [segment] = settings.log_folder.glob("*.log")
    for file in settings.log_folder.glob(f"{segment.stem}.*"):
        file.unlink()
    found = look(settings)["log"]
    assert not found.ok
    assert found.finding == f"The segment {segment.stem} with 3 events is missing: it was removed from the log before it was loaded."
    assert str(settings.log_folder) in found.way_out
    # The way out, when there is no copy.
    (settings.data / "log-register" / segment.stem).unlink()
    assert wrong(settings) == []


def test_a_geo_file_that_is_gone(settings: Settings) -> None:
    assert wrong(Settings(data=settings.data, port=settings.port, disk_reserve=0, geo_file="/nowhere/geo.mmdb")) == ["geo file"]


def test_which_key_it_is(settings: Settings, catalog: SqlCatalog) -> None:
    _, keys = catalog.create_project("Shop")
    assert look(settings, catalog=catalog, key=keys["write"])["key"].finding == (
        "It is a key of role write for the project shop. It sends events; it cannot ask."
    )
    assert look(settings, catalog=catalog, key="wk_mistyped")["key"].finding == "It is not known here."
    assert wrong(settings, catalog=catalog, key="wk_mistyped") == ["key"]
    assert "key" not in look(settings, catalog=catalog)


def test_what_a_running_server_finds_is_taken_over(settings: Settings) -> None:
    checks = [{"name": "load", "ok": False, "detail": "It has been failing since noon: disk full", "way_out": "Make room."}]
    found = look(settings, server={"pid": 1, "url": "http://127.0.0.1:1"}, health=checks)["server: load"]
    assert found == Finding("server: load", False, "It has been failing since noon: disk full", "Make room.")


def test_settings_that_are_wrong_are_the_only_finding() -> None:
    with pytest.raises(AlmanacError) as refused:
        all_settings.load({"port": 99999}, {})
    (found,) = settings_refused(refused.value)
    assert found.finding == "port is 99999, but it has to be from 1 to 65535. (--port)"
